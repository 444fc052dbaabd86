//! Stacks' requests in messages.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::{
    fault::Fault,
    iot::Call,
    stack::{World, merged},
};

use super::{batch, create, describe, ids, record, redelivered};
use crate::{
    cloudformation::amz_date,
    create_request,
    invocation::{BUS, NAME, world_with_bus},
    names, world, world_with,
};

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

/// The time from `began` to the first response with that key.
fn response_time(world: &World, key: &str, began: Instant) -> Duration {
    world.aws.bucket.puts(key)[0].at.duration_since(began)
}

#[tokio::test]
async fn the_calls_of_a_stacks_request_overtake_those_of_many_messages() {
    let world = world_with_bus().await;
    let (key, request) = stack_request(&world, "One", &json!({}));
    let mut records: Vec<Value> =
        (0..20).map(|n| record(&format!("m{n}"), n, &create(&format!("a{n}")))).collect();
    records.push(record("s", 100, &request));
    let began = Instant::now();
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    let response_time = response_time(&world, &key, began);
    assert!(response_time < Duration::from_secs(1), "{response_time:?}");
    // Twenty creates at five a second.
    assert!(began.elapsed() > Duration::from_secs(3));
}

#[tokio::test]
async fn a_stacks_request_does_not_wait_for_messages_that_hang() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(6));
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Hang, 1000);
    let (key, request) = stack_request(&world, "One", &json!({}));
    let describe = |n: u64| record(&format!("m{n}"), n, &describe(&format!("a{n}")));
    let mut records: Vec<Value> = (0..100).map(describe).collect();
    records.push(record("s", 100, &request));
    let began = Instant::now();
    let redelivered = redelivered(&batch(&world, &records).await);
    assert_eq!((redelivered.len(), redelivered.contains("s")), (100, false));
    let response_time = response_time(&world, &key, began);
    assert!(response_time < Duration::from_secs(1), "{response_time:?}");
}

#[tokio::test]
async fn a_stacks_request_does_not_wait_for_a_result_bus_that_is_slow() {
    let world = world_with(&[("RESULT_EVENT_BUS", BUS), ("ROLE_PROPAGATION_SECONDS", "10")]).await;
    world.aws.bus.faults.set("PutEvents", Fault::Slow(Duration::from_secs(4)), 1000);
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    let (key, request) = stack_request(&world, "One", &json!({}));
    let mut records = vec![record("s", 0, &request)];
    records.extend(
        (1..=100).map(|n| record(&format!("m{n}"), n, &json!({ "actionName": format!("a {n}") }))),
    );
    let began = Instant::now();
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    assert_eq!(world.aws.bucket.puts(&key)[0].response()["Status"], "SUCCESS");
    // A second for the role.
    let response_time = response_time(&world, &key, began);
    assert!(response_time < Duration::from_secs(3), "{response_time:?}");
}

#[tokio::test]
async fn a_stacks_request_that_a_redelivery_would_be_too_late_for_is_executed() {
    let world = world().await.with_timeout(Duration::from_secs(6));
    let (_, create) = stack_request(&world, "One", &json!({}));
    let (key, url) = world.response_url(&format!("X-Amz-Date={}", amz_date(0)));
    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": "fleet-deactivate-certificate",
        "ResponseURL": url,
        "LogicalResourceId": "One",
        "ResourceProperties": { "ServiceTimeout": "20" },
    });
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Slow(Duration::from_secs(3)), 1);
    let records = [record("c", 1, &create), record("d", 2, &merged(create_request(), &delete))];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&[]));
    assert_eq!(world.aws.bucket.puts(&key)[0].response()["Status"], "SUCCESS");
}

#[tokio::test]
async fn a_stacks_request_that_the_pace_never_starts_is_redelivered_without_a_response() {
    let world = world().await.with_timeout(Duration::from_secs(8));
    let request = |n: u64| {
        let (key, request) = stack_request(
            &world,
            &format!("L{n}"),
            &json!({ "ResourceProperties": { "ActionName": format!("name{n}") } }),
        );
        (key, record(&format!("m{n}"), n, &request))
    };
    let (keys, records): (Vec<String>, Vec<Value>) = (0..12).map(request).unzip();
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Throttle, 100);
    let redelivered = redelivered(&batch(&world, &records).await);
    assert!(!redelivered.is_empty());
    for (n, key) in keys.iter().enumerate() {
        let puts = world.aws.bucket.puts(key);
        assert_eq!(puts.is_empty(), redelivered.contains(&format!("m{n}")), "{puts:?}");
        let reason = puts.first().map(|put| put.response()["Reason"].to_string());
        assert!(reason.is_none_or(|reason| reason.contains("ThrottlingException")));
    }
}

#[tokio::test]
async fn every_canceled_create_of_a_batch_gets_its_last_poll() {
    let world = world().await.with_timeout(Duration::from_secs(26));
    let delete = |n: u64| {
        let (key, request) = stack_request(
            &world,
            &format!("L{n}"),
            &json!({
                "RequestType": "Delete",
                "PhysicalResourceId": format!("fleet-security-L{n}-1A2B3C4D5E6F"),
                "ResourceProperties": { "ActionName": format!("name{n}") },
            }),
        );
        (key, record(&format!("m{n}"), n, &request))
    };
    let (keys, records): (Vec<String>, Vec<Value>) = (0..10).map(delete).unzip();
    let invocation = batch(&world, &records).await;
    assert_eq!(redelivered(&invocation), ids(&[]));
    for (n, key) in keys.iter().enumerate() {
        let response = world.aws.bucket.puts(key)[0].response();
        assert_eq!(response["Status"], "SUCCESS", "{response}");
        let is_last_poll = |call: &&Call| {
            call.operation == "DescribeMitigationAction" && call.name() == format!("name{n}")
        };
        assert!(invocation.calls.iter().any(|call| is_last_poll(&call)), "name{n}");
    }
}

#[tokio::test]
async fn messages_that_are_redelivered_without_an_error_are_logged() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let world = world.with_timeout(Duration::from_secs(6));
    let (_, create) = stack_request(&world, "One", &json!({}));
    let patch = json!({ "RequestType": "Delete", "PhysicalResourceId": NAME });
    let (_, delete) = stack_request(&world, "One", &patch);
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Slow(Duration::from_secs(3)), 1);
    let records = [record("c", 1, &create), record("d", 2, &delete), record("e", 3, &delete)];
    assert_eq!(redelivered(&batch(&world, &records).await), ids(&["d", "e"]));
    let output = world.function.stop().await;
    for why in ["too little time is left", "an earlier message is redelivered"] {
        let line =
            output.lines().find(|line| line.contains(why)).unwrap_or_else(|| panic!("{output}"));
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["message"], "the message is redelivered");
        assert!(line["request_id"].is_string() && line["id"].is_string(), "{line}");
    }
}
