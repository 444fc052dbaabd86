//! Parses the properties of a request in either syntax, CloudFormation's or the API's, and collects
//! all problems.
//!
//! The two differ in the case of the first letter. Besides, CloudFormation turns every scalar into
//! a string.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::mitigation::{Parse, Problem, Problems, nearest};
use cloudformation_custom_resource::json::{self, Fields};

/// How names and scalars are written in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `ActionParams.UpdateCACertificateParams`; any scalar may be a string or not.
    CloudFormation,
    /// `actionParams.updateCACertificateParams`; only booleans may be strings.
    Api,
}

impl Syntax {
    /// The API's `name` in this syntax.
    pub(super) fn name(self, name: &str) -> String {
        let mut letters = name.chars();
        match (self, letters.next()) {
            (Self::CloudFormation, Some(first)) => {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            }
            (Self::CloudFormation, None) | (Self::Api, _) => name.to_owned(),
        }
    }

    /// Whether `given` is the API's `name` in this syntax.
    pub(super) fn is_name(self, name: &str, given: &str) -> bool {
        match self {
            Self::Api => name == given,
            Self::CloudFormation => {
                let (mut name, mut given) = (name.bytes(), given.bytes());
                name.next().map(|first| first.to_ascii_uppercase()) == given.next()
                    && name.eq(given)
            }
        }
    }

    /// The text of a scalar. CloudFormation turns scalars into strings, so its syntax accepts any
    /// scalar for a string.
    pub(super) fn text(self, value: &RawValue) -> Option<Cow<'_, str>> {
        match self {
            Self::CloudFormation => json::scalar(value),
            Self::Api => json::string(value),
        }
    }
}

/// Parses the values of one request, and collects problems and warnings.
pub struct Reader {
    syntax: Syntax,
    problems: Problems,
    warnings: Vec<String>,
}

/// A value at a path. Null counts as absent.
pub struct Node<'t> {
    path: String,
    value: Option<&'t RawValue>,
    /// Whether there is a member whose name is nearly this one's, which is a problem already.
    is_misspelt: bool,
}

pub struct Members<'t> {
    path: String,
    fields: Fields<'t>,
    /// The known names that unknown ones probably mean, in the syntax of the request.
    misspelt: Vec<String>,
}

impl Reader {
    const MAX_WARNINGS: usize = 10;

    pub fn new(syntax: Syntax) -> Self {
        Self { syntax, problems: Problems::default(), warnings: Vec::new() }
    }

    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// `value`, or the problems if there are any, and the warnings. A value that is `None` has left
    /// a problem.
    pub fn finish<T>(self, value: Option<T>) -> (Result<T, Problems>, Vec<String>) {
        let result = match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.problems),
        };
        (result, self.warnings)
    }

    pub fn problem_count(&self) -> usize {
        self.problems.len()
    }

    pub fn add(&mut self, problem: impl FnOnce() -> Problem) {
        self.problems.add(problem);
    }

    pub fn invalid(&mut self, node: &Node<'_>, expected: &str) {
        let value = node.value.map_or("null", RawValue::get);
        self.problems.add(|| Problem::invalid(&node.path, value, expected));
    }

    pub fn warn(&mut self, warning: impl FnOnce() -> String) {
        if self.warnings.len() < Self::MAX_WARNINGS {
            self.warnings.push(warning());
        }
    }

    /// The members of the object at `node`; `None` if there is no value, and with a problem if it
    /// is not an object. Names other than `known` (in the API's syntax) are problems.
    pub fn object<'t>(&mut self, node: &Node<'t>, known: &[&'static str]) -> Option<Members<'t>> {
        let value = node.value?;
        if !value.get().starts_with('{') {
            self.invalid(node, "an object");
            return None;
        }
        let (mut fields, mut misspelt) = (Fields::default(), Vec::new());
        let syntax = self.syntax;
        let read = json::each_member(value.get(), &mut |name, value| match known
            .iter()
            .find(|known| syntax.is_name(known, &name))
        {
            Some(known) => fields.set(known, value),
            None => self.problems.add(|| {
                let known: Vec<String> = known.iter().map(|name| syntax.name(name)).collect();
                let meant = nearest(&name, &known);
                misspelt.extend(meant.map(str::to_owned));
                Problem::unknown(&join(&node.path, &name), meant, &known)
            }),
        });
        if let Err(unreadable) = read {
            self.problems.add(|| Problem::other(&node.path, &unreadable.to_string()));
        }
        Some(Members { path: node.path.clone(), fields, misspelt })
    }

    /// The member whose name in the API's syntax is `name`.
    pub fn member<'t>(&self, members: &Members<'t>, name: &'static str) -> Node<'t> {
        let given = self.syntax.name(name);
        let is_misspelt = members.misspelt.contains(&given);
        let path = join(&members.path, &given);
        Node { path, value: members.fields.get(name), is_misspelt }
    }

    /// The text at `node`, which is required.
    pub fn text<T: Parse>(&mut self, node: &Node<'_>) -> Option<T> {
        if node.value.is_none() {
            self.missing(node, T::EXPECTED);
        }
        self.optional_text(node)
    }

    pub fn optional_text<T: Parse>(&mut self, node: &Node<'_>) -> Option<T> {
        let text = self.syntax.text(node.value?);
        let parsed = text.as_deref().and_then(T::parse);
        if parsed.is_none() {
            let hint = text.as_deref().and_then(T::hint);
            match hint.filter(|_| self.syntax == Syntax::CloudFormation) {
                Some(hint) => self.invalid(node, &format!("{} ({hint})", T::EXPECTED)),
                None => self.invalid(node, T::EXPECTED),
            }
        }
        parsed
    }

    /// Adds the problem that there is no value at `node`, unless its misspelt name is one.
    pub fn missing(&mut self, node: &Node<'_>, expected: &str) {
        if node.is_misspelt {
            return;
        }
        self.problems.add(|| Problem::missing(&node.path, expected));
    }

    /// Calls `each` with the items of the list at `node`, including null items; returns their
    /// number, or `None` if there is no list.
    pub fn list<'t>(
        &mut self,
        node: &Node<'t>,
        expected: &str,
        each: &mut dyn FnMut(&mut Self, &Node<'t>),
    ) -> Option<usize> {
        let value = node.value?;
        let mut count = 0;
        let read = json::each_item(value.get(), &mut |item| {
            let path = format!("{}[{count}]", node.path);
            count += 1;
            each(self, &Node { path, value: Some(item), is_misspelt: false });
        });
        if read.is_err() {
            self.invalid(node, expected);
            return None;
        }
        Some(count)
    }
}

impl<'t> Node<'t> {
    /// A value at `path`, which is empty for a whole request.
    pub fn new(path: &str, value: &'t RawValue) -> Self {
        let value = Some(value).filter(|value| value.get() != "null");
        Self { path: path.to_owned(), value, is_misspelt: false }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn value(&self) -> Option<&'t RawValue> {
        self.value
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
