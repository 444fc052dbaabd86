//! Direct invocations.

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    fault::Fault,
    iot::Iot,
    stack::{World, merged},
};

use crate::{
    invocation::{NAME, create_event, invoke, world_with_bus},
    sample, world,
};

#[tokio::test]
async fn a_direct_invocation_returns_its_result_or_the_error_of_the_api() {
    let world = world_with_bus().await;
    let invocation = invoke(&world, &sample("direct-create.json")).await;
    assert_eq!(invocation.succeeded("CREATED")["actionArn"], Iot::arn("publish-to-security"));
    assert!(invocation.events.is_empty(), "the result is only returned");
    assert_eq!(
        world.aws.iot.action("publish-to-security").unwrap().tags[OWNER_TAG],
        "request/onboarding-2026-11-22/399FA6120C00EFAC"
    );
    let again = invoke(&world, &sample("direct-create.json")).await;
    assert_eq!(again.returned, invocation.returned);
    invoke(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    invoke(&world, &sample("direct-describe.json")).await.succeeded("DESCRIBED");
    let message = invoke(&world, &sample("direct-invalid.json"))
        .await
        .function_error("InvalidRequestException")
        .to_owned();
    assert!(
        message.contains("onConflict: invalid value \"adopt\"")
            && message.contains("at least one of"),
        "{message}"
    );
    let another = merged(sample("direct-create.json"), &json!({ "requestId": "another" }));
    invoke(&world, &another).await.function_error("ResourceAlreadyExistsException");
    invoke(&world, &sample("direct-delete.json")).await.succeeded("DELETED");
    world.aws.iot.faults.set("*", Fault::Refuse(403, "AccessDeniedException"), 1);
    invoke(&world, &sample("direct-create.json")).await.function_error("AccessDeniedException");
}

#[tokio::test]
async fn a_direct_invocation_without_an_id_is_identified_by_lambdas_request_id() {
    let world = world().await;
    let call = merged(sample("direct-create.json"), &json!({ "requestId": null })).to_string();
    for _ in 0..2 {
        let returned = world
            .aws
            .lambda
            .invoke_with_id(
                "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                call.clone().into_bytes(),
                world.timeout,
                &world.arn,
            )
            .await;
        assert_eq!(returned.unwrap()["outcome"], "CREATED");
    }
    assert_eq!(
        world.aws.iot.action("publish-to-security").unwrap().tags[OWNER_TAG],
        "request/8476a536-e9f4-11e8-9739-2dfe598c3fcd/399FA6120C00EFAC"
    );
    invoke(&world, &sample("direct-create.json"))
        .await
        .function_error("ResourceAlreadyExistsException");
}

#[tokio::test]
async fn a_direct_invocation_in_an_emulator_reads_the_arn_from_the_service() {
    let mut world = world().await;
    world.arn = "arn:aws:lambda:us-east-1:012345678912:function:test_function".to_owned();
    invoke(&world, &sample("direct-create.json")).await.succeeded("CREATED");
    invoke(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    let again = merged(
        sample("direct-create.json"),
        &json!({ "requestId": "another", "onConflict": "adopt" }),
    );
    invoke(&world, &again).await.succeeded("ADOPTED");
    invoke(&world, &sample("direct-delete.json")).await.succeeded("DELETED");
}

#[tokio::test]
async fn an_update_of_some_members_keeps_the_others() {
    let world = world().await;
    invoke(&world, &create_event()).await;
    let before = world.aws.iot.action(NAME).unwrap();
    let role = "arn:aws:iam::123456789012:role/another-one";
    let invocation = invoke(
        &world,
        &json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "roleArn": role }),
    )
    .await;
    assert_eq!(invocation.succeeded("UPDATED")["actionType"], "ADD_THINGS_TO_THING_GROUP");
    let after = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        (after.role_arn.as_str(), &after.params, &after.tags),
        (role, &before.params, &before.tags)
    );
    let tags = json!([{ "Key": "empty" }]);
    let invocation = invoke(
        &world,
        &json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags }),
    )
    .await;
    invocation.succeeded("UPDATED");
    assert!(!invocation.operations().contains(&"UpdateMitigationAction"));
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["empty"], "");
}

#[tokio::test]
async fn dates_are_those_of_the_service_to_the_millisecond() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.aws.iot.tamper(NAME, |action| action.as_mut().unwrap().created = 1_732_270_000.123);
    let invocation =
        invoke(&world, &json!({ "operation": "DescribeMitigationAction", "actionName": NAME }))
            .await;
    assert_eq!(invocation.succeeded("DESCRIBED")["creationDate"], "2024-11-22T10:06:40.123Z");
}

