//! FIFO queues: one message after another, in the order of the array. Once one is redelivered, so
//! is everything after it, as Lambda documents.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    fault::Fault,
    stack::{World, merged},
};

use super::{create, delete, in_group};
use crate::{
    invocation::{NAME, create_event, invoke, with_id, world_with_bus},
    names, sample, world,
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
async fn the_messages_of_a_fifo_queue_are_executed_in_the_order_of_the_array() {
    let world = world_with_bus().await;
    let update = |n: u32| {
        let tags = json!([{ "Key": "n", "Value": n.to_string() }]);
        json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags })
    };
    let mut records = vec![in_group("c", "g", &create(NAME))];
    records.extend((0..4).map(|n| {
        let record = in_group(&format!("u{n}"), &format!("g{n}"), &update(n));
        merged(record, &json!({ "attributes": { "SentTimestamp": (100 - n).to_string() } }))
    }));
    assert_eq!(redelivered(&world, &json!({ "Records": records })).await, [""; 0]);
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["n"], "3");
}

#[tokio::test]
async fn everything_after_a_redelivered_message_is_redelivered() {
    let world = world().await;
    let records = [
        in_group("1", "one", &create("before")),
        in_group("2", "one", &json!("no request")),
        in_group("3", "one", &create("a")),
        in_group("4", "two", &create("b")),
    ];
    assert_eq!(redelivered(&world, &json!({ "Records": records })).await, ["2", "3", "4"]);
    assert_eq!(names(&world), ["before"]);
}

#[tokio::test]
async fn a_result_that_is_not_published_holds_back_what_follows() {
    let world = world_with_bus().await;
    world.aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
    let records = json!([in_group("1", "g", &create("a")), in_group("2", "g", &create("b"))]);
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
    let records = json!([in_group("1", "g", &create("a")), in_group("2", "g", &create("b"))]);
    assert_eq!(redelivered(&world, &records).await, ["2"]);
    assert_eq!(names(&world), ["a", "b"]);
}

#[tokio::test]
async fn an_invalid_message_with_a_bus_is_reported_and_holds_nothing_back() {
    let world = world_with_bus().await;
    let invalid = json!({ "actionName": "a", "operation": "Nonsense" });
    let records =
        json!({ "Records": [in_group("1", "g", &invalid), in_group("2", "g", &create("b"))] });
    assert_eq!(redelivered(&world, &records).await, [""; 0]);
    assert_eq!(names(&world), ["b"]);
}

#[tokio::test]
async fn an_own_result_event_behind_a_redelivered_message_is_redelivered_too() {
    let world = world_with_bus().await;
    let own = sample("event-result.json");
    let records = json!([in_group("1", "g", &json!("no request")), in_group("2", "g", &own),]);
    assert_eq!(redelivered(&world, &records).await, ["1", "2"]);
}

#[tokio::test]
async fn messages_before_a_redelivered_one_are_done() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(5));
    let records = json!([
        in_group("1", "g", &create("a")),
        in_group(
            "2",
            "g",
            &json!({ "operation": "UpdateMitigationAction", "actionName": "a", "tags": [] })
        ),
        in_group("3", "g", &delete("a")),
    ]);
    world.aws.iot.faults.set("ListTagsForResource", Fault::Hang, 100);
    assert_eq!(redelivered(&world, &records).await, ["2", "3"]);
    assert_eq!(names(&world), ["a"]);
}

#[tokio::test]
async fn an_event_and_a_plain_message_of_one_name_are_executed_in_order() {
    let world = world_with_bus().await;
    let event = with_id("e", merged(create_event(), &json!({ "detail": { "actionName": "a" } })));
    let records = json!([in_group("1", "one", &event), in_group("2", "two", &delete("a"))]);
    assert_eq!(redelivered(&world, &records).await, [""; 0]);
    assert_eq!(names(&world), [""; 0]);
}
