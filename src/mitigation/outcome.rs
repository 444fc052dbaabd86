//! What came of a request.

use super::{ActionName, Params, RoleArn, Tags};

/// A request that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Success {
    /// What was done.
    pub outcome: Outcome,
    /// The action as it is now, or was when it was deleted; `None` where there is none.
    pub action: Option<Action>,
    /// What deserves attention, such as why a delete deleted nothing.
    pub notice: Option<String>,
}

impl Success {
    /// An outcome with an action and no notice.
    #[must_use]
    pub fn new(outcome: Outcome, action: Action) -> Self {
        Self { outcome, action: Some(action), notice: None }
    }

    /// There was nothing to delete; `notice` says why.
    #[must_use]
    pub fn absent(notice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Absent, action: None, notice: Some(notice.into()) }
    }

    /// The same with a notice.
    #[must_use]
    pub fn with_notice(self, notice: impl Into<String>) -> Self {
        Self { notice: Some(notice.into()), ..self }
    }
}

/// What was done. When adding one, add its word to the schema of results.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The action was made, now or by an earlier delivery of the same request.
    Created,
    /// An identical action that was there is taken as it is.
    Adopted,
    /// The action was changed.
    Updated,
    /// The action was deleted.
    Deleted,
    /// There was nothing to delete.
    Absent,
    /// The action had been adopted: it lost the owner tag and stays.
    Released,
    /// The action had been this resource's, and its owner tag is gone or another's: it stays.
    Skipped,
    /// The action was read.
    Described(Box<Description>),
}

impl Outcome {
    /// The word for it in results and logs.
    #[must_use]
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
    /// Its name.
    pub name: ActionName,
    /// Its ARN.
    pub arn: String,
    /// The id that the service gave it; `None` where it was not asked for.
    pub id: Option<String>,
    /// The API's `actionType`; `None` where it was not asked for.
    pub action_type: Option<String>,
}

/// All that the service says of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The role that it assumes.
    pub role_arn: Option<RoleArn>,
    /// What it does; `None` for a kind that came after this version.
    pub params: Option<Params>,
    /// Its tags, the provider's own included.
    pub tags: Tags,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When its definition was last changed.
    pub modified: Option<Timestamp>,
}

/// A date of the service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Milliseconds since 1970.
    pub milliseconds: u64,
    /// The same by RFC 3339, in UTC.
    pub text: String,
}
