//! CloudFormation's request: the envelope around the properties, and what is wrong with it.

use std::time::Duration;

use mitigation_action_provider::{
    mitigation::{Outcome, Verdict},
    trigger::{
        Home, Payload, Trigger,
        cloudformation::{Ask, Envelope},
    },
};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use crate::{create_request, sample, world};

pub fn envelope(event: &Value) -> Envelope {
    let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
    match Trigger::recognise(&payload) {
        Ok(Trigger::CloudFormation(envelope)) => *envelope,
        _ => panic!("not a custom-resource request: {event}"),
    }
}

pub fn asked(event: &Value) -> Ask {
    envelope(event).ask(&Home::new("", "eu-west-1"))
}

#[tokio::test]
async fn a_malformed_request_with_a_response_url_gets_a_response() {
    let world = world().await;
    let check = async |patch: Value, said: &str| {
        let played = world.play(&merged(create_request(), &patch)).await;
        played.failed("InvalidRequestException").changed_nothing();
        assert!(played.reason().contains(said), "{} lacks {said}", played.reason());
    };
    check(json!({ "RequestType": "Replace" }), "\"Replace\"").await;
    check(json!({ "RequestType": null }), "RequestType: missing").await;
    check(json!({ "RequestType": ["Create"] }), "RequestType").await;
    check(json!({ "StackId": null }), "StackId: missing").await;
    check(json!({ "StackId": "my-stack" }), "StackId: \"my-stack\"").await;
    check(json!({ "LogicalResourceId": null }), "LogicalResourceId: missing").await;
    check(json!({ "ResourceProperties": null }), "ResourceProperties: missing").await;
    for value in [json!([]), json!("x"), json!(7)] {
        let mut event = create_request();
        event["ResourceProperties"] = value;
        let played = world.play(&event).await;
        assert!(played.failed("InvalidRequestException").reason().contains("ResourceProperties"));
    }
    for kind in ["Create", "Update"] {
        let played = world
            .play(&merged(create_request(), &json!({ "RequestType": kind, "StackId": null })))
            .await;
        assert!(
            !played.failed("InvalidRequestException").reason().contains("RequestType"),
            "{}",
            played.reason()
        );
    }
    let (key, url) = world.response_url("");
    let mut event = create_request();
    event["ResponseURL"] = json!(url);
    event["ResourceProperties"] = json!("DEEP");
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let text = event.to_string().replace("\"DEEP\"", &deep);
    world.aws.lambda.invoke(text.into_bytes(), Duration::from_secs(5), &world.arn).await.unwrap();
    assert!(world.aws.bucket.puts(&key)[0].body.contains("no object that can be read"));

    let nothing = json!({ "StackId": null, "LogicalResourceId": null, "RequestId": null, "PhysicalResourceId": null });
    let deleted = world.play(&merged(sample("delete.json"), &nothing)).await;
    deleted.succeeded().changed_nothing();
}

#[tokio::test]
async fn a_property_that_cannot_be_parsed_does_not_hide_the_others() {
    let world = world().await;
    world.play(&create_request()).await.succeeded();
    for odd in [
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        "1e999".to_owned(),
        "\"\\ud800\"".to_owned(),
    ] {
        let send = async |event: Value| {
            let (key, url) = world.response_url("");
            let text = merged(
                event,
                &json!({ "ResponseURL": url, "ResourceProperties": { "Odd": "ODD" } }),
            )
            .to_string();
            let text = text.replace("\"ODD\"", &odd);
            world
                .aws
                .lambda
                .invoke(text.into_bytes(), Duration::from_secs(5), &world.arn)
                .await
                .unwrap();
            world.aws.bucket.puts(&key)[0].document()
        };
        let failed = send(create_request()).await;
        let reason = failed["Reason"].as_str().unwrap();
        assert!(reason.contains("Odd: cannot be read") && !reason.contains("missing"), "{reason}");
        let deleted = send(merged(
            create_request(),
            &json!({ "RequestType": "Delete", "PhysicalResourceId": "not-created:x" }),
        ))
        .await;
        assert_eq!(deleted["Status"], "SUCCESS");
        assert!(
            world.aws.iot.actions().is_empty(),
            "the name that the properties give was not looked under"
        );
        world.play(&create_request()).await.succeeded();
    }
}

#[tokio::test]
async fn an_unknown_request_type_hides_no_other_problem() {
    let world = world().await;
    let event = json!({ "RequestType": {}, "StackId": "x", "ResourceProperties": { "RoleArn": "short", "Tagz": 1 } });
    let played = world.play(&merged(create_request(), &event)).await;
    for said in ["RequestType: {}", "StackId: \"x\"", "RoleArn: \"short\"", "Tagz: unknown"] {
        assert!(
            played.failed("InvalidRequestException").reason().contains(said),
            "{}",
            played.reason()
        );
    }
}

#[tokio::test]
async fn an_update_without_a_physical_id_is_invalid() {
    let world = world().await;
    let played =
        world.play(&merged(sample("update.json"), &json!({ "PhysicalResourceId": null }))).await;
    assert!(
        played
            .failed("InvalidRequestException")
            .called(&[])
            .reason()
            .contains("PhysicalResourceId: missing")
    );
}

#[tokio::test]
async fn every_problem_is_reported_at_once() {
    let world = world().await;
    let played = world.play(&sample("create-invalid.json")).await;
    played.failed("InvalidRequestException").called(&[]);
    for said in [
        "ActionName: \"fleet quarantine\"",
        "RoleArn: \"quarantine\"",
        "20 to 2048",
        "ActionParams.AddThingsToThingGroupParams.ThingGroupNames[1]: \"\"",
        "ActionParams.AddThingsToThingGroupParams.OverrideDynamicGroup: unknown property",
        "OverrideDynamicGroups",
        "Tags[0].Key: \"aws:team\"",
        "OnConflicts: unknown property",
        "the nearest known one is OnConflict",
    ] {
        assert!(played.reason().contains(said), "{} lacks {said}", played.reason());
    }
    assert!(played.physical_id().contains(':'), "a marker can be no action's name");
    let update = merged(
        sample("create-invalid.json"),
        &json!({ "RequestType": "Update", "PhysicalResourceId": "kept" }),
    );
    assert_eq!(
        world.play(&update).await.failed("InvalidRequestException").called(&[]).physical_id(),
        "kept"
    );
}

#[test]
fn a_delete_with_an_invalid_stack_id_needs_no_work() {
    let delete = merged(sample("delete.json"), &json!({ "StackId": "nonsense" }));
    assert!(matches!(asked(&delete), Ask::Settled(Ok(Outcome { verdict: Verdict::Left, .. }))));
}
