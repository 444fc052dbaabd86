//! A result in JSON: the return value of a direct invocation, or the detail of a result event.

use serde::Serialize;

use super::ApiRequest;
use crate::mitigation::{Description, ErrorCode, Failure, Outcome, Params, RoleArn, Success, Tags};

/// The most bytes of a failure's message in a JSON string.
const MAX_MESSAGE: usize = 4096;

string_enum! {
    pub enum Status {
        /// The result has an outcome.
        Succeeded = "SUCCEEDED",
        /// The result has an error.
        Failed = "FAILED",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultDocument<'a> {
    status: Status,
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<&'a str>,
    #[serde(flatten)]
    result: ResultPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_source: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ResultPart<'a> {
    #[serde(rename_all = "camelCase")]
    Succeeded {
        #[serde(skip_serializing_if = "Option::is_none")]
        action_arn: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        action_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        action_type: Option<&'a str>,
        outcome: &'static str,
        #[serde(flatten)]
        description: Option<DescriptionPart<'a>>,
    },
    Failed {
        error: ErrorPart,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescriptionPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_params: Option<&'a Params>,
    tags: &'a Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_date: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_date: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorPart {
    code: ErrorCode,
    message: String,
    retryable: bool,
}

impl ApiRequest {
    pub fn result<'a>(&'a self, result: &'a Result<Success, Failure>) -> ResultDocument<'a> {
        let (status, result) = match result {
            Ok(success) => (Status::Succeeded, ResultPart::succeeded(success)),
            Err(failure) => (Status::Failed, ResultPart::Failed { error: ErrorPart::new(failure) }),
        };
        ResultDocument {
            status,
            operation: self.operation_text(),
            action_name: self.action_name(),
            result,
            request_id: None,
            request_source: None,
        }
    }
}

impl<'a> ResultDocument<'a> {
    /// The document as the detail of a result event.
    pub(in crate::trigger) fn for_event(self, request_id: &'a str, source: &'a str) -> Self {
        Self { request_id: Some(request_id), request_source: Some(source), ..self }
    }
}

/// The message of a failure in results and function errors.
pub fn message(failure: &Failure) -> String {
    failure.message(MAX_MESSAGE)
}

impl<'a> ResultPart<'a> {
    fn succeeded(success: &'a Success) -> Self {
        let action = success.action.as_ref();
        Self::Succeeded {
            action_arn: action.map(|action| action.arn.as_str()),
            action_id: action.and_then(|action| action.id.as_deref()),
            action_type: action.and_then(|action| action.action_type.as_deref()),
            outcome: success.outcome.as_str(),
            description: match &success.outcome {
                Outcome::Described(description) => Some(DescriptionPart::new(description)),
                Outcome::Created
                | Outcome::Adopted
                | Outcome::Updated
                | Outcome::Deleted
                | Outcome::Absent
                | Outcome::Released
                | Outcome::Skipped => None,
            },
        }
    }
}

impl<'a> DescriptionPart<'a> {
    fn new(description: &'a Description) -> Self {
        Self {
            role_arn: description.role_arn.as_ref().map(RoleArn::as_str),
            action_params: description.params.as_ref(),
            tags: &description.tags,
            creation_date: description.created.as_deref(),
            last_modified_date: description.modified.as_deref(),
        }
    }
}

impl ErrorPart {
    fn new(failure: &Failure) -> Self {
        Self { code: failure.code, message: message(failure), retryable: failure.is_transient() }
    }
}
