//! Direct invocations.

use serde_json::json;
use stand_ins::{OWNER_TAG, fault::Fault, iot::Iot, stack::merged};

use crate::{
    sample,
    sent::{NAME, create_event, send, world_with_bus},
    world,
};

#[tokio::test]
async fn a_direct_request_returns_its_result_or_the_error_of_the_api() {
    let world = world_with_bus().await;
    let sent = send(&world, &sample("direct-create.json")).await;
    assert_eq!(sent.succeeded("CREATED")["actionArn"], Iot::arn("publish-to-security"));
    assert!(sent.events.is_empty(), "who waits is told once");
    assert_eq!(
        world.aws.iot.action("publish-to-security").unwrap().tags[OWNER_TAG],
        "request/onboarding-2026-11-22"
    );
    let again = send(&world, &sample("direct-create.json")).await;
    assert_eq!(again.returned, sent.returned);
    send(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    send(&world, &sample("direct-describe.json")).await.succeeded("DESCRIBED");
    let said = send(&world, &sample("direct-invalid.json"))
        .await
        .errored("InvalidRequestException")
        .to_owned();
    assert!(said.contains("onConflict: \"adopt\"") && said.contains("at least one of"), "{said}");
    let another = merged(sample("direct-create.json"), &json!({ "requestId": "another" }));
    send(&world, &another).await.errored("ResourceAlreadyExistsException");
    send(&world, &sample("direct-delete.json")).await.succeeded("DELETED");
    world.aws.iot.faults.set("*", Fault::Refuse(403, "AccessDeniedException"), 1);
    send(&world, &sample("direct-create.json")).await.errored("AccessDeniedException");
}

#[tokio::test]
async fn a_direct_request_without_an_id_is_identified_by_lambdas_request_id() {
    let world = world().await;
    let call = merged(sample("direct-create.json"), &json!({ "requestId": null })).to_string();
    for _ in 0..2 {
        let returned = world
            .aws
            .lambda
            .invoke_as(
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
        "request/8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    );
    send(&world, &sample("direct-create.json")).await.errored("ResourceAlreadyExistsException");
}

#[tokio::test]
async fn a_direct_request_in_an_emulator_reads_the_arn_from_the_service() {
    let mut world = world().await;
    world.arn = "arn:aws:lambda:us-east-1:012345678912:function:test_function".to_owned();
    send(&world, &sample("direct-create.json")).await.succeeded("CREATED");
    send(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    let again = merged(
        sample("direct-create.json"),
        &json!({ "requestId": "another", "onConflict": "adopt" }),
    );
    send(&world, &again).await.succeeded("ADOPTED");
    send(&world, &sample("direct-delete.json")).await.succeeded("DELETED");
}

#[tokio::test]
async fn an_update_of_some_members_keeps_the_others() {
    let world = world().await;
    send(&world, &create_event()).await;
    let before = world.aws.iot.action(NAME).unwrap();
    let role = "arn:aws:iam::123456789012:role/another-one";
    let sent = send(
        &world,
        &json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "roleArn": role }),
    )
    .await;
    assert_eq!(sent.succeeded("UPDATED")["actionType"], "ADD_THINGS_TO_THING_GROUP");
    let after = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        (after.role_arn.as_str(), &after.params, &after.tags),
        (role, &before.params, &before.tags)
    );
    let tags = json!([{ "Key": "empty" }]);
    let sent = send(
        &world,
        &json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags }),
    )
    .await;
    sent.succeeded("UPDATED");
    assert!(!sent.operations().contains(&"UpdateMitigationAction"));
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["empty"], "");
}

#[tokio::test]
async fn dates_are_those_of_the_service_to_the_millisecond() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.aws.iot.tamper(NAME, |action| action.as_mut().unwrap().created = 1_732_270_000.123);
    let sent =
        send(&world, &json!({ "operation": "DescribeMitigationAction", "actionName": NAME })).await;
    assert_eq!(sent.succeeded("DESCRIBED")["creationDate"], "2024-11-22T10:06:40.123Z");
}

