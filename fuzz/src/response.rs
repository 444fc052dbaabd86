//! "One response" for a custom resource request, whatever arrives, derived from the request without
//! the code that responds.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime},
};

use cloudformation_custom_resource::{
    CustomResource, Failure as ResourceFailure, NoResponse, Provider, Put, PutResponse, Request,
    Resource, Served, Target,
};
use http::{StatusCode, Uri};
use mitigation_action_provider::{
    mitigation::{Action, ActionName, Detail, ErrorCode, Failure, Parse as _, Problems, Success},
    trigger::cloudformation::{self, Attributes},
};
use serde_json::{Map, Value, value::RawValue};

/// A `ResponseURL` that gets a response, at any time.
pub const URL: &str = "https://localhost/key";

/// The members of a request that its response depends on.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// `RequestType`.
    pub request_type: &'a str,
    /// `StackId`.
    pub stack: &'a str,
    /// `RequestId`.
    pub request: &'a str,
    /// `LogicalResourceId`.
    pub logical: &'a str,
    /// `PhysicalResourceId`.
    pub physical: &'a str,
}

type Document = Map<String, Value>;

/// The bytes that CloudFormation accepts.
const MAX_BYTES: usize = 4096;

/// The bytes that all echoed strings can have together, as JSON. The rest is for the names of the
/// members and the shortest reason. CloudFormation's own ids have at most 1024 + 36 + 255 + 1024
/// characters. Longer ones do not fit into any response.
const MAX_ECHOED: usize = MAX_BYTES - 300;

/// A resource type all of whose methods have the same result.
struct Fixed<'r>(&'r Result<Success, Failure>);

impl Fixed<'_> {
    fn failure(failure: &Failure) -> ResourceFailure {
        let failure = failure.clone();
        ResourceFailure::fitting(move |bytes| failure.reason(bytes))
    }
}

impl CustomResource for Fixed<'_> {
    type Attributes = Attributes;

    async fn create(&self, _: &Request) -> Result<Resource<Attributes>, ResourceFailure> {
        let success = self.0.as_ref().map_err(Self::failure)?;
        let action = success.action.clone();
        action.map(cloudformation::resource).ok_or_else(|| ResourceFailure::new("no action"))
    }

    async fn update(
        &self,
        request: &Request,
        _: &str,
    ) -> Result<Resource<Attributes>, ResourceFailure> {
        self.create(request).await
    }

    async fn delete(&self, _: &Request, _: Target<'_>) -> Result<(), ResourceFailure> {
        self.0.as_ref().map(drop).map_err(Self::failure)
    }

    fn name(&self, request: &Request) -> Option<String> {
        cloudformation::name_of_create(request)
    }

    async fn refuse(&self, _: &Request, problem: &str) -> ResourceFailure {
        match self.0 {
            Ok(_) => ResourceFailure::new(problem),
            Err(failure) => Self::failure(failure),
        }
    }
}

/// Keeps the bodies of PUTs, and accepts them.
#[derive(Clone, Default)]
struct Captured(Rc<RefCell<Vec<String>>>);

