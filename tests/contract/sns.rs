//! CloudFormation's requests in SNS notifications.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{fault::Fault, stack::merged};

use crate::{invocation::invoke, sample, world};

/// The record of `events/notification.json`, with the response URL of its request replaced.
fn record(url: &str) -> Value {
    let mut record = sample("notification.json")["Records"][0].clone();
    let message = record["Sns"]["Message"].as_str().unwrap();
    let request: Value = serde_json::from_str(message).unwrap();
    let request = merged(request, &json!({ "ResponseURL": url }));
    record["Sns"]["Message"] = json!(request.to_string());
    record
}

#[tokio::test]
async fn a_request_in_a_notification_gets_its_response() {
    let world = world().await;
    let (key, url) = world.response_url("");
    let exchange = world.send_to(&key, json!({ "Records": [record(&url)] })).await;
    exchange.succeeded().called(&["CreateMitigationAction"]);
    assert_eq!(exchange.returned.as_ref().unwrap(), exchange.response());
}

#[tokio::test]
async fn an_unrecognized_record_is_an_error_and_the_other_records_get_their_responses() {
    let world = world().await;
    let (first, first_url) = world.response_url("");
    let (last, last_url) = world.response_url("");
    let unrecognized = json!({ "EventSource": "aws:sns", "Sns": { "Message": "not a request" } });
    let records = [record(&first_url), unrecognized, record(&last_url)];
    invoke(&world, &json!({ "Records": records })).await.function_error("UnrecognizedEvent");
    for key in [first, last] {
        assert_eq!(world.aws.bucket.puts(&key)[0].response()["Status"], "SUCCESS");
    }
}

#[tokio::test]
async fn every_record_that_fails_is_logged() {
    let world = world().await;
    let unrecognized = json!({ "EventSource": "aws:sns", "Sns": { "Message": "not a request" } });
    let forbidden = record("https://example.com/response");
    invoke(&world, &json!({ "Records": [unrecognized, forbidden] }))
        .await
        .function_error("UnrecognizedEvent");
    let output = world.function.stop().await;
    for error_type in ["UnrecognizedEvent", "ForbiddenResponseUrl"] {
        assert!(output.contains(error_type), "{output} lacks {error_type}");
    }
    let failed = output.lines().find(|line| line.contains("notification failed")).unwrap();
    assert!(failed.contains("BlankPolicyByTopic") && failed.contains("Create"), "{failed}");
}

#[tokio::test]
async fn a_request_that_hangs_leaves_time_for_the_next_one_in_the_notification() {
    let world = world().await.with_timeout(Duration::from_secs(4));
    let urls = [world.response_url(""), world.response_url("")];
    let records: Value = urls.iter().map(|(_, url)| record(url)).collect();
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    invoke(&world, &json!({ "Records": records })).await.returned.unwrap();
    for (key, _) in &urls {
        assert_eq!(world.aws.bucket.puts(key)[0].response()["Status"], "FAILED");
    }
}
