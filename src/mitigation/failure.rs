//! Why a request failed, in the API's words.

use std::fmt;

use super::{Problem, Problems};

/// The name of an error: the API's own where it has one. What callers catch by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request breaks a rule, or would change what its owner does not own.
    InvalidRequest,
    /// A create met another's action.
    ResourceAlreadyExists,
    /// There is no such action.
    ResourceNotFound,
    /// The account holds as many actions as it may; waiting does not help.
    LimitExceeded,
    /// Any 401 or 403.
    AccessDenied,
    /// Still throttled when the time ran out.
    Throttling,
    /// A 5xx, a lost connection, a time-out.
    InternalFailure,
    /// The function's own settings are wrong, so that no request is worked.
    InvalidSetting,
}

impl Code {
    /// The name, as the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "InvalidRequestException",
            Self::ResourceAlreadyExists => "ResourceAlreadyExistsException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::LimitExceeded => "LimitExceededException",
            Self::AccessDenied => "AccessDeniedException",
            Self::Throttling => "ThrottlingException",
            Self::InternalFailure => "InternalFailureException",
            Self::InvalidSetting => "InvalidSetting",
        }
    }

    /// Whether the same request may succeed later, without anybody changing anything.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttling | Self::InternalFailure)
    }
}

/// A request that failed: by which error, and what there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error.
    pub code: Code,
    /// What was wrong and what would be right.
    pub detail: Detail,
}

/// What there is to say of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All that is wrong with the request.
    Problems(Problems),
    /// A sentence.
    Text(String),
}

impl Failure {
    /// A failure that one sentence says.
    #[must_use]
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, detail: Detail::Text(text.into()) }
    }

    /// A request with `problems`.
    #[must_use]
    pub fn invalid(problems: Problems) -> Self {
        Self { code: Code::InvalidRequest, detail: Detail::Problems(problems) }
    }

    /// The same failure, with one thing more to say of it.
    #[must_use]
    pub fn because(self, more: &str) -> Self {
        Self {
            code: self.code,
            detail: Detail::Text(format!("{} ({more})", self.message(usize::MAX))),
        }
    }

    /// What to say in at most `most` bytes of a JSON string: of several problems as many as fit, then "and N more"; of a
    /// sentence its beginning, cut between characters.
    #[must_use]
    pub fn message(&self, most: usize) -> String {
        match &self.detail {
            Detail::Text(text) => beginning(text, most),
            Detail::Problems(problems) => listed(problems, most),
        }
    }

    /// The code, and the message behind it, in at most `most` bytes of a JSON string.
    #[must_use]
    pub fn reason(&self, most: usize) -> String {
        let code = self.code.as_str();
        let message = self.message(most.saturating_sub(code.len() + 2));
        beginning(&format!("{code}: {message}"), most)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason(usize::MAX))
    }
}

/// The bytes that `text` takes inside a JSON string.
fn json_len(text: &str) -> usize {
    text.chars().map(json_char_len).sum()
}

fn json_char_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// As much of `text` as takes at most `most` bytes of a JSON string, with an ellipsis where some of it does not fit.
#[must_use]
pub fn beginning(text: &str, most: usize) -> String {
    if json_len(text) <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub('…'.len_utf8());
    let fits = |c: &char| {
        let left = room.checked_sub(json_char_len(*c));
        room = left.unwrap_or_default();
        left.is_some()
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    if most >= '…'.len_utf8() {
        cut.push('…');
    }
    cut
}

/// As many of `problems` as fit, and how many do not.
fn listed(problems: &[Problem], most: usize) -> String {
    /// What "; and N more" takes at most, N being any number of problems that an event can hold.
    const MORE: usize = 24;

    let mut list = match problems {
        [only] => return beginning(only.as_str(), most),
        several => format!("{} problems: ", several.len()),
    };
    let mut room = most.saturating_sub(list.len());
    for (told, problem) in problems.iter().enumerate() {
        let separator = if told == 0 { "" } else { "; " };
        let length = separator.len() + json_len(problem.as_str());
        let left = problems.len() - told;
        if length + if left == 1 { 0 } else { MORE } > room {
            let more = format!("{separator}and {left} more");
            list.push_str(&more);
            return beginning(&list, most);
        }
        room -= length;
        list.push_str(separator);
        list.push_str(problem.as_str());
    }
    list
}