impl Put for Captured {
    async fn put(&self, _: Uri, body: String) -> Result<PutResponse, NoResponse> {
        self.0.borrow_mut().push(body);
        Ok(PutResponse { status: StatusCode::OK, body: Vec::new() })
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O starts");
}

/// The one response to `request` with this result; `None` if its URL is forbidden or expired.
///
/// # Panics
/// If there is not exactly one response otherwise.
pub fn respond(request: &mut Request, result: &Result<Success, Failure>) -> Option<String> {
    let put = Captured::default();
    let provider = Provider::new("eu-west-1", put.clone()).allow_hosts(["localhost".to_owned()]);
    let until = SystemTime::now() + Duration::from_mins(1);
    let served =
        RUNTIME.with(|runtime| runtime.block_on(provider.serve(&Fixed(result), request, until)));
    let bodies = put.0.take();
    match served {
        Ok(Served::Responded(response)) => {
            assert_eq!(bodies, [response.get()], "not the one response that is returned");
            Some(response.get().to_owned())
        }
        Ok(Served::Expired) | Err(_) => {
            assert!(bodies.is_empty(), "a response that is not returned");
            None
        }
    }
}

/// The same request with [`URL`].
///
/// # Panics
/// If the request that is built cannot be read.
pub fn with_url(request: &Request) -> Request {
    let quoted = |text: &str| serde_json::to_string(text).expect("a string is JSON");
    let raw = |value: Option<&RawValue>| value.map_or("null", RawValue::get).to_owned();
    let members = [
        ("ResponseURL", quoted(URL)),
        ("RequestType", raw(request.raw_request_type())),
        ("StackId", quoted(&request.stack_id)),
        ("RequestId", quoted(&request.request_id)),
        ("LogicalResourceId", quoted(&request.logical_resource_id)),
        ("PhysicalResourceId", quoted(&request.physical_resource_id)),
        ("ResourceProperties", raw(request.raw_properties())),
        ("OldResourceProperties", raw(request.raw_old_properties())),
    ];
    let members = members.map(|(name, value)| format!("\"{name}\":{value}")).join(",");
    Request::read(&format!("{{{members}}}")).expect("it has a ResponseURL")
}

/// Checks the response to a request with [`URL`] and this result.
///
/// # Panics
/// If the response breaks a rule.
pub fn check(request: &mut Request, given: &Given<'_>, result: &Result<Success, Failure>) {
    let response = respond(request, result).expect("the URL is allowed, and does not expire");
    assert_eq!(Some(&response), respond(request, result).as_ref(), "another response");
    assert!(response.len() <= MAX_BYTES, "{} bytes", response.len());
    let document: Document = serde_json::from_str(&response).expect("a response is a JSON object");
    let expected = expected(given, result);
    check_members(&document, expected.is_ok());
    let action = expected.ok().flatten();
    check_echoes(&document, given, action);
    match expected {
        Ok(_) => check_data(&document, action),
        Err(failure) => {
            assert!(!document.contains_key("Data"), "a failure has data");
            let reason = text(&document, "Reason");
            assert!(!reason.is_empty(), "a failure without a reason");
            if let Some(failure) = failure {
                check_reason(reason, failure, response.len());
            }
        }
    }
}

/// A success, with the action that the response describes; or a failure, with the result's, unless
/// the crate itself fails the request.
fn expected<'r>(
    given: &Given<'_>,
    result: &'r Result<Success, Failure>,
) -> Result<Option<&'r Action>, Option<&'r Failure>> {
    let success = result.as_ref().map_err(Some)?;
    match given.request_type {
        "Delete" => Ok(None),
        "Update" if given.physical.is_empty() => Err(None),
        "Create" | "Update" => success.action.as_ref().map(Some).ok_or(None),
        _ => Err(None),
    }
}

fn text<'d>(document: &'d Document, name: &str) -> &'d str {
    document.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{name} is no string"))
}

fn check_members(document: &Document, is_success: bool) {
    let known = [
        "Status",
        "Reason",
        "PhysicalResourceId",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "Data",
    ];
    assert!(document.keys().all(|name| known.contains(&name.as_str())), "an unknown member");
    assert_eq!(text(document, "Status"), if is_success { "SUCCESS" } else { "FAILED" });
}

/// The ids are those of the request, whole if they fit. The physical id is the action's name, or
/// that of the request, or one that no action can have.
fn check_echoes(document: &Document, given: &Given<'_>, action: Option<&Action>) {
    let physical = text(document, "PhysicalResourceId");
    let expected = physical_id(given, action);
    check_physical_id(physical, expected);
    let data = document.get("Data").map(Value::to_string).unwrap_or_default();
    let echoes = [
        ("StackId", given.stack),
        ("RequestId", given.request),
        ("LogicalResourceId", given.logical),
    ];
    let echoes = echoes.into_iter().chain(expected.map(|id| ("PhysicalResourceId", id)));
    let length = echoes.clone().map(|(_, given)| json_len(given)).sum::<usize>()
        + expected.map_or(physical.len(), |_| 0)
        + data.len();
    let is_whole = length <= MAX_ECHOED;
    for (name, given) in echoes {
        let echo = text(document, name);
        assert!(
            echo == given || !is_whole && is_beginning(echo, given),
            "{name} is {echo:?} instead of {given:?}"
        );
    }
}

