//! Every [`Property`] of a mitigation action.

use mitigation_action_provider::{
    mitigation::{Operation, Property},
    trigger::Step,
};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use super::{file, in_pascal_case, part, schema};
use crate::{
    cloudformation::plan,
    create_request,
    invocation::{create_event, invoke},
    world,
};

const NOT_READ: &str = "Reader::create (src/trigger/action_properties.rs) does not read";

fn in_template(property: Property) -> String {
    in_pascal_case(property.as_str())
}

#[test]
fn a_resource_reads_every_property() {
    for property in Property::ALL {
        let name = in_template(*property);
        let event =
            merged(create_request(), &json!({ "ResourceProperties": { &name: { "a": "b" } } }));
        let Step::Respond(Err(failure)) = plan(&event).step else { panic!("{NOT_READ} {name}") };
        assert!(failure.to_string().contains(&name), "{NOT_READ} {name}: {failure}");
    }
}

#[tokio::test]
async fn a_request_for_a_create_reads_every_property() {
    let world = world().await;
    for property in Property::ALL {
        let detail = create_event()["detail"].clone();
        let request = merged(detail, &json!({ property.as_str(): { "a": "b" } }));
        let invocation = invoke(&world, &request).await;
        let message = invocation.function_error("InvalidRequestException");
        assert!(message.contains(property.as_str()), "{NOT_READ} {property}: {message}");
    }
}

#[test]
fn the_schemas_have_every_property() {
    let (requests, properties) = (schema("request"), schema("properties"));
    for property in Property::ALL {
        let has = |schema: &Value, name: &str| schema["properties"].get(name).is_some();
        assert!(has(&requests, property.as_str()), "no {property} in schemas/request.json");
        let name = in_template(*property);
        assert!(has(&properties, &name), "no {name} in schemas/properties.json");
    }
}

#[test]
fn the_schema_rejects_a_property_for_an_operation_that_does_not_take_it() {
    let requests = schema("request");
    for operation in Operation::ALL {
        let names = |rule: &Value| {
            let given = &rule["if"]["properties"]["operation"];
            let word = Value::from(operation.as_str());
            given["const"] == word
                || given["enum"].as_array().is_some_and(|words| words.contains(&word))
        };
        let rules = requests["allOf"].as_array().unwrap().iter().filter(|rule| names(rule));
        let rules: Vec<&Value> = rules.map(|rule| &rule["then"]["properties"]).collect();
        for property in Property::ALL {
            let is_rejected = rules.iter().any(|rule| rule[property.as_str()] == false);
            let text = format!("\"{property}\": false for {operation} in request.json");
            assert_eq!(is_rejected, !property.is_accepted_by(*operation), "{text}");
        }
    }
}

#[tokio::test]
async fn a_request_of_an_unknown_operation_reads_every_property() {
    let world = world().await;
    for property in Property::ALL {
        let detail = create_event()["detail"].clone();
        let change = json!({ "operation": "Other", property.as_str(): { "a": "b" } });
        let invocation = invoke(&world, &merged(detail, &change)).await;
        let message = invocation.function_error("InvalidRequestException");
        let text = format!("; {property}");
        assert!(
            message.contains(&text),
            "check_members (src/trigger/api.rs) does not read {property}: {message}"
        );
    }
}

#[test]
fn the_cdk_library_validates_every_property() {
    let source = file("cdk/src/problems.ts");
    for property in Property::ALL {
        let name = format!("properties.{}", in_template(*property));
        assert!(source.contains(&name), "no {name} in cdk/src/problems.ts");
    }
}

#[test]
fn the_cdk_library_passes_every_property() {
    let source = file("cdk/src/index.ts");
    for property in Property::ALL {
        let name = format!("{}:", in_template(*property));
        assert!(source.contains(&name), "no {name} in cdk/src/index.ts");
    }
}

#[test]
fn the_reference_lists_every_property() {
    let reference = file("docs/reference.md");
    for property in Property::ALL {
        let row = format!("\n| `{}` |", in_template(*property));
        assert!(reference.contains(&row), "no {row}");
    }
    for operation in Operation::ALL {
        let table = part(&reference, "| `operation` | Members |", "\n\n");
        let row = table.lines().find(|row| {
            row.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{operation}`")))
        });
        let row = row.unwrap_or_else(|| panic!("no {operation}"));
        for name in Property::names_of(*operation) {
            assert!(row.contains(&format!("`{name}`")), "no {name} of {operation}");
        }
    }
}

#[test]
fn the_dictionary_of_the_fuzzer_has_every_property() {
    let dictionary = file("fuzz/dict/invocation.dict");
    for property in Property::ALL {
        let word = format!("\\\"{property}\\\":");
        assert!(dictionary.contains(&word), "no {word}");
    }
}
