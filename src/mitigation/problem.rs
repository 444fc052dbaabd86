//! What is wrong with a request: all of it, each with its path, the value, and what would be right.

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// The longest text of a caller's that a problem repeats, in characters.
    const SHOWN: usize = 80;

    /// `value`, written as JSON, breaks the rule at `path`: `legal` is what the rule takes.
    #[must_use]
    pub fn illegal(path: &str, value: &str, legal: &str) -> Self {
        Self(format!("{}: {} is not legal, legal is {legal}", shown(path), shown(value)))
    }

    /// Nothing is given at `path`; `legal` is what is called for.
    #[must_use]
    pub fn missing(path: &str, legal: &str) -> Self {
        Self(format!("{}: missing, needed is {legal}", shown(path)))
    }

    /// `path` ends in a name, with the value `value`, that is none of `known`.
    #[must_use]
    pub fn unknown(path: &str, name: &str, value: &str, known: &[String]) -> Self {
        let nearest = nearest(name, known)
            .map_or(String::new(), |nearest| format!(", the nearest known one is {nearest}"));
        Self(format!("{}: unknown property (value {}){nearest}", shown(path), shown(value)))
    }

    /// What is wrong at `path`, in words.
    #[must_use]
    pub fn other(path: &str, fault: &str) -> Self {
        Self(format!("{}: {fault}", shown(path)))
    }

    /// The problem as a sentence without a full stop.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Problems in the order in which they were met.
pub type Problems = Vec<Problem>;

/// The member of `known` that shares the most with `name`, letters of another case aside.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let name: String = name.chars().take(Problem::SHOWN).collect::<String>().to_lowercase();
    let likeness =
        |known: &String| strsim::normalized_damerau_levenshtein(&name, &known.to_lowercase());
    known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).map(String::as_str)
}

/// The beginning of a text that the caller gave, so that a long one leaves room for what else is to be said.
fn shown(text: &str) -> String {
    match text.char_indices().nth(Problem::SHOWN) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
    }
}
