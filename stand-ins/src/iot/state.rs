//! The state of the account, and the operations on it.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::server::HttpRequest;

use super::{
    Action, Call, IdenticalCreate, Iot, ServiceError, action_type,
    validation::{check_name, check_params, check_role, check_tags, invalid},
};

/// Tags per page: few, so that most lists have a second page.
const PAGE: usize = 2;

/// Whether correctly signed calls are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    Accepted,
    Rejected,
}

pub struct State {
    pub actions: BTreeMap<String, Action>,
    pub calls: Vec<Call>,
    /// The number of actions that the account can have.
    pub limit: usize,
    /// Calls per second and operation, if limited.
    pub rate: Option<f64>,
    /// The tokens of each operation, and when they were counted.
    buckets: HashMap<&'static str, (f64, Instant)>,
    /// Roles that the service cannot assume before a time.
    pub new_roles: HashMap<String, Instant>,
    /// How long tags stay invisible, and from which creation date on.
    pub tag_lag: (Duration, f64),
    pub identical_create: IdenticalCreate,
    /// Whether a list of tags never ends.
    pub has_endless_tags: bool,
    pub signatures: Signatures,
    created: u64,
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
            identical_create: IdenticalCreate::Success,
            has_endless_tags: false,
            signatures: Signatures::Accepted,
            created: 0,
        }
    }
}

