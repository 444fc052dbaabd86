//! The domain: mitigation actions, their owners, requests and outcomes.
//!
//! Pure: no AWS crate, no async, no other module of this crate. The rules are those of the
//! [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html)
//! API page and of its service model. A value that was parsed from a request is valid, so nothing
//! validates it again. A value that the service returned is kept as it is.

mod action_name;
mod arn;
mod audit_check;
mod definition;
mod failure;
mod outcome;
mod ownership;
mod problem;
mod property;
mod record;
mod request;
mod tags;
mod text;

pub use self::{
    action_name::ActionName,
    arn::{FunctionLocation, Location, StackId},
    audit_check::AuditCheck,
    definition::{Definition, Kind, Params, PolicyTemplate, RoleArn},
    failure::{Detail, ErrorCode, Failure, NameConflict},
    outcome::{Action, Outcome, Success},
    ownership::{Owner, Ownership},
    problem::{Problem, Problems},
    property::Property,
    request::{
        Change, Create, Delete, DeleteTarget, IfOwned, OnConflict, Operation, Request, Task, Update,
    },
    tags::{CLAIMED_TAG, CREATED_TAG, OWNER_TAG, Tags},
    text::Parse,
};
pub(crate) use self::{
    arn::{Arn, partition_of},
    definition::{CertificateAction, Flag, LogLevel, ThingGroupName, ThingGroupNames, TopicArn},
    failure::{Remedy, owned_by},
    outcome::Description,
    problem::nearest,
    record::{Record, RecordType, Records},
    request::{IfNotOwned, Lookup, StackRequest, UnknownPhysicalId},
    tags::TagChange,
    text::Expected,
};
