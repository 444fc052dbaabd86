//! Messages from the request queue.

mod fifo;
mod order;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    fault::Fault,
    queue::{Message, Queue},
    stack::{World, merged},
};

use crate::{
    create_request,
    invocation::{BUS, Invocation, create_event, event_with, invoke, with_id, world_with_bus},
    names, sample, world, world_with,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things";

/// A plain create of the action of that name.
fn create(name: &str) -> Value {
    merged(create_event()["detail"].clone(), &json!({ "actionName": name }))
}

fn delete(name: &str) -> Value {
    json!({ "operation": "DeleteMitigationAction", "actionName": name })
}

fn describe(name: &str) -> Value {
    json!({ "operation": "DescribeMitigationAction", "actionName": name })
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
fn in_group(id: &str, group: &str, body: &Value) -> Value {
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
async fn a_batch_is_executed_and_its_unrecognized_message_is_redelivered() {
    let world = world_with_bus().await;
    let invocation = invoke(&world, &sample("batch.json")).await;
    let unrecognized = json!({ "itemIdentifier": "19dd0b57-b21e-4ac1-bd88-01bbb068cb74" });
    assert_eq!(invocation.returned, Ok(json!({ "batchItemFailures": [unrecognized] })));
    // The result of the create is published before its update is executed, the others together.
    assert_eq!(world.aws.bus.calls(), 2, "one call publishes up to ten results");
    let ids: BTreeSet<&str> =
        invocation.events.iter().map(|event| event.detail["requestId"].as_str().unwrap()).collect();
    let event_id = "7bf73129-1428-4cd3-a780-95db273d1608";
    assert_eq!(
        ids,
        BTreeSet::from([
            "19dd0b57-b21e-4ac1-bd88-01bbb068cb72",
            "19dd0b57-b21e-4ac1-bd88-01bbb068cb73",
            event_id
        ])
    );
    for event in &invocation.events {
        let source =
            if event.detail["requestId"] == event_id { "com.example.fleet" } else { "aws:sqs" };
        assert_eq!(event.detail["requestSource"], source);
    }
    let tags = world.aws.iot.action("ca-deactivate").unwrap().tags;
    assert_eq!(tags[OWNER_TAG], "message/19dd0b57-b21e-4ac1-bd88-01bbb068cb72");
    assert_eq!(tags["team"], "iot-security", "the update came after the create");
    assert_eq!(
        world.aws.iot.action("device-isolate").unwrap().tags[OWNER_TAG],
        format!("event/com.example.fleet/{event_id}")
    );
}

#[tokio::test]
async fn a_message_without_an_id_is_invalid() {
    let world = world_with_bus().await;
    let body = create_event()["detail"].to_string();
    let invocation =
        invoke(&world, &json!({ "Records": [{ "eventSource": "aws:sqs", "body": body }] })).await;
    let message = invocation.only_event().detail["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("messageId: missing"), "{message}");
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn malformed_records_do_not_fail_the_rest_of_the_batch() {
    let world = world_with_bus().await;
    let mut batch = sample("batch.json");
    let records = batch["Records"].as_array_mut().unwrap();
    records.push(json!({ "messageId": "no-body", "eventSource": "aws:sqs" }));
    records.push(json!({ "messageId": "odd", "body": 7, "attributes": [] }));
    records.push(json!({ "messageId": "own", "body": sample("event-result.json").to_string() }));
    let other = merged(create_event(), &json!({ "detail-type": "Other" }));
    records.push(json!({ "messageId": "other", "body": other.to_string() }));
    records.push(json!({ "messageId": "array", "body": "[1]" }));
    records.push(json!({ "messageId": "neither", "body": "{\"roleArn\":\"x\"}" }));
    records.push(
        json!({ "messageId": "nameless", "body": "{\"operation\":\"DeleteMitigationAction\"}" }),
    );
    records
        .push(json!({ "messageId": "invalid", "body": sample("event-invalid.json").to_string() }));
    let invocation = invoke(&world, &batch).await;
    let failed: BTreeSet<String> = invocation.returned.as_ref().unwrap()["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
        .collect();
    let expected =
        ["19dd0b57-b21e-4ac1-bd88-01bbb068cb74", "no-body", "odd", "other", "array", "neither"]
            .map(str::to_owned);
    assert_eq!(failed, BTreeSet::from(expected));
    assert_eq!(invocation.events.len(), 5);
}

#[tokio::test]
async fn transient_failures_and_unpublished_results_go_back_to_the_queue() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(5));
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Hang, 1000);
    let invocation = invoke(&world, &sample("batch.json")).await;
    let failures = |invocation: &Invocation| {
        invocation.returned.as_ref().unwrap()["batchItemFailures"].as_array().unwrap().len()
    };
    assert!(failures(&invocation) >= 3, "{:?}", invocation.returned);
    world.aws.iot.faults.clear();
    world.aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 2);
    // Two unpublished results, the update that follows one of them, and the unrecognized message.
    assert_eq!(failures(&invoke(&world, &sample("batch.json")).await), 4);
    assert_eq!(failures(&invoke(&world, &sample("batch.json")).await), 1);
}

#[tokio::test]
async fn without_a_result_bus_permanent_failures_go_back_to_the_queue() {
    let world = world().await;
    let message = Message {
        id: "bad".to_owned(),
        body: sample("event-invalid.json").to_string(),
        sent: 1,
        receive_count: 1,
    };
    let invocation = invoke(&world, &Queue::event(&[message])).await;
    assert_eq!(
        invocation.returned,
        Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "bad" }] }))
    );
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

