//! CloudFormation's request: the members around the properties, and its validation.

use std::time::Duration;

use mitigation_action_provider::{mitigation::Outcome, trigger::Step};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use super::plan;
use crate::{create_request, sample, world};

#[tokio::test]
async fn a_malformed_request_with_a_response_url_gets_a_response() {
    let world = world().await;
    let check = async |patch: Value, part: &str| {
        let exchange = world.send(&merged(create_request(), &patch)).await;
        exchange.failed("InvalidRequestException").changed_nothing();
        assert!(exchange.reason().contains(part), "{} lacks {part}", exchange.reason());
    };
    check(json!({ "RequestType": "Replace" }), "\"Replace\"").await;
    check(json!({ "RequestType": null }), "RequestType: missing").await;
    check(json!({ "RequestType": ["Create"] }), "RequestType").await;
    check(json!({ "StackId": null }), "StackId: missing").await;
    check(json!({ "StackId": "my-stack" }), "StackId: invalid value \"my-stack\"").await;
    check(json!({ "LogicalResourceId": null }), "LogicalResourceId: missing").await;
    check(json!({ "ResourceProperties": null }), "ResourceProperties: missing").await;
    for kind in ["Create", "Update"] {
        let patch = json!({ "RequestType": kind, "StackId": null });
        let exchange = world.send(&merged(create_request(), &patch)).await;
        let reason = exchange.failed("InvalidRequestException").reason();
        assert!(!reason.contains("RequestType"), "{reason}");
    }
}

#[tokio::test]
async fn properties_that_are_not_an_object_are_invalid() {
    let world = world().await;
    for value in [json!([]), json!("x"), json!(7)] {
        let mut event = create_request();
        event["ResourceProperties"] = value;
        let exchange = world.send(&event).await;
        assert!(exchange.failed("InvalidRequestException").reason().contains("ResourceProperties"));
    }
    let (key, url) = world.response_url("");
    let mut event = create_request();
    event["ResponseURL"] = json!(url);
    event["ResourceProperties"] = json!("DEEP");
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let text = event.to_string().replace("\"DEEP\"", &deep);
    world.aws.lambda.invoke(text.into_bytes(), Duration::from_secs(5), &world.arn).await.unwrap();
    assert!(world.aws.bucket.puts(&key)[0].body.contains("ResourceProperties: invalid value [["));
}

#[tokio::test]
async fn a_delete_without_any_id_succeeds_and_changes_nothing() {
    let nothing = json!({
        "StackId": null, "LogicalResourceId": null, "RequestId": null, "PhysicalResourceId": null,
    });
    let deleted = world().await.send(&merged(sample("delete.json"), &nothing)).await;
    deleted.succeeded().changed_nothing();
}

#[tokio::test]
async fn a_property_that_cannot_be_parsed_does_not_hide_the_others() {
    let world = world().await;
    world.send(&create_request()).await.succeeded();
    for odd in [
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        "1e999".to_owned(),
        "\"\\ud800\"".to_owned(),
    ] {
        let send = async |event: Value| {
            let (key, url) = world.response_url("");
            let patch = json!({ "ResponseURL": url, "ResourceProperties": { "Odd": "ODD" } });
            let text = merged(event, &patch).to_string().replace("\"ODD\"", &odd);
            let text = text.into_bytes();
            world.aws.lambda.invoke(text, Duration::from_secs(5), &world.arn).await.unwrap();
            world.aws.bucket.puts(&key)[0].response()
        };
        let failed = send(create_request()).await;
        let reason = failed["Reason"].as_str().unwrap();
        assert!(
            reason.contains("Odd: unknown property") && !reason.contains("missing"),
            "{reason}"
        );
        let delete = json!({
            "RequestType": "Delete",
            "PhysicalResourceId": "fleet-security-Quarantine-1A2B3C4D5E6F",
        });
        let deleted = send(merged(create_request(), &delete)).await;
        assert_eq!(deleted["Status"], "SUCCESS");
        assert!(
            world.aws.iot.actions().is_empty(),
            "the Delete did not look up the name in the properties"
        );
        world.send(&create_request()).await.succeeded();
    }
}