#[tokio::test]
async fn a_member_that_is_invalid_for_the_operation_is_named() {
    let world = world().await;
    for (call, path) in [
        (json!({ "operation": "DeleteMitigationAction", "actionName": "a", "tags": [] }), "tags"),
        (
            json!({ "operation": "DescribeMitigationAction", "actionName": "a", "roleArn": "x" }),
            "roleArn",
        ),
        (
            json!({ "operation": "UpdateMitigationAction", "actionName": "a", "tags": [], "onConflict": "fail" }),
            "onConflict",
        ),
        (json!({ "operation": "UpdateMitigationAction", "actionName": "a" }), "roleArn"),
        (json!({ "operation": "DeleteMitigationAction" }), "actionName"),
        (json!({ "operation": "deleteMitigationAction", "actionName": "a" }), "operation"),
        (json!({ "operation": 7, "actionName": "a" }), "operation"),
        (merged(sample("direct-create.json"), &json!({ "requestId": "a b" })), "requestId"),
        (
            merged(sample("direct-create.json"), &json!({ "requestId": "r".repeat(129) })),
            "requestId",
        ),
        (merged(sample("direct-create.json"), &json!({ "RoleArn": "x" })), "RoleArn"),
        (
            merged(
                sample("direct-create.json"),
                &json!({ "tags": [{ "Key": "mitigation-action-provider:owner", "Value": "x" }] }),
            ),
            "tags[0].Key",
        ),
        (
            merged(
                sample("direct-create.json"),
                &json!({ "tags": [{ "key": "a", "Value": "x" }] }),
            ),
            "tags[0].key",
        ),
        (merged(sample("direct-create.json"), &json!({ "actionName": 7 })), "actionName"),
        (merged(sample("direct-create.json"), &json!({ "onConflict": "Adopt" })), "onConflict"),
    ] {
        let sent = send(&world, &call).await;
        let said = sent.errored("InvalidRequestException");
        assert!(said.contains(&format!("{path}: ")), "{said} is not about {path}");
        assert!(sent.calls.is_empty());
    }
    let mut request_id = create_event();
    request_id["detail"]["requestId"] = json!("x");
    assert!(
        send(&world, &request_id)
            .await
            .errored("InvalidRequestException")
            .contains("detail.requestId: unknown property")
    );
    let flag = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["g"], "overrideDynamicGroups": "True" } });
    let call = merged(
        sample("direct-create.json"),
        &json!({ "actionParams": { "publishFindingToSnsParams": null, "addThingsToThingGroupParams": flag["addThingsToThingGroupParams"] } }),
    );
    send(&world, &call).await.succeeded("CREATED");
}

#[tokio::test]
async fn an_error_says_which_members_the_operation_takes() {
    let world = world().await;
    for (operation, takes) in [
        ("UpdateMitigationAction", "actionName, roleArn, actionParams and tags"),
        ("DeleteMitigationAction", "actionName alone"),
        ("DescribeMitigationAction", "actionName alone"),
    ] {
        let sent = send(
            &world,
            &json!({ "operation": operation, "actionName": "a", "onConflict": "fail" }),
        )
        .await;
        let said = sent.errored("InvalidRequestException");
        assert!(said.contains(&format!("nothing, as {operation} takes {takes}")), "{said}");
    }
}

#[tokio::test]
async fn an_invalid_operation_hides_no_other_problem() {
    let world = world().await;
    let sent = send(
        &world,
        &json!({ "operation": "Nope", "actionName": "a b", "roleArn": "x", "tagz": [] }),
    )
    .await;
    let said = sent.errored("InvalidRequestException");
    for part in ["operation: \"Nope\"", "actionName: \"a b\"", "roleArn: \"x\"", "tagz: unknown"] {
        assert!(said.contains(part), "{said} lacks {part}");
    }
    let deep = format!("{{\"actionName\":\"a\",\"tags\":{}{}}}", "[".repeat(300), "]".repeat(300));
    let returned =
        world.aws.lambda.invoke(deep.into_bytes(), world.timeout, &world.arn).await.unwrap_err();
    assert_eq!(returned["errorType"], "InvalidRequestException");
    assert!(
        returned["errorMessage"].as_str().unwrap().starts_with("request: cannot be read"),
        "{returned}"
    );
}
