//! Every [`OnConflict`]. `model/vocabulary.rs` has those of the models.

use std::collections::BTreeSet;

use mitigation_action_provider::mitigation::OnConflict;

use super::{file, in_pascal_case, part, schema, words};

fn all() -> impl Iterator<Item = &'static str> {
    OnConflict::ALL.iter().map(|on_conflict| on_conflict.as_str())
}

/// The words as a template has them.
fn properties() -> Vec<String> {
    all().map(in_pascal_case).collect()
}

#[test]
fn the_schema_of_requests_has_every_on_conflict() {
    let schema = schema("request");
    assert_eq!(words(&schema["properties"]["onConflict"]["enum"]), all().collect());
}

#[test]
fn the_schema_of_properties_has_every_on_conflict() {
    let (schema, properties) = (schema("properties"), properties());
    let expected = properties.iter().map(String::as_str).collect();
    assert_eq!(words(&schema["properties"]["OnConflict"]["enum"]), expected);
}

#[test]
fn the_cdk_library_has_every_on_conflict() {
    let source = file("cdk/src/index.ts");
    let alternatives = part(&source, "export type OnConflict =", ";").split('|');
    let found: BTreeSet<String> =
        alternatives.map(|word| word.trim().trim_matches('"').to_owned()).collect();
    assert_eq!(found, properties().into_iter().collect());
}

#[test]
fn the_reference_says_what_every_on_conflict_does() {
    let reference = file("docs/reference.md");
    let property = part(&reference, "\n| `OnConflict` |", "\n");
    for name in properties() {
        assert!(property.contains(&format!("`{name}`")), "no {name}");
    }
    let member = part(&reference, "`onConflict` (", ")");
    let names: Vec<String> = all().map(|name| format!("`{name}`")).collect();
    assert_eq!(member, names.join(", "));
}
