//! `ActionParams`, kind by kind.

use serde_json::{Value, json};

use super::{invalid, params, valid};

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

fn groups(names: &Value) -> Value {
    params("AddThingsToThingGroupParams", &json!({ "ThingGroupNames": names }))
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