#[tokio::test]
async fn a_member_that_an_operation_does_not_take_or_lacks_is_named() {
    let world = world().await;
    for (operation, members, path) in [
        ("DeleteMitigationAction", json!({ "tags": [] }), "tags"),
        ("DescribeMitigationAction", json!({ "roleArn": "x" }), "roleArn"),
        ("UpdateMitigationAction", json!({ "tags": [], "onConflict": "fail" }), "onConflict"),
        ("UpdateMitigationAction", json!({}), "roleArn"),
        ("DeleteMitigationAction", json!({ "actionName": null }), "actionName"),
        ("deleteMitigationAction", json!({}), "operation"),
    ] {
        let request = merged(json!({ "operation": operation, "actionName": "a" }), &members);
        assert_invalid(&world, &request, path).await;
    }
    assert_invalid(&world, &json!({ "operation": 7, "actionName": "a" }), "operation").await;
}

#[tokio::test]
async fn an_invalid_value_is_named_by_its_member() {
    let world = world().await;
    for (members, path) in [
        (json!({ "requestId": "a\nb" }), "requestId"),
        (json!({ "requestId": "ä" }), "requestId"),
        (json!({ "requestId": "r".repeat(129) }), "requestId"),
        (json!({ "RoleArn": "x" }), "RoleArn"),
        (json!({ "tags": [{ "Key": OWNER_TAG, "Value": "x" }] }), "tags[0].Key"),
        (json!({ "tags": [{ "key": "a", "Value": "x" }] }), "tags[0].key"),
        (json!({ "actionName": 7 }), "actionName"),
        (json!({ "onConflict": "Adopt" }), "onConflict"),
    ] {
        assert_invalid(&world, &merged(sample("direct-create.json"), &members), path).await;
    }
}

async fn assert_invalid(world: &World, request: &Value, path: &str) {
    let invocation = invoke(world, request).await;
    let message = invocation.function_error("InvalidRequestException");
    assert!(message.contains(&format!("{path}: ")), "{message} is not about {path}");
    assert!(invocation.calls.is_empty());
}

#[tokio::test]
async fn a_boolean_in_a_string_is_accepted() {
    let world = world().await;
    let groups = json!({ "thingGroupNames": ["g"], "overrideDynamicGroups": "True" });
    let params =
        json!({ "publishFindingToSnsParams": null, "addThingsToThingGroupParams": groups });
    let request = merged(sample("direct-create.json"), &json!({ "actionParams": params }));
    invoke(&world, &request).await.succeeded("CREATED");
}

#[tokio::test]
async fn an_error_says_which_members_the_operation_takes() {
    let world = world().await;
    for (operation, takes) in [
        ("UpdateMitigationAction", "actionName, roleArn, actionParams, tags, checkNames"),
        ("DeleteMitigationAction", "actionName"),
        ("DescribeMitigationAction", "actionName"),
    ] {
        let invocation = invoke(
            &world,
            &json!({ "operation": operation, "actionName": "a", "onConflict": "fail" }),
        )
        .await;
        let message = invocation.function_error("InvalidRequestException");
        assert!(
            message.contains(&format!("no onConflict: {operation} takes only {takes}")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_invalid_operation_hides_no_other_problem() {
    let world = world().await;
    let invocation = invoke(
        &world,
        &json!({
            "operation": "Nope", "actionName": "a b", "roleArn": "x", "tagz": [],
            "actionParams": { "updateCACertificateParams": { "action": "DEACTIVATE" } },
            "checkNames": ["LOGGING_DISABLED_CHECK"],
        }),
    )
    .await;
    let message = invocation.function_error("InvalidRequestException");
    for part in [
        "operation: invalid value \"Nope\"",
        "actionName: invalid value \"a b\"",
        "roleArn: invalid value \"x\"",
        "tagz: unknown",
        "checkNames[0]: invalid value \"LOGGING_DISABLED_CHECK\"",
    ] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_parsed_is_invalid() {
    let world = world().await;
    let deep = format!("{{\"actionName\":\"a\",\"tags\":{}{}}}", "[".repeat(300), "]".repeat(300));
    let returned =
        world.aws.lambda.invoke(deep.into_bytes(), world.timeout, &world.arn).await.unwrap_err();
    assert_eq!(returned["errorType"], "InvalidRequestException");
    assert!(
        returned["errorMessage"].as_str().unwrap().contains("tags[0]: invalid value [["),
        "{returned}"
    );
}
