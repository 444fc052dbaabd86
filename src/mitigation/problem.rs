//! Problems of a request: the path of each, its value, and what is expected.

use std::fmt;

use cloudformation_custom_resource::{json_len, truncate};

/// One problem, as a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// The most characters of the caller's text that a problem repeats.
    const MAX_EXCERPT: usize = 80;

    /// The value at `path`, in JSON, is invalid.
    pub fn invalid(path: &str, value: &str, expected: &str) -> Self {
        Self(format!("{}: invalid value {}: expected {expected}", excerpt(path), excerpt(value)))
    }

    pub fn missing(path: &str, expected: &str) -> Self {
        Self(format!("{}: missing: expected {expected}", excerpt(path)))
    }

    /// The name at the end of `path` is none of `known`; perhaps `meant` is meant. The value is not repeated, because it may
    /// be a secret under a misspelt name.
    pub fn unknown(path: &str, meant: Option<&str>, known: &[String]) -> Self {
        let hint = match meant {
            Some(near) => format!("did you mean {near}?"),
            None => format!("expected one of {}", known.join(", ")),
        };
        Self(format!("{}: unknown property: {hint}", excerpt(path)))
    }

    pub fn other(path: &str, words: &str) -> Self {
        Self(format!("{}: {words}", excerpt(path)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The problems of a request. All are counted but only the first ones listed, so that the cost of an
/// invalid request does not grow with the number of its problems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    first: Vec<Problem>,
    bytes: usize,
    count: usize,
}

impl Problems {
    /// Bytes of the listed problems; no message is longer.
    const MAX_BYTES: usize = 4096;

    /// Adds a problem; `problem` is called only if it is listed.
    pub fn add(&mut self, problem: impl FnOnce() -> Problem) {
        self.count = self.count.saturating_add(1);
        if self.bytes < Self::MAX_BYTES {
            let problem = problem();
            self.bytes += problem.as_str().len();
            self.first.push(problem);
        }
    }

    pub fn extend(&mut self, other: Self) {
        let lost = other.count - other.first.len();
        for problem in other.first {
            self.add(|| problem);
        }
        self.count = self.count.saturating_add(lost);
    }

    /// The number of all problems.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first problems, in the order in which they were found.
    pub fn first(&self) -> &[Problem] {
        &self.first
    }

    /// As many as fit `budget` bytes of a JSON string, then "and N more".
    pub(super) fn list(&self, budget: usize) -> String {
        /// The most bytes of "; and N more".
        const MORE: usize = 32;

        let mut list = match (self.first(), self.len()) {
            ([only], 1) => return truncate(only.as_str(), budget),
            (_, count) => format!("{count} problems: "),
        };
        let mut left = budget.saturating_sub(list.len());
        for (index, problem) in self.first().iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let length = separator.len() + json_len(problem.as_str());
            let is_last = index + 1 == self.len();
            if length + if is_last { 0 } else { MORE } > left {
                return and_more(list, separator, self.len() - index, budget);
            }
            left -= length;
            list.push_str(separator);
            list.push_str(problem.as_str());
        }
        match self.len() - self.first().len() {
            0 => list,
            more => and_more(list, "; ", more, budget),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list(usize::MAX))
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.add(|| problem);
        problems
    }
}

/// The member of `known` that `name` probably means: at most a third of its letters differ, not
/// counting case.
pub(crate) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let name: String = name.chars().take(Problem::MAX_EXCERPT).collect::<String>().to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let (nearest, distance) =
        known.iter().map(|known| (known, distance(known))).min_by_key(|(_, distance)| *distance)?;
    (distance * 3 <= nearest.chars().count()).then_some(nearest)
}

/// The beginning of a caller's text, on one line.
fn excerpt(text: &str) -> String {
    let end = text.char_indices().nth(Problem::MAX_EXCERPT).map(|(end, _)| end);
    let start = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let mut excerpt: String = start.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end.is_some() {
        excerpt.push('…');
    }
    excerpt
}

fn and_more(mut list: String, separator: &str, more: usize, budget: usize) -> String {
    list.push_str(separator);
    list.push_str("and ");
    list.push_str(&more.to_string());
    list.push_str(" more");
    truncate(&list, budget)
}
