//! The nouns: what a mitigation action is, who owns one, what can be asked and what comes of it.
//!
//! Pure: no AWS crate, no async, no clock, no other module of this crate. The rules are those of the
//! [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html)
//! API page and of its service model; a value that exists obeys them, so nothing further in checks again.

mod definition;
mod failure;
mod name;
mod outcome;
mod owner;
mod place;
mod problem;
mod request;
mod tags;

pub use definition::{
    CertificateAction, Definition, Flag, LogLevel, Params, PolicyTemplate, RoleArn, ThingGroupName,
    ThingGroupNames, TopicArn,
};
pub use failure::{Code, Detail, Failure, beginning};
pub use name::ActionName;
pub use outcome::{Action, Described, Moment, Outcome, Verdict};
pub use owner::{OWNER_TAG, Owner, Standing};
pub use place::{Arn, Place, StackId};
pub use problem::{Problem, Problems};
pub use request::{Change, Create, Delete, Foreign, OnConflict, Replay, Request, Task, Update};
pub use tags::{RESERVED_PREFIX, TagChange, Tags};

/// Text that has a rule: a name, an ARN, one of a few words.
pub trait Text: Sized {
    /// What is legal, as the end of a sentence that names the value.
    const LEGAL: &'static str;

    /// The text as this type, or `None` where it breaks the rule.
    fn parse(text: &str) -> Option<Self>;
}

/// Whether `text` has between `least` and `most` characters (Unicode scalar values, as the service counts).
fn has_length(text: &str, least: usize, most: usize) -> bool {
    text.len() >= least
        && (least..=most).contains(&text.chars().take(most.saturating_add(1)).count())
}

/// The first `bytes` (at most 32) of the SHA-256 of `parts`, each ended by a zero byte.
fn digest(parts: &[&str]) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}
