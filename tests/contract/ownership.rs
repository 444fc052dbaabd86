//! Which requests may change an action, by its owner tag.

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    iot::Iot,
    queue::{Message, Queue},
    stack::merged,
};

use crate::{
    invocation::{EVENTS_TAG, NAME, create_event, event_with, invoke, with_id, world_with_bus},
    sample, world,
};

const STACKS_TAG: &str = "stack/another/00000000-0000-4000-8000-000000000000/Quarantine";

#[tokio::test]
async fn a_create_of_another_event_is_a_conflict_unless_it_adopts() {
    let world = world_with_bus().await;
    invoke(&world, &create_event()).await.succeeded("CREATED");
    let before = world.aws.iot.action(NAME).unwrap();
    let other = |detail: Value| with_id("another", event_with(&detail));

    let message = invoke(&world, &other(json!({})))
        .await
        .published_failure("ResourceAlreadyExistsException")
        .to_owned();
    assert!(message.contains(EVENTS_TAG) && message.contains(&Iot::arn(NAME)), "{message}");
    assert_eq!(world.aws.iot.action(NAME).unwrap(), before);

    let adopt = other(json!({ "onConflict": "adopt", "tags": [{ "Key": "new", "Value": "x" }] }));
    for _ in 0..2 {
        assert_eq!(invoke(&world, &adopt).await.succeeded("ADOPTED")["actionId"], before.id);
        let adopted = world.aws.iot.action(NAME).unwrap();
        assert_eq!(
            (adopted.tags[OWNER_TAG].as_str(), adopted.tags["new"].as_str()),
            (EVENTS_TAG, "x")
        );
    }
}

#[tokio::test]
async fn a_create_of_another_event_with_another_definition_needs_overwrite() {
    let world = world_with_bus().await;
    invoke(&world, &create_event()).await.succeeded("CREATED");
    let other = |detail: Value| with_id("another", event_with(&detail));
    let params = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["other"] } });
    invoke(&world, &other(json!({ "onConflict": "adopt", "actionParams": params })))
        .await
        .published_failure("ResourceAlreadyExistsException");
    for _ in 0..2 {
        invoke(&world, &other(json!({ "onConflict": "overwrite", "actionParams": params })))
            .await
            .succeeded("UPDATED");
        let overwritten = world.aws.iot.action(NAME).unwrap();
        assert_eq!(
            overwritten.tags[OWNER_TAG], EVENTS_TAG,
            "the owner tag of an action of an event stays"
        );
        assert_eq!(
            overwritten.params["addThingsToThingGroupParams"]["thingGroupNames"],
            json!(["other"])
        );
    }
}

#[tokio::test]
async fn only_adopt_and_overwrite_change_an_action_without_an_owner() {
    let world = world_with_bus().await;
    world.plant_different(NAME, &[]);
    let before = world.aws.iot.actions();
    invoke(&world, &create_event()).await.published_failure("ResourceAlreadyExistsException");
    invoke(&world, &event_with(&json!({ "onConflict": "adopt" })))
        .await
        .published_failure("ResourceAlreadyExistsException");
    invoke(&world, &sample("event-update.json")).await.published_failure("InvalidRequestException");
    invoke(&world, &sample("event-delete.json")).await.published_failure("InvalidRequestException");
    assert_eq!(world.aws.iot.actions(), before);
    invoke(&world, &sample("event-describe.json")).await.succeeded("DESCRIBED");

    let overwrite = event_with(&json!({ "onConflict": "overwrite" }));
    let overwritten = invoke(&world, &overwrite).await;
    overwritten.succeeded("UPDATED");
    let calls = ["CreateMitigationAction", "ListTagsForResource", "UpdateMitigationAction"];
    assert_eq!(overwritten.operations(), [calls.as_slice(), &["TagResource"]].concat());
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], EVENTS_TAG);
    invoke(&world, &overwrite).await.succeeded("CREATED");
}

#[tokio::test]
async fn an_event_that_adopts_an_action_without_an_owner_sets_none() {
    let world = world_with_bus().await;
    world.plant_identical(NAME, &[("theirs", "stays")]);
    let invocation = invoke(&world, &event_with(&json!({ "onConflict": "adopt" }))).await;
    invocation.succeeded("ADOPTED");
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    assert_eq!(
        (tags.get(OWNER_TAG), tags["theirs"].as_str(), tags["team"].as_str()),
        (None, "stays", "iot-security")
    );
}

#[tokio::test]
async fn an_event_never_changes_an_action_of_a_stack() {
    let world = world_with_bus().await;
    for tag in [STACKS_TAG, "adopted/another/0/Quarantine"] {
        world.aws.iot.tamper(NAME, |action| *action = None);
        world.plant_identical(NAME, &[(OWNER_TAG, tag)]);
        let before = world.aws.iot.actions();
        for on_conflict in ["fail", "adopt", "overwrite"] {
            let invocation =
                invoke(&world, &event_with(&json!({ "onConflict": on_conflict }))).await;
            assert!(invocation.published_failure("ResourceAlreadyExistsException").contains(tag));
        }
        for file in ["event-update.json", "event-delete.json"] {
            let invocation = invoke(&world, &sample(file)).await;
            assert!(invocation.published_failure("InvalidRequestException").contains(tag));
        }
        assert_eq!(world.aws.iot.actions(), before);
        invoke(&world, &sample("event-describe.json")).await.succeeded("DESCRIBED");
    }
}

#[tokio::test]
async fn events_messages_and_direct_invocations_share_their_actions() {
    let world = world().await;
    invoke(&world, &create_event()).await.succeeded("CREATED");
    let tags = json!([{ "Key": "by", "Value": "a direct invocation" }]);
    let update = json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags });
    invoke(&world, &update).await.succeeded("UPDATED");
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], EVENTS_TAG);
    let delete = Message {
        id: "m".to_owned(),
        body: json!({ "operation": "DeleteMitigationAction", "actionName": NAME }).to_string(),
        sent: 1,
        receive_count: 1,
    };
    assert_eq!(
        invoke(&world, &Queue::event(&[delete])).await.returned,
        Ok(json!({ "batchItemFailures": [] }))
    );
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn the_remedy_for_a_conflict_is_in_the_words_of_the_trigger() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    assert!(
        invoke(&world, &create_event())
            .await
            .function_error("ResourceAlreadyExistsException")
            .contains("set onConflict to adopt")
    );
    let exchange = world.send(&sample("create-add-things-to-thing-group.json")).await;
    assert!(!exchange.succeeded().response()["Data"].is_null());
    let stacks = merged(
        sample("create-add-things-to-thing-group.json"),
        &json!({ "ResourceProperties": { "ActionName": NAME } }),
    );
    assert!(world.send(&stacks).await.reason().contains("set OnConflict to Adopt"));
}
