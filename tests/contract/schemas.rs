//! The schemas match the code, and every sample event matches its schema.

use std::path::Path;

use jsonschema::Validator;
use mitigation_action_provider::{
    mitigation::{Failure, Kind, Operation, Property, Task},
    trigger::{Payload, Trigger},
};
use proptest::{collection::btree_map, prelude::*, sample::select, strategy::Union};
use serde_json::{Map, Value, json};

use crate::sample;

/// The validator of a schema, by its name in `schemas/`.
pub fn schema(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.json"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Panics if the detail of a result event does not match its schema.
#[track_caller]
pub fn check_result(detail_type: &str, detail: &Value) {
    let name = match detail_type {
        "Mitigation Action Request Succeeded" => "request-succeeded",
        "Mitigation Action Request Failed" => "request-failed",
        other => panic!("{other} is not a result event"),
    };
    let errors: Vec<String> =
        schema(name).iter_errors(detail).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {detail}");
}

/// The events of `events/` whose names begin with `prefix`, by their names.
pub fn samples(prefix: &str) -> Vec<(String, Value)> {
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

/// The task that the code parses from the detail of an event.
fn task(detail: &Value) -> Result<Task, Failure> {
    let event = json!({
        "id": "1", "source": "com.example", "detail-type": "Mitigation Action Requested",
        "detail": detail,
    });
    let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
    match Trigger::recognize(&payload) {
        Ok(Trigger::EventBridge(request)) => request.api_request.task(),
        _ => panic!("not an event: {event}"),
    }
}

/// A string of one of these lengths.
fn text(lengths: &'static [usize]) -> BoxedStrategy<Value> {
    select(lengths).prop_map(|length| json!("n".repeat(length))).boxed()
}

const ROLE: &str = "arn:aws:iam::123456789012:role/";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:";

fn any_role() -> BoxedStrategy<Value> {
    let role = |length: usize| json!(format!("{ROLE}{}", "r".repeat(length - ROLE.len())));
    let others = [
        json!(7),
        json!(""),
        json!("é".repeat(20)),
        json!("arn:aws:iam::123456789012:role/"),
        json!("arn:aws:iam::123456789012:role/a/"),
        json!("arn:aws:iam::123456789012:role/a/b"),
        json!("arn:aws-us-gov:iam::123456789012:role/a b"),
        json!("arn:aws-us-gov:iam::123456789012:role/~!"),
        json!("arn:azure:iam::123456789012:role/a"),
        json!("arn:aws:iam::1234:role/a"),
        json!("arn:aws:iam::123456789012:user/a"),
    ];
    let lengths = select(vec![32, 40, 2048, 2049]).prop_map(role);
    prop_oneof![2 => lengths, 1 => select(others.to_vec())].boxed()
}

fn any_groups() -> BoxedStrategy<Value> {
    let group =
        prop_oneof![text(&[0, 1, 128, 129]), select(vec![json!("a:b"), json!("a b"), json!(7)])];
    let flags =
        [json!(true), json!("True"), json!("FALSE"), json!("yes"), json!(1), json!("true ")];
    let flag = prop::option::of(select(flags.to_vec()));
    let params = (prop::collection::vec(group, 0..12), flag).prop_map(|(names, flag)| {
        let mut params = json!({ "thingGroupNames": names });
        if let Some(flag) = flag {
            params["overrideDynamicGroups"] = flag;
        }
        params
    });
    params.boxed()
}

fn any_logging() -> BoxedStrategy<Value> {
    let level = select(vec!["DEBUG", "INFO", "WARN", "ERROR", "DISABLED", "info"]);
    let params = (level, any_role())
        .prop_map(|(level, role)| json!({ "logLevel": level, "roleArnForLogging": role }));
    params.boxed()
}

fn any_topic() -> BoxedStrategy<Value> {
    let topics = [json!("t"), json!(""), json!("arn:aws:sqs:eu-west-1:123456789012:q"), json!(1)];
    let topic = prop_oneof![
        select(vec![0, 1, 315, 316])
            .prop_map(|length| json!(format!("{TOPIC}{}", "t".repeat(length)))),
        select(topics.to_vec()),
    ];
    topic.prop_map(|topic| json!({ "topicArn": topic })).boxed()
}

/// Parameters of one kind, valid or not.
fn any_params_of(kind: Kind) -> BoxedStrategy<Value> {
    let any = |params: &[Value]| select(params.to_vec()).boxed();
    let params = match kind {
        Kind::AddThingsToThingGroup => any_groups(),
        Kind::EnableIoTLogging => any_logging(),
        Kind::PublishFindingToSns => any_topic(),
        Kind::ReplaceDefaultPolicyVersion => any(&[
            json!({ "templateName": "BLANK_POLICY" }),
            json!({ "templateName": "OTHER" }),
            json!({}),
        ]),
        Kind::UpdateCaCertificate | Kind::UpdateDeviceCertificate => any(&[
            json!({ "action": "DEACTIVATE" }),
            json!({ "action": "ACTIVATE" }),
            json!({ "action": "DEACTIVATE", "more": 1 }),
        ]),
    };
    params.prop_map(move |params| json!({ kind.params_member(): params })).boxed()
}

fn any_params() -> BoxedStrategy<Value> {
    let kinds = Union::new(Kind::ALL.iter().map(|kind| any_params_of(*kind)));
    let deactivate = json!({ "action": "DEACTIVATE" });
    let others = select(vec![
        json!({ "updateCaCertificateParams": deactivate }),
        json!({
            "updateDeviceCertificateParams": deactivate, "updateCACertificateParams": deactivate,
        }),
        json!({}),
        json!("x"),
    ]);
    prop_oneof![4 => kinds, 1 => others].boxed()
}

fn any_tags() -> BoxedStrategy<Value> {
    let keys = [
        "",
        "aws:x",
        "Aws:x",
        "awsx",
        "mitigation-action-provider:x",
        "Mitigation-Action-Provider:x",
        " aws:x",
        "\u{a0}aws:x",
        "a#",
        "Größe",
        "a\u{301}",
        "٣",
    ];
    let key = prop_oneof!["[a-z ]{1,3}", select(keys.to_vec()).prop_map(str::to_owned)];
    let value = prop_oneof![Just(None), text(&[0, 256, 257]).prop_map(Some), Just(Some(json!(7)))];
    let tags = btree_map(key, value, 0..3).prop_map(|tags| {
        let tag = |(key, value): (String, Option<Value>)| match value {
            Some(value) => json!({ "Key": key, "Value": value }),
            None => json!({ "Key": key }),
        };
        tags.into_iter().map(tag).collect::<Value>()
    });
    let others =
        [json!({}), json!(["x"]), json!([{ "Value": "x" }]), json!([{ "Key": "k", "x": 1 }])];
    prop_oneof![4 => tags, 1 => select(others.to_vec())].boxed()
}

fn any_check_names() -> BoxedStrategy<Value> {
    let names = [
        json!("REVOKED_CA_CERT_CHECK"),
        json!("DEVICE_CERTIFICATE_SHARED_CHECK"),
        json!("IOT_POLICY_OVERLY_PERMISSIVE_CHECK"),
        json!("LOGGING_DISABLED_CHECK"),
        json!("CONFLICTING_CLIENT_IDS_CHECK"),
        json!("A_CHECK_THAT_AWS_ADDS_LATER"),
        json!(""),
        json!(7),
    ];
    let list = prop::collection::vec(select(names.to_vec()), 0..3).prop_map(Value::from);
    prop_oneof![5 => list, 1 => Just(json!("LOGGING_DISABLED_CHECK"))].boxed()
}

/// A value of a property, valid or not, and how likely a request has one.
fn any_value(property: Property) -> (BoxedStrategy<Value>, f64) {
    match property {
        Property::ActionName => {
            let names = [json!("a b"), json!("a:b"), json!(7), json!("é"), json!("a-_9")];
            let name = prop_oneof![text(&[0, 1, 128, 129]), select(names.to_vec())];
            (name.boxed(), 0.9)
        }
        Property::RoleArn => (any_role(), 0.5),
        Property::ActionParams => (any_params(), 0.5),
        Property::Tags => (any_tags(), 0.5),
        Property::OnConflict => {
            let words = ["fail", "adopt", "overwrite", "Adopt"].map(Value::from);
            (select([words.as_slice(), &[json!(1)]].concat()).boxed(), 0.2)
        }
        Property::CheckNames => (any_check_names(), 0.4),
    }
}

/// A request in which each member is valid, invalid or absent.
fn any_request() -> impl Strategy<Value = Value> {
    let operations = Operation::ALL.iter().map(|operation| operation.as_str()).chain(["Other"]);
    let operations: Vec<Value> = operations.map(Value::from).collect();
    let properties = Property::ALL.iter().map(|property| (property.as_str(), any_value(*property)));
    let others = [
        ("operation", (select(operations).boxed(), 0.5)),
        ("requestId", (Just(json!("x")).boxed(), 0.05)),
    ];
    let maybe = |(name, (value, likely)): (&'static str, (BoxedStrategy<Value>, f64))| {
        prop::option::weighted(likely, value)
            .prop_map(move |value| value.map(|value| (name.to_owned(), value)))
            .boxed()
    };
    let members: Vec<_> = properties.chain(others).map(maybe).collect();
    members.prop_map(|members| members.into_iter().flatten().collect::<Map<_, _>>().into())
}

#[test]
fn the_code_accepts_exactly_what_the_schema_accepts() {
    let schema = schema("request");
    let mut taken = 0;
    let config = ProptestConfig { cases: 4096, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&any_request(), |request| {
        let task = task(&request);
        prop_assert_eq!(schema.is_valid(&request), task.is_ok(), "{:?}", task);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    for (_, event) in samples("event-") {
        taken += u32::from(task(&event["detail"]).is_ok());
    }
    assert_eq!(taken, 4);
}
