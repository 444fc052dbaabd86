//! What the account holds, and what each operation makes of it.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::server::Seen;

use super::{
    Action, Call, Iot, Refusal, action_type,
    validation::{check_name, check_params, check_role, check_tags, invalid},
};

/// Tags on a page: few, so that a second page is common.
const PAGE: usize = 2;

pub struct State {
    pub actions: BTreeMap<String, Action>,
    pub calls: Vec<Call>,
    /// Actions an account may have.
    pub limit: usize,
    /// Calls a second that an operation takes; none for no limit.
    pub rate: Option<f64>,
    buckets: HashMap<&'static str, (f64, Instant)>,
    /// Roles that are not known yet, and from when on they are.
    pub new_roles: HashMap<String, Instant>,
    /// How long the tags of an action are not found that is made after a time.
    pub tag_lag: (Duration, f64),
    pub takes_replays: bool,
    /// Whether a list of tags never ends.
    pub has_endless_tags: bool,
    pub echoes_headers: bool,
    made: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            actions: BTreeMap::new(),
            calls: Vec::new(),
            limit: 100,
            rate: None,
            buckets: HashMap::new(),
            new_roles: HashMap::new(),
            tag_lag: (Duration::ZERO, 0.0),
            takes_replays: true,
            has_endless_tags: false,
            echoes_headers: false,
            made: 0,
        }
    }
}

impl State {
    /// Executes an operation on the action, or the ARN, that it is about.
    pub fn execute(
        &mut self,
        operation: &'static str,
        target: &str,
        seen: &Seen,
    ) -> Result<Value, Refusal> {
        self.spend(operation)?;
        let body = seen.json();
        match operation {
            "CreateMitigationAction" => self.create(target, &body),
            "UpdateMitigationAction" => self.update(target, &body),
            "DeleteMitigationAction" => {
                check_name(target)?;
                self.actions.remove(target);
                Ok(json!({}))
            }
            "DescribeMitigationAction" => self.describe(target),
            "ListMitigationActions" => {
                Ok(self.list(seen.parameter("nextToken"), seen.parameter("maxResults")))
            }
            "ListTagsForResource" => self.list_tags(target, seen.parameter("nextToken")),
            "TagResource" => self.tag(target, &body),
            _ => self.untag(target, &body),
        }
    }

    pub fn new_action(
        &mut self,
        role_arn: String,
        params: Value,
        tags: BTreeMap<String, String>,
    ) -> Action {
        self.made += 1;
        let now = now();
        Action {
            id: format!("5f0e9c1a-0000-4000-8000-{:012}", self.made),
            role_arn,
            params,
            tags,
            created: now,
            modified: now,
        }
    }

    /// A token bucket an operation: a second's worth at once, then the rate.
    fn spend(&mut self, operation: &'static str) -> Result<(), Refusal> {
        let Some(rate) = self.rate else { return Ok(()) };
        let now = Instant::now();
        let (left, since) = self.buckets.entry(operation).or_insert((rate, now));
        *left = (*left + now.duration_since(*since).as_secs_f64() * rate).min(rate);
        *since = now;
        if *left < 1.0 {
            return Err((400, "ThrottlingException", "Rate exceeded".to_owned()));
        }
        *left -= 1.0;
        Ok(())
    }

    fn check_new_role(&self, role_arn: &str) -> Result<(), Refusal> {
        match self.new_roles.get(role_arn) {
            Some(known) if *known > Instant::now() => {
                Err(invalid(format!("Role {role_arn} cannot be assumed")))
            }
            _ => Ok(()),
        }
    }

    fn create(&mut self, name: &str, body: &Value) -> Result<Value, Refusal> {
        check_name(name)?;
        let role_arn = check_role(&body["roleArn"], "roleArn")?;
        self.check_new_role(&role_arn)?;
        let params = check_params(&body["actionParams"])?;
        let tags = check_tags(&body["tags"])?;
        if tags.len() > 50 {
            return Err(invalid("Too many tags"));
        }
        if let Some(there) = self.actions.get(name) {
            let identical =
                there.role_arn == role_arn && there.params == params && there.tags == tags;
            if identical && self.takes_replays {
                return Ok(json!({ "actionArn": Iot::arn(name), "actionId": there.id }));
            }
            return Err((
                409,
                "ResourceAlreadyExistsException",
                format!("Mitigation action {name} already exists"),
            ));
        }
        if self.actions.len() >= self.limit {
            return Err((
                410,
                "LimitExceededException",
                "The maximum number of mitigation actions is reached".to_owned(),
            ));
        }
        let action = self.new_action(role_arn, params, tags);
        let answer = json!({ "actionArn": Iot::arn(name), "actionId": action.id });
        self.actions.insert(name.to_owned(), action);
        Ok(answer)
    }

