//! A Delete: how it finds the action, and when it deletes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{CLAIMED_TAG, CREATED_TAG, OWNER_TAG, fault::Fault, stack::merged};

use super::{ADOPTED, NAME, OTHERS, OURS, create, delete_of, follow_up, record_sent};
use crate::{sample, world, world_with};

#[tokio::test]
async fn a_delete_makes_two_calls_and_a_redelivered_one_changes_nothing() {
    let world = world().await;
    world
        .send(&merged(create(), &json!({ "ResourceProperties": { "Tags": [] } })))
        .await
        .succeeded();
    let exchange = world.send(&sample("delete.json")).await;
    exchange.succeeded().called(&["ListTagsForResource", "DeleteMitigationAction"]);
    assert_eq!(exchange.physical_id(), NAME);
    assert!(world.aws.iot.actions().is_empty());
    world.send(&sample("delete.json")).await.succeeded().changed_nothing();
}

#[tokio::test]
async fn a_delete_of_an_action_of_another_owner_succeeds_and_changes_nothing() {
    for tags in [vec![], vec![(OWNER_TAG, OTHERS)], vec![(OWNER_TAG, "event/a/b")]] {
        let world = world().await;
        world.plant_identical(NAME, &tags);
        let actions = world.aws.iot.actions();
        world.send(&sample("delete.json")).await.succeeded().changed_nothing();
        assert_eq!(world.aws.iot.actions(), actions);
        let output = world.function.stop().await;
        assert!(output.contains("this request may not delete the action"), "{output}");
    }
}

#[tokio::test]
async fn a_delete_of_an_adopted_or_absent_action_logs_why_it_deletes_nothing() {
    for (is_adopted, reason) in
        [(true, "was taken over, not created"), (false, "there is no such action")]
    {
        let world = world().await;
        if is_adopted {
            world.plant_identical(NAME, &[(OWNER_TAG, ADOPTED)]);
        }
        world.send(&sample("delete.json")).await.succeeded();
        let output = world.function.stop().await;
        assert!(output.contains(reason), "{output}");
    }
}

#[tokio::test]
async fn a_redelivered_delete_of_an_adopted_action_is_no_skipped_one() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    world.plant_identical(NAME, &[(OWNER_TAG, ADOPTED)]);
    let adopted = json!({ "ResourceProperties": { "OnConflict": "Adopt" } });
    let delete = merged(sample("delete.json"), &adopted);
    world.send(&delete).await.succeeded();
    let released = world.aws.iot.actions();
    world.send(&delete).await.succeeded().changed_nothing();
    assert_eq!(world.aws.iot.actions(), released);
    let output = world.function.stop().await;
    assert_eq!(output.matches("\"outcome\":\"RELEASED\"").count(), 2, "{output}");
    assert!(!output.contains("DeletesSkipped"), "{output}");
}

#[tokio::test]
async fn a_release_whose_response_was_lost_is_no_skipped_delete() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    world.plant_identical(NAME, &[(OWNER_TAG, ADOPTED)]);
    world.aws.iot.faults.set("UntagResource", Fault::FailAfter, 1);
    world.send(&sample("delete.json")).await.succeeded();
    let output = world.function.stop().await;
    assert!(output.contains("\"outcome\":\"RELEASED\""), "{output}");
    assert!(!output.contains("DeletesSkipped"), "{output}");
}

#[tokio::test]
async fn a_delete_of_an_adopted_action_that_lost_only_its_owner_tag_is_skipped() {
    let world = world().await;
    let record = format!("1/{}/Create", "A".repeat(16));
    world.plant_identical(NAME, &[(CLAIMED_TAG, &record)]);
    let adopted = json!({ "ResourceProperties": { "OnConflict": "Adopt" } });
    world.send(&merged(sample("delete.json"), &adopted)).await.succeeded().changed_nothing();
    let output = world.function.stop().await;
    assert!(output.contains("\"DeletesSkipped\":1"), "{output}");
}

#[tokio::test]
async fn a_delete_whose_time_runs_out_does_not_take_the_action_for_absent() {
    for is_placeholder in [false, true] {
        let world = world().await.with_timeout(Duration::from_secs(4));
        world.send(&create()).await.succeeded();
        let tag = world.aws.iot.action(NAME).unwrap().tags[CREATED_TAG].clone();
        let placeholder = format!("not-created:{NAME}:{}", tag.split('/').nth(1).unwrap());
        let id = if is_placeholder { &placeholder } else { NAME };
        let lag = Fault::Refuse(404, "ResourceNotFoundException");
        world.aws.iot.faults.set("ListTagsForResource", lag, 1);
        world.aws.iot.faults.set("DescribeMitigationAction", Fault::Hang, 100);
        let deleted = world.send(&delete_of(&create(), id)).await;
        assert_eq!(deleted.response()["Status"], "FAILED", "{id}");
        assert!(deleted.reason().contains("time ran out"), "{}", deleted.reason());
        let output = world.function.stop().await;
        assert!(output.contains("\"TransientFailures\":1"), "{output}");
        assert!(!output.contains("CallerMistakes"), "{output}");
        assert!(world.aws.iot.action(NAME).is_some());
    }
}

