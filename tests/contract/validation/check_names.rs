//! `CheckNames`.

use mitigation_action_provider::trigger::{Plan, Step};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use super::{invalid, params, problems, valid};
use crate::{request::plan, sample};

fn checks(kind: &str, names: &Value) -> Value {
    let mut properties = params(kind, &json!({ "Action": "DEACTIVATE" }));
    properties["CheckNames"] = names.clone();
    properties
}

#[test]
fn check_names_are_checks_that_the_kind_of_action_can_be_applied_to() {
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
        "CheckNames[0]: invalid value \"LOGGING_DISABLED_CHECK\": expected a check to whose \
         findings UPDATE_DEVICE_CERTIFICATE can be applied (to this one's: ENABLE_IOT_LOGGING or \
         PUBLISH_FINDING_TO_SNS)"
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

#[test]
fn of_many_unknown_checks_the_first_ten_are_logged() {
    let names: Vec<String> = (0..12).map(|n| format!("CHECK_{n}")).collect();
    let event = merged(
        sample("create-update-device-certificate.json"),
        &json!({ "ResourceProperties": { "CheckNames": names } }),
    );
    let Plan { step: Step::Execute(_), warnings, .. } = plan(&event) else {
        panic!("an unknown check is a problem")
    };
    assert_eq!(warnings.len(), 10);
    assert!(warnings.iter().zip(&names).all(|(warning, name)| warning.contains(name.as_str())));
}
