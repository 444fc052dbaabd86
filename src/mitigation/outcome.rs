//! What came of a request.

use super::{ActionName, Params, RoleArn, Tags};

/// What came of a request that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was done.
    pub verdict: Verdict,
    /// The action as it is now, or was when it was deleted; `None` where there is none.
    pub action: Option<Action>,
    /// What a person should know although nothing failed, such as why a delete deleted nothing.
    pub notice: Option<String>,
}

impl Outcome {
    /// An outcome with an action and nothing to notice.
    #[must_use]
    pub fn of(verdict: Verdict, action: Action) -> Self {
        Self { verdict, action: Some(action), notice: None }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
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
    /// There was an action, and it stays: it is another's, or was only adopted.
    Left,
    /// The action was read.
    Described(Box<Described>),
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Adopted => "ADOPTED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
            Self::Absent => "ABSENT",
            Self::Left => "LEFT",
            Self::Described(_) => "DESCRIBED",
        }
    }
}

/// What tells an action from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub name: ActionName,
    /// Its ARN.
    pub arn: String,
    /// The id that the service gave it; `None` where it was not asked for.
    pub id: Option<String>,
    /// The API's `actionType`; `None` where it was not asked for.
    pub kind: Option<String>,
}

/// All that the service says of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The role it takes on.
    pub role_arn: Option<RoleArn>,
    /// What it does; `None` for a kind that came after this version.
    pub params: Option<Params>,
    /// Its tags, the owner's included.
    pub tags: Tags,
    /// When it was made.
    pub created: Option<Moment>,
    /// When it was last changed.
    pub modified: Option<Moment>,
}

/// A moment of the service's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Milliseconds since 1970, as exactly as the service tells.
    pub milliseconds: i64,
    /// RFC 3339 in UTC.
    pub text: String,
}
