//! AWS IoT's mitigation actions and their tags, as the service model of 2015-05-28 has them.
//!
//! Holds state, pages in small pages, checks what the model constrains, answers errors with status and
//! `x-amzn-errortype`, takes an identical create for a replay, keeps the account's limit and, where set, a rate.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use super::{
    ACCOUNT, REGION,
    fault::{Fault, Faults},
    server::{Reply, Seen},
};

/// A mitigation action as the service holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    pub id: String,
    pub role_arn: String,
    pub params: Value,
    pub tags: BTreeMap<String, String>,
    pub created: f64,
    pub modified: f64,
}

/// A call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: &'static str,
    /// The action's name, or the ARN.
    pub target: String,
    pub status: u16,
    /// When it arrived.
    pub at: Instant,
    /// The action before and after it, where it changed or made one.
    pub change: Option<Box<(Option<Action>, Option<Action>)>>,
}

impl Call {
    /// The name of the action it is about.
    pub fn name(&self) -> &str {
        self.target.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the operation is one that changes something.
    pub fn is_change(&self) -> bool {
        !matches!(
            self.operation,
            "DescribeMitigationAction" | "ListTagsForResource" | "ListMitigationActions"
        )
    }
}

/// An error of the service.
type Refusal = (u16, &'static str, String);

pub struct Iot {
    pub faults: Faults,
    state: Mutex<State>,
}

struct State {
    actions: BTreeMap<String, Action>,
    calls: Vec<Call>,
    /// Actions an account may have.
    limit: usize,
    /// Calls a second that an operation takes; none for no limit.
    rate: Option<f64>,
    buckets: HashMap<&'static str, (f64, Instant)>,
    takes_replays: bool,
    echoes_headers: bool,
    made: u64,
}

impl Default for Iot {
    fn default() -> Self {
        let state = State {
            actions: BTreeMap::new(),
            calls: Vec::new(),
            limit: 100,
            rate: None,
            buckets: HashMap::new(),
            takes_replays: true,
            echoes_headers: false,
            made: 0,
        };
        Self { faults: Faults::default(), state: Mutex::new(state) }
    }
}

impl Iot {
    const PAGE: usize = 2;

    pub fn arn(name: &str) -> String {
        format!("arn:aws:iot:{REGION}:{ACCOUNT}:mitigationaction/{name}")
    }

    /// All that the account holds.
    pub fn actions(&self) -> BTreeMap<String, Action> {
        self.state.lock().unwrap().actions.clone()
    }

    pub fn action(&self, name: &str) -> Option<Action> {
        self.state.lock().unwrap().actions.get(name).cloned()
    }

    /// Makes an action that the provider knows nothing of.
    pub fn plant(&self, name: &str, role_arn: &str, params: Value, tags: &[(&str, &str)]) {
        let mut state = self.state.lock().unwrap();
        let tags =
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let action = state.new_action(role_arn.to_owned(), params, tags);
        state.actions.insert(name.to_owned(), action);
    }

    /// Changes an action behind the provider's back; `None` removes it.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Option<Action>)) {
        let mut state = self.state.lock().unwrap();
        let mut action = state.actions.remove(name);
        change(&mut action);
        if let Some(action) = action {
            state.actions.insert(name.to_owned(), action);
        }
    }

    /// As at the start: empty, with no faults and no calls.
    pub fn reset(&self) {
        self.faults.clear();
        let mut state = self.state.lock().unwrap();
        state.actions.clear();
        state.calls.clear();
    }

    /// The calls so far, which are forgotten.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    pub fn set_limit(&self, limit: usize) {
        self.state.lock().unwrap().limit = limit;
    }

    pub fn set_rate(&self, rate: f64) {
        self.state.lock().unwrap().rate = Some(rate);
    }

    /// Whether an identical create is answered as the first was.
    pub fn set_takes_replays(&self, takes_replays: bool) {
        self.state.lock().unwrap().takes_replays = takes_replays;
    }

    /// Refuses every signature as AWS does, with a message that repeats the signed headers.
    pub fn echo_headers(&self, echo: bool) {
        self.state.lock().unwrap().echoes_headers = echo;
    }

