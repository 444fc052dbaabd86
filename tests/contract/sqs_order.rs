//! The order of the messages of a batch, even if one of them is redelivered.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    fault::Fault,
    stack::{World, merged},
};

use crate::{
    create_request,
    invocation::{Invocation, NAME, create_event, event_with, invoke, with_id, world_with_bus},
    names, world, world_with,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things";

/// A plain create of the action of that name.
pub fn create(name: &str) -> Value {
    merged(create_event()["detail"].clone(), &json!({ "actionName": name }))
}

pub fn delete(name: &str) -> Value {
    json!({ "operation": "DeleteMitigationAction", "actionName": name })
}

/// A record of a standard queue.
fn record(id: &str, sent: u64, body: &Value) -> Value {
    json!({
        "messageId": id, "eventSource": "aws:sqs", "body": body.to_string(),
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests",
        "attributes": { "SentTimestamp": sent.to_string() },
    })
}

/// A record of a FIFO queue.
pub fn fifo(id: &str, group: &str, body: &Value) -> Value {
    let patch = json!({
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests.fifo",
        "attributes": { "MessageGroupId": group },
    });
    merged(record(id, 1, body), &patch)
}

async fn batch(world: &World, records: &[Value]) -> Invocation {
    invoke(world, &json!({ "Records": records })).await
}

/// The ids of the messages that are redelivered.
fn redelivered(invocation: &Invocation) -> BTreeSet<String> {
    let failures = &invocation.returned.as_ref().unwrap()["batchItemFailures"];
    let id = |failure: &Value| failure["itemIdentifier"].as_str().unwrap().to_owned();
    failures.as_array().unwrap().iter().map(id).collect()
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
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
async fn the_messages_of_a_fifo_queue_are_executed_in_the_order_of_the_array() {
    let world = world_with_bus().await;
    let update = |n: u32| {
        let tags = json!([{ "Key": "n", "Value": n.to_string() }]);
        json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags })
    };
    let mut records = vec![fifo("c", "g", &create(NAME))];
    records.extend((0..4).map(|n| {
        let record = fifo(&format!("u{n}"), &format!("g{n}"), &update(n));
        merged(record, &json!({ "attributes": { "SentTimestamp": (100 - n).to_string() } }))
    }));
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["n"], "3");
}

