//! Events on the request bus.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    fault::Fault,
    iot::{IdenticalCreate, Iot},
    stack::merged,
};

use crate::{
    invocation::{BUS, EVENTS_TAG, NAME, create_event, event_with, invoke, world_with_bus},
    sample, world, world_with,
};

#[tokio::test]
async fn a_create_event_makes_one_call_and_publishes_its_result() {
    let world = world_with_bus().await;
    let invocation = invoke(&world, &create_event()).await;
    assert_eq!(invocation.operations(), ["CreateMitigationAction"]);
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.tags[OWNER_TAG], EVENTS_TAG);
    let result = json!({
        "status": "SUCCEEDED", "operation": "CreateMitigationAction", "outcome": "CREATED",
        "actionName": NAME, "actionArn": Iot::arn(NAME), "actionId": action.id,
        "actionType": "ADD_THINGS_TO_THING_GROUP",
    });
    assert_eq!(invocation.returned, Ok(result.clone()));
    let event = invocation.only_event();
    assert_eq!((event.bus.as_str(), event.source.as_str()), (BUS, "mitigation-action-provider"));
    assert_eq!(event.detail_type, "Mitigation Action Request Succeeded");
    assert_eq!(event.resources, [Iot::arn(NAME)]);
    let request = json!({
        "requestId": create_event()["id"], "requestSource": "com.example.fleet",
    });
    assert_eq!(event.detail, merged(result, &request));
}