/// The physical id that the response must have; `None` for one of a failed Create.
fn physical_id<'g>(given: &Given<'g>, action: Option<&'g Action>) -> Option<&'g str> {
    if let Some(action) = action {
        return Some(action.name.as_str());
    }
    let is_failed_create =
        given.request_type == "Update" && given.physical.starts_with("not-created:");
    let is_kept = given.request_type != "Create" && !is_failed_create && !given.physical.is_empty();
    is_kept.then_some(given.physical)
}

fn check_physical_id(physical: &str, expected: Option<&str>) {
    let length = physical.chars().count();
    assert!((1..=1024).contains(&length), "a physical id of {length} characters");
    if expected.is_none() {
        assert_eq!(ActionName::parse(physical), None, "a failed Create has the id of an action");
        assert!(
            physical.chars().any(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_'),
            "a failed Create has a valid name"
        );
    }
}

fn check_data(document: &Document, action: Option<&Action>) {
    assert!(!document.contains_key("Reason"));
    assert_eq!(document.contains_key("Data"), action.is_some());
    let Some(action) = action else { return };
    for (name, expected) in [
        ("ActionArn", action.arn.as_str()),
        ("MitigationActionArn", &action.arn),
        ("ActionName", action.name.as_str()),
        ("ActionId", action.id.as_deref().unwrap_or_default()),
        ("MitigationActionId", action.id.as_deref().unwrap_or_default()),
        ("ActionType", action.action_type.as_deref().unwrap_or_default()),
    ] {
        assert_eq!(document["Data"][name].as_str(), Some(expected), "{name}");
    }
}

/// A reason begins with its code, and is cut only if it does not fit. `length` is the response's.
fn check_reason(reason: &str, failure: &Failure, length: usize) {
    let message = reason
        .strip_prefix(code(failure.code))
        .and_then(|rest| rest.strip_prefix(": "))
        .expect("a reason begins with its code");
    let whole: String = match &failure.detail {
        Detail::Service(text)
        | Detail::OutOfTime(text)
        | Detail::NoResponse(text)
        | Detail::Refusal(text) => text.clone(),
        Detail::NameConflict(conflict) => conflict.to_string(),
        Detail::Problems(problems) if problems.len() == 1 => {
            problems.first().iter().map(|only| only.as_str()).collect()
        }
        Detail::Problems(problems) => return check_problems(message, problems),
    };
    let is_fitting = length - json_len(message) + json_len(&whole) <= MAX_BYTES;
    if is_fitting {
        assert_eq!(message, whole, "cut although it fits");
    } else {
        assert!(
            message.ends_with('…') && is_beginning(message, &whole),
            "not cut between characters: {message:?}"
        );
        // One more character, escaped, would not have fitted.
        assert!(length > MAX_BYTES - 6, "cut to {length} bytes, although more would fit");
    }
}

/// A message lists the first problems and counts the others.
fn check_problems(message: &str, problems: &Problems) {
    let count = problems.len();
    let list_of = |listed: usize| {
        let list: Vec<&str> =
            problems.first().iter().take(listed).map(|problem| problem.as_str()).collect();
        let separator = if listed == 0 { "" } else { "; " };
        let more = (listed < count).then(|| format!("{separator}and {} more", count - listed));
        format!("{count} problems: {}{}", list.join("; "), more.unwrap_or_default())
    };
    let is_list = (0..=problems.first().len()).rev().map(list_of).any(|list| list == message);
    assert!(
        is_list || is_beginning(message, &list_of(0)),
        "{message:?} does not list {count} problems"
    );
}

fn code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest => "InvalidRequestException",
        ErrorCode::ResourceAlreadyExists => "ResourceAlreadyExistsException",
        ErrorCode::ResourceNotFound => "ResourceNotFoundException",
        ErrorCode::LimitExceeded => "LimitExceededException",
        ErrorCode::AccessDenied => "AccessDeniedException",
        ErrorCode::Throttling => "ThrottlingException",
        ErrorCode::InternalFailure => "InternalFailureException",
        ErrorCode::InvalidSetting => "InvalidSetting",
    }
}

/// Whether `cut` is the beginning of `whole` and an ellipsis.
fn is_beginning(cut: &str, whole: &str) -> bool {
    cut.strip_suffix('…').is_some_and(|cut| whole.starts_with(cut))
}

/// The bytes of `text` inside a JSON string.
fn json_len(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |text| text.len() - 2)
}
