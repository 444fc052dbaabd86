//! Requests that find an action whose tags are not visible yet.

use std::time::Duration;

use serde_json::json;
use stand_ins::{OWNER_TAG, fault::Fault};

use super::{NAME, create, delete_of, update};
use crate::{
    invocation::{create_event, invoke},
    names, world,
};

#[tokio::test]
async fn a_delete_waits_for_tags_that_lag() {
    let world = world().await;
    world.aws.iot.set_tag_lag(Duration::from_secs(1));
    world.send(&create()).await.succeeded();
    let deleted = world.send(&delete_of(&create(), NAME)).await;
    // Six looks of two calls at most, as the waits double.
    assert!(deleted.succeeded().calls.len() <= 14, "{:?}", deleted.operations());
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn a_describe_waits_for_tags_that_lag() {
    let world = world().await;
    world.aws.iot.set_tag_lag(Duration::from_secs(1));
    invoke(&world, &create_event()).await.succeeded("CREATED");
    let describe = json!({
        "operation": "DescribeMitigationAction",
        "actionName": create_event()["detail"]["actionName"],
    });
    let described = invoke(&world, &describe).await;
    assert!(!described.succeeded("DESCRIBED")["tags"].as_array().unwrap().is_empty());
    // Six looks of two calls at most, as the waits double.
    assert!(described.calls.len() <= 12, "{:?}", described.operations());
}

#[tokio::test]
async fn a_describe_whose_tags_never_appear_fails_in_time() {
    let world = world().await.with_timeout(Duration::from_secs(4));
    world.aws.iot.set_tag_lag(Duration::from_hours(1));
    world.plant_identical(NAME, &[]);
    let describe = json!({ "operation": "DescribeMitigationAction", "actionName": NAME });
    let described = invoke(&world, &describe).await;
    let message = described.function_error("InternalFailureException");
    assert!(message.contains("the tags of the action"), "{message}");
}

#[tokio::test]
async fn an_update_whose_tags_lag_creates_nothing_and_succeeds() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let lag = Fault::Refuse(404, "ResourceNotFoundException");
    world.aws.iot.faults.set("ListTagsForResource", lag, 2);
    let played = world.send(&update()).await;
    assert!(!played.succeeded().operations().contains(&"CreateMitigationAction"));
    let params = world.aws.iot.action(NAME).unwrap().params;
    assert_eq!(params["addThingsToThingGroupParams"]["overrideDynamicGroups"], false);
}

#[tokio::test]
async fn an_update_whose_tags_lag_fails_on_an_action_of_another_owner() {
    let world = world().await;
    world.plant_identical(NAME, &[(OWNER_TAG, super::OTHERS)]);
    let before = world.aws.iot.actions();
    let lag = Fault::Refuse(404, "ResourceNotFoundException");
    world.aws.iot.faults.set("ListTagsForResource", lag, 2);
    let played = world.send(&update()).await;
    assert_eq!(played.response()["Status"], "FAILED");
    assert_eq!(world.aws.iot.actions(), before);
}