#[tokio::test]
async fn on_a_fifo_queue_messages_that_share_a_name_or_a_group_are_redelivered_too() {
    let world = world().await;
    let noise = json!("no request");
    let records = [
        fifo("before", "one", &create("before")),
        fifo("noise", "one", &noise),
        fifo("same-group", "one", &create("a")),
        fifo("same-name", "two", &delete("a")),
        fifo("same-group-again", "two", &create("b")),
        fifo("another", "three", &create("c")),
    ];
    let invocation = batch(&world, &records).await;
    let again = ["noise", "same-group", "same-name", "same-group-again"];
    assert_eq!(redelivered(&invocation), ids(&again));
    assert_eq!(names(&world), ["before", "c"]);
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

#[tokio::test]
async fn a_redriven_message_is_recognized_by_its_request_id() {
    let world = world_with_bus().await;
    let body = merged(create("a"), &json!({ "requestId": "order 66" }));
    for message in ["first", "redriven"] {
        let invocation = batch(&world, &[record(message, 1, &body)]).await;
        let detail = &invocation.only_event().detail;
        assert_eq!(
            (&detail["outcome"], &detail["requestId"]),
            (&json!("CREATED"), &json!("order 66"))
        );
        assert_eq!(detail["requestSource"], "aws:sqs");
    }
    let tag = world.aws.iot.action("a").unwrap().tags[OWNER_TAG].clone();
    assert!(tag.starts_with("request/order=2066/"), "{tag}");
    // The same id with another definition is a conflict, not a replay.
    let other = merged(body, &json!({ "roleArn": format!("{ROLE}-2") }));
    let invocation = batch(&world, &[record("other", 1, &other)]).await;
    assert_eq!(invocation.only_event().detail["error"]["code"], "ResourceAlreadyExistsException");
}

/// A stack's request for a logical id, and the key of its response.
fn stack_request(world: &World, logical_id: &str, patch: &Value) -> (String, Value) {
    let (key, url) = world.response_url("");
    let patch =
        merged(patch.clone(), &json!({ "ResponseURL": url, "LogicalResourceId": logical_id }));
    (key, merged(create_request(), &patch))
}

#[tokio::test]
async fn a_stacks_request_in_a_message_gets_its_response() {
    let world = world_with_bus().await;
    let (key, request) = stack_request(&world, "One", &json!({}));
    let invocation = batch(&world, &[record("s", 1, &request)]).await;
    assert_eq!((redelivered(&invocation), invocation.events.len()), (ids(&[]), 0));
    assert_eq!(world.aws.bucket.puts(&key)[0].response()["Status"], "SUCCESS");
}

#[tokio::test]
async fn a_failed_delivery_of_a_stacks_response_redelivers_the_message_and_what_follows() {
    let world = world().await;
    let (key, create) = stack_request(&world, "One", &json!({}));
    let (later, delete) = stack_request(
        &world,
        "One",
        &json!({ "RequestType": "Delete", "PhysicalResourceId": "fleet-deactivate-certificate" }),
    );
    let (other, another) =
        stack_request(&world, "Two", &json!({ "ResourceProperties": { "ActionName": "another" } }));
    world.aws.bucket.faults.set("PUT", Fault::Refuse(403, "AccessDenied"), 1);
    let records = [record("c", 1, &create), record("d", 2, &delete)];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&["c", "d"]));
    assert!(world.aws.bucket.puts(&later).is_empty());
    assert!(world.aws.iot.action("fleet-deactivate-certificate").is_some());
    assert_eq!(world.aws.bucket.puts(&key).len(), 1);
    let records = [record("c", 1, &create), record("d", 2, &delete), record("o", 3, &another)];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    assert_eq!(world.aws.bucket.puts(&other)[0].response()["Status"], "SUCCESS");
    assert_eq!(names(&world), ["another"]);
}

#[tokio::test]
async fn a_message_with_an_undelivered_response_is_logged_by_its_own_id() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let (_, create) = stack_request(&world, "One", &json!({ "RequestId": "its-own" }));
    world.aws.bucket.faults.set("PUT", Fault::Refuse(403, "AccessDenied"), 1);
    assert_eq!(redelivered(&batch(&world, &[record("c", 1, &create)]).await), ids(&["c"]));
    let output = world.function.stop().await;
    let line = output.lines().find(|line| line.contains("the message is redelivered")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["error_type"], "UndeliverableResponse");
    assert_eq!((&line["subject"], &line["id"]), (&json!("One"), &json!("its-own")));
    assert!(!output.contains("invocation failed"), "{output}");
}

#[tokio::test]
async fn a_stacks_request_that_cannot_be_started_in_time_is_redelivered_without_a_response() {
    let world = world().await.with_timeout(Duration::from_secs(6));
    let (_, create) = stack_request(&world, "One", &json!({}));
    let (later, delete) = stack_request(
        &world,
        "One",
        &json!({ "RequestType": "Delete", "PhysicalResourceId": "fleet-deactivate-certificate" }),
    );
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Slow(Duration::from_secs(3)), 100);
    let records = [record("c", 1, &create), record("d", 2, &delete)];
    assert!(redelivered(&batch(&world, &records).await).contains("d"));
    assert!(world.aws.bucket.puts(&later).is_empty());
}

#[tokio::test]
async fn a_broken_message_is_dropped_by_itself() {
    let world = world_with_bus().await;
    let broken =
        event_with(&json!({ "actionName": "x".repeat(200_000), "tags": vec![json!({}); 50_000] }));
    let records =
        [record("broken", 1, &with_id("broken", broken)), record("good", 2, &create("a"))];
    let invocation = batch(&world, &records).await;
    assert_eq!((redelivered(&invocation), invocation.events.len()), (ids(&[]), 2));
    assert!(world.aws.iot.action("a").is_some());
    for event in &invocation.events {
        assert!(event.detail["actionName"].as_str().unwrap().len() <= 256);
    }
}