#[tokio::test]
async fn a_member_name_that_is_not_unicode_hides_no_other_member() {
    let world = world().await;
    let send = async |event: Value, properties: Value| {
        let (key, url) = world.response_url("");
        let patch = json!({ "ResponseURL": url, "ResourceProperties": properties });
        let text = merged(event, &patch).to_string().replace("BROKEN", "\\ud800").into_bytes();
        world.aws.lambda.invoke(text, Duration::from_secs(5), &world.arn).await.unwrap();
        world.aws.bucket.puts(&key)[0].response()
    };
    let failed = send(create_request(), json!({ "ActionParams": { "BROKEN": 0 } })).await;
    let reason = failed["Reason"].as_str().unwrap();
    assert!(reason.contains("ActionParams.\u{fffd}"), "{reason}");
    assert!(reason.contains(": unknown property: expected one of"), "{reason}");
    assert!(!reason.contains("RoleArn"), "{reason}");
    world.send(&create_request()).await.succeeded();
    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": "fleet-security-Quarantine-1A2B3C4D5E6F",
    });
    let deleted = send(merged(create_request(), &delete), json!({ "BROKEN": 0 })).await;
    assert_eq!(deleted["Status"], "SUCCESS");
    assert!(world.aws.iot.actions().is_empty(), "the Delete did not read the name");
}

#[tokio::test]
async fn an_unknown_request_type_hides_no_other_problem() {
    let world = world().await;
    let properties = json!({ "RoleArn": "short", "Tagz": 1 });
    let event = json!({ "RequestType": {}, "StackId": "x", "ResourceProperties": properties });
    let exchange = world.send(&merged(create_request(), &event)).await;
    for part in [
        "RequestType: invalid value {}",
        "StackId: invalid value \"x\"",
        "RoleArn: invalid value \"short\"",
        "Tagz: unknown",
    ] {
        assert!(
            exchange.failed("InvalidRequestException").reason().contains(part),
            "{}",
            exchange.reason()
        );
    }
}

#[tokio::test]
async fn an_update_without_a_physical_id_is_invalid() {
    let world = world().await;
    let exchange =
        world.send(&merged(sample("update.json"), &json!({ "PhysicalResourceId": null }))).await;
    assert!(
        exchange
            .failed("InvalidRequestException")
            .called(&[])
            .reason()
            .contains("PhysicalResourceId: missing")
    );
}

#[tokio::test]
async fn every_problem_is_reported_at_once() {
    let world = world().await;
    let exchange = world.send(&sample("create-invalid.json")).await;
    exchange.failed("InvalidRequestException").called(&[]);
    for part in [
        "ActionName: invalid value \"fleet quarantine\"",
        "RoleArn: invalid value \"quarantine\"",
        "20 to 2048",
        "ActionParams.AddThingsToThingGroupParams.ThingGroupNames[1]: invalid value \"\"",
        "ActionParams.AddThingsToThingGroupParams.OverrideDynamicGroup: unknown property",
        "OverrideDynamicGroups",
        "Tags[0].Key: invalid value \"aws:team\"",
        "OnConflicts: unknown property",
        "did you mean OnConflict?",
    ] {
        assert!(exchange.reason().contains(part), "{} lacks {part}", exchange.reason());
    }
    assert!(exchange.physical_id().contains(':'), "a placeholder cannot be the name of an action");
    let update = merged(
        sample("create-invalid.json"),
        &json!({ "RequestType": "Update", "PhysicalResourceId": "kept" }),
    );
    assert_eq!(
        world.send(&update).await.failed("InvalidRequestException").called(&[]).physical_id(),
        "kept"
    );
}

#[test]
fn a_delete_with_an_invalid_stack_id_needs_no_work() {
    let delete = merged(sample("delete.json"), &json!({ "StackId": "nonsense" }));
    let Step::Respond(Ok(success)) = plan(&delete).step else { panic!("the request is executed") };
    assert_eq!(success.outcome, Outcome::Absent);
}
