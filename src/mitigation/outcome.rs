//! Outcomes of requests that succeed.

use super::{ActionName, Params, RoleArn, Tags};

#[derive(Clone, Debug, PartialEq)]
pub struct Success {
    pub outcome: Outcome,
    /// The action as it is now, or as it was before its deletion; `None` if there is none.
    pub action: Option<Action>,
    /// What a person should know, such as why a delete deleted nothing.
    pub notice: Option<String>,
}

impl Success {
    pub fn new(outcome: Outcome, action: Action) -> Self {
        Self { outcome, action: Some(action), notice: None }
    }

    pub fn absent(notice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Absent, action: None, notice: Some(notice.into()) }
    }

    pub fn with_notice(self, notice: impl Into<String>) -> Self {
        Self { notice: Some(notice.into()), ..self }
    }
}

/// When adding one, the compiler names every match in Rust. Also add its word to `outcome` in
/// `schemas/request-succeeded.json` and to `docs/reference.md`, or, if only a stack can have it, to
/// `docs/operating.md`.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The action was created, now or by an earlier delivery of the same request.
    Created,
    /// An identical action existed and was taken over as it is.
    Adopted,
    Updated,
    Deleted,
    /// There was nothing to delete.
    Absent,
    /// The action had been adopted: it loses the owner tag and stays.
    Released,
    /// The action was this resource's, but its owner tag is gone or another's: it stays.
    Skipped,
    Described(Box<Description>),
}

impl Outcome {
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
    pub name: ActionName,
    pub arn: String,
    /// `actionId`; `None` if it was not looked up.
    pub id: Option<String>,
    /// `actionType`; `None` if it was not looked up. A string, because the service may have kinds
    /// that are newer than this version.
    pub action_type: Option<String>,
}

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
