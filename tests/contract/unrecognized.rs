//! Payloads that no trigger recognizes.

use std::time::Duration;

use mitigation_action_provider::trigger::{Payload, Trigger, Unrecognized};
use serde_json::json;
use stand_ins::stack::merged;

use crate::{
    create_request,
    invocation::{create_event, invoke, world_with_bus},
    world,
};

#[tokio::test]
async fn an_unrecognized_payload_is_an_error_and_the_next_request_succeeds() {
    let mut world = world().await;
    for payload in [
        "{}",
        "[]",
        "7",
        "null",
        "\"text\"",
        "{\"RequestType\":\"Create\"}",
        "{\"ResponseURL\":null}",
        "not json",
        "",
        "{\"a\":",
        "\u{feff}{}",
    ] {
        let returned =
            world.aws.lambda.invoke(payload.into(), Duration::from_secs(5), &world.arn).await;
        assert_eq!(returned.unwrap_err()["errorType"], "UnrecognizedEvent", "{payload}");
    }
    let returned =
        world.aws.lambda.invoke(vec![0xff, 0xfe, b'{'], Duration::from_secs(5), &world.arn).await;
    assert_eq!(returned.unwrap_err()["errorType"], "UnrecognizedEvent");
    let deep = "[".repeat(100_000);
    let returned =
        world.aws.lambda.invoke(deep.into_bytes(), Duration::from_secs(5), &world.arn).await;
    assert_eq!(returned.unwrap_err()["errorType"], "UnrecognizedEvent");
    world.send(&create_request()).await.succeeded();
    assert!(world.function.is_running());
}

#[tokio::test]
async fn an_event_of_another_type_is_unrecognized() {
    let world = world_with_bus().await;
    let invocation = invoke(
        &world,
        &merged(
            create_event(),
            &json!({ "detail-type": "EC2 Instance State-change Notification" }),
        ),
    )
    .await;
    let message = invocation.function_error("UnrecognizedEvent");
    assert!(message.ends_with("expected \"Mitigation Action Requested\""), "{message}");
    invoke(&world, &json!({ "Records": [] })).await.function_error("UnrecognizedEvent");
    let others = invoke(&world, &json!({ "Records": [{ "eventSource": "aws:s3" }] })).await;
    let message = others.function_error("UnrecognizedEvent");
    assert!(message.contains("neither a queue's nor a topic's"), "{message}");
    assert!(message.contains("Records of aws:sns or aws:sqs"), "{message}");
    invoke(&world, &merged(create_event(), &json!({ "source": null })))
        .await
        .function_error("UnrecognizedEvent");
}

#[test]
fn more_records_than_an_event_source_delivers_are_unrecognized() {
    for (record, most) in [
        (json!({ "eventSource": "aws:sqs", "messageId": "1", "body": "" }), 10_000),
        (json!({ "EventSource": "aws:sns", "Sns": { "Message": "" } }), 100),
    ] {
        let recognize = |count: usize| {
            let event = json!({ "Records": vec![record.clone(); count] });
            let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
            Trigger::recognize(&payload).map(|trigger| match trigger {
                Trigger::Sqs(batch) => batch.groups().iter().map(Vec::len).sum(),
                Trigger::Sns(contents) => contents.len(),
                Trigger::CloudFormation(_)
                | Trigger::EventBridge(_)
                | Trigger::OwnResult
                | Trigger::Direct(_) => panic!("{record} is neither a message nor a notification"),
            })
        };
        assert_eq!(recognize(most), Ok(most), "{record}");
        assert_eq!(recognize(most + 1), Err(Unrecognized::TooManyRecords), "{record}");
    }
}

#[tokio::test]
async fn the_usual_mistakes_are_recognized() {
    let world = world().await;
    let properties = create_request()["ResourceProperties"].clone();
    for (payload, hint) in [
        (
            json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": { "A": {} } }),
            "a whole CloudFormation template",
        ),
        (json!({ "Resources": {} }), "a whole CloudFormation template"),
        (
            json!({ "Type": "Custom::IoTMitigationAction", "Properties": properties }),
            "a resource of a template",
        ),
        (merged(properties.clone(), &json!({ "ServiceToken": "arn" })), "bare Properties"),
        (merged(properties, &json!({ "ServiceToken": null })), "bare Properties"),
        (json!({ "ActionName": "a", "Operation": "DeleteMitigationAction" }), "(ActionName)"),
        (
            json!({ "Source": "s", "DetailType": "Mitigation Action Requested", "Detail": "{}" }),
            "an entry of PutEvents",
        ),
        (json!({ "Entries": [] }), "an entry of PutEvents"),
        (merged(create_event(), &json!({ "detail-type": "Another" })), "\"Another\""),
    ] {
        let invocation = invoke(&world, &payload).await;
        let message = invocation.function_error("UnrecognizedEvent");
        assert!(message.contains(hint), "{message} lacks {hint}");
        let is_named = message.contains("expected one of: ResponseURL");
        assert!(is_named || message.contains("Mitigation Action Requested"), "{message}");
    }
}
