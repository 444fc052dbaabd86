//! CloudFormation's requests in notifications of a topic.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{fault::Fault, stack::merged};

use crate::{sample, sent::send, world};

#[tokio::test]
async fn each_request_in_a_notification_gets_its_response() {
    let world = world().await;
    let wrapped = |url: &str| {
        let mut event = sample("notification.json");
        let message: Value =
            serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
        event["Records"][0]["Sns"]["Message"] =
            json!(merged(message, &json!({ "ResponseURL": url })).to_string());
        event
    };
    let (key, url) = world.response_url("");
    let played = world.play_to(&key, wrapped(&url)).await;
    played.succeeded().called(&["CreateMitigationAction"]);
    assert_eq!(played.returned.as_ref().unwrap(), played.answer());

    let (first, first_url) = world.response_url("");
    let (last, last_url) = world.response_url("");
    let mut several = wrapped(&first_url);
    let records = several["Records"].as_array_mut().unwrap();
    records.push(json!({ "EventSource": "aws:sns", "Sns": { "Message": "not a request" } }));
    records.push(wrapped(&last_url)["Records"][0].clone());
    let sent = send(&world, &several).await;
    sent.errored("UnrecognizedEvent");
    for key in [first, last] {
        assert_eq!(world.aws.bucket.puts(&key)[0].document()["Status"], "SUCCESS");
    }
}

#[tokio::test]
async fn a_request_that_hangs_leaves_time_for_the_next_one_in_the_notification() {
    let world = world().await.with_timeout(Duration::from_secs(4));
    let mut event = sample("notification.json");
    let message: Value =
        serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
    let urls = [world.response_url(""), world.response_url("")];
    let record = |url: &str| {
        let message = merged(message.clone(), &json!({ "ResponseURL": url })).to_string();
        json!({ "EventSource": "aws:sns", "Sns": { "Message": message } })
    };
    event["Records"] = urls.iter().map(|(_, url)| record(url)).collect();
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    send(&world, &event).await.returned.unwrap();
    for (key, _) in &urls {
        assert_eq!(world.aws.bucket.puts(key)[0].document()["Status"], "FAILED");
    }
}
