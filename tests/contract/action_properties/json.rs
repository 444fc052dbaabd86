//! JSON types other than a string, and JSON in a string.

use mitigation_action_provider::{
    mitigation::Task,
    trigger::{Payload, Step, Trigger},
};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use super::{invalid, problems};
use crate::{cloudformation::plan, sample};

#[test]
fn a_boolean_in_any_casing_is_the_same_definition() {
    let definition = |flag: Value| {
        let groups = json!({ "OverrideDynamicGroups": flag });
        let params = json!({ "ActionParams": { "AddThingsToThingGroupParams": groups } });
        let create = sample("create-add-things-to-thing-group.json");
        match plan(&merged(create, &json!({ "ResourceProperties": params }))).step {
            Step::Execute(request) => match request.task {
                Task::Create(create) => create.definition,
                other @ (Task::Update(_) | Task::Delete(_) | Task::Describe(_)) => {
                    panic!("{other:?}")
                }
            },
            Step::Respond(result) => panic!("{result:?}"),
        }
    };
    assert_eq!(definition(json!("true")), definition(json!("True")));
    assert_eq!(definition(json!("true")), definition(json!(true)));
    assert_ne!(definition(json!("true")), definition(json!("false")));
}

/// JSON in strings, `levels` deep, each in the object that marks raw JSON for `serde_json`.
fn raw_json(levels: usize) -> String {
    (0..levels).fold("\"made-by-hand\"".to_owned(), |inner, _| {
        let text = inner.replace('\\', "\\u005c").replace('"', "\\u0022");
        format!(
            "{}{{\"$serde_json::private::RawValue\":\"{text}\"}}{}",
            "[".repeat(100),
            "]".repeat(100)
        )
    })
}

#[test]
fn json_in_a_string_stays_a_string_at_any_depth() {
    let trigger = |text: &str| Trigger::recognize(&serde_json::from_str::<Payload>(text).unwrap());
    let event = json!({
        "detail-type": "Mitigation Action Requested", "source": "s", "id": "i", "detail": "RAW",
    });
    let request = json!({
        "ResponseURL": "https://x", "RequestType": "RAW",
        "ResourceProperties": { "ActionName": "RAW" },
    });
    let member = raw_json(250);
    for payload in [json!({ "actionName": "RAW" }), event, request] {
        assert!(trigger(&payload.to_string().replace("\"RAW\"", &member)).is_ok());
    }
    invalid(
        &json!({ "ActionName": { "$serde_json::private::RawValue": "\"made-by-hand\"" } }),
        "ActionName",
    );
}

#[test]
fn a_number_is_reported_as_it_was_given() {
    for number in ["7", "-5", "1.5"] {
        let value: Value = serde_json::from_str(number).unwrap();
        let problems = problems(&json!({ "RoleArn": value })).unwrap();
        assert!(problems.starts_with(&format!("RoleArn: invalid value {number}: ")), "{problems}");
    }
}
