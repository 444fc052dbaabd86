//! Why a request failed, in the API's words.

use std::fmt;

use super::{ActionName, Problems, text::truncate};

words! {
    /// The name of an error: the API's own where it has one. Callers branch on it.
    pub enum ErrorCode {
        /// The request breaks a rule, or would change what its trigger does not own.
        InvalidRequest = "InvalidRequestException",
        /// A create met an action that is not its own.
        ResourceAlreadyExists = "ResourceAlreadyExistsException",
        /// There is no such action.
        ResourceNotFound = "ResourceNotFoundException",
        /// The account has as many actions as it may have.
        LimitExceeded = "LimitExceededException",
        /// Any 401 or 403.
        AccessDenied = "AccessDeniedException",
        /// Still throttled when the time ran out.
        Throttling = "ThrottlingException",
        /// A 5xx, a lost connection, a time-out.
        InternalFailure = "InternalFailureException",
        /// The function's own settings are wrong, so no request is executed.
        InvalidSetting = "InvalidSetting",
    }
}

impl ErrorCode {
    /// Whether the same request may succeed later, without anybody changing anything.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Throttling | Self::InternalFailure => true,
            Self::InvalidRequest
            | Self::ResourceAlreadyExists
            | Self::ResourceNotFound
            | Self::LimitExceeded
            | Self::AccessDenied
            | Self::InvalidSetting => false,
        }
    }
}

/// A request that failed: by which error, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error.
    pub code: ErrorCode,
    /// What was wrong and what is expected.
    pub detail: Detail,
}

/// What there is to say of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All problems of the request.
    Problems(Problems),
    /// What AWS IoT said, or that it said nothing.
    Service(String),
    /// Why the provider itself refused.
    Refusal(String),
    /// A create met an action that is not its own.
    NameConflict(NameConflict),
}

/// The facts of a name conflict, which each trigger words with its own names of properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConflict {
    /// The name that is taken.
    pub name: ActionName,
    /// The ARN of the action that has it.
    pub arn: String,
    /// The value of its owner tag, if it has one.
    pub owner: Option<String>,
    /// What the caller can do.
    pub remedy: Remedy,
}

/// The way out of a name conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Choose another policy for conflicts.
    AdoptOrOverwrite,
    /// The action differs, so that it cannot be adopted: make it the same, or overwrite it.
    MatchOrOverwrite,
    /// It is another stack's: that stack has to delete it; where the stack is gone, remove the tag.
    DeleteThere,
}

impl Failure {
    /// What AWS IoT answered.
    #[must_use]
    pub fn service(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, detail: Detail::Service(text.into()) }
    }

    /// What the provider itself refuses.
    #[must_use]
    pub fn refusal(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, detail: Detail::Refusal(text.into()) }
    }

    /// A request with `problems`.
    #[must_use]
    pub fn invalid(problems: Problems) -> Self {
        Self { code: ErrorCode::InvalidRequest, detail: Detail::Problems(problems) }
    }

    /// A create that met an action that is not its own.
    #[must_use]
    pub(crate) fn name_conflict(conflict: NameConflict) -> Self {
        Self { code: ErrorCode::ResourceAlreadyExists, detail: Detail::NameConflict(conflict) }
    }

    /// The same failure with `more` to say.
    #[must_use]
    pub fn with_context(self, more: &str) -> Self {
        let text = format!("{} ({more})", self.message(usize::MAX));
        let detail = match self.detail {
            Detail::Service(_) => Detail::Service(text),
            Detail::Problems(_) | Detail::Refusal(_) | Detail::NameConflict(_) => {
                Detail::Refusal(text)
            }
        };
        Self { code: self.code, detail }
    }

    /// The message in at most `budget` bytes of a JSON string: of several problems as many as fit,
    /// then "and N more"; of a sentence its beginning, cut between characters.
    #[must_use]
    pub fn message(&self, budget: usize) -> String {
        match &self.detail {
            Detail::Service(text) | Detail::Refusal(text) => truncate(text, budget),
            Detail::Problems(problems) => problems.list(budget),
            Detail::NameConflict(conflict) => truncate(&conflict.to_string(), budget),
        }
    }

    /// The code and the message in at most `budget` bytes of a JSON string.
    #[must_use]
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

/// Who an owner tag names, in words.
pub(crate) fn owned_by(tag: Option<&str>) -> String {
    match tag {
        Some(tag) => format!("owned by \"{tag}\""),
        None => "which has no owner tag of this provider".to_owned(),
    }
}
