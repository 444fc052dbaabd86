//! The properties that the custom resource and the API share: for each rule a valid and an invalid
//! value at its limit.

mod action_params;
mod check_names;
mod json;
mod tags;

use mitigation_action_provider::{mitigation::Property, trigger::Step};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use crate::{cloudformation::plan, completeness::in_pascal_case, sample};

/// The problems of a Create with these `properties` merged into its own.
fn problems(properties: &Value) -> Option<String> {
    let event = merged(
        sample("create-update-device-certificate.json"),
        &json!({ "ResourceProperties": properties }),
    );
    match plan(&event).step {
        Step::Execute(_) => None,
        Step::Respond(result) => Some(result.unwrap_err().message(usize::MAX)),
    }
}

#[track_caller]
fn valid(properties: &Value) {
    assert_eq!(problems(properties), None);
}

#[track_caller]
fn invalid(properties: &Value, path: &str) {
    let problems = problems(properties).unwrap_or_else(|| panic!("{path} is valid"));
    assert!(problems.starts_with(&format!("{path}: ")), "{problems} is not about {path}");
}

fn params(kind: &str, value: &Value) -> Value {
    json!({ "ActionParams": { "UpdateDeviceCertificateParams": null, kind: value } })
}

#[test]
fn an_action_name_has_1_to_128_letters_digits_dashes_and_underscores() {
    for name in ["a", "A-z_09", &"n".repeat(128)] {
        valid(&json!({ "ActionName": name }));
    }
    for name in [&"n".repeat(129), "a:b", "a b", "ä", "a/b", "a.b", " "] {
        invalid(&json!({ "ActionName": name }), "ActionName");
    }
    valid(&json!({ "ActionName": 42 }));
    invalid(&json!({ "ActionName": ["a"] }), "ActionName");
    valid(&json!({ "ActionName": "" }));
    valid(&json!({ "ActionName": null }));
}

#[test]
fn a_role_arn_is_that_of_an_iam_role_of_20_to_2048_characters() {
    let kind = "EnableIoTLoggingParams";
    let check = |role: &str, is_valid: bool| {
        let check: fn(&Value, &str) = if is_valid { |value, _| valid(value) } else { invalid };
        check(&json!({ "RoleArn": role }), "RoleArn");
        let path = format!("ActionParams.{kind}.RoleArnForLogging");
        check(&params(kind, &json!({ "LogLevel": "INFO", "RoleArnForLogging": role })), &path);
    };
    let start = "arn:aws:iam::123456789012:role/";
    for (length, is_valid) in [(start.len(), false), (32, true), (2048, true), (2049, false)] {
        check(&format!("{start}{}", "r".repeat(length - start.len())), is_valid);
    }
    for role in [
        "arn:aws-cn:iam::123456789012:role/path/to/role",
        "arn:aws-us-gov:iam::123456789012:role/a+=,.@-_",
        "arn:aws-iso-b:iam::123456789012:role/r",
    ] {
        check(role, true);
    }
    for role in [
        "quarantine",
        "arn:aws:iam::12345678901:role/r",
        "arn:aws:iam::1234567890123:role/r",
        "arn:aws:iam:eu-west-1:123456789012:role/r",
        "arn:aws:iam::123456789012:user/somebody",
        "arn:aws:iam::123456789012:role/path/",
        "arn:aws:iam::123456789012:role/a role",
        "arn:aws:sts::123456789012:assumed-role/r/s",
        "arn:azure:iam::123456789012:role/r",
        "arn:aws:iam::123456789012:role/rôle",
    ] {
        check(role, false);
    }
    invalid(&json!({ "RoleArn": null }), "RoleArn");
    invalid(&json!({ "RoleArn": "" }), "RoleArn");
}

#[test]
fn on_conflict_is_one_of_three() {
    for on_conflict in ["Fail", "Adopt", "Overwrite"] {
        valid(&json!({ "OnConflict": on_conflict }));
    }
    for on_conflict in [json!("adopt"), json!(""), json!(1)] {
        invalid(&json!({ "OnConflict": on_conflict }), "OnConflict");
    }
}

#[test]
fn an_unknown_property_is_reported_without_its_value_and_with_a_known_one_that_is_near() {
    for (given, suggestion) in [
        ("actionName", "ActionName"),
        ("RoleARN", "RoleArn"),
        ("Tag", "Tags"),
        ("ActionParam", "ActionParams"),
        ("On_Conflict", "OnConflict"),
        ("CheckName", "CheckNames"),
    ] {
        let problems = problems(&json!({ given: "x" })).unwrap();
        assert_eq!(problems, format!("{given}: unknown property: did you mean {suggestion}?"));
    }
    let secret = "a-secret-under-a-name-that-is-no-property";
    let problems = problems(&json!({ "Password": secret })).unwrap();
    let mut known: Vec<String> =
        Property::ALL.iter().map(|property| in_pascal_case(property.as_str())).collect();
    known.extend(["ServiceToken", "ServiceTimeout"].map(str::to_owned));
    let expected = format!("Password: unknown property: expected one of {}", known.join(", "));
    assert_eq!(problems, expected);
    valid(&json!({ "ServiceTimeout": "60" }));
}
