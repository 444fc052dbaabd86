//! Text that callers give: its rules, and digests of it.

use std::fmt;

use sha2::{Digest, Sha256};

/// Types that are text with a rule: a name, an ARN, one of a few words.
pub trait Parse: Sized {
    /// What is expected, as the end of a sentence: "expected …".
    const EXPECTED: &'static str;

    fn parse(text: &str) -> Option<Self>;

    /// What the author of a template who wrote `text` may have overlooked.
    fn hint(text: &str) -> Option<&'static str> {
        let _ = text;
        None
    }
}

/// What is expected of a text that breaks a rule, as [`Parse::EXPECTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected(pub &'static str);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for Expected {}

/// Whether `text` has `least` to `most` characters (Unicode scalar values, as the service counts).
pub(super) fn has_length(text: &str, least: usize, most: usize) -> bool {
    text.len() >= least
        && (least..=most).contains(&text.chars().take(most.saturating_add(1)).count())
}

/// The SHA-256 of `parts`, each followed by a zero byte.
pub(super) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// The first `bytes` of a digest in hexadecimal digits, upper case.
pub(super) fn hex(digest: &[u8; 32], bytes: usize) -> String {
    digest.iter().take(bytes).flat_map(|byte| [byte >> 4, byte & 0xf]).map(hex_digit).collect()
}

pub(super) fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
}
