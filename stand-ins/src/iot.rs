//! AWS IoT's mitigation actions and their tags, by the service model of 2015-05-28.
//!
//! Checks the constraints of the model, returns small pages, treats an identical create as
//! idempotent, and enforces the account's limit and an optional rate. Errors have a status and
//! `x-amzn-errortype`.

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
    lambda::Lambda,
    server::{HttpRequest, HttpResponse},
};
use state::{Signatures, State};

/// A mitigation action as the service stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    pub id: String,
    pub role_arn: String,
    pub params: Value,
    pub tags: BTreeMap<String, String>,
    pub created: f64,
    pub modified: f64,
}

/// A call that the service received.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: &'static str,
    /// The name or the ARN of the action.
    pub target: String,
    pub status: u16,
    pub at: Instant,
    /// When the call was executed, or rejected.
    pub executed: Instant,
    /// The invocation that made the call, if invocations are traced.
    pub invocation: Option<String>,
    /// The action before and after the call, if the call changed it.
    pub change: Option<Box<(Option<Action>, Option<Action>)>>,
}

impl Call {
    /// The name of the action.
    pub fn name(&self) -> &str {
        self.target.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the operation is a mutation.
    pub fn is_change(&self) -> bool {
        !matches!(
            self.operation,
            "DescribeMitigationAction" | "ListTagsForResource" | "ListMitigationActions"
        )
    }
}

/// A status, an error name and a message.
type ServiceError = (u16, &'static str, String);

/// How the service responds to a create that is identical to an earlier one. It succeeds by
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdenticalCreate {
    Success,
    Conflict,
}

impl IdenticalCreate {
    pub const ALL: [Self; 2] = [Self::Success, Self::Conflict];
}

const OPERATIONS: [&str; 8] = [
    "CreateMitigationAction",
    "UpdateMitigationAction",
    "DeleteMitigationAction",
    "DescribeMitigationAction",
    "ListMitigationActions",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
];

pub struct Iot {
    pub faults: Faults,
    changes: AtomicUsize,
    state: Mutex<State>,
}

impl Default for Iot {
    fn default() -> Self {
        Self {
            faults: Faults::new(|call, _| call == "*" || OPERATIONS.contains(&call)),
            changes: AtomicUsize::default(),
            state: Mutex::default(),
        }
    }
}

impl Iot {
    pub fn arn(name: &str) -> String {
        format!("arn:aws:iot:{REGION}:{ACCOUNT}:mitigationaction/{name}")
    }

    /// All actions of the account.
    pub fn actions(&self) -> BTreeMap<String, Action> {
        self.state.lock().unwrap().actions.clone()
    }

    pub fn action(&self, name: &str) -> Option<Action> {
        self.state.lock().unwrap().actions.get(name).cloned()
    }

    /// Creates an action without the provider.
    pub fn plant(&self, name: &str, role_arn: &str, params: Value, tags: &[(&str, &str)]) {
        let mut state = self.state.lock().unwrap();
        let tags =
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let action = state.new_action(role_arn.to_owned(), params, tags);
        state.actions.insert(name.to_owned(), action);
    }

    /// Changes an action without the provider. `None` removes it.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Option<Action>)) {
        let mut state = self.state.lock().unwrap();
        let mut action = state.actions.remove(name);
        change(&mut action);
        if let Some(action) = action {
            state.actions.insert(name.to_owned(), action);
        }
    }

    /// Removes all actions, calls and faults.
    pub fn reset(&self) {
        self.faults.clear();
        let mut state = self.state.lock().unwrap();
        state.actions.clear();
        state.calls.clear();
        state.new_roles.clear();
        state.tag_lag = (Duration::ZERO, 0.0);
    }

    /// The number of mutating calls so far.
    pub fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
    }

    /// Takes the calls so far.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    pub fn set_limit(&self, limit: usize) {
        self.state.lock().unwrap().limit = limit;
    }

    pub fn set_rate(&self, rate: f64) {
        self.state.lock().unwrap().rate = Some(rate);
    }

    /// The service can assume a new role only after `time`.
    pub fn set_new_role(&self, role_arn: &str, time: Duration) {
        let propagated = Instant::now() + time;
        self.state.lock().unwrap().new_roles.insert(role_arn.to_owned(), propagated);
    }

    /// The tags of a new action become visible only after `time`.
    pub fn set_tag_lag(&self, time: Duration) {
        self.state.lock().unwrap().tag_lag = (time, state::now());
    }

    /// Every list of tags repeats its token.
    pub fn set_endless_tags(&self) {
        self.state.lock().unwrap().has_endless_tags = true;
    }

    pub fn set_identical_create(&self, identical_create: IdenticalCreate) {
        self.state.lock().unwrap().identical_create = identical_create;
    }

    /// From now on rejects every signature as AWS does, with a message that repeats the signed
    /// headers.
    pub fn reject_signatures(&self) {
        self.state.lock().unwrap().signatures = Signatures::Rejected;
    }

    pub(crate) async fn respond(&self, request: HttpRequest) -> HttpResponse {
        let Some((operation, target)) = route(&request) else {
            return error_response(&(404, "UnknownOperationException", String::new()));
        };
        let (at, invocation) = (Instant::now(), Lambda::traced(&request));
        let call =
            Call { operation, target, status: 0, at, executed: at, invocation, change: None };
        if call.is_change() {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        let fault = self.faults.next(operation);
        if let Some((status, response)) = fault.as_ref().and_then(response_without_execution) {
            self.state.lock().unwrap().calls.push(Call { status, ..call });
            return response;
        }
        if let Some(Fault::Slow(time)) = fault {
            tokio::time::sleep(time).await;
        }
        let result = self.execute(call, &request);
        fault.as_ref().and_then(response_after_execution).unwrap_or_else(|| match result {
            Ok(body) => HttpResponse::json(200, &body),
            Err(error) => error_response(&error),
        })
    }

    /// Executes the call and records it.
    fn execute(&self, mut call: Call, request: &HttpRequest) -> Result<Value, ServiceError> {
        let mut state = self.state.lock().unwrap();
        let current =
            |state: &State| state.actions.get(call.name()).filter(|_| call.is_change()).cloned();
        let before = current(&state);
        let result = authorize(request)
            .and_then(|()| state.check_signature(request))
            .and_then(|()| state.execute(call.operation, &call.target, request));
        let after = current(&state);
        call.change = (before != after).then(|| Box::new((before, after)));
        call.executed = Instant::now();
        call.status = result.as_ref().map_or_else(|(status, ..)| *status, |_| 200);
        state.calls.push(call);
        result
    }
}

