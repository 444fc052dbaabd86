//! Text that callers give: its rules, and its length in JSON.

use std::fmt;

/// Types that are text with a rule: a name, an ARN, one of a few words.
pub trait Parse: Sized {
    /// What is expected, as the end of a sentence: "expected …".
    const EXPECTED: &'static str;

    /// Parses `text`; `None` if it breaks the rule.
    fn parse(text: &str) -> Option<Self>;
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

/// The length of `text` in a JSON string, in bytes.
pub(super) fn json_len(text: &str) -> usize {
    text.chars().map(json_char_len).sum()
}

fn json_char_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// As much of `text` as fits `budget` bytes of a JSON string, with an ellipsis if it is truncated.
#[must_use]
pub(crate) fn truncate(text: &str, budget: usize) -> String {
    if text.len() <= budget && json_len(text) <= budget {
        return text.to_owned();
    }
    let mut left = budget.saturating_sub('…'.len_utf8());
    let mut fits = |c: &char| {
        let rest = left.checked_sub(json_char_len(*c));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let mut start: String = text.chars().take_while(|c| fits(c)).collect();
    if budget >= '…'.len_utf8() {
        start.push('…');
    }
    start
}
