//! Every [`Kind`] of action. `lifecycle/create.rs` creates one of each from its sample event.

use std::collections::BTreeSet;

use mitigation_action_provider::mitigation::{AuditCheck, Kind};
use serde_json::{Value, json};

use super::{file, in_pascal_case, part, schema, words};
use crate::{invocation::invoke, lifecycle::create_of, sample, schemas, world};

/// The member of `ActionParams` in a template that holds the parameters of a kind.
fn property(kind: Kind) -> String {
    in_pascal_case(kind.params_member())
}

/// The members that a schema allows in the parameters of an action.
fn members(schema: &Value) -> BTreeSet<&str> {
    let members = schema["$defs"]["actionParams"]["properties"].as_object().unwrap();
    members.keys().map(String::as_str).collect()
}

#[test]
fn the_schema_of_requests_has_the_parameters_of_every_kind() {
    let expected = Kind::ALL.iter().map(|kind| kind.params_member()).collect();
    assert_eq!(members(&schema("request")), expected);
}

#[test]
fn the_schema_of_properties_has_the_parameters_of_every_kind() {
    let properties: Vec<String> = Kind::ALL.iter().map(|kind| property(*kind)).collect();
    let expected = properties.iter().map(String::as_str).collect();
    assert_eq!(members(&schema("properties")), expected);
}

#[test]
fn the_schema_of_results_has_every_action_type() {
    let schema = schema("request-succeeded");
    let expected = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words(&schema["properties"]["actionType"]["enum"]), expected);
}

#[test]
fn the_example_of_all_kinds_declares_an_action_of_every_kind() {
    let example = file("examples/all-kinds.yaml");
    for kind in Kind::ALL {
        let member = format!("{}:", property(*kind));
        assert!(example.lines().any(|line| line.trim() == member), "no {member}");
    }
}

#[test]
fn the_cdk_library_has_the_parameters_of_every_kind() {
    let source = file("cdk/src/index.ts").split_whitespace().collect::<Vec<_>>().join(" ");
    for kind in Kind::ALL {
        let params = format!("new MitigationParams(\"{kind}\", {{ {}: {{", property(*kind));
        assert!(source.contains(&params), "no {params}");
    }
}

#[test]
fn the_reference_lists_every_kind_with_its_action_type_and_permissions() {
    let reference = file("docs/reference.md");
    let kinds = part(&reference, "| Kind | Action type |", "\n\n");
    let permissions = part(&reference, "| Kind | Permissions |", "\n\n");
    for kind in Kind::ALL {
        let member = format!("\n| `{}` |", property(*kind));
        let row = format!("{member} `{kind}` |");
        assert!(kinds.contains(&row), "no {row}");
        assert!(permissions.contains(&member), "no permissions of {member}");
    }
}

#[test]
fn the_schema_of_properties_accepts_the_checks_of_every_kind_and_no_others() {
    let schema = schema("properties");
    let definitions = schema["$defs"].as_object().unwrap();
    let lists = definitions.iter().filter(|(name, _)| name.ends_with("Checks"));
    let names: BTreeSet<&str> = lists.flat_map(|(_, list)| words(&list["enum"])).collect();
    let validator = schemas::schema("properties");
    for kind in Kind::ALL {
        let mut properties = create_of(*kind)["ResourceProperties"].clone();
        let accepted: BTreeSet<&str> = names
            .iter()
            .copied()
            .filter(|name| {
                properties["CheckNames"] = json!([name]);
                validator.is_valid(&properties)
            })
            .collect();
        let fit = |name: &&str| {
            let check = AuditCheck::named(name).unwrap_or_else(|| panic!("no {name}"));
            check.kinds().is_some_and(|kinds| kinds.contains(kind))
        };
        assert_eq!(accepted, names.iter().copied().filter(fit).collect(), "{kind}");
        assert!(!accepted.is_empty(), "{kind} has no checks");
    }
}

#[test]
fn the_demo_creates_an_action_of_every_kind() {
    let source = file("stand-ins/src/bin/stand-ins/demo.rs");
    let requests = part(&source, "const REQUESTS:", "\n];");
    let names = requests.split('"').filter(|word| word.starts_with("create-"));
    let samples: Vec<Value> = names.map(sample).collect();
    for kind in Kind::ALL {
        let pointer = format!("/ResourceProperties/ActionParams/{}", property(*kind));
        assert!(samples.iter().any(|event| event.pointer(&pointer).is_some()), "no {kind}");
    }
}

#[test]
fn the_dictionary_of_the_fuzzer_has_the_parameters_of_every_kind() {
    let dictionary = file("fuzz/dict/invocation.dict");
    for kind in Kind::ALL {
        let word = format!("\\\"{}\\\":", kind.params_member());
        assert!(dictionary.contains(&word), "no {word}");
    }
}

#[tokio::test]
async fn a_describe_returns_the_parameters_of_every_kind() {
    let world = world().await;
    for kind in Kind::ALL {
        let created = world.send(&create_of(*kind)).await;
        let name = created.succeeded().physical_id();
        let describe = json!({ "operation": "DescribeMitigationAction", "actionName": name });
        let invocation = invoke(&world, &describe).await;
        let params = &invocation.succeeded("DESCRIBED")["actionParams"];
        let members = params.as_object().into_iter().flat_map(|params| params.keys());
        assert_eq!(members.collect::<Vec<_>>(), [kind.params_member()], "{kind}");
        assert_eq!(*params, world.aws.iot.action(name).unwrap().params);
    }
}
