//! What can be asked of the life cycle.

use super::{ActionName, Definition, Owner, Params, Place, RoleArn, Tags};

/// One request: what is to be done, for whom, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub task: Task,
    /// For whom; decides what may be changed.
    pub owner: Owner,
    /// Where the actions are; `None` where nobody knows the account, and ARNs have to be asked for.
    pub place: Option<Place>,
    /// A name under which a failed request may have left an action of this owner's; it is released before all else.
    pub leftover: Option<ActionName>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make an action.
    Create(Create),
    /// Change an action.
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
    /// Its tags, the owner's apart.
    pub tags: Tags,
    /// What to do where another's action has the name.
    pub on_conflict: OnConflict,
    /// What to do where this owner's own action has the name.
    pub replay: Replay,
    /// Whether what this very request made is taken away again where the request fails, as nothing that follows would.
    pub undo: bool,
}

/// What a create does where an action has the name that is not its owner's, and is nobody's that may not be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Fail, and change nothing.
    #[default]
    Fail,
    /// Take it as it is, where role and parameters are the same.
    Adopt,
    /// Give it this definition.
    Overwrite,
}

/// What a create does where its owner's action has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Bring it to the desired definition: the owner says what is to be there.
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
    pub forgotten: Vec<String>,
}

/// What an updated action is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All of it, so that an action that is gone can be made again, and one that lost its owner tag is tagged again.
    Whole(Definition),
    /// The parts that are given. What is gone is an error.
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
    /// The names it may have; the first under which an action of the owner's is found is deleted.
    pub names: Vec<ActionName>,
    /// What to do where only another's action is found.
    pub foreign: Foreign,
    /// Whether the outcome is to tell the id and the type of what is deleted, which costs a call.
    pub tell: bool,
}

/// What a delete does where only another's action is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Leave it and succeed: whoever deletes may not know better.
    Leave,
    /// Leave it and fail: somebody asked for just this.
    Refuse,
}
