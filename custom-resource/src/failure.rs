//! Why a request failed, as the stack's events show it.

use std::fmt;

/// Why a request failed: the `Reason` of the response. Any error becomes one with
/// `.map_err(Failure::new)`, so read what your errors say: people who may see the stack's events
/// read it, too.
///
/// CloudFormation accepts 4096 bytes of response, of which the reason gets what the ids leave.
pub struct Failure {
    reason: Box<dyn Fn(usize) -> String>,
}

impl Failure {
    /// A failure with that reason, which is truncated if it is too long.
    pub fn new(reason: impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Self::fitting(move |bytes| truncate(&reason, bytes))
    }

    /// A failure whose reason is written to fit: `reason` gets the number of bytes that it may take
    /// in a JSON string (see [`json_len`]). What is longer is truncated.
    pub fn fitting(reason: impl Fn(usize) -> String + 'static) -> Self {
        Self { reason: Box::new(reason) }
    }

    /// The reason in at most `bytes` bytes of a JSON string.
    #[must_use]
    pub fn reason(&self, bytes: usize) -> String {
        truncate(&(self.reason)(bytes), bytes)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason(4096))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?})", self.reason(4096))
    }
}

impl std::error::Error for Failure {}

/// The length of `text` in a JSON string, in bytes.
#[must_use]
pub fn json_len(text: &str) -> usize {
    text.chars().map(json_char_len).sum()
}

fn json_char_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// As much of `text` as fits `bytes` bytes of a JSON string, with an ellipsis if it is truncated.
#[must_use]
pub fn truncate(text: &str, bytes: usize) -> String {
    /// The most bytes of a character in a JSON string, for each of its own.
    const LONGEST: usize = 6;

    if text.len() * LONGEST <= bytes || text.len() <= bytes && json_len(text) <= bytes {
        return text.to_owned();
    }
    let mut left = bytes.saturating_sub('…'.len_utf8());
    let mut fits = |c: &char| {
        let rest = left.checked_sub(json_char_len(*c));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let mut start: String = text.chars().take_while(|c| fits(c)).collect();
    if bytes >= '…'.len_utf8() {
        start.push('…');
    }
    start
}
