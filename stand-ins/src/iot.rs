//! AWS IoT's mitigation actions and their tags, as the service model of 2015-05-28 has them.
//!
//! Holds state, returns small pages, checks what the model constrains, returns errors with a status
//! and `x-amzn-errortype`, takes an identical create for a replay, keeps the account's limit and,
//! where one is set, a rate.

mod state;
mod validation;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ACCOUNT, REGION,
    fault::{Fault, Faults},
    server::{Reply, Seen},
};
use state::State;

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

#[derive(Default)]
pub struct Iot {
    pub faults: Faults,
    changes: AtomicUsize,
    state: Mutex<State>,
}

impl Iot {
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
        state.new_roles.clear();
        state.tag_lag = (Duration::ZERO, 0.0);
    }

    /// How many calls have arrived, ever, that would change something.
    pub fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
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

    /// A role becomes known only after `time`, as one that was made moments ago.
    pub fn set_new_role(&self, role_arn: &str, time: Duration) {
        let known = Instant::now() + time;
        self.state.lock().unwrap().new_roles.insert(role_arn.to_owned(), known);
    }

    /// The tags of an action that is made from now on are found only after `time`.
    pub fn set_tag_lag(&self, time: Duration) {
        self.state.lock().unwrap().tag_lag = (time, state::now());
    }

    /// Every list of tags repeats its token.
    pub fn set_endless_tags(&self) {
        self.state.lock().unwrap().has_endless_tags = true;
    }

    /// Whether an identical create is answered as the first was.
    pub fn set_takes_replays(&self, takes_replays: bool) {
        self.state.lock().unwrap().takes_replays = takes_replays;
    }

    /// Refuses every signature as AWS does, with a message that repeats the signed headers.
    pub fn echo_headers(&self, echo: bool) {
        self.state.lock().unwrap().echoes_headers = echo;
    }

    pub(crate) async fn answer(&self, seen: Seen) -> Reply {
        let Some((operation, target)) = route(&seen) else {
            return refused(&(404, "UnknownOperationException", String::new()));
        };
        let call = Call { operation, target, status: 0, at: Instant::now(), change: None };
        if call.is_change() {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        let fault = self.faults.next(operation);
        if let Some((status, reply)) = fault.as_ref().and_then(reply_without_work) {
            self.state.lock().unwrap().calls.push(Call { status, ..call });
            return reply;
        }
        if let Some(Fault::Slow(time)) = fault {
            tokio::time::sleep(time).await;
        }
        let result = self.work(call, &seen);
        fault.as_ref().and_then(reply_after_work).unwrap_or_else(|| {
            result.map_or_else(|refusal| refused(&refusal), |body| Reply::json(200, &body))
        })
    }

    /// Does what the call asks for and keeps the call.
    fn work(&self, mut call: Call, seen: &Seen) -> Result<Value, Refusal> {
        let mut state = self.state.lock().unwrap();
        let there =
            |state: &State| state.actions.get(call.name()).filter(|_| call.is_change()).cloned();
        let before = there(&state);
        let result = authorize(seen, state.echoes_headers)
            .and_then(|()| state.execute(call.operation, &call.target, seen));
        let after = there(&state);
        call.change = (before != after).then(|| Box::new((before, after)));
        call.status = result.as_ref().map_or_else(|(status, ..)| *status, |_| 200);
        state.calls.push(call);
        result
    }
}

/// The reply to a call whose fault keeps the work from being done, and its status; 0 for no response.
fn reply_without_work(fault: &Fault) -> Option<(u16, Reply)> {
    let refusal = match fault {
        Fault::Throttle => (400, "ThrottlingException", "Rate exceeded".to_owned()),
        Fault::Refuse(status, code) => (*status, *code, format!("refused with {code}")),
        Fault::LoseBefore => return Some((0, Reply::Lost)),
        Fault::Hang => return Some((0, Reply::Never)),
        _ => return None,
    };
    Some((refusal.0, refused(&refusal)))
}

/// The reply to a call whose fault comes once the work is done.
fn reply_after_work(fault: &Fault) -> Option<Reply> {
    match fault {
        Fault::LoseAfter => Some(Reply::Lost),
        Fault::HangAfter => Some(Reply::Never),
        Fault::FailAfter => {
            Some(refused(&(500, "InternalFailureException", "after the work".to_owned())))
        }
        Fault::Garbage => Some(Reply::text(200, &[("content-type", "application/json")], "<html>")),
        _ => None,
    }
}

/// Refuses a call that is not signed for AWS IoT, or every one where `echoes_headers` says so.
fn authorize(seen: &Seen, echoes_headers: bool) -> Result<(), Refusal> {
    let authorization = seen.header("authorization").unwrap_or_default();
    if !authorization.starts_with("AWS4-HMAC-SHA256 Credential=")
        || !authorization.contains("/iot/aws4_request, SignedHeaders=")
    {
        let message = "Missing Authentication Token".to_owned();
        return Err((403, "MissingAuthenticationTokenException", message));
    }
    if echoes_headers {
        let message =
            format!("The Canonical String for this request should have been {:?}", seen.headers);
        return Err((403, "InvalidSignatureException", message));
    }
    Ok(())
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