    fn update(&mut self, name: &str, body: &Value) -> Result<Value, Refusal> {
        check_name(name)?;
        self.check_new_role(body["roleArn"].as_str().unwrap_or_default())?;
        let action = self.actions.get_mut(name).ok_or_else(|| missing(name))?;
        let role_arn = if body["roleArn"].is_null() {
            action.role_arn.clone()
        } else {
            check_role(&body["roleArn"], "roleArn")?
        };
        let params = if body["actionParams"].is_null() {
            action.params.clone()
        } else {
            check_params(&body["actionParams"])?
        };
        if !body["tags"].is_null() {
            return Err(invalid("Update takes no tags"));
        }
        (action.role_arn, action.params, action.modified) = (role_arn, params, now());
        Ok(json!({ "actionArn": Iot::arn(name), "actionId": action.id }))
    }

    fn describe(&self, name: &str) -> Result<Value, Refusal> {
        check_name(name)?;
        let action = self.actions.get(name).ok_or_else(|| missing(name))?;
        Ok(json!({
            "actionName": name, "actionArn": Iot::arn(name), "actionId": action.id, "actionType": action_type(&action.params),
            "roleArn": action.role_arn, "actionParams": action.params,
            "creationDate": action.created, "lastModifiedDate": action.modified,
        }))
    }

    fn list(&self, token: Option<String>, most: Option<String>) -> Value {
        let start: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        let page = most.and_then(|most| most.parse().ok()).unwrap_or(25);
        let item = |(name, action): (&String, &Action)| json!({ "actionName": name, "actionArn": Iot::arn(name), "creationDate": action.created });
        let items: Vec<Value> = self.actions.iter().skip(start).take(page).map(item).collect();
        let end = start + items.len();
        if end < self.actions.len() {
            json!({ "actionIdentifiers": items, "nextToken": end.to_string() })
        } else {
            json!({ "actionIdentifiers": items })
        }
    }

    fn at(&mut self, arn: &str) -> Result<&mut Action, Refusal> {
        let name = arn
            .strip_prefix(&Iot::arn(""))
            .ok_or_else(|| invalid(format!("Invalid resource ARN {arn}")))?;
        self.actions.get_mut(name).ok_or_else(|| missing(arn))
    }

    fn list_tags(&mut self, arn: &str, token: Option<String>) -> Result<Value, Refusal> {
        let start: usize =
            token.map_or(Ok(0), |token| token.parse()).map_err(|_| invalid("Invalid nextToken"))?;
        let (tag_lag, since) = self.tag_lag;
        let has_endless_tags = self.has_endless_tags;
        let action = self.at(arn)?;
        if action.created >= since && now() - action.created < tag_lag.as_secs_f64() {
            return Err(missing(arn));
        }
        let tags = &action.tags;
        let page: Vec<Value> = tags
            .iter()
            .skip(start)
            .take(PAGE)
            .map(|(key, value)| json!({ "Key": key, "Value": value }))
            .collect();
        if has_endless_tags {
            return Ok(json!({ "tags": [], "nextToken": "0" }));
        }
        let end = start + page.len();
        Ok(if end < tags.len() {
            json!({ "tags": page, "nextToken": end.to_string() })
        } else {
            json!({ "tags": page })
        })
    }

    fn tag(&mut self, arn: &str, body: &Value) -> Result<Value, Refusal> {
        let new = check_tags(&body["tags"])?;
        if !body["tags"].is_array() {
            return Err(invalid("tags is required"));
        }
        let action = self.at(arn)?;
        let mut tags = action.tags.clone();
        tags.extend(new);
        if tags.len() > 50 {
            return Err((
                410,
                "LimitExceededException",
                "A resource has at most 50 tags".to_owned(),
            ));
        }
        action.tags = tags;
        Ok(json!({}))
    }

    fn untag(&mut self, arn: &str, body: &Value) -> Result<Value, Refusal> {
        let keys = body["tagKeys"]
            .as_array()
            .filter(|keys| !keys.is_empty())
            .ok_or_else(|| invalid("tagKeys is required"))?;
        let action = self.at(arn)?;
        for key in keys {
            action.tags.remove(key.as_str().unwrap_or_default());
        }
        Ok(json!({}))
    }
}

pub fn now() -> f64 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64() * 1000.0)
        .floor()
        / 1000.0
}

fn missing(target: &str) -> Refusal {
    (404, "ResourceNotFoundException", format!("Mitigation action {target} does not exist"))
}
