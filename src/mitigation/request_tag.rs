//! The request tag of a stack's action: which request created it or last took it over, and when;
//! and the mark of a request that waits. It does not establish ownership.

use std::fmt;

use super::digest::{digest, hex};

/// Distinguishes a request of a resource from its other requests: a digest of `RequestId` and of
/// the date in `ResponseURL`, so that all deliveries of a request have the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestDigest(String);

impl RequestDigest {
    const BYTES: usize = 8;

    /// The digest of a request; `date` is empty if the URL has none.
    #[must_use]
    pub fn new(request_id: &str, date: &str) -> Self {
        Self(hex(&digest(&[request_id, date]), Self::BYTES))
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

/// The value of the request tag: `<milliseconds>/<digest>`, followed by `/<digest>/<milliseconds>`
/// while a request waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTag {
    /// When the action was created or last taken over: milliseconds since 1970.
    pub acquired_at: u64,
    /// The request that did so.
    pub request: RequestDigest,
    /// The mark of the Update or the replacement that waits, if one does.
    pub mark: Option<RequestMark>,
}

/// The mark of a request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMark {
    pub request: RequestDigest,
    /// When the request began: milliseconds since 1970. Of two requests, the later one counts.
    pub began: u64,
}

impl RequestTag {
    /// Parses the value of a tag; `None` if the provider did not write it.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('/');
        let acquired_at = parts.next()?.parse().ok()?;
        let request = RequestDigest::parse(parts.next()?)?;
        let mark = match parts.next() {
            None => None,
            Some(mark) => {
                let request = RequestDigest::parse(mark)?;
                Some(RequestMark { request, began: parts.next()?.parse().ok()? })
            }
        };
        parts.next().is_none().then_some(Self { acquired_at, request, mark })
    }

    #[must_use]
    pub fn marked(self, mark: Option<RequestMark>) -> Self {
        Self { mark, ..self }
    }
}

impl fmt::Display for RequestTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.acquired_at, self.request.as_str())?;
        match &self.mark {
            None => Ok(()),
            Some(mark) => write!(f, "/{}/{}", mark.request.as_str(), mark.began),
        }
    }
}