#[tokio::test]
async fn a_redelivered_create_publishes_the_same_result_and_changes_nothing() {
    for identical_create in IdenticalCreate::ALL {
        let world = world_with_bus().await;
        let first = invoke(&world, &create_event()).await;
        world.aws.iot.set_identical_create(identical_create);
        // The action has been updated since. The replay does not undo that.
        let update = invoke(&world, &sample("event-update.json")).await;
        update.succeeded("UPDATED");
        let actions = world.aws.iot.actions();
        let again = invoke(&world, &create_event()).await;
        assert_eq!(again.returned, first.returned);
        again.changed_nothing();
        assert_eq!(again.only_event().detail, first.only_event().detail);
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn each_operation_returns_its_outcome() {
    let world = world_with_bus().await;
    invoke(&world, &create_event()).await.succeeded("CREATED");
    let invocation = invoke(&world, &sample("event-update.json")).await;
    let id = world.aws.iot.action(NAME).unwrap().id;
    let expected = |operation: &str, outcome: &str| {
        json!({
            "status": "SUCCEEDED", "operation": operation, "outcome": outcome,
            "actionName": NAME, "actionArn": Iot::arn(NAME), "actionId": id,
            "actionType": "ADD_THINGS_TO_THING_GROUP",
        })
    };
    assert_eq!(*invocation.succeeded("UPDATED"), expected("UpdateMitigationAction", "UPDATED"));
    let action = world.aws.iot.action(NAME).unwrap();
    let groups = json!({ "thingGroupNames": ["quarantine", "investigate"] });
    assert_eq!(action.params, json!({ "addThingsToThingGroupParams": groups }));
    assert_eq!(
        (action.tags["team"].as_str(), action.tags["stage"].as_str()),
        ("iot-security", "prod"),
        "tags are set, none is removed"
    );

    let invocation = invoke(&world, &sample("event-delete.json")).await;
    assert_eq!(*invocation.succeeded("DELETED"), expected("DeleteMitigationAction", "DELETED"));
    let invocation = invoke(&world, &sample("event-delete.json")).await;
    let absent = json!({
        "status": "SUCCEEDED", "operation": "DeleteMitigationAction", "actionName": NAME,
        "outcome": "ABSENT",
    });
    assert_eq!(*invocation.succeeded("ABSENT"), absent);
    assert!(invocation.only_event().resources.is_empty());
}

#[tokio::test]
async fn a_describe_returns_the_definition_the_tags_and_the_dates() {
    let world = world_with_bus().await;
    invoke(&world, &create_event()).await.succeeded("CREATED");
    invoke(&world, &sample("event-update.json")).await.succeeded("UPDATED");
    let action = world.aws.iot.action(NAME).unwrap();
    let invocation = invoke(&world, &sample("event-describe.json")).await;
    let document = invocation.succeeded("DESCRIBED");
    assert_eq!(
        document["roleArn"],
        "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
    );
    assert_eq!(document["actionParams"], action.params);
    assert_eq!(document["tags"].as_array().unwrap().len(), 3);
    for date in ["creationDate", "lastModifiedDate"] {
        let date = document[date].as_str().unwrap();
        assert!(date.starts_with("20") && date.ends_with('Z') && date.contains('T'), "{date}");
    }
}

#[tokio::test]
async fn an_update_derives_the_arn_and_makes_no_call_for_it() {
    let world = world().await;
    invoke(&world, &event_with(&json!({ "tags": null }))).await.succeeded("CREATED");
    let update = merged(sample("event-update.json"), &json!({ "detail": { "tags": null } }));
    assert_eq!(
        invoke(&world, &update).await.operations(),
        ["ListTagsForResource", "UpdateMitigationAction"]
    );
}

#[tokio::test]
async fn an_update_or_a_describe_of_an_absent_action_fails() {
    let world = world_with_bus().await;
    invoke(&world, &sample("event-update.json"))
        .await
        .published_failure("ResourceNotFoundException");
    invoke(&world, &sample("event-describe.json"))
        .await
        .published_failure("ResourceNotFoundException");
    let world = crate::world().await;
    invoke(&world, &sample("direct-describe.json"))
        .await
        .function_error("ResourceNotFoundException");
}

#[tokio::test]
async fn a_denial_is_permanent_because_events_do_not_wait_for_role_propagation() {
    let world = world_with(&[("RESULT_EVENT_BUS", BUS), ("ROLE_PROPAGATION_SECONDS", "15")]).await;
    world.aws.iot.faults.set("*", Fault::Refuse(403, "AccessDeniedException"), 1);
    invoke(&world, &create_event()).await.published_failure("AccessDeniedException");
}

#[tokio::test]
async fn a_timeout_after_a_conflict_is_transient() {
    for (operation, setup) in [
        ("ListTagsForResource", Fault::Refuse(409, "ResourceAlreadyExistsException")),
        ("ListTagsForResource", Fault::Refuse(410, "LimitExceededException")),
    ] {
        let world = world_with_bus().await.with_timeout(Duration::from_secs(2));
        invoke(&world, &create_event()).await.succeeded("CREATED");
        world.aws.iot.faults.set("CreateMitigationAction", setup, 1);
        world.aws.iot.faults.set(operation, Fault::Hang, 100);
        let invocation = invoke(&world, &create_event()).await;
        invocation.function_error("InternalFailureException");
        assert!(invocation.events.is_empty());
        world.aws.iot.faults.clear();
        invoke(&world, &create_event()).await.succeeded("CREATED");
    }
}

#[tokio::test]
async fn the_functions_own_result_events_are_ignored() {
    let world = world_with_bus().await;
    for file in ["event-result.json", "event-result-failed.json"] {
        let invocation = invoke(&world, &sample(file)).await;
        assert_eq!(invocation.returned, Ok(json!({ "status": "IGNORED" })));
        assert!(invocation.events.is_empty() && invocation.calls.is_empty());
    }
    let disguised = merged(create_event(), &json!({ "source": "mitigation-action-provider" }));
    assert_eq!(invoke(&world, &disguised).await.returned, Ok(json!({ "status": "IGNORED" })));
}

#[tokio::test]
async fn a_detail_that_is_not_an_object_is_the_only_problem() {
    let world = world_with_bus().await;
    for detail in [json!(null), json!([]), json!("x")] {
        let mut event = create_event();
        event["detail"] = detail.clone();
        let message =
            invoke(&world, &event).await.published_failure("InvalidRequestException").to_owned();
        assert_eq!(message, format!("detail: invalid value {detail}: expected an object"));
    }
}

#[tokio::test]
async fn an_event_without_an_id_is_invalid() {
    let world = world_with_bus().await;
    let event = merged(create_event(), &json!({ "id": null }));
    assert!(
        invoke(&world, &event)
            .await
            .published_failure("InvalidRequestException")
            .starts_with("id: missing")
    );
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn an_event_has_no_request_id_in_its_detail() {
    let world = world().await;
    let event = event_with(&json!({ "requestId": "x" }));
    let invocation = invoke(&world, &event).await;
    let message = invocation.function_error("InvalidRequestException");
    assert!(message.contains("detail.requestId: unknown property"), "{message}");
}

#[tokio::test]
async fn a_missing_event_id_hides_no_other_problem() {
    let world = world_with_bus().await;
    let event = merged(create_event(), &json!({ "id": null, "detail": { "roleArn": null } }));
    let message =
        invoke(&world, &event).await.published_failure("InvalidRequestException").to_owned();
    assert!(
        message.contains("id: missing") && message.contains("detail.roleArn: missing"),
        "{message}"
    );
}

#[tokio::test]
async fn an_error_message_is_at_most_4_kb() {
    let world = world_with_bus().await;
    let many: serde_json::Map<String, Value> =
        (0..500).map(|n| (format!("unknown-{n}"), json!("\"\\x"))).collect();
    let message = invoke(&world, &event_with(&json!(many)))
        .await
        .published_failure("InvalidRequestException")
        .to_owned();
    assert!(message.len() <= 4096 && message.ends_with(" more"), "{} {message}", message.len());
    let invocation = invoke(&world, &merged(sample("direct-create.json"), &json!(many))).await;
    assert!(invocation.function_error("InvalidRequestException").len() <= 4096);
}

#[tokio::test]
async fn the_texts_that_a_result_repeats_are_cut_to_256_characters() {
    let world = world_with_bus().await;
    let long = "ä".repeat(300_000);
    let event = merged(
        create_event(),
        &json!({ "id": long, "source": long, "detail": { "operation": long, "actionName": long } }),
    );
    let invocation = invoke(&world, &event).await;
    for member in ["requestId", "requestSource", "operation", "actionName"] {
        let text = invocation.only_event().detail[member].as_str().unwrap();
        assert_eq!(text, "ä".repeat(256), "{member}");
    }
}
