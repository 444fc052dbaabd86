//! The schemas say what the code does, and every sample is what it says it is.

use std::path::Path;

use jsonschema::Validator;
use mitigation_action_provider::trigger::api::Call;
use proptest::{collection::btree_map, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::sample;

fn schema(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.json"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Ends the test where the detail of a result event is not as its schema says.
#[track_caller]
pub fn check_result(detail_type: &str, detail: &Value) {
    let name = match detail_type {
        "Mitigation Action Request Succeeded" => "request-succeeded",
        "Mitigation Action Request Failed" => "request-failed",
        other => panic!("{other} is no result"),
    };
    let errors: Vec<String> =
        schema(name).iter_errors(detail).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {detail}");
}

fn samples(prefix: &str) -> Vec<(String, Value)> {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events")).unwrap();
    let names = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(prefix));
    names.map(|name| (name.clone(), sample(&name))).collect()
}

#[test]
fn every_event_matches_its_schema_unless_it_is_named_invalid() {
    let request = schema("request");
    let mut seen = 0;
    for (name, event) in samples("event-") {
        seen += 1;
        match event["detail-type"].as_str().unwrap() {
            "Mitigation Action Requested" => {
                assert_eq!(request.is_valid(&event["detail"]), !name.contains("invalid"), "{name}");
            }
            result => {
                check_result(result, &event["detail"]);
                assert!(!request.is_valid(&event["detail"]), "{name}");
            }
        }
    }
    for (name, mut event) in samples("direct-") {
        seen += 1;
        event.as_object_mut().unwrap().remove("requestId");
        assert_eq!(request.is_valid(&event), !name.contains("invalid"), "{name}");
    }
    for record in sample("batch.json")["Records"].as_array().unwrap() {
        let Ok(body) = serde_json::from_str::<Value>(record["body"].as_str().unwrap()) else {
            continue;
        };
        seen += 1;
        assert!(
            request.is_valid(if body["detail"].is_null() { &body } else { &body["detail"] }),
            "{body}"
        );
    }
    assert!(seen >= 15, "{seen} samples");
}

/// A request of members that are each legal or not.
fn any_request() -> impl Strategy<Value = Value> {
    let text =
        |lengths: &'static [usize]| select(lengths).prop_map(|length| json!("n".repeat(length)));
    let name = prop_oneof![
        text(&[0, 1, 128, 129]),
        select(vec![json!("a b"), json!("a:b"), json!(7), json!("é"), json!("a-_9")])
    ];
    let role =
        prop_oneof![text(&[0, 19, 20, 2048, 2049]), Just(json!(7)), Just(json!("é".repeat(20)))];
    let group =
        prop_oneof![text(&[0, 1, 128, 129]), select(vec![json!("a:b"), json!("a b"), json!(7)])];
    let flag = select(vec![
        json!(true),
        json!("True"),
        json!("FALSE"),
        json!("yes"),
        json!(1),
        json!("true "),
    ]);
    let groups = prop::collection::vec(group, 0..12);
    let add = (groups, prop::option::of(flag)).prop_map(|(names, flag)| match flag {
        Some(flag) => json!({ "addThingsToThingGroupParams": { "thingGroupNames": names, "overrideDynamicGroups": flag } }),
        None => json!({ "addThingsToThingGroupParams": { "thingGroupNames": names } }),
    });
    let level = select(vec!["DEBUG", "INFO", "WARN", "ERROR", "DISABLED", "info"]);
    let logging = (level, role.clone())
        .prop_map(|(level, role)| json!({ "enableIoTLoggingParams": { "logLevel": level, "roleArnForLogging": role } }));
    let topic = text(&[0, 1, 350, 351])
        .prop_map(|topic| json!({ "publishFindingToSnsParams": { "topicArn": topic } }));
    let others = select(vec![
        json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } }),
        json!({ "updateCACertificateParams": { "action": "ACTIVATE" } }),
        json!({ "replaceDefaultPolicyVersionParams": { "templateName": "BLANK_POLICY" } }),
        json!({ "replaceDefaultPolicyVersionParams": {} }),
        json!({ "updateCACertificateParams": { "action": "DEACTIVATE", "more": 1 } }),
        json!({ "updateCaCertificateParams": { "action": "DEACTIVATE" } }),
        json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" }, "updateCACertificateParams": { "action": "DEACTIVATE" } }),
        json!({}),
        json!("x"),
    ]);
    let params = prop_oneof![add, logging, topic, others];
    let key = prop_oneof![
        "[a-z ]{1,3}",
        select(vec![
            "",
            "aws:x",
            "Aws:x",
            "awsx",
            "mitigation-action-provider:x",
            "a#",
            "Größe",
            "a\u{301}",
            "٣"
        ])
        .prop_map(str::to_owned)
    ];
    let value = prop_oneof![Just(None), text(&[0, 256, 257]).prop_map(Some), Just(Some(json!(7)))];
    let tags = btree_map(key, value, 0..3).prop_map(|tags| {
        let tag = |(key, value): (String, Option<Value>)| {
            value.map_or_else(
                || json!({ "Key": key }),
                |value| json!({ "Key": key, "Value": value }),
            )
        };
        tags.into_iter().map(tag).collect::<Value>()
    });
    let tags = prop_oneof![4 => tags, 1 => select(vec![json!({}), json!(["x"]), json!([{ "Value": "x" }]), json!([{ "Key": "k", "x": 1 }])])];
    let operations = [
        "CreateMitigationAction",
        "UpdateMitigationAction",
        "DeleteMitigationAction",
        "DescribeMitigationAction",
        "Other",
    ];
    let on_conflict =
        select(vec![json!("fail"), json!("adopt"), json!("overwrite"), json!("Adopt"), json!(1)]);
    let maybe = |strategy: BoxedStrategy<Value>| prop::option::of(strategy);
    let members = (
        maybe(select(operations.map(|operation| json!(operation)).to_vec()).boxed()),
        prop::option::weighted(0.9, name),
        maybe(role.boxed()),
        maybe(params.boxed()),
        maybe(tags.boxed()),
        prop::option::weighted(0.2, on_conflict),
        prop::option::weighted(0.05, Just(json!("x"))),
    );
    members.prop_map(|(operation, name, role, params, tags, on_conflict, unknown)| {
        let names = [
            "operation",
            "actionName",
            "roleArn",
            "actionParams",
            "tags",
            "onConflict",
            "requestId",
        ];
        let values = [operation, name, role, params, tags, on_conflict, unknown];
        names
            .into_iter()
            .zip(values)
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    })
}

#[test]
fn the_code_accepts_exactly_what_the_schema_accepts() {
    let schema = schema("request");
    let mut taken = 0;
    let config = ProptestConfig { cases: 4096, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&any_request(), |request| {
        let task = Call::read("", Some(&request), false).task();
        prop_assert_eq!(schema.is_valid(&request), task.is_ok(), "{:?}", task);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    for (_, event) in samples("event-") {
        taken += u32::from(Call::read("detail", Some(&event["detail"]), false).task().is_ok());
    }
    assert_eq!(taken, 4);
}