#[tokio::test]
async fn a_burst_with_redeliveries_creates_every_action_once_at_the_services_rate() {
    const ACTIONS: u32 = 500;
    const RATE: f64 = 10.0;

    let world = world_with_bus().await;
    let second = crate::function(&world.aws, &[("RESULT_EVENT_BUS", BUS)]);
    world.aws.iot.set_limit(ACTIONS as usize);
    world.aws.iot.set_rate(RATE);
    let queue = Queue::default();
    for n in 0..ACTIONS {
        let body = with_id(
            &format!("id-{n}"),
            event_with(&json!({ "actionName": format!("action-{n}") })),
        );
        queue.send(&format!("message-{n}"), &body);
    }
    let began = std::time::Instant::now();
    let redeliveries = std::cell::Cell::new(0_u32);
    let every_tenth = || {
        redeliveries.set(redeliveries.get() + 1);
        redeliveries.get().is_multiple_of(10)
    };
    queue.drain(&world.aws, 2, Duration::from_secs(30), &every_tenth).await;
    let took = began.elapsed().as_secs_f64();
    let calls = world.aws.iot.take_calls();
    let min = (f64::from(ACTIONS) - RATE) / RATE;
    let figures =
        format!("{} calls in {took:.1} s; the minimum is {ACTIONS} in {min:.1} s", calls.len());
    assert_eq!(world.aws.iot.actions().len(), ACTIONS as usize);
    assert!(queue.is_empty() && queue.dead_letters().is_empty());
    assert!(calls.len() < 2 * ACTIONS as usize, "{figures}");
    assert!(took < 1.5 * min, "{figures}");
    let published: BTreeSet<String> =
        world.aws.bus.take().iter().map(|event| event.detail["requestId"].to_string()).collect();
    assert_eq!(published.len(), ACTIONS as usize, "every result is published");
    drop(second);
}

#[tokio::test]
async fn a_batch_makes_at_most_five_calls_a_second_of_an_operation() {
    let world = world_with_bus().await;
    let records: Vec<Value> =
        (0..8).map(|n| record(&format!("m{n}"), n, &create(&format!("a{n}")))).collect();
    let invocation = batch(&world, &records).await;
    assert_eq!(redelivered(&invocation), ids(&[]));
    let [first, .., last] = &invocation.calls[..] else { panic!("{:?}", invocation.calls) };
    let took = last.at.duration_since(first.at);
    assert!(took > Duration::from_millis(1300), "eight calls in {took:?}");
}

#[tokio::test]
async fn a_stacks_request_in_a_message_is_redelivered_unworked_and_the_log_says_why() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("RESULT_EVENT_BUS", BUS)]).await;
    let (key, url) = world.response_url("");
    let request = merged(create_request(), &json!({ "ResponseURL": url }));
    let notification = json!({ "Type": "Notification", "Message": request.to_string() });
    let records = [
        record("stack", 1, &request),
        record("wrapped", 2, &notification),
        record("plain", 3, &create("a")),
    ];
    let invocation = batch(&world, &records).await;
    assert_eq!(redelivered(&invocation), ids(&["stack", "wrapped"]));
    assert_eq!(names(&world), ["a"]);
    assert!(world.aws.bucket.puts(&key).is_empty());
    let output = world.function.stop().await;
    let lines: Vec<&str> =
        output.lines().filter(|line| line.contains("not taken from a queue")).collect();
    assert_eq!(lines.len(), 2, "{output}");
    for (line, id) in lines.iter().zip(["stack", "wrapped"]) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["id"], id, "{line}");
        assert!(line["error_message"].as_str().unwrap().contains("the function, or the topic"));
    }
}

#[tokio::test]
async fn messages_that_are_redelivered_without_an_error_are_logged() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let world = world.with_timeout(Duration::from_secs(4));
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Hang, 100);
    let records = [record("c", 1, &create("a")), record("d", 2, &delete("a"))];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&["c", "d"]));
    let output = world.function.stop().await;
    let why = "an earlier message is redelivered";
    let line = output.lines().find(|line| line.contains(why)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["message"], &line["id"]),
        (&json!("the message is redelivered"), &json!("d"))
    );
    assert!(line["request_id"].is_string(), "{line}");
}

#[tokio::test]
async fn what_is_not_begun_when_the_time_for_work_ends_is_redelivered() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(4));
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Hang, 1000);
    let records: Vec<Value> =
        (0..200).map(|n| record(&format!("m{n}"), n, &describe(&format!("a{n}")))).collect();
    assert_eq!(redelivered(&batch(&world, &records).await).len(), 200);
}

#[tokio::test]
async fn a_message_that_is_not_quite_json_is_redelivered() {
    let world = world_with_bus().await;
    for body in [
        "{\"a\nb\": 1, \"actionName\": \"x\"}",
        "{\"actionName\": \"x\ny\"}",
        "{\"Type\": \"Notification\", \"a\nb\": 1, \"Message\": \"{\\\"actionName\\\": 1}\"}",
    ] {
        let mut message = record("m", 1, &json!({}));
        message["body"] = json!(body);
        let invocation = batch(&world, &[message]).await;
        assert_eq!((redelivered(&invocation), invocation.events.len()), (ids(&["m"]), 0), "{body}");
    }
}
