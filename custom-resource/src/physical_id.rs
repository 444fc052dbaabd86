//! The physical id: what the one in a request means, and which one a response gives.
//!
//! CloudFormation deletes the resource of the old id when an Update gives a new one, so a response
//! keeps the id of its request wherever it can.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::json_len;

/// The prefix of the id of what a failed Create did not create.
const NOT_CREATED: &str = "not-created:";

/// Identifies a request of a resource in all of its deliveries: a digest of `RequestId` and of the
/// date in the `ResponseURL`, because CloudFormation may use a `RequestId` again when a deployment
/// is retried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestDigest(String);

impl RequestDigest {
    const BYTES: usize = 8;

    /// The digest of a request; `date` is empty if the URL has none.
    #[must_use]
    pub fn new(request_id: &str, date: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [request_id, date] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let begins = hash.finalize().into_iter().take(Self::BYTES);
        Self(format!("{:016X}", begins.fold(0_u64, |number, byte| (number << 8) | u64::from(byte))))
    }

    /// Parses `text`; `None` if it is not a digest.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || matches!(b, b'A'..=b'F');
        (text.len() == Self::BYTES * 2 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a Delete is to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'r> {
    /// The resource with that id. CloudFormation invents the id if it cancels a Create that still
    /// runs; it is empty if the request has none.
    Id(&'r str),
    /// What a Create may have created that failed: with the name that
    /// [`CustomResource::name`](crate::CustomResource::name) gave, by the request with that digest.
    /// A later request may have taken it over.
    FailedCreate {
        /// The name, `unknown` if there was none. Look at `request` before you trust it.
        name: &'r str,
        /// The request; `None` if this crate did not write the id.
        request: Option<RequestDigest>,
    },
}

impl<'r> Target<'r> {
    /// The target that a `PhysicalResourceId` means.
    #[must_use]
    pub fn parse(id: &'r str) -> Self {
        let Some(name_and_digest) = id.strip_prefix(NOT_CREATED) else { return Self::Id(id) };
        match name_and_digest.rsplit_once(':') {
            Some((name, digest)) => {
                Self::FailedCreate { name, request: RequestDigest::parse(digest) }
            }
            None => Self::FailedCreate { name: name_and_digest, request: None },
        }
    }
}

/// The id of what was not created, `not-created:<name>:<digest>`. A name too long for an id counts
/// as none: its beginning may be the name of something else.
pub(crate) fn not_created(name: Option<&str>, request: &RequestDigest) -> String {
    const MAX_NAME: usize = 900;

    let name = name.filter(|name| json_len(name) <= MAX_NAME).unwrap_or("unknown");
    format!("{NOT_CREATED}{name}:{request}")
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "an unexpected value fails the test")]
mod tests {
    use super::{RequestDigest, Target, not_created};

    #[test]
    fn the_id_of_a_failed_create_gives_its_name_and_its_request_again() {
        let request = RequestDigest::new("request", "20261122T101112Z");
        for name in ["a-name", "a:name", ""] {
            let id = not_created(Some(name), &request);
            let expected = Target::FailedCreate { name, request: Some(request.clone()) };
            assert_eq!(Target::parse(&id), expected);
        }
    }

    #[test]
    fn an_id_that_this_crate_did_not_write_names_no_request() {
        assert_eq!(Target::parse("queue-1"), Target::Id("queue-1"));
        assert_eq!(Target::parse(""), Target::Id(""));
        for id in ["not-created:x", "not-created:x:y", "not-created:x:0011"] {
            let Target::FailedCreate { request: None, .. } = Target::parse(id) else {
                panic!("{id}")
            };
        }
    }

    #[test]
    fn a_request_with_another_id_or_date_has_another_digest() {
        let digest = RequestDigest::new("a", "1");
        assert_eq!(digest, RequestDigest::new("a", "1"));
        assert_ne!(digest, RequestDigest::new("a", "2"));
        assert_ne!(digest, RequestDigest::new("b", "1"));
        assert_eq!(RequestDigest::parse(digest.as_str()), Some(digest));
    }
}
