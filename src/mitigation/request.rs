//! What can be asked of the life cycle.

use super::{
    ActionName, Definition, Location, Owner, Params, RequestDigest, RoleArn, Tags,
    digest::{digest, hex},
    text::Parse,
};

words! {
    /// The operations.
    ///
    /// When adding one, the compiler names every match in Rust. The tests of
    /// `tests/contract/completeness/operations.rs` name what misses it besides those:
    /// [`Parse::EXPECTED`], `schemas/`, `docs/reference.md`, and a sample of an event and of a direct
    /// call in `events/`.
    pub enum Operation {
        /// Make an action.
        Create = "CreateMitigationAction",
        /// Change an action.
        Update = "UpdateMitigationAction",
        /// Delete an action.
        Delete = "DeleteMitigationAction",
        /// Read an action.
        Describe = "DescribeMitigationAction",
    }
}

impl Parse for Operation {
    const EXPECTED: &'static str = "CreateMitigationAction, UpdateMitigationAction, \
                                    DeleteMitigationAction or DescribeMitigationAction";

    fn parse(text: &str) -> Option<Self> {
        Self::from_word(text)
    }
}

/// One request: what to do, for whom, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub task: Task,
    /// For whom; decides what may be changed.
    pub owner: Owner,
    /// Where the actions are; `None` where the account is not known, and ARNs have to be asked for.
    pub location: Option<Location>,
    /// The digest of a stack's request, which goes into the request tag of what it makes. Such a
    /// request waits for a new role; `None` for requests that do neither.
    pub digest: Option<RequestDigest>,
    /// The action that a stack's resource has now, where this is an Update of it.
    pub current: Option<ActionName>,
    /// A name under which a failed replacement may have left an action; it is removed first.
    pub orphan: Option<ActionName>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make an action.
    Create(Create),
    /// Change an action in place.
    Update(Update),
    /// Delete an action.
    Delete(Delete),
    /// Read an action, whoever owns it.
    Describe(ActionName),
}

/// Make an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Its name.
    pub name: ActionName,
    /// What it does.
    pub definition: Definition,
    /// Its tags, the provider's own apart.
    pub tags: Tags,
    /// What to do where an action that is not this owner's has the name.
    pub on_conflict: OnConflict,
    /// What to do where this owner's own action has the name.
    pub replay: Replay,
}

impl Create {
    /// A digest of what the create call sends: name, role, parameters, and tags by key.
    #[must_use]
    pub fn digest(&self) -> String {
        let Self { name, definition: Definition { role_arn, params }, tags, .. } = self;
        let params = serde_json::to_string(params).unwrap_or_default();
        let mut parts = vec![name.as_str(), role_arn.as_str(), &params];
        parts.extend(tags.iter().flat_map(|(key, value)| [key, value]));
        hex(&digest(&parts), 8)
    }
}

words! {
    /// What a create does where an action has the name that is not its owner's, and may be taken
    /// over: the values of `onConflict`.
    ///
    /// When adding one, the compiler names every other place in Rust; besides those, update
    /// `schemas/*.json` and `docs/reference.md`.
    #[derive(Default)]
    pub enum OnConflict {
        /// Fail, and change nothing.
        #[default]
        Fail = "fail",
        /// Take it as it is, where role and parameters are the same.
        Adopt = "adopt",
        /// Give it this definition.
        Overwrite = "overwrite",
    }
}

/// What a create does where its owner's action has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Bring it to the desired definition: the owner declares what is to be there.
    Converge,
    /// Leave it: the owner has asked for this once.
    Keep,
}

/// Change an action in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its name.
    pub name: ActionName,
    /// What it is to do.
    pub change: Change,
    /// Tags to set.
    pub tags: Tags,
    /// Keys that an earlier request gave; those that `tags` no longer has are removed.
    pub previous_keys: Vec<String>,
}

/// What an updated action is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All of it, so that an action that is gone can be made again, and one that lost its owner tag
    /// is tagged again.
    Whole(Definition),
    /// The parts that are given. An action that is gone is an error.
    Parts {
        /// The role.
        role_arn: Option<RoleArn>,
        /// The parameters.
        params: Option<Params>,
    },
}

/// Delete an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which one.
    pub target: DeleteTarget,
    /// What to do where it is not this owner's.
    pub on_foreign: OnForeign,
    /// What the outcome says of the action.
    pub lookup: Lookup,
}

/// Which action to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteTarget {
    /// The one of this name.
    Named(ActionName),
    /// What a failed Create may have made: the action of this name, where its request tag has this
    /// digest.
    FailedCreate(ActionName, RequestDigest),
    /// What a Create makes that may still be running: CloudFormation cancelled it, and invented the
    /// physical id.
    UnknownPhysicalId(UnknownPhysicalId),
    /// None: a Create with these properties makes nothing.
    Nothing,
}

/// A Delete whose physical id the provider did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPhysicalId {
    /// The physical id, where it could be an action's name after all.
    pub id: Option<ActionName>,
    /// The name that the Create uses, where it can have one.
    pub name: Option<ActionName>,
    /// What the Create does about an action that is not its own.
    pub on_conflict: OnConflict,
}

/// What a delete does where only an action of another owner is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnForeign {
    /// Leave it and succeed.
    Skip,
    /// Leave it and fail.
    Fail,
}

/// How a delete looks its action up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its tags, which prove the owner.
    Tags,
    /// Its id and type besides, which costs one more call.
    Description,
}
