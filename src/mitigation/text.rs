//! Text that callers give: its rules, and its length in JSON.

use std::fmt;

/// Types that are text with a rule: a name, an ARN, one of a few words.
pub trait Parse: Sized {
    /// What is expected, as the end of a sentence: "expected …".
    const EXPECTED: &'static str;

    /// Parses `text`; `None` if it breaks the rule.
    fn parse(text: &str) -> Option<Self>;

    /// What the author of a template who wrote `text` may have overlooked.
    #[must_use]
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
