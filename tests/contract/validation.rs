//! Validation of the properties: for each rule a valid and an invalid value at its limit.

use mitigation_action_provider::{
    mitigation::Task,
    trigger::{Payload, Plan, Trigger},
};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use crate::{request::plan, sample};

/// The problems of a Create with `properties` merged into its own.
fn problems(properties: &Value) -> Option<String> {
    let event = merged(
        sample("create-update-device-certificate.json"),
        &json!({ "ResourceProperties": properties }),
    );
    match plan(&event) {
        Plan::Execute(..) => None,
        Plan::Respond(result) => Some(result.unwrap_err().message(usize::MAX)),
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

fn groups(names: &Value) -> Value {
    params("AddThingsToThingGroupParams", &json!({ "ThingGroupNames": names }))
}

fn tags(tags: &Value) -> Value {
    json!({ "Tags": tags })
}

fn tag(key: &str, value: &str) -> Value {
    tags(&json!([{ "Key": key, "Value": value }]))
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
fn there_are_1_to_10_thing_group_names() {
    let path = "ActionParams.AddThingsToThingGroupParams.ThingGroupNames";
    valid(&groups(&json!(["a:b_c-9"])));
    valid(&groups(&json!(vec!["g"; 10])));
    valid(&groups(&json!(["g".repeat(128)])));
    invalid(&groups(&json!([])), path);
    invalid(&groups(&json!(vec!["g"; 11])), path);
    invalid(&groups(&json!("g")), path);
    invalid(&groups(&Value::Null), path);
    invalid(&groups(&json!(["g", "g".repeat(129)])), &format!("{path}[1]"));
    invalid(&groups(&json!([""])), &format!("{path}[0]"));
    invalid(&groups(&json!(["a/b"])), &format!("{path}[0]"));
    invalid(&groups(&json!([null])), &format!("{path}[0]"));
}

#[test]
fn override_dynamic_groups_is_a_boolean_in_any_casing() {
    for flag in
        [json!("true"), json!("True"), json!("FALSE"), json!(true), json!(false), Value::Null]
    {
        valid(&params(
            "AddThingsToThingGroupParams",
            &json!({ "ThingGroupNames": ["g"], "OverrideDynamicGroups": flag }),
        ));
    }
    for flag in [json!("yes"), json!(1), json!(""), json!([])] {
        let value = json!({ "ThingGroupNames": ["g"], "OverrideDynamicGroups": flag });
        invalid(
            &params("AddThingsToThingGroupParams", &value),
            "ActionParams.AddThingsToThingGroupParams.OverrideDynamicGroups",
        );
    }
}

#[test]
fn a_log_level_is_one_of_four() {
    let role = "arn:aws:iam::123456789012:role/logging";
    for level in ["DEBUG", "INFO", "ERROR", "WARN"] {
        valid(&params(
            "EnableIoTLoggingParams",
            &json!({ "LogLevel": level, "RoleArnForLogging": role }),
        ));
    }
    for level in ["DISABLED", "info", "", "TRACE"] {
        let value = json!({ "LogLevel": level, "RoleArnForLogging": role });
        invalid(
            &params("EnableIoTLoggingParams", &value),
            "ActionParams.EnableIoTLoggingParams.LogLevel",
        );
    }
    invalid(
        &params("EnableIoTLoggingParams", &json!({ "RoleArnForLogging": role })),
        "ActionParams.EnableIoTLoggingParams.LogLevel",
    );
}

#[test]
fn a_policy_template_is_the_blank_policy() {
    valid(&params("ReplaceDefaultPolicyVersionParams", &json!({ "TemplateName": "BLANK_POLICY" })));
    invalid(
        &params("ReplaceDefaultPolicyVersionParams", &json!({ "TemplateName": "BLANK" })),
        "ActionParams.ReplaceDefaultPolicyVersionParams.TemplateName",
    );
}

#[test]
fn a_certificate_action_is_to_deactivate() {
    for kind in ["UpdateCACertificateParams", "UpdateDeviceCertificateParams"] {
        valid(&params(kind, &json!({ "Action": "DEACTIVATE" })));
        invalid(
            &params(kind, &json!({ "Action": "ACTIVATE" })),
            &format!("ActionParams.{kind}.Action"),
        );
        invalid(&params(kind, &json!({ "Action": null })), &format!("ActionParams.{kind}.Action"));
        invalid(&params(kind, &json!("DEACTIVATE")), &format!("ActionParams.{kind}"));
    }
}

#[test]
fn a_topic_arn_is_that_of_an_sns_topic_of_at_most_350_characters() {
    let check = |arn: &str, is_valid: bool| {
        let check: fn(&Value, &str) = if is_valid { |value, _| valid(value) } else { invalid };
        check(
            &params("PublishFindingToSnsParams", &json!({ "TopicArn": arn })),
            "ActionParams.PublishFindingToSnsParams.TopicArn",
        );
    };
    let start = "arn:aws:sns:eu-west-1:123456789012:";
    for (length, is_valid) in [(0, false), (1, true), (315, true), (316, false)] {
        check(&format!("{start}{}", "t".repeat(length)), is_valid);
    }
    check("arn:aws-cn:sns:cn-north-1:123456789012:findings.fifo", true);
    for arn in [
        "t",
        "",
        "arn:aws:sqs:eu-west-1:123456789012:findings",
        "arn:aws:sns::123456789012:findings",
        "arn:aws:sns:eu-west-1:1234:findings",
        "arn:aws:sns:eu-west-1:123456789012:findings:6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f",
    ] {
        check(arn, false);
    }
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
fn action_params_have_exactly_one_kind() {
    invalid(&json!({ "ActionParams": null }), "ActionParams");
    invalid(&json!({ "ActionParams": "x" }), "ActionParams");
    invalid(&params("UpdateDeviceCertificateParams", &Value::Null), "ActionParams");
    let two =
        json!({ "ActionParams": { "UpdateCACertificateParams": { "Action": "DEACTIVATE" } } });
    invalid(&two, "ActionParams");
    invalid(
        &params("UpdateCaCertificateParams", &json!({ "Action": "DEACTIVATE" })),
        "ActionParams.UpdateCaCertificateParams",
    );
}

#[test]
fn tag_keys_and_values_follow_the_rules_of_the_service() {
    valid(&tag("k", ""));
    valid(&tag(&"k".repeat(128), &"v".repeat(256)));
    valid(&tag("Größe 東京 ٣ a_b.c:d/e=f+g-h@i", "anything at all! #?"));
    for key in [
        "",
        &"k".repeat(129),
        "a#b",
        "a\tb",
        "a*b",
        "हि",
        "a\u{301}",
        "🔒",
        "aws:x",
        "AWS:x",
        "mitigation-action-provider:x",
        "Mitigation-Action-Provider:x",
        " aws:x",
        "\u{a0}mitigation-action-provider:owner",
    ] {
        invalid(&tag(key, "v"), "Tags[0].Key");
    }
    valid(&tag("awsx", "v"));
    invalid(&tag("k", &"v".repeat(257)), "Tags[0].Value");
}

#[test]
fn tags_are_a_list_of_at_most_48_with_different_keys() {
    valid(&tags(&json!([])));
    invalid(&tags(&json!([{ "Value": "v" }])), "Tags[0].Key");
    invalid(&tags(&json!([{ "Key": "k" }])), "Tags[0].Value");
    invalid(&tags(&json!([{ "Key": "k", "Value": "v", "Vlaue": "x" }])), "Tags[0].Vlaue");
    invalid(
        &tags(&json!([{ "Key": "k", "Value": "1" }, { "Key": "k", "Value": "2" }])),
        "Tags[1].Key",
    );
    valid(&tags(&json!([{ "Key": "k", "Value": "1" }, { "Key": "K", "Value": "2" }])));
    invalid(&tags(&json!({ "k": "v" })), "Tags");
    invalid(&tags(&json!(["k"])), "Tags[0]");
    invalid(&tags(&json!([null])), "Tags[0]");
    let many = |count: usize| {
        tags(&(0..count).map(|n| json!({ "Key": format!("k{n}"), "Value": "v" })).collect())
    };
    valid(&many(48));
    invalid(&many(49), "Tags");
}

#[test]
fn an_unknown_property_is_reported_without_its_value_and_with_a_known_one_that_is_near() {
    for (given, near) in [
        ("actionName", "ActionName"),
        ("RoleARN", "RoleArn"),
        ("Tag", "Tags"),
        ("ActionParam", "ActionParams"),
        ("On_Conflict", "OnConflict"),
        ("CheckName", "CheckNames"),
    ] {
        let problems = problems(&json!({ given: "x" })).unwrap();
        assert_eq!(problems, format!("{given}: unknown property: did you mean {near}?"));
    }
    let secret = "a-secret-under-a-name-that-is-no-property";
    let problems = problems(&json!({ "Password": secret })).unwrap();
    assert_eq!(
        problems,
        "Password: unknown property: expected one of ActionName, RoleArn, ActionParams, Tags, \
         OnConflict, CheckNames, ServiceToken, ServiceTimeout"
    );
    valid(&json!({ "ServiceTimeout": "60" }));
}

#[test]
fn a_boolean_in_any_casing_is_the_same_definition() {
    let definition = |flag: Value| {
        let groups = json!({ "OverrideDynamicGroups": flag });
        let params = json!({ "ActionParams": { "AddThingsToThingGroupParams": groups } });
        let create = sample("create-add-things-to-thing-group.json");
        match plan(&merged(create, &json!({ "ResourceProperties": params }))) {
            Plan::Execute(request, _) => match request.task {
                Task::Create(create) => create.definition,
                other => panic!("{other:?}"),
            },
            Plan::Respond(result) => panic!("{result:?}"),
        }
    };
    assert_eq!(definition(json!("true")), definition(json!("True")));
    assert_eq!(definition(json!("true")), definition(json!(true)));
    assert_ne!(definition(json!("true")), definition(json!("false")));
}

/// JSON in strings, `levels` deep, each in the object with which `serde_json` marks raw JSON.
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
    let trigger = |text: &str| Trigger::recognise(&serde_json::from_str::<Payload>(text).unwrap());
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

fn checks(kind: &str, names: &Value) -> Value {
    let mut properties = params(kind, &json!({ "Action": "DEACTIVATE" }));
    properties["CheckNames"] = names.clone();
    properties
}

#[test]
fn check_names_are_checks_that_the_type_of_action_can_be_applied_to() {
    let device = "UpdateDeviceCertificateParams";
    for fit in [
        "DEVICE_CERTIFICATE_SHARED_CHECK",
        "DEVICE_CERT_APPROACHING_EXPIRATION_CHECK",
        "DEVICE_CERTIFICATE_EXPIRING_CHECK",
        "REVOKED_DEVICE_CERT_CHECK",
        "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK",
        "A_CHECK_THAT_AWS_ADDS_LATER",
    ] {
        valid(&checks(device, &json!([fit])));
    }
    valid(&checks(device, &json!([])));
    valid(&checks("UpdateCACertificateParams", &json!(["REVOKED_CA_CERT_CHECK"])));
    let misfit = problems(&checks(device, &json!(["LOGGING_DISABLED_CHECK"]))).unwrap();
    assert_eq!(
        misfit,
        "CheckNames[0]: invalid value \"LOGGING_DISABLED_CHECK\": expected a check that \
         UPDATE_DEVICE_CERTIFICATE can be applied to (ENABLE_IOT_LOGGING or \
         PUBLISH_FINDING_TO_SNS can)"
    );
    invalid(&checks(device, &json!(["CONFLICTING_CLIENT_IDS_CHECK"])), "CheckNames[0]");
    invalid(&checks(device, &json!("LOGGING_DISABLED_CHECK")), "CheckNames");
    invalid(&checks(device, &json!([["x"]])), "CheckNames[0]");
    invalid(&checks(device, &json!([""])), "CheckNames[0]");
    let topic = json!({ "TopicArn": "arn:aws:sns:eu-west-1:123456789012:findings" });
    let mut publishing = params("PublishFindingToSnsParams", &topic);
    publishing["CheckNames"] = json!(["CONFLICTING_CLIENT_IDS_CHECK", "LOGGING_DISABLED_CHECK"]);
    valid(&publishing);
}
