//! `CheckNames`.

use mitigation_action_provider::trigger::{Plan, Step};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use super::{invalid, params, problems, valid};
use crate::{
    cloudformation::plan,
    invocation::{create_event, invoke, world_with_bus},
    sample,
};

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
        "CheckNames[0]: invalid value \"LOGGING_DISABLED_CHECK\": expected a check to \
         whose findings UPDATE_DEVICE_CERTIFICATE can be applied (to those of this check: \
         ENABLE_IOT_LOGGING or PUBLISH_FINDING_TO_SNS)"
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

#[tokio::test]
async fn check_names_are_checked_at_every_trigger_and_never_sent() {
    let world = world_with_bus().await;
    let with = |check: &str| json!({ "checkNames": [check] });
    let (fit, misfit) = ("DEVICE_CERTIFICATE_SHARED_CHECK", "LOGGING_DISABLED_CHECK");
    let detail = create_event()["detail"].clone();
    let direct = |check: &str| merged(detail.clone(), &with(check));
    let event = |check: &str| merged(create_event(), &json!({ "detail": with(check) }));
    let update = json!({ "operation": "UpdateMitigationAction", "onConflict": null });
    assert!(
        invoke(&world, &direct(misfit))
            .await
            .function_error("InvalidRequestException")
            .starts_with("checkNames[0]: invalid value")
    );
    invoke(&world, &event(misfit)).await.published_failure("InvalidRequestException");
    invoke(&world, &event(fit)).await.succeeded("CREATED");
    invoke(&world, &merged(direct(misfit), &update))
        .await
        .function_error("InvalidRequestException");
    invoke(&world, &merged(direct(fit), &update)).await.succeeded("UPDATED");
    // Without parameters it is not checked, and alone it is no change.
    let alone = json!({
        "operation": "UpdateMitigationAction", "onConflict": null, "actionParams": null,
        "roleArn": null, "tags": null,
    });
    let nothing = invoke(&world, &merged(direct(fit), &alone)).await;
    assert!(nothing.function_error("InvalidRequestException").contains("at least one of"));
    let tagged = json!({ "tags": [] });
    invoke(&world, &merged(merged(direct(misfit), &alone), &tagged)).await.succeeded("UPDATED");
    // A check that AWS adds later is a warning with the id of the request.
    let request =
        merged(direct("A_LATER_CHECK"), &json!({ "requestId": "later", "actionName": "b" }));
    invoke(&world, &request).await.succeeded("CREATED");
    let output = world.function.stop().await;
    let line = output.lines().find(|line| line.contains("A_LATER_CHECK")).expect("a warning");
    assert!(line.contains("WARN") && line.contains("later"), "{line}");
}
