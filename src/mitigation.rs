//! The domain: what a mitigation action is, who owns one, what can be asked and what comes of it.
//!
//! Pure: no AWS crate, no async, no other module of this crate. The rules are those of the
//! [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html)
//! API page and of its service model. A value that exists obeys them, so nothing checks them again.

mod action_name;
mod arn;
mod audit_check;
mod definition;
mod failure;
mod kind;
mod outcome;
mod ownership;
mod problem;
mod request;
mod request_tag;
mod tags;

pub use action_name::ActionName;
pub use arn::{Arn, Location, StackId, partition_of};
pub use audit_check::AuditCheck;
pub use definition::{
    CertificateAction, Definition, Flag, LogLevel, Params, PolicyTemplate, RoleArn, ThingGroupName,
    ThingGroupNames, TopicArn,
};
pub(crate) use failure::owned_by;
pub use failure::{Detail, ErrorCode, Failure, NameConflict, Remedy, cut};
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

/// Text that has a rule: a name, an ARN, one of a few words.
pub trait Parse: Sized {
    /// What is expected, as the end of a sentence that names the value.
    const EXPECTED: &'static str;

    /// The text as this type, or `None` where it breaks the rule.
    fn parse(text: &str) -> Option<Self>;
}

/// Whether `text` has `least` to `most` characters (Unicode scalar values, as the service counts).
fn has_length(text: &str, least: usize, most: usize) -> bool {
    text.len() >= least
        && (least..=most).contains(&text.chars().take(most.saturating_add(1)).count())
}

/// The SHA-256 of `parts`, each ended by a zero byte.
fn digest(parts: &[&str]) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// The first `bytes` of a digest in hexadecimal digits, upper case.
fn hex(digest: &[u8; 32], bytes: usize) -> String {
    digest.iter().take(bytes).flat_map(|byte| [byte >> 4, byte & 0xf]).map(hex_digit).collect()
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
}