#[tokio::test]
async fn a_delete_of_an_action_of_another_stack_is_skipped_whatever_its_record_says() {
    let later = record_sent(-30, &"A".repeat(16), "Create");
    for tags in [vec![(OWNER_TAG, OTHERS)], vec![(OWNER_TAG, OTHERS), (CREATED_TAG, &later)]] {
        let world = world().await;
        world.plant_identical(NAME, &tags);
        let adopted = json!({ "ResourceProperties": { "OnConflict": "Adopt" } });
        world.send(&merged(sample("delete.json"), &adopted)).await.succeeded().changed_nothing();
        let output = world.function.stop().await;
        assert!(output.contains("\"DeletesSkipped\":1"), "{output}");
    }
}

#[tokio::test]
async fn a_delete_succeeds_with_invalid_properties() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    for properties in [
        json!({ "ActionName": NAME, "RoleArn": 7, "Nonsense": {} }),
        json!("nonsense"),
        Value::Null,
    ] {
        let mut event = sample("delete.json");
        event["ResourceProperties"] = properties;
        world.send(&event).await.succeeded();
        assert_eq!(world.aws.iot.action(NAME), None);
        world.send(&create()).await.succeeded();
    }
}

#[tokio::test]
async fn a_delete_by_an_id_without_an_action_finds_the_given_or_the_generated_name() {
    for (file, id) in [
        ("create-add-things-to-thing-group.json", "fleet-security-Quarantine-1ABCDEFGHIJK"),
        ("create-without-name.json", "2026/11/22/[$LATEST]0123456789abcdef"),
        ("create-without-name.json", ""),
    ] {
        let world = world().await;
        world.send(&sample(file)).await.succeeded();
        let event =
            merged(sample(file), &json!({ "RequestType": "Delete", "PhysicalResourceId": id }));
        world.send(&event).await.succeeded();
        assert!(world.aws.iot.actions().is_empty(), "{file} {id}");
    }
}

#[tokio::test]
async fn a_delete_treats_an_empty_or_null_name_as_absent() {
    for name in [json!(""), Value::Null] {
        let world = world().await;
        world.send(&sample("create-without-name.json")).await.succeeded();
        let mut event = merged(
            sample("create-without-name.json"),
            &json!({ "RequestType": "Delete", "PhysicalResourceId": "fleet-Nameless-1A2B3C" }),
        );
        event["ResourceProperties"]["ActionName"] = name;
        world.send(&event).await.succeeded();
        assert!(world.aws.iot.actions().is_empty());
    }
}

#[tokio::test]
async fn a_delete_with_a_given_name_does_not_look_up_the_generated_one() {
    let world = world().await;
    world.send(&sample("create-without-name.json")).await.succeeded();
    let patch = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": "not-created:another:0011223344556677",
        "ResourceProperties": { "ActionName": "another" },
    });
    world.send(&merged(sample("create-without-name.json"), &patch)).await.succeeded();
    assert_eq!(world.aws.iot.actions().len(), 1);
}

#[tokio::test]
async fn a_create_whose_call_got_no_response_is_removed_by_the_delete_that_follows() {
    let world = world().await.with_timeout(Duration::from_secs(3));
    world.aws.iot.faults.set("CreateMitigationAction", Fault::HangAfter, 100);
    let exchange = world.send(&create()).await;
    exchange.failed("InternalFailureException");
    assert_eq!(world.aws.iot.actions().len(), 1, "the create was applied");
    world.aws.iot.faults.clear();
    world.send(&follow_up(&create(), exchange.response())).await.succeeded();
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn a_delete_of_an_action_that_disappears_meanwhile_succeeds() {
    for (owner, operation) in [(OURS, "DeleteMitigationAction"), (ADOPTED, "UntagResource")] {
        let world = world().await;
        world.plant_identical(NAME, &[(OWNER_TAG, owner)]);
        world.aws.iot.faults.set(operation, Fault::Refuse(404, "ResourceNotFoundException"), 1);
        world.send(&sample("delete.json")).await.succeeded();
    }
}

#[tokio::test]
async fn a_delete_that_is_denied_fails() {
    for (owner, operation) in [
        (OURS, "ListTagsForResource"),
        (OURS, "DeleteMitigationAction"),
        (ADOPTED, "ListTagsForResource"),
        (ADOPTED, "UntagResource"),
    ] {
        let world = world().await;
        world.plant_identical(NAME, &[(OWNER_TAG, owner)]);
        world.aws.iot.faults.set(operation, Fault::Refuse(403, "AccessDeniedException"), 1);
        let exchange = world.send(&sample("delete.json")).await;
        assert_eq!(exchange.failed("AccessDeniedException").physical_id(), NAME);
    }
}
