//! Every [`Operation`]. `metrics.rs` counts the requests of each.

use mitigation_action_provider::mitigation::{Operation, Parse as _};
use serde_json::Value;

use super::{file, part, schema, words};
use crate::schemas::{samples, schema as validator};

fn all() -> impl Iterator<Item = &'static str> {
    Operation::ALL.iter().map(|operation| operation.as_str())
}

#[test]
fn what_is_expected_of_an_operation_names_every_one() {
    let names: Vec<&str> = all().collect();
    let (last, others) = names.split_last().unwrap();
    assert_eq!(Operation::EXPECTED, format!("{} or {last}", others.join(", ")));
}

#[test]
fn the_schemas_have_every_operation() {
    for (name, keyword) in
        [("request", "enum"), ("request-succeeded", "enum"), ("request-failed", "examples")]
    {
        let schema = schema(name);
        assert_eq!(words(&schema["properties"]["operation"][keyword]), all().collect(), "{name}");
    }
}

#[test]
fn the_reference_says_what_every_operation_takes() {
    let reference = file("docs/reference.md");
    let table = part(&reference, "| `operation` | Members |", "\n\n");
    for name in all() {
        assert!(table.contains(&format!("`{name}`")), "no {name}");
    }
}

#[test]
fn every_operation_has_a_valid_sample_of_an_event_and_of_a_direct_call() {
    let schema = validator("request");
    for (prefix, member) in [("event-", "/detail"), ("direct-", "")] {
        let requests = samples(prefix).into_iter().map(|(_, event)| {
            let mut request = event.pointer(member).unwrap().clone();
            request.as_object_mut().unwrap().remove("requestId");
            request
        });
        let operation = |request: Value| {
            let default = Operation::Create.as_str();
            request["operation"].as_str().unwrap_or(default).to_owned()
        };
        let valid = requests.filter(|request| schema.is_valid(request));
        let found: Vec<String> = valid.map(operation).collect();
        for name in all() {
            assert!(found.iter().any(|found| found == name), "no {prefix} sample of {name}");
        }
    }
}
