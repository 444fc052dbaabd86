//! What the compiler cannot see: schemas, samples, examples and documents have every variant of the
//! enums that each have one place to be extended.

mod kinds;
mod on_conflict;
mod operations;
mod properties;
pub mod triggers;

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

/// The text of a file of this repository.
pub fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A schema, by its name in `schemas/`.
fn schema(name: &str) -> Value {
    serde_json::from_str(&file(&format!("schemas/{name}.json"))).unwrap()
}

/// The words of a list, such as an `enum`.
fn words(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// A word of the API's as CloudFormation writes it.
pub fn in_pascal_case(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// The part of a text from `start` to the first `end` after it.
#[track_caller]
pub fn part<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start:?}"));
    rest.split_once(end).map_or(rest, |(part, _)| part)
}
