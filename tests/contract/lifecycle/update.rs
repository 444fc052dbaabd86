//! An Update in place, and an Update that renames the action.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{CLAIMED_TAG, CREATED_TAG, OWNER_TAG, fault::Fault, iot::Iot, stack::merged};

use super::{NAME, OTHERS, OURS, create, follow_up};
use crate::{sample, world};

#[tokio::test]
async fn an_update_with_the_same_tags_changes_no_tag() {
    let world = world().await;
    let created = world.send(&create()).await;
    let tags = create()["ResourceProperties"]["Tags"].clone();
    let exchange = world
        .send(&merged(sample("update.json"), &json!({ "ResourceProperties": { "Tags": tags } })))
        .await;
    exchange.succeeded().called(&[
        "ListTagsForResource",
        "ListTagsForResource",
        "TagResource",
        "UpdateMitigationAction",
    ]);
    assert_eq!(exchange.response()["Data"], created.response()["Data"]);
    assert_eq!(exchange.physical_id(), NAME);
    let params = world.aws.iot.action(NAME).unwrap().params;
    assert_eq!(params["addThingsToThingGroupParams"]["overrideDynamicGroups"], false);
}

#[tokio::test]
async fn an_update_of_an_action_with_one_page_of_tags_makes_three_calls() {
    let world = world().await;
    let create = merged(create(), &json!({ "ResourceProperties": { "Tags": [] } }));
    world.send(&create).await.succeeded();
    let update =
        json!({ "ResourceProperties": { "Tags": [] }, "OldResourceProperties": { "Tags": [] } });
    world.send(&merged(sample("update.json"), &update)).await.called(&[
        "ListTagsForResource",
        "TagResource",
        "UpdateMitigationAction",
    ]);
}

#[tokio::test]
async fn an_update_removes_the_previous_tags_and_keeps_those_of_others() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.aws.iot.tamper(NAME, |action| {
        action.as_mut().unwrap().tags.insert("others".to_owned(), "stay".to_owned());
    });
    let exchange = world.send(&sample("update.json")).await;
    assert_eq!(
        exchange.succeeded().operations()[3..],
        ["TagResource", "UpdateMitigationAction", "UntagResource", "TagResource"]
    );
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    let expected =
        [(OWNER_TAG, OURS), ("others", "stay"), ("owner", "on-call"), ("team", "iot-security")];
    let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let is_record = |key: &str| [CREATED_TAG, CLAIMED_TAG].contains(&key);
    assert!(tags.clone().filter(|(key, _)| !is_record(key)).eq(expected), "{tags:?}");
    let again = world.send(&sample("update.json")).await;
    assert_eq!(again.succeeded().response(), exchange.response());
    assert_eq!(again.operations()[3..], ["UpdateMitigationAction"], "claimed already");
}

#[tokio::test]
async fn an_update_of_an_action_of_another_owner_fails_and_changes_nothing() {
    for on_conflict in ["Fail", "Adopt", "Overwrite"] {
        let world = world().await;
        world.plant_different(NAME, &[(OWNER_TAG, OTHERS)]);
        let actions = world.aws.iot.actions();
        let exchange = world
            .send(&merged(
                sample("update.json"),
                &json!({ "ResourceProperties": { "OnConflict": on_conflict } }),
            ))
            .await;
        exchange.failed("InvalidRequestException").changed_nothing();
        assert!(exchange.reason().contains(OTHERS));
        assert_eq!(exchange.physical_id(), NAME);
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn an_update_restores_a_lost_owner_tag_and_warns() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.send(&sample("update.json")).await.succeeded();
    let output = world.function.stop().await;
    assert!(output.contains("WARN") && output.contains("lost its owner tag"), "{output}");
}

#[tokio::test]
async fn an_update_recreates_an_absent_action_and_warns() {
    let world = world().await;
    let exchange = world.send(&sample("update.json")).await;
    exchange.succeeded().called(&[
        "ListTagsForResource",
        "DescribeMitigationAction",
        "CreateMitigationAction",
    ]);
    assert_eq!(exchange.physical_id(), NAME);
    assert_eq!(exchange.response()["Data"]["ActionId"], world.aws.iot.action(NAME).unwrap().id);
    let output = world.function.stop().await;
    assert!(
        output.contains("WARN") && output.contains("was gone and has been recreated"),
        "{output}"
    );
}

#[tokio::test]
async fn a_rename_creates_the_new_action_and_leaves_the_old_one_to_cloudformation() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let renamed = world.send(&sample("rename.json")).await;
    renamed.succeeded();
    assert_eq!(renamed.physical_id(), "fleet-isolate");
    assert!(world.aws.iot.action(NAME).is_some());
    world.send(&sample("delete.json")).await.succeeded();
    let remaining: Vec<String> = world.aws.iot.actions().into_keys().collect();
    assert_eq!(remaining, ["fleet-isolate"]);
}

#[tokio::test]
async fn a_rename_that_is_rolled_back_leaves_only_the_old_action() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let rename = merged(
        sample("rename.json"),
        &json!({ "OldResourceProperties": create()["ResourceProperties"] }),
    );
    world.send(&rename).await.succeeded();
    let back =
        merged(follow_up(&rename, &json!({})), &json!({ "PhysicalResourceId": "fleet-isolate" }));
    let exchange = world.send(&back).await;
    assert_eq!(exchange.succeeded().physical_id(), NAME);
    let cleanup = json!({
        "PhysicalResourceId": "fleet-isolate",
        "ResourceProperties": { "ActionName": "fleet-isolate" },
    });
    world.send(&merged(sample("delete.json"), &cleanup)).await.succeeded();
    assert_eq!(world.aws.iot.actions().into_keys().collect::<Vec<_>>(), [NAME]);
}

#[tokio::test]
async fn a_failed_rename_keeps_the_old_id_and_its_rollback_removes_the_new_action() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let rename = merged(
        sample("rename.json"),
        &json!({ "OldResourceProperties": create()["ResourceProperties"] }),
    );
    // The create is applied, but neither it nor any retry gets a response.
    world.aws.iot.faults.set("CreateMitigationAction", Fault::HangAfter, 100);
    let world = world.with_timeout(Duration::from_secs(3));
    let exchange = world.send(&rename).await;
    exchange.failed("InternalFailureException");
    assert_eq!(exchange.physical_id(), NAME);
    assert!(world.aws.iot.action("fleet-isolate").is_some(), "the create was applied");
    world.aws.iot.faults.clear();
    world.send(&follow_up(&rename, exchange.response())).await.succeeded();
    assert_eq!(world.aws.iot.actions().into_keys().collect::<Vec<_>>(), [NAME]);
}

#[tokio::test]
async fn invalid_old_properties_never_fail_an_update() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    for old in [
        json!({ "ActionName": 7, "Tags": "none", "RoleArn": [] }),
        json!([1, 2]),
        Value::Null,
        json!({ "ActionName": "a b", "Tags": [3] }),
    ] {
        let mut event = sample("update.json");
        event["OldResourceProperties"] = old;
        world.send(&event).await.succeeded();
    }
}

#[tokio::test]
async fn an_update_with_invalid_old_properties_looks_up_no_other_action() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    for old in [json!([1, 2]), Value::Null, json!({ "ActionName": "a b" })] {
        let mut event = sample("update.json");
        event["OldResourceProperties"] = old;
        let exchange = world.send(&event).await;
        assert!(
            exchange.calls.iter().all(|call| call.target == NAME || call.target == Iot::arn(NAME)),
            "{:?}",
            exchange.calls
        );
    }
}
