//! Invariants 1 and 5: the response to a custom resource's request, derived from the request by other
//! means than the code's.

use mitigation_action_provider::{
    mitigation::{ActionName, Detail, ErrorCode, Failure, Parse as _, Success},
    trigger::cloudformation::{self, CustomResourceRequest, ResponseUrl},
};
use serde_json::{Map, Value};

/// What the request says that a response depends on.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// `RequestType`.
    pub kind: &'a str,
    /// `StackId`.
    pub stack: &'a str,
    /// `RequestId`.
    pub request: &'a str,
    /// `LogicalResourceId`.
    pub logical: &'a str,
    /// `PhysicalResourceId`.
    pub physical: &'a str,
}

/// What CloudFormation takes, in bytes.
const MOST: usize = 4096;

/// What is left for all that is echoed, in bytes of JSON strings: the rest of a response needs the
/// names of its members, and the least of a reason. CloudFormation's own ids are at most
/// 1024 + 36 + 255 + 1024 characters; what is longer cannot be echoed whole in any response.
const ECHOED: usize = MOST - 300;

/// Checks the response to `result`; returns it.
///
/// # Panics
/// Where it breaks a rule.
pub fn check(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    given: &Given<'_>,
    result: &Result<Success, Failure>,
) -> String {
    let response = cloudformation::respond(request, url, result);
    assert_eq!(response, cloudformation::respond(request, url, result), "another response");
    assert!(response.len() <= MOST, "{} bytes", response.len());
    let document: Map<String, Value> =
        serde_json::from_str(&response).expect("a response is a JSON object");
    let text = |name: &str| {
        document.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{name} is no string"))
    };
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
    assert_eq!(text("Status"), if result.is_ok() { "SUCCESS" } else { "FAILED" });

    let action = result
        .as_ref()
        .ok()
        .and_then(|success| success.action.as_ref())
        .filter(|_| given.kind != "Delete");
    let physical = text("PhysicalResourceId");
    assert!(
        !physical.is_empty() && physical.chars().count() <= 1024,
        "a physical id of {} characters",
        physical.chars().count()
    );
    let kept = match action {
        Some(action) => Some(action.name.as_str()),
        None => Some(given.physical).filter(|id| {
            let is_own = given.kind == "Update" && id.starts_with("not-created:");
            given.kind != "Create" && !is_own && !id.is_empty()
        }),
    };
    if kept.is_none() {
        assert_eq!(ActionName::parse(physical), None, "what was not made has the id of an action");
        assert!(
            physical.chars().any(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_'),
            "what was not made has a legal name"
        );
    }

    let data = document.get("Data").map(Value::to_string).unwrap_or_default();
    let echoes = [
        ("StackId", given.stack),
        ("RequestId", given.request),
        ("LogicalResourceId", given.logical),
    ];
    let echoes = echoes.into_iter().chain(kept.map(|id| ("PhysicalResourceId", id)));
    let length = echoes.clone().map(|(_, given)| json_len(given)).sum::<usize>()
        + kept.map_or(physical.len(), |_| 0)
        + data.len();
    let is_whole = length <= ECHOED;
    for (name, given) in echoes {
        let echo = text(name);
        assert!(
            echo == given || !is_whole && is_beginning(echo, given),
            "{name} is {echo:?} in place of {given:?}"
        );
    }

    match result {
        Ok(_) => {
            assert!(!document.contains_key("Reason"));
            assert_eq!(document.contains_key("Data"), action.is_some());
            if let Some(action) = action {
                let data = |name: &str| document["Data"][name].as_str();
                for (name, expected) in [
                    ("ActionArn", action.arn.as_str()),
                    ("MitigationActionArn", &action.arn),
                    ("ActionName", action.name.as_str()),
                    ("ActionId", action.id.as_deref().unwrap_or_default()),
                    ("MitigationActionId", action.id.as_deref().unwrap_or_default()),
                    ("ActionType", action.action_type.as_deref().unwrap_or_default()),
                ] {
                    assert_eq!(data(name), Some(expected), "{name}");
                }
            }
        }
        Err(failure) => {
            assert!(!document.contains_key("Data"), "a failure has data");
            reason(text("Reason"), failure, response.len());
        }
    }
    response
}

/// A reason begins with its code and says as much as there is room for.
fn reason(reason: &str, failure: &Failure, length: usize) {
    let code = match failure.code {
        ErrorCode::InvalidRequest => "InvalidRequestException",
        ErrorCode::ResourceAlreadyExists => "ResourceAlreadyExistsException",
        ErrorCode::ResourceNotFound => "ResourceNotFoundException",
        ErrorCode::LimitExceeded => "LimitExceededException",
        ErrorCode::AccessDenied => "AccessDeniedException",
        ErrorCode::Throttling => "ThrottlingException",
        ErrorCode::InternalFailure => "InternalFailureException",
        ErrorCode::InvalidSetting => "InvalidSetting",
    };
    let said = reason
        .strip_prefix(code)
        .and_then(|rest| rest.strip_prefix(": "))
        .expect("a reason begins with its code");
    // What one more character may take, or the "; and N more" that one more problem calls for.
    let has_room_for = |more: &str| length - json_len(said) + json_len(more) <= MOST;
    let whole: String = match &failure.detail {
        Detail::Service(text) | Detail::Refusal(text) => text.clone(),
        Detail::NameConflict(conflict) => conflict.to_string(),
        Detail::Problems(problems) if problems.len() == 1 => {
            problems.kept().iter().map(|only| only.as_str()).collect()
        }
        Detail::Problems(problems) => {
            let count = problems.len();
            let told = |told: usize| {
                let list: Vec<&str> =
                    problems.kept().iter().take(told).map(|problem| problem.as_str()).collect();
                let more = (told < count).then(|| {
                    format!("{}and {} more", if told == 0 { "" } else { "; " }, count - told)
                });
                format!("{count} problems: {}{}", list.join("; "), more.unwrap_or_default())
            };
            let is_told = (0..=problems.kept().len()).rev().map(told).any(|list| list == said);
            assert!(is_told || is_beginning(said, &told(0)), "{said:?} tells of {count} problems");
            return;
        }
    };
    if has_room_for(&whole) {
        assert_eq!(said, whole, "cut although there is room");
    } else {
        assert!(
            said.ends_with('…') && is_beginning(said, &whole),
            "not cut between characters: {said:?}"
        );
        assert!(length > MOST - 6, "cut to {length} bytes, where there was room for more");
    }
}

/// Whether `cut` is what `whole` begins with, and an ellipsis.
fn is_beginning(cut: &str, whole: &str) -> bool {
    cut.strip_suffix('…').is_some_and(|cut| whole.starts_with(cut))
}

/// The bytes that `text` takes inside a JSON string.
fn json_len(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |text| text.len() - 2)
}