/// The response to a call that its fault keeps from being executed, and its status: 0 for none.
fn response_without_execution(fault: &Fault) -> Option<(u16, HttpResponse)> {
    let error = match fault {
        Fault::Throttle => (400, "ThrottlingException", "Rate exceeded".to_owned()),
        Fault::Refuse(status, code) => (*status, *code, format!("rejected with {code}")),
        Fault::RefuseWith(status, code, message) => (*status, *code, (*message).to_owned()),
        Fault::Empty => return Some((200, HttpResponse::json(200, &json!({})))),
        Fault::Proxy(status) => return Some((*status, HttpResponse::proxy(*status))),
        Fault::LoseBefore => return Some((0, HttpResponse::Disconnect)),
        Fault::Hang => return Some((0, HttpResponse::Hang)),
        Fault::Slow(_)
        | Fault::LoseAfter
        | Fault::HangAfter
        | Fault::FailAfter
        | Fault::Garbage => return None,
    };
    Some((error.0, error_response(&error)))
}

/// The response to a call whose fault comes after its execution.
fn response_after_execution(fault: &Fault) -> Option<HttpResponse> {
    match fault {
        Fault::LoseAfter => Some(HttpResponse::Disconnect),
        Fault::HangAfter => Some(HttpResponse::Hang),
        Fault::FailAfter => {
            Some(error_response(&(500, "InternalFailureException", "executed".to_owned())))
        }
        Fault::Garbage => Some(HttpResponse::garbage(200)),
        Fault::Throttle
        | Fault::Refuse(..)
        | Fault::RefuseWith(..)
        | Fault::Empty
        | Fault::Proxy(_)
        | Fault::LoseBefore
        | Fault::Hang
        | Fault::Slow(_) => None,
    }
}

/// Rejects a call that is not signed for AWS IoT.
fn authorize(request: &HttpRequest) -> Result<(), ServiceError> {
    let authorization = request.header("authorization").unwrap_or_default();
    if !authorization.starts_with("AWS4-HMAC-SHA256 Credential=")
        || !authorization.contains("/iot/aws4_request, SignedHeaders=")
    {
        let message = "Missing Authentication Token".to_owned();
        return Err((403, "MissingAuthenticationTokenException", message));
    }
    Ok(())
}

fn route(request: &HttpRequest) -> Option<(&'static str, String)> {
    let name = request.path.strip_prefix("/mitigationactions/actions/").map(str::to_owned);
    let arn = || request.json()["resourceArn"].as_str().unwrap_or_default().to_owned();
    Some(match (request.method.as_str(), request.path.as_str(), name) {
        ("POST", _, Some(name)) => ("CreateMitigationAction", name),
        ("PATCH", _, Some(name)) => ("UpdateMitigationAction", name),
        ("DELETE", _, Some(name)) => ("DeleteMitigationAction", name),
        ("GET", _, Some(name)) => ("DescribeMitigationAction", name),
        ("GET", "/mitigationactions/actions", None) => ("ListMitigationActions", String::new()),
        ("GET", "/tags", None) => {
            ("ListTagsForResource", request.parameter("resourceArn").unwrap_or_default())
        }
        ("POST", "/tags", None) => ("TagResource", arn()),
        ("POST", "/untag", None) => ("UntagResource", arn()),
        _ => return None,
    })
}

fn error_response((status, code, message): &ServiceError) -> HttpResponse {
    let headers = [("x-amzn-errortype", *code), ("content-type", "application/json")];
    HttpResponse::text(*status, &headers, &json!({ "message": message }).to_string())
}

/// The `actionType` of parameters. Panics if it does not know their kind.
pub fn action_type(params: &Value) -> &'static str {
    let member = params.as_object().and_then(|map| map.keys().next()).map(String::as_str);
    match member.unwrap_or_default() {
        "addThingsToThingGroupParams" => "ADD_THINGS_TO_THING_GROUP",
        "enableIoTLoggingParams" => "ENABLE_IOT_LOGGING",
        "publishFindingToSnsParams" => "PUBLISH_FINDING_TO_SNS",
        "replaceDefaultPolicyVersionParams" => "REPLACE_DEFAULT_POLICY_VERSION",
        "updateCACertificateParams" => "UPDATE_CA_CERTIFICATE",
        "updateDeviceCertificateParams" => "UPDATE_DEVICE_CERTIFICATE",
        unknown => panic!("no action type of {unknown:?}: {params}"),
    }
}
