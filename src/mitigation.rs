//! The domain: what a mitigation action is, who owns one, what can be asked and what comes of it.
//!
//! Pure: no AWS crate, no async, no other module of this crate. The rules are those of the
//! [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html)
//! API page and of its service model. A value that exists obeys them, so nothing checks them again.

mod action_name;
mod arn;
mod audit_check;
mod definition;
mod digest;
mod failure;
mod kind;
mod outcome;
mod ownership;
mod problem;
mod request;
mod request_tag;
mod tags;
mod text;

pub use action_name::ActionName;
pub use arn::{Arn, Location, StackId, partition_of};
pub use audit_check::AuditCheck;
pub use definition::{
    CertificateAction, Definition, Flag, LogLevel, Params, PolicyTemplate, RoleArn, ThingGroupName,
    ThingGroupNames, TopicArn,
};
pub(crate) use failure::owned_by;
pub use failure::{Detail, ErrorCode, Failure, NameConflict, Remedy};
pub use kind::Kind;
pub use outcome::{Action, Description, Outcome, Success, Timestamp};
pub use ownership::{Owner, OwnerKind, Ownership};
pub use problem::{Problem, Problems};
pub use request::{
    Change, Create, Delete, DeleteTarget, InventedId, Lookup, OnConflict, OnForeign, Operation,
    Replay, Request, Task, Update,
};
pub use request_tag::{RequestDigest, RequestMark, RequestTag};
pub use tags::{OWNER_TAG, REQUEST_TAG, TagChange, Tags};
pub(crate) use text::truncate;
pub use text::{Expected, Parse};
