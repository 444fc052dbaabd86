//! Requests to the lifecycle.

use cloudformation_custom_resource::RequestDigest;

use super::{
    ActionName, Definition, Location, Owner, Params, Record, RecordType, RoleArn, Tags,
    text::{Parse, digest, hex},
};

string_enum! {
    /// When adding one, the compiler names every match in Rust. The tests of
    /// `tests/contract/completeness/operations.rs` report which of these still lack it:
    /// [`Parse::EXPECTED`], `schemas/`, `docs/reference.md`, and a sample of an event and of a
    /// direct invocation in `events/`.
    pub enum Operation {
        Create = "CreateMitigationAction",
        Update = "UpdateMitigationAction",
        Delete = "DeleteMitigationAction",
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

/// A request, in the same form for every trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub task: Task,
    /// Whose actions they are; decides what the request may change.
    pub owner: Owner,
    /// Where the actions are; `None` if the account is unknown, so that ARNs are looked up.
    pub location: Option<Location>,
    pub stack: Option<StackRequest>,
}

/// What only the request of a stack has: its place in the order of the resource's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackRequest {
    /// When CloudFormation sent the request: seconds since 1970.
    pub sent: u64,
    /// Identifies all deliveries of the request.
    pub digest: RequestDigest,
    /// What a Create or an Update does; `None` for a Delete, which leaves no record.
    pub record_type: Option<RecordType>,
    /// The name in the physical id of an Update.
    pub physical_name: Option<ActionName>,
    /// The name in the old properties of an Update, if it is neither the physical id nor the new
    /// name: a failed Update may have left an action there.
    pub previous_name: Option<ActionName>,
}

impl StackRequest {
    pub fn record(&self) -> Option<Record> {
        let request_type = self.record_type?;
        Some(Record { sent: self.sent, request: self.digest.clone(), request_type })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    Create(Create),
    Update(Update),
    Delete(Delete),
    /// Describe an action of any owner.
    Describe(ActionName),
}

impl Task {
    /// The name of the action; `None` for a delete of nothing.
    pub fn action_name(&self) -> Option<&ActionName> {
        match self {
            Self::Create(Create { name, .. })
            | Self::Update(Update { name, .. })
            | Self::Describe(name) => Some(name),
            Self::Delete(delete) => match &delete.target {
                DeleteTarget::Named(name) | DeleteTarget::FailedCreate(name, _) => Some(name),
                DeleteTarget::UnknownPhysicalId(unknown) => unknown.name.as_ref(),
                DeleteTarget::Nothing => None,
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub name: ActionName,
    pub definition: Definition,
    /// The caller's tags; the provider adds its own.
    pub tags: Tags,
    pub on_conflict: OnConflict,
    pub if_owned: IfOwned,
}

impl Create {
    /// A digest of what the create call sends: name, role, parameters, and tags by key.
    pub fn digest(&self) -> String {
        let Self { name, definition, tags, on_conflict: _, if_owned: _ } = self;
        let Definition { role_arn, params } = definition;
        let params = serde_json::to_string(params).unwrap_or_default();
        let mut parts = vec![name.as_str(), role_arn.as_str(), &params];
        parts.extend(tags.iter().flat_map(|(key, value)| [key, value]));
        hex(&digest(&parts), 8)
    }
}

string_enum! {
    /// What a create does where its name is taken by an action that is not its owner's but may be
    /// taken over: the values of `onConflict`.
    ///
    /// When adding one, the compiler names every match in Rust. The tests of
    /// `tests/contract/completeness/on_conflict.rs` report which still lack it among `schemas/`,
    /// `cdk/src/index.ts` and `docs/reference.md`.
    #[derive(Default)]
    pub enum OnConflict {
        /// Fail, and change nothing.
        #[default]
        Fail = "fail",
        /// Take it over as it is, if role and parameters are the same.
        Adopt = "adopt",
        /// Take it over and give it this definition.
        Overwrite = "overwrite",
    }
}

/// What a create does where its owner's own action has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfOwned {
    /// Change it to this definition, because the owner declares a desired state.
    Update,
    /// Leave it, because it is the result of an earlier delivery of the same request.
    Return,
}

/// The parameters of an update, which changes an action in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The name, which an update cannot change.
    pub name: ActionName,
    pub change: Change,
    /// Tags to set; tags with other keys stay.
    pub tags: Tags,
    /// Keys of the tags of the previous request; those that `tags` lacks are removed.
    pub previous_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The whole definition, so that an action that is gone can be created again, and one that lost
    /// its owner tag is tagged again.
    Whole(Definition),
    /// The given parts. An action that is gone is an error.
    Parts { role_arn: Option<RoleArn>, params: Option<Params> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    pub target: DeleteTarget,
    pub if_not_owned: IfNotOwned,
    pub lookup: Lookup,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteTarget {
    Named(ActionName),
    /// What a failed request may have created: the action of this name, if its last record has this
    /// digest.
    FailedCreate(ActionName, RequestDigest),
    /// The action of a canceled Create, which may still be running. CloudFormation generated the
    /// physical id.
    UnknownPhysicalId(UnknownPhysicalId),
    /// No action: a Create with these properties creates none.
    Nothing,
}

/// A physical id that no response gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPhysicalId {
    /// The physical id, if it could be the name of an action nevertheless.
    pub id: Option<ActionName>,
    /// The name that the Create uses, if it has a valid one.
    pub name: Option<ActionName>,
    pub on_conflict: OnConflict,
}

/// What a delete does where it finds only an action of another owner, or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNotOwned {
    /// Leave it and succeed. If it has no owner, the policy of the resource says whether an earlier
    /// delivery may have released it.
    Skip(OnConflict),
    Fail,
}

/// What a delete looks up about its action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its tags, which prove the owner.
    Tags,
    /// Also its id and type, which takes one more call.
    Description,
}
