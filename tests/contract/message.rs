//! Wrapped requests: in SNS notifications, in SQS messages, in notifications within messages, and
//! in a bare array of records.

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    stack::{World, merged},
};

use crate::{
    create_request,
    invocation::{EVENTS_TAG, Invocation, NAME, create_event, invoke, world_with_bus},
    sample, world,
};

const MESSAGE_ID: &str = "95df01b4-ee98-5cb9-9903-4c221d41eb5e";

/// A notification, as a topic sends it to a queue.
fn notification(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": MESSAGE_ID, "Message": message.to_string(),
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:requests",
        "Timestamp": "2026-11-24T00:00:00Z",
    })
}

/// A notification, as a topic sends it to Lambda.
fn sns(message: &Value) -> Value {
    let record = json!({
        "EventSource": "aws:sns", "EventVersion": "1.0", "Sns": notification(message),
    });
    json!({ "Records": [record] })
}

fn record(body: &Value) -> Value {
    json!({
        "messageId": "message-1", "eventSource": "aws:sqs", "body": body.to_string(),
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests", "attributes": {},
    })
}

fn sqs(body: &Value) -> Value {
    json!({ "Records": [record(body)] })
}

/// The id and the source in the only result event, and the owner tag of the action.
fn identity(world: &World, invocation: &Invocation) -> [String; 3] {
    let detail = &invocation.only_event().detail;
    let text = |member: &str| detail[member].as_str().unwrap_or_default().to_owned();
    let owner = world.aws.iot.action(NAME).map(|action| action.tags[OWNER_TAG].clone());
    [text("requestId"), text("requestSource"), owner.unwrap_or_default()]
}

#[tokio::test]
async fn an_event_keeps_its_own_id_and_source_however_it_is_wrapped() {
    let event = create_event();
    for payload in [
        event.clone(),
        sqs(&event),
        json!([record(&event)]),
        sns(&event),
        sqs(&notification(&event)),
        json!([record(&notification(&event))]),
    ] {
        let world = world_with_bus().await;
        let invocation = invoke(&world, &payload).await;
        let id = event["id"].as_str().unwrap();
        assert_eq!(
            identity(&world, &invocation),
            [id, "com.example.fleet", EVENTS_TAG],
            "{payload}"
        );
    }
}

#[tokio::test]
async fn a_plain_request_has_the_id_of_the_message_or_of_the_notification_around_it() {
    let plain = create_event()["detail"].clone();
    for (payload, id, source) in [
        (sqs(&plain), "message-1", "aws:sqs"),
        (json!([record(&plain)]), "message-1", "aws:sqs"),
        (sns(&plain), MESSAGE_ID, "aws:sns"),
        (sqs(&notification(&plain)), MESSAGE_ID, "aws:sns"),
    ] {
        let world = world_with_bus().await;
        let invocation = invoke(&world, &payload).await;
        assert_eq!(identity(&world, &invocation), [id, source, &format!("message/{id}")]);
    }
}

#[tokio::test]
async fn a_plain_request_may_give_an_id_of_its_own_and_an_event_may_not() {
    let plain = merged(create_event()["detail"].clone(), &json!({ "requestId": "mine" }));
    for (payload, source) in [
        (sqs(&plain), "aws:sqs"),
        (sns(&plain), "aws:sns"),
        (sqs(&notification(&plain)), "aws:sns"),
    ] {
        let world = world_with_bus().await;
        let invocation = invoke(&world, &payload).await;
        let [id, given, owner] = identity(&world, &invocation);
        assert_eq!((id.as_str(), given.as_str()), ("mine", source));
        assert!(owner.starts_with("request/mine/"), "{owner}");
    }
    let world = world_with_bus().await;
    let event = merged(create_event(), &json!({ "detail": { "requestId": "mine" } }));
    let invocation = invoke(&world, &sqs(&event)).await;
    assert_eq!(invocation.only_event().detail["error"]["code"], "InvalidRequestException");
}

#[tokio::test]
async fn a_stacks_request_gets_its_response_through_a_topic_and_not_from_a_queue() {
    let world = world().await;
    let wraps: [fn(&Value) -> Value; 5] = [
        sns,
        sqs,
        |request| sqs(&notification(request)),
        |request| json!([record(request)]),
        |request| json!([record(&notification(request))]),
    ];
    for (wrap, puts) in wraps.into_iter().zip([1, 0, 0, 0, 0]) {
        let (key, url) = world.response_url("");
        let request = merged(create_request(), &json!({ "ResponseURL": url }));
        invoke(&world, &wrap(&request)).await.returned.unwrap();
        assert_eq!(world.aws.bucket.puts(&key).len(), puts);
    }
}

#[tokio::test]
async fn only_one_notification_is_unwrapped() {
    let world = world_with_bus().await;
    let twice = notification(&notification(&create_event()));
    let invocation = invoke(&world, &sqs(&twice)).await;
    assert_eq!(
        invocation.returned,
        Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "message-1" }] }))
    );
    invoke(&world, &sns(&notification(&create_event()))).await.function_error("UnrecognizedEvent");
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn what_comes_through_a_notification_fails_as_an_event_does() {
    let invalid = sample("event-invalid.json");
    let world_with = world_with_bus().await;
    let invocation = invoke(&world_with, &sns(&invalid)).await;
    invocation.published_failure("InvalidRequestException");
    invoke(&world().await, &sns(&invalid)).await.function_error("InvalidRequestException");
    let invocation = invoke(&world_with, &sns(&sample("event-result.json"))).await;
    assert_eq!(invocation.returned, Ok(json!({ "status": "IGNORED" })));
    let other = merged(create_event(), &json!({ "detail-type": "Other" }));
    assert!(
        invoke(&world_with, &sns(&other))
            .await
            .function_error("UnrecognizedEvent")
            .contains("\"Other\"")
    );
}

#[tokio::test]
async fn the_usual_mistakes_are_recognized_in_a_notification_too() {
    let world = world_with_bus().await;
    let properties = create_request()["ResourceProperties"].clone();
    let resource = json!({ "Type": "Custom::IoTMitigationAction", "Properties": properties });
    for (message, hint) in [
        (json!({ "Resources": { "A": resource } }), "a whole CloudFormation template"),
        (resource, "a resource of a template"),
        (properties, "bare Properties"),
        (json!({ "ActionName": "a" }), "(ActionName)"),
        (json!({ "Entries": [] }), "an entry of PutEvents"),
        (json!({ "a": 1 }), "the message holds no request"),
    ] {
        let invocation = invoke(&world, &sns(&message)).await;
        let error = invocation.function_error("UnrecognizedEvent");
        assert!(error.contains(hint), "{error} lacks {hint}");
        assert!(error.contains("expected one of: ResponseURL"), "{error}");
    }
}

#[tokio::test]
async fn a_message_that_is_not_json_to_its_end_is_a_batch_item_failure() {
    let world = world_with_bus().await;
    for request in [create_event(), create_event()["detail"].clone(), create_request()] {
        for rest in ["and more", "{}", "}"] {
            let mut record = record(&request);
            record["body"] = json!(format!("{request} {rest}"));
            let invocation = invoke(&world, &json!({ "Records": [record] })).await;
            let failures = json!([{ "itemIdentifier": "message-1" }]);
            assert_eq!(invocation.returned.unwrap()["batchItemFailures"], failures);
            assert_eq!((invocation.events.len(), invocation.calls.len()), (0, 0), "{request}");
        }
    }
}
