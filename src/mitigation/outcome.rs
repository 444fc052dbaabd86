//! Outcomes of requests that succeed.

use super::{ActionName, Params, RoleArn, Tags};

/// The outcome of a request that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Success {
    /// What the request did.
    pub outcome: Outcome,
    /// The action as it is now, or as it was before its deletion; `None` if there is none.
    pub action: Option<Action>,
    /// What a person should know, such as why a delete deleted nothing.
    pub notice: Option<String>,
}

impl Success {
    /// An outcome with an action and no notice.
    pub fn new(outcome: Outcome, action: Action) -> Self {
        Self { outcome, action: Some(action), notice: None }
    }

    /// There was nothing to delete; `notice` says why.
    pub fn absent(notice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Absent, action: None, notice: Some(notice.into()) }
    }

    /// The same with a notice.
    pub fn with_notice(self, notice: impl Into<String>) -> Self {
        Self { notice: Some(notice.into()), ..self }
    }
}

/// What a request did.
///
/// When adding one, the compiler names every match in Rust. Also add its word to `outcome` in
/// `schemas/request-succeeded.json` and to `docs/reference.md`, or, if only a stack can have it, to
/// `docs/operating.md`.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The action was created, now or by an earlier delivery of the same request.
    Created,
    /// An identical action existed and was taken over as it is.
    Adopted,
    /// The action was changed.
    Updated,
    /// The action was deleted.
    Deleted,
    /// There was nothing to delete.
    Absent,
    /// The action had been adopted: it loses the owner tag and stays.
    Released,
    /// The action was this resource's, but its owner tag is gone or another's: it stays.
    Skipped,
    /// The action was read.
    Described(Box<Description>),
}

impl Outcome {
    /// The word for the outcome in results and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Adopted => "ADOPTED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
            Self::Absent => "ABSENT",
            Self::Released => "RELEASED",
            Self::Skipped => "SKIPPED",
            Self::Described(_) => "DESCRIBED",
        }
    }
}

/// What identifies an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `actionName`.
    pub name: ActionName,
    /// `actionArn`.
    pub arn: String,
    /// `actionId`; `None` if it was not looked up.
    pub id: Option<String>,
    /// `actionType`; `None` if it was not looked up. A string, because the service may have kinds
    /// that are newer than this version.
    pub action_type: Option<String>,
}

/// What the service knows about an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub role_arn: Option<RoleArn>,
    /// `None` for a kind that is newer than this version.
    pub params: Option<Params>,
    /// All tags, including the provider's own.
    pub tags: Tags,
    /// `creationDate`: RFC 3339, in UTC.
    pub created: Option<String>,
    /// `lastModifiedDate`: RFC 3339, in UTC.
    pub modified: Option<String>,
}