impl State {
    /// Executes an operation. `target` is the name or the ARN of the action.
    pub fn execute(
        &mut self,
        operation: &'static str,
        target: &str,
        request: &HttpRequest,
    ) -> Result<Value, ServiceError> {
        self.take_token(operation)?;
        let body = request.json();
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
                Ok(self.list(request.parameter("nextToken"), request.parameter("maxResults")))
            }
            "ListTagsForResource" => self.list_tags(target, request.parameter("nextToken")),
            "TagResource" => self.tag(target, &body),
            "UntagResource" => self.untag(target, &body),
            other => panic!("{other} is not implemented"),
        }
    }

    /// Rejects the signature, if all are, with a message that repeats the signed headers.
    pub fn check_signature(&self, request: &HttpRequest) -> Result<(), ServiceError> {
        if self.signatures == Signatures::Accepted {
            return Ok(());
        }
        let message =
            format!("The Canonical String for this request should have been {:?}", request.headers);
        Err((403, "InvalidSignatureException", message))
    }

    pub fn new_action(
        &mut self,
        role_arn: String,
        params: Value,
        tags: BTreeMap<String, String>,
    ) -> Action {
        self.created += 1;
        let now = now();
        Action {
            id: format!("5f0e9c1a-0000-4000-8000-{:012}", self.created),
            role_arn,
            params,
            tags,
            created: now,
            modified: now,
        }
    }

    /// Each operation has a token bucket, which holds the tokens of one second.
    fn take_token(&mut self, operation: &'static str) -> Result<(), ServiceError> {
        let Some(rate) = self.rate else { return Ok(()) };
        let now = Instant::now();
        let (tokens, since) = self.buckets.entry(operation).or_insert((rate, now));
        *tokens = (*tokens + now.duration_since(*since).as_secs_f64() * rate).min(rate);
        *since = now;
        if *tokens < 1.0 {
            return Err((400, "ThrottlingException", "Rate exceeded".to_owned()));
        }
        *tokens -= 1.0;
        Ok(())
    }

    fn check_propagation(&self, role_arn: &str) -> Result<(), ServiceError> {
        match self.new_roles.get(role_arn) {
            Some(propagated) if *propagated > Instant::now() => {
                Err(invalid(format!("Role {role_arn} cannot be assumed")))
            }
            _ => Ok(()),
        }
    }

    fn create(&mut self, name: &str, body: &Value) -> Result<Value, ServiceError> {
        check_name(name)?;
        let role_arn = check_role(&body["roleArn"], "roleArn")?;
        self.check_propagation(&role_arn)?;
        let params = check_params(&body["actionParams"])?;
        let tags = check_tags(&body["tags"])?;
        if tags.len() > 50 {
            return Err(invalid("Too many tags"));
        }
        if let Some(action) = self.actions.get(name) {
            let is_identical =
                action.role_arn == role_arn && action.params == params && action.tags == tags;
            if is_identical && self.identical_create == IdenticalCreate::Success {
                return Ok(json!({ "actionArn": Iot::arn(name), "actionId": action.id }));
            }
            let message = format!("Mitigation action {name} already exists");
            return Err((409, "ResourceAlreadyExistsException", message));
        }
        if self.actions.len() >= self.limit {
            let message = "The maximum number of mitigation actions is reached".to_owned();
            return Err((410, "LimitExceededException", message));
        }
        let action = self.new_action(role_arn, params, tags);
        let created = json!({ "actionArn": Iot::arn(name), "actionId": action.id });
        self.actions.insert(name.to_owned(), action);
        Ok(created)
    }

    fn update(&mut self, name: &str, body: &Value) -> Result<Value, ServiceError> {
        check_name(name)?;
        self.check_propagation(body["roleArn"].as_str().unwrap_or_default())?;
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

    fn describe(&self, name: &str) -> Result<Value, ServiceError> {
        check_name(name)?;
        let action = self.actions.get(name).ok_or_else(|| missing(name))?;
        Ok(json!({
            "actionName": name,
            "actionArn": Iot::arn(name),
            "actionId": action.id,
            "actionType": action_type(&action.params),
            "roleArn": action.role_arn,
            "actionParams": action.params,
            "creationDate": action.created,
            "lastModifiedDate": action.modified,
        }))
    }

    fn list(&self, token: Option<String>, max_results: Option<String>) -> Value {
        let start: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        let page = max_results.and_then(|max| max.parse().ok()).unwrap_or(25);
        let item = |(name, action): (&String, &Action)| {
            json!({
                "actionName": name, "actionArn": Iot::arn(name), "creationDate": action.created,
            })
        };
        let items: Vec<Value> = self.actions.iter().skip(start).take(page).map(item).collect();
        let end = start + items.len();
        if end < self.actions.len() {
            json!({ "actionIdentifiers": items, "nextToken": end.to_string() })
        } else {
            json!({ "actionIdentifiers": items })
        }
    }

    fn action_of(&mut self, arn: &str) -> Result<&mut Action, ServiceError> {
        let name = arn
            .strip_prefix(&Iot::arn(""))
            .ok_or_else(|| invalid(format!("Invalid resource ARN {arn}")))?;
        self.actions.get_mut(name).ok_or_else(|| missing(arn))
    }

    fn list_tags(&mut self, arn: &str, token: Option<String>) -> Result<Value, ServiceError> {
        let start: usize =
            token.map_or(Ok(0), |token| token.parse()).map_err(|_| invalid("Invalid nextToken"))?;
        let (tag_lag, since) = self.tag_lag;
        let has_endless_tags = self.has_endless_tags;
        let action = self.action_of(arn)?;
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

    fn tag(&mut self, arn: &str, body: &Value) -> Result<Value, ServiceError> {
        let new = check_tags(&body["tags"])?;
        if !body["tags"].is_array() {
            return Err(invalid("tags is required"));
        }
        let action = self.action_of(arn)?;
        let mut tags = action.tags.clone();
        tags.extend(new);
        if tags.len() > 50 {
            let message = "A resource has at most 50 tags".to_owned();
            return Err((410, "LimitExceededException", message));
        }
        action.tags = tags;
        Ok(json!({}))
    }

    fn untag(&mut self, arn: &str, body: &Value) -> Result<Value, ServiceError> {
        let keys = body["tagKeys"]
            .as_array()
            .filter(|keys| !keys.is_empty())
            .ok_or_else(|| invalid("tagKeys is required"))?;
        let action = self.action_of(arn)?;
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

fn missing(target: &str) -> ServiceError {
    (404, "ResourceNotFoundException", format!("Mitigation action {target} does not exist"))
}
