//! Failures, by the API's error codes.

use std::fmt;

use cloudformation_custom_resource::truncate;

use super::{ActionName, Problems};

string_enum! {
    /// The error code: the API's own where it has one. Callers branch on it.
    pub enum ErrorCode {
        /// The request is invalid, or would change an action of another owner.
        InvalidRequest = "InvalidRequestException",
        /// The name of a create is taken by another owner's action, or one without an owner.
        ResourceAlreadyExists = "ResourceAlreadyExistsException",
        ResourceNotFound = "ResourceNotFoundException",
        /// The account has reached the limit of actions.
        LimitExceeded = "LimitExceededException",
        /// Any 401 or 403.
        AccessDenied = "AccessDeniedException",
        /// Throttled until the time ran out.
        Throttling = "ThrottlingException",
        /// A 5xx, a lost connection, a timeout or an unusable response; a request that a later one
        /// superseded; or a panic.
        InternalFailure = "InternalFailureException",
        /// The function's settings are invalid, so no request is executed.
        InvalidSetting = "InvalidSetting",
    }
}

impl ErrorCode {
    /// Whether the same request may succeed later without a change.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttling | Self::InternalFailure)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: ErrorCode,
    pub detail: Detail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    Problems(Problems),
    /// The message of the service, or that its response is not usable.
    Service(String),
    NoResponse(String),
    /// Time ran out: the code is that of the last error, but says nothing about the last call.
    OutOfTime(String),
    /// Why the provider itself refuses the request.
    Refusal(String),
    NameConflict(NameConflict),
}

/// The facts of a name conflict. Each trigger describes them with its own property names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConflict {
    pub name: ActionName,
    /// The ARN of the action that has it.
    pub arn: String,
    /// The value of that action's owner tag, if any.
    pub owner: Option<String>,
    pub remedy: Remedy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    AdoptOrOverwrite,
    /// The action differs, so it cannot be adopted: change one to match, or overwrite it.
    MatchOrOverwrite,
    /// Another owner has to delete it; if that owner no longer exists, remove the tag.
    DeleteThere,
}

impl Failure {
    pub fn service(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, detail: Detail::Service(text.into()) }
    }

    pub fn refusal(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, detail: Detail::Refusal(text.into()) }
    }

    /// Whether the same request may succeed later without a change: by the code, or because time
    /// ran out.
    pub fn is_transient(&self) -> bool {
        matches!(self.detail, Detail::OutOfTime(_)) || self.code.is_transient()
    }

    /// Whether AWS IoT ended the call that failed with this code.
    pub(crate) fn is_response(&self, code: ErrorCode) -> bool {
        matches!(self.detail, Detail::Service(_)) && self.code == code
    }

    pub fn invalid(problems: Problems) -> Self {
        Self { code: ErrorCode::InvalidRequest, detail: Detail::Problems(problems) }
    }

    pub(crate) fn name_conflict(conflict: NameConflict) -> Self {
        Self { code: ErrorCode::ResourceAlreadyExists, detail: Detail::NameConflict(conflict) }
    }

    /// Appends `more` to the message, in parentheses.
    pub fn with_context(self, more: &str) -> Self {
        let text = format!("{} ({more})", self.message(usize::MAX));
        let detail = match self.detail {
            Detail::Service(_) => Detail::Service(text),
            Detail::NoResponse(_) => Detail::NoResponse(text),
            Detail::OutOfTime(_) => Detail::OutOfTime(text),
            Detail::Problems(_) | Detail::Refusal(_) | Detail::NameConflict(_) => {
                Detail::Refusal(text)
            }
        };
        Self { code: self.code, detail }
    }

    /// The message in at most `budget` bytes of a JSON string: of several problems as many as fit,
    /// then "and N more"; other messages are truncated between characters.
    pub fn message(&self, budget: usize) -> String {
        match &self.detail {
            Detail::Service(text)
            | Detail::NoResponse(text)
            | Detail::OutOfTime(text)
            | Detail::Refusal(text) => truncate(text, budget),
            Detail::Problems(problems) => problems.list(budget),
            Detail::NameConflict(conflict) => truncate(&conflict.to_string(), budget),
        }
    }

    /// The code and the message in at most `budget` bytes of a JSON string.
    pub fn reason(&self, budget: usize) -> String {
        let code = self.code.as_str();
        let message = self.message(budget.saturating_sub(code.len() + 2));
        truncate(&format!("{code}: {message}"), budget)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason(usize::MAX))
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for NameConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, arn, owner, remedy: _ } = self;
        write!(f, "the name {name} is taken by {arn}, {}", owned_by(owner.as_deref()))
    }
}

pub(crate) fn owned_by(tag: Option<&str>) -> String {
    match tag {
        Some(tag) => format!("owned by \"{tag}\""),
        None => "which has no owner tag of this provider".to_owned(),
    }
}
