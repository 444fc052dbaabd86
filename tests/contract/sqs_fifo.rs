//! Message groups: what shares one with a message that is redelivered is redelivered too, whatever
//! either holds.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    fault::Fault,
    stack::{World, merged},
};

use crate::{
    create_request,
    invocation::{create_event, invoke, with_id, world_with_bus},
    names, sample,
    sqs_order::{create, delete, fifo},
    world,
};

/// The ids of the messages that are redelivered, in order.
async fn redelivered(world: &World, payload: &Value) -> Vec<String> {
    let returned = invoke(world, payload).await.returned.unwrap();
    let failures = returned["batchItemFailures"].as_array().unwrap().iter();
    let mut ids: Vec<String> =
        failures.map(|item| item["itemIdentifier"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_result_that_is_not_published_holds_its_group_back() {
    let world = world_with_bus().await;
    world.aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
    let records = json!([fifo("1", "g", &create("a")), fifo("2", "g", &create("b"))]);
    assert_eq!(redelivered(&world, &records).await, ["1", "2"]);
    assert_eq!(names(&world), ["a"]);
    assert_eq!(redelivered(&world, &records).await, [""; 0]);
    assert_eq!(names(&world), ["a", "b"]);
}

#[tokio::test]
async fn the_last_result_of_a_group_that_is_not_published_is_redelivered_alone() {
    let world = world_with_bus().await;
    world.aws.bus.faults.set("PutEvents", Fault::Slow(Duration::ZERO), 1);
    world.aws.bus.faults.set("PutEvents", Fault::Refuse(400, "InternalException"), 1);
    let records = json!([fifo("1", "g", &create("a")), fifo("2", "g", &create("b"))]);
    assert_eq!(redelivered(&world, &records).await, ["2"]);
    assert_eq!(names(&world), ["a", "b"]);
}

#[tokio::test]
async fn an_invalid_message_without_a_bus_holds_its_group_back_and_no_other() {
    let world = world().await;
    let invalid = json!({ "actionName": "a", "operation": "Nonsense" });
    let records = json!({ "Records": [
        fifo("1", "g", &invalid),
        fifo("2", "g", &create("b")),
        fifo("3", "another", &create("c")),
    ] });
    assert_eq!(redelivered(&world, &records).await, ["1", "2"]);
    assert_eq!(names(&world), ["c"]);
}

#[tokio::test]
async fn an_invalid_message_with_a_bus_is_reported_and_holds_nothing_back() {
    let world = world_with_bus().await;
    let invalid = json!({ "actionName": "a", "operation": "Nonsense" });
    let records = json!({ "Records": [fifo("1", "g", &invalid), fifo("2", "g", &create("b"))] });
    assert_eq!(redelivered(&world, &records).await, [""; 0]);
    assert_eq!(names(&world), ["b"]);
}

#[tokio::test]
async fn a_redelivery_spreads_over_names_groups_and_stacks_resources() {
    let world = world().await;
    world.aws.bucket.faults.set("PUT", Fault::Refuse(403, "AccessDenied"), 1);
    let stack = |patch: &Value| {
        let (_, url) = world.response_url("");
        merged(merged(create_request(), &json!({ "ResponseURL": url })), patch)
    };
    let first = stack(&json!({}));
    let second = stack(&json!({ "RequestType": "Delete", "PhysicalResourceId": "not-created:x" }));
    let records = json!([
        fifo("1", "one", &first),
        fifo("2", "two", &second),
        fifo("3", "two", &create("a")),
        fifo("4", "three", &delete("a")),
        fifo("5", "three", &json!("no request")),
        fifo("6", "four", &create("b")),
    ]);
    assert_eq!(redelivered(&world, &records).await, ["1", "2", "3", "4", "5"]);
    assert_eq!(names(&world), ["b", "fleet-deactivate-certificate"]);
}

#[tokio::test]
async fn an_own_result_event_behind_a_redelivered_message_is_redelivered_too() {
    let world = world_with_bus().await;
    let own = sample("event-result.json");
    let records = json!([
        fifo("1", "g", &json!("no request")),
        fifo("2", "g", &own),
        fifo("3", "another", &own),
    ]);
    assert_eq!(redelivered(&world, &records).await, ["1", "2"]);
}

#[tokio::test]
async fn messages_before_a_redelivered_one_are_done() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(5));
    let records = json!([
        fifo("1", "g", &create("a")),
        fifo(
            "2",
            "g",
            &json!({ "operation": "UpdateMitigationAction", "actionName": "a", "tags": [] })
        ),
        fifo("3", "g", &delete("a")),
    ]);
    world.aws.iot.faults.set("ListTagsForResource", Fault::Hang, 100);
    assert_eq!(redelivered(&world, &records).await, ["2", "3"]);
    assert_eq!(names(&world), ["a"]);
}

#[tokio::test]
async fn an_event_and_a_plain_message_of_one_name_are_executed_in_order() {
    let world = world_with_bus().await;
    let event = with_id("e", merged(create_event(), &json!({ "detail": { "actionName": "a" } })));
    let records = json!([fifo("1", "one", &event), fifo("2", "two", &delete("a"))]);
    assert_eq!(redelivered(&world, &records).await, [""; 0]);
    assert_eq!(names(&world), [""; 0]);
}
