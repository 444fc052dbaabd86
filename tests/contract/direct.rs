//! Direct invocations.

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    fault::Fault,
    iot::Iot,
    stack::{World, merged},
};

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
        "request/onboarding-2026-11-22/0202C26678DED73E"
    );
    let again = send(&world, &sample("direct-create.json")).await;
    assert_eq!(again.returned, sent.returned);
    send(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    send(&world, &sample("direct-describe.json")).await.succeeded("DESCRIBED");
    let said = send(&world, &sample("direct-invalid.json"))
        .await
        .errored("InvalidRequestException")
        .to_owned();
    assert!(
        said.contains("onConflict: invalid value \"adopt\"") && said.contains("at least one of"),
        "{said}"
    );
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
        "request/8476a536-e9f4-11e8-9739-2dfe598c3fcd/0202C26678DED73E"
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
    let sent = send(world, request).await;
    let message = sent.errored("InvalidRequestException");
    assert!(message.contains(&format!("{path}: ")), "{message} is not about {path}");
    assert!(sent.calls.is_empty());
}

#[tokio::test]
async fn a_boolean_in_a_string_is_accepted() {
    let world = world().await;
    let groups = json!({ "thingGroupNames": ["g"], "overrideDynamicGroups": "True" });
    let params =
        json!({ "publishFindingToSnsParams": null, "addThingsToThingGroupParams": groups });
    let request = merged(sample("direct-create.json"), &json!({ "actionParams": params }));
    send(&world, &request).await.succeeded("CREATED");
}

#[tokio::test]
async fn an_error_says_which_members_the_operation_takes() {
    let world = world().await;
    for (operation, takes) in [
        ("UpdateMitigationAction", "actionName, roleArn, actionParams, tags and checkNames"),
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
    for part in [
        "operation: invalid value \"Nope\"",
        "actionName: invalid value \"a b\"",
        "roleArn: invalid value \"x\"",
        "tagz: unknown",
    ] {
        assert!(said.contains(part), "{said} lacks {part}");
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
