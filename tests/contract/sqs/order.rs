//! The order of the messages of a batch, even if one of them is redelivered.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    fault::Fault,
    queue::{Message, Queue},
    stack::merged,
};

use super::{batch, create, delete, ids, record, redelivered};
use crate::{
    invocation::{NAME, create_event, event_with, invoke, with_id, world_with_bus},
    names, world,
};

#[tokio::test]
async fn messages_about_one_action_are_executed_in_the_order_they_were_sent() {
    let world = world_with_bus().await;
    let update = |n: u64| {
        let tags = json!([{ "Key": "n", "Value": n.to_string() }]);
        json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags })
    };
    let message = |id: &str, sent: u64, body: &Value| Message {
        id: id.to_owned(),
        body: body.to_string(),
        sent,
        receive_count: 1,
    };
    let mut messages = vec![message("c", 10, &create_event())];
    messages.extend((0..4).map(|n| message(&format!("u{n}"), 11 + n, &update(n))));
    messages.reverse();
    let invocation = invoke(&world, &Queue::event(&messages)).await;
    assert_eq!(invocation.returned, Ok(json!({ "batchItemFailures": [] })));
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["n"], "3");
    assert!(
        invocation.events.iter().all(|event| event.detail["status"] == "SUCCEEDED"),
        "{:?}",
        invocation.events
    );
}

#[tokio::test]
async fn messages_about_different_actions_do_not_wait_for_each_other() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(8));
    // The first create gets no response and is retried after a second or more.
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Hang, 1);
    let body = |name: &str| with_id(name, event_with(&json!({ "actionName": name }))).to_string();
    let message =
        |name: &str| Message { id: name.to_owned(), body: body(name), sent: 1, receive_count: 1 };
    let invocation = invoke(&world, &Queue::event(&[message("one"), message("two")])).await;
    assert_eq!(invocation.returned, Ok(json!({ "batchItemFailures": [] })));
    let creates: Vec<&str> = invocation.calls.iter().map(|call| call.target.as_str()).collect();
    assert_ne!(creates[0], creates[1], "the other action's create came next");
}

#[tokio::test]
async fn what_follows_a_transient_failure_of_the_same_name_is_redelivered_unexecuted() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(4));
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Hang, 100);
    let records = [record("c", 1, &create("a")), record("d", 2, &delete("a"))];
    let invocation = batch(&world, &records).await;
    assert_eq!(redelivered(&invocation), ids(&["c", "d"]));
    assert!(invocation.calls.iter().all(|call| call.operation == "CreateMitigationAction"));
    world.aws.iot.faults.clear();
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn what_follows_a_denied_message_is_redelivered_without_a_result_bus() {
    let world = world().await;
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    let records = [
        record("c", 1, &create("a")),
        record("d", 2, &delete("a")),
        record("other", 3, &create("b")),
    ];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&["c", "d"]));
    assert_eq!(names(&world), ["b"]);
}

#[tokio::test]
async fn what_follows_a_message_with_an_unpublished_result_is_redelivered_unexecuted() {
    let world = world_with_bus().await;
    world.aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
    let records = [record("c", 1, &create("a")), record("d", 2, &delete("a"))];
    let invocation = batch(&world, &records).await;
    assert_eq!(redelivered(&invocation), ids(&["c", "d"]));
    assert!(world.aws.iot.action("a").is_some());
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    assert!(world.aws.iot.action("a").is_none());
}

#[tokio::test]
async fn the_groups_of_a_standard_queue_imply_no_order() {
    let world = world().await;
    let group = json!({ "attributes": { "MessageGroupId": "tenant" } });
    let records = [
        merged(record("noise", 1, &json!("no request")), &group),
        merged(record("c", 2, &create("a")), &group),
    ];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&["noise"]));
    assert!(world.aws.iot.action("a").is_some());
}