    pub async fn answer(&self, seen: Seen) -> Reply {
        let Some((operation, target)) = route(&seen) else {
            return refused(&(404, "UnknownOperationException", String::new()));
        };
        let at = Instant::now();
        let fault = self.faults.next(operation);
        let log = |status| {
            let call = Call { operation, target: target.clone(), status, at, change: None };
            self.state.lock().unwrap().calls.push(call);
        };
        match fault {
            Some(Fault::Throttle) => {
                log(400);
                return refused(&(400, "ThrottlingException", "Rate exceeded".to_owned()));
            }
            Some(Fault::Refuse(status, code)) => {
                log(status);
                return refused(&(status, code, format!("refused with {code}")));
            }
            Some(Fault::LoseBefore) => {
                log(0);
                return Reply::Lost;
            }
            Some(Fault::Hang) => {
                log(0);
                return Reply::Never;
            }
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let mut call = Call { operation, target: target.clone(), status: 200, at, change: None };
        let there =
            |state: &State| state.actions.get(call.name()).filter(|_| call.is_change()).cloned();
        let before = there(&self.state.lock().unwrap());
        let answer = self.work(operation, &target, &seen);
        let mut state = self.state.lock().unwrap();
        let after = there(&state);
        call.change = (before != after).then(|| Box::new((before, after)));
        call.status = answer.as_ref().map_or_else(|(status, ..)| *status, |_| 200);
        state.calls.push(call);
        drop(state);
        match fault {
            Some(Fault::LoseAfter) => Reply::Lost,
            Some(Fault::HangAfter) => Reply::Never,
            Some(Fault::FailAfter) => {
                refused(&(500, "InternalFailureException", "after the work".to_owned()))
            }
            Some(Fault::Garbage) => {
                Reply::text(200, &[("content-type", "application/json")], "<html>")
            }
            _ => answer.map_or_else(|refusal| refused(&refusal), |body| Reply::json(200, &body)),
        }
    }

    fn work(&self, operation: &'static str, target: &str, seen: &Seen) -> Result<Value, Refusal> {
        let authorization = seen.header("authorization").unwrap_or_default();
        if !authorization.starts_with("AWS4-HMAC-SHA256 Credential=")
            || !authorization.contains("/iot/aws4_request, SignedHeaders=")
        {
            return Err((
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token".to_owned(),
            ));
        }
        let mut state = self.state.lock().unwrap();
        if state.echoes_headers {
            let message = format!(
                "The Canonical String for this request should have been {:?}",
                seen.headers
            );
            return Err((403, "InvalidSignatureException", message));
        }
        state.spend(operation)?;
        let body = seen.json();
        match operation {
            "CreateMitigationAction" => state.create(target, &body),
            "UpdateMitigationAction" => state.update(target, &body),
            "DeleteMitigationAction" => {
                check_name(target)?;
                state.actions.remove(target);
                Ok(json!({}))
            }
            "DescribeMitigationAction" => state.describe(target),
            "ListMitigationActions" => {
                Ok(state.list(seen.parameter("nextToken"), seen.parameter("maxResults")))
            }
            "ListTagsForResource" => state.tags_of(target)?.page(seen.parameter("nextToken")),
            "TagResource" => state.tag(target, &body),
            _ => state.untag(target, &body),
        }
    }
}

fn route(seen: &Seen) -> Option<(&'static str, String)> {
    let name = seen.path.strip_prefix("/mitigationactions/actions/").map(str::to_owned);
    let arn = || seen.json()["resourceArn"].as_str().unwrap_or_default().to_owned();
    Some(match (seen.method.as_str(), seen.path.as_str(), name) {
        ("POST", _, Some(name)) => ("CreateMitigationAction", name),
        ("PATCH", _, Some(name)) => ("UpdateMitigationAction", name),
        ("DELETE", _, Some(name)) => ("DeleteMitigationAction", name),
        ("GET", _, Some(name)) => ("DescribeMitigationAction", name),
        ("GET", "/mitigationactions/actions", None) => ("ListMitigationActions", String::new()),
        ("GET", "/tags", None) => {
            ("ListTagsForResource", seen.parameter("resourceArn").unwrap_or_default())
        }
        ("POST", "/tags", None) => ("TagResource", arn()),
        ("POST", "/untag", None) => ("UntagResource", arn()),
        _ => return None,
    })
}

fn refused((status, code, message): &Refusal) -> Reply {
    let headers = [("x-amzn-errortype", *code), ("content-type", "application/json")];
    Reply::text(*status, &headers, &json!({ "message": message }).to_string())
}

fn invalid(message: impl Into<String>) -> Refusal {
    (400, "InvalidRequestException", message.into())
}

fn missing(target: &str) -> Refusal {
    (404, "ResourceNotFoundException", format!("Mitigation action {target} does not exist"))
}

struct TagsOf(Vec<(String, String)>);

impl TagsOf {
    fn page(self, token: Option<String>) -> Result<Value, Refusal> {
        let start: usize =
            token.map_or(Ok(0), |token| token.parse()).map_err(|_| invalid("Invalid nextToken"))?;
        let tags: Vec<Value> = self
            .0
            .iter()
            .skip(start)
            .take(Iot::PAGE)
            .map(|(key, value)| json!({ "Key": key, "Value": value }))
            .collect();
        let end = start + tags.len();
        Ok(if end < self.0.len() {
            json!({ "tags": tags, "nextToken": end.to_string() })
        } else {
            json!({ "tags": tags })
        })
    }
}

impl State {
    fn new_action(
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

    fn create(&mut self, name: &str, body: &Value) -> Result<Value, Refusal> {
        check_name(name)?;
        let role_arn = check_role(&body["roleArn"], "roleArn")?;
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

    fn tags_of(&mut self, arn: &str) -> Result<TagsOf, Refusal> {
        Ok(TagsOf(self.at(arn)?.tags.clone().into_iter().collect()))
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

fn now() -> f64 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64() * 1000.0)
        .floor()
        / 1000.0
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if legal {
        Ok(())
    } else {
        Err(invalid(format!("1 validation error detected: actionName {name}")))
    }
}

fn check_role(value: &Value, member: &str) -> Result<String, Refusal> {
    let role = value.as_str().ok_or_else(|| invalid(format!("{member} is required")))?;
    if !(20..=2048).contains(&role.chars().count()) {
        return Err(invalid(format!("1 validation error detected: {member}")));
    }
    Ok(role.to_owned())
}

fn check_members(value: &Value, known: &[&str]) -> Result<Map<String, Value>, Refusal> {
    let map = value.as_object().ok_or_else(|| invalid("a structure is required"))?;
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(invalid(format!("unknown member {unknown}"))),
        None => Ok(map.clone()),
    }
}

fn check_word(value: &Value, words: &[&str]) -> Result<(), Refusal> {
    let legal = value.as_str().is_some_and(|word| words.contains(&word));
    if legal { Ok(()) } else { Err(invalid(format!("1 validation error detected: {value}"))) }
}

fn check_params(params: &Value) -> Result<Value, Refusal> {
    let map = params.as_object().ok_or_else(|| invalid("actionParams is required"))?;
    if map.len() != 1 {
        return Err(invalid("exactly one kind of parameters is required"));
    }
    let (kind, value) = map.iter().next().unwrap();
    match kind.as_str() {
        "addThingsToThingGroupParams" => {
            let members = check_members(value, &["thingGroupNames", "overrideDynamicGroups"])?;
            let names = members
                .get("thingGroupNames")
                .and_then(Value::as_array)
                .ok_or_else(|| invalid("thingGroupNames"))?;
            let legal = |name: &Value| {
                let name = name.as_str().unwrap_or_default();
                (1..=128).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_-".contains(&b))
            };
            if !(1..=10).contains(&names.len()) || !names.iter().all(legal) {
                return Err(invalid("1 validation error detected: thingGroupNames"));
            }
            if members.get("overrideDynamicGroups").is_some_and(|flag| !flag.is_boolean()) {
                return Err((
                    400,
                    "SerializationException",
                    "overrideDynamicGroups is a boolean".to_owned(),
                ));
            }
        }
        "enableIoTLoggingParams" => {
            let members = check_members(value, &["logLevel", "roleArnForLogging"])?;
            check_role(
                members.get("roleArnForLogging").unwrap_or(&Value::Null),
                "roleArnForLogging",
            )?;
            check_word(
                members.get("logLevel").unwrap_or(&Value::Null),
                &["DEBUG", "INFO", "ERROR", "WARN"],
            )?;
        }
        "publishFindingToSnsParams" => {
            let members = check_members(value, &["topicArn"])?;
            let topic = members
                .get("topicArn")
                .and_then(Value::as_str)
                .ok_or_else(|| invalid("topicArn"))?;
            if topic.chars().count() > 350 {
                return Err(invalid("1 validation error detected: topicArn"));
            }
        }
        "replaceDefaultPolicyVersionParams" => {
            let members = check_members(value, &["templateName"])?;
            check_word(members.get("templateName").unwrap_or(&Value::Null), &["BLANK_POLICY"])?;
        }
        "updateCACertificateParams" | "updateDeviceCertificateParams" => {
            let members = check_members(value, &["action"])?;
            check_word(members.get("action").unwrap_or(&Value::Null), &["DEACTIVATE"])?;
        }
        other => return Err(invalid(format!("unknown member {other}"))),
    }
    Ok(params.clone())
}

fn check_tags(tags: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let mut checked = BTreeMap::new();
    for tag in tags.as_array().into_iter().flatten() {
        let members = check_members(tag, &["Key", "Value"])?;
        let key = members.get("Key").and_then(Value::as_str).unwrap_or_default();
        let value = members.get("Value").and_then(Value::as_str).unwrap_or_default();
        let legal = (1..=128).contains(&key.chars().count())
            && value.chars().count() <= 256
            && !key.to_lowercase().starts_with("aws:");
        if !legal || checked.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(invalid(format!("1 validation error detected: tag {key}")));
        }
    }
    Ok(checked)
}

pub fn action_type(params: &Value) -> &'static str {
    match params.as_object().and_then(|map| map.keys().next()).map(String::as_str) {
        Some("addThingsToThingGroupParams") => "ADD_THINGS_TO_THING_GROUP",
        Some("enableIoTLoggingParams") => "ENABLE_IOT_LOGGING",
        Some("publishFindingToSnsParams") => "PUBLISH_FINDING_TO_SNS",
        Some("replaceDefaultPolicyVersionParams") => "REPLACE_DEFAULT_POLICY_VERSION",
        Some("updateCACertificateParams") => "UPDATE_CA_CERTIFICATE",
        _ => "UPDATE_DEVICE_CERTIFICATE",
    }
}
