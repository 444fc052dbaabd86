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

fn in_template(property: Property) -> String {
    in_pascal_case(property.as_str())
}

#[test]
fn a_resource_reads_every_property() {
    for property in Property::ALL {
        let name = in_template(*property);
        let event =
            merged(create_request(), &json!({ "ResourceProperties": { &name: { "a": "b" } } }));
        let Step::Respond(Err(failure)) = plan(&event).step else { panic!("{name} is not read") };
        assert!(failure.to_string().contains(&name), "{name}: {failure}");
    }
}

#[tokio::test]
async fn a_request_reads_every_property_of_its_operation() {
    let world = world().await;
    for property in Property::ALL {
        let detail = create_event()["detail"].clone();
        let request = merged(detail, &json!({ property.as_str(): { "a": "b" } }));
        let invocation = invoke(&world, &request).await;
        let message = invocation.function_error("InvalidRequestException");
        assert!(message.contains(property.as_str()), "{property}: {message}");
    }
}

#[test]
fn the_schemas_have_every_property() {
    let (requests, properties) = (schema("request"), schema("properties"));
    for property in Property::ALL {
        let has = |schema: &Value, name: &str| schema["properties"].get(name).is_some();
        assert!(has(&requests, property.as_str()), "no {property} in request.json");
        let name = in_template(*property);
        assert!(has(&properties, &name), "no {name} in properties.json");
    }
}

#[test]
fn the_cdk_library_passes_every_property() {
    let source = file("cdk/src/index.ts");
    for property in Property::ALL {
        let name = format!("{}:", in_template(*property));
        assert!(source.contains(&name), "no {name}");
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
