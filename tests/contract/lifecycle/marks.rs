//! Requests of one resource that overlap, case by case: marks, invented ids, failed Creates, and
//! tags that lag.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG, REQUEST_TAG,
    fault::Fault,
    stack::{Exchange, World, merged},
};

use super::{
    ADOPTED, NAME, OURS, RENAMED, WAITING, assert_restored, cancelled, create, create_with,
    delete_of, deny, follow_up, overlap, rename, request_tag, reverse, update, waiting_world,
    with_id,
};
use crate::{names, sample, world, world_with};

/// A Create whose call is applied, and whose failure is reported.
async fn fail_create(world: &World, event: &Value) -> Exchange {
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    deny(world, "CreateMitigationAction", 1);
    let failed = world.send(event).await;
    failed.failed("AccessDeniedException");
    failed
}

#[tokio::test]
async fn two_deliveries_of_an_update_that_waits_both_succeed_and_take_the_mark_off() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    deny(&world, "UpdateMitigationAction", 3);
    let (one, other) = overlap(&world, &update(), &update()).await;
    assert_eq!(one.succeeded().response(), other.succeeded().response());
    assert_eq!(request_tag(&world, NAME), tag);
}

#[tokio::test]
async fn an_update_whose_rollback_waits_too_changes_nothing_any_more() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 2);
    let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_that_waits_makes_nothing_after_the_delete_of_its_resource() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    deny(&world, "CreateMitigationAction", 1);
    let (forward, deleted) = overlap(&world, &rename(), &delete_of(&create(), NAME)).await;
    deleted.succeeded();
    forward.failed("AccessDeniedException");
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_update_that_has_nothing_to_mark_waits_unmarked_and_succeeds() {
    let world = world_with(&WAITING).await;
    world.plant_identical(NAME, &[(OWNER_TAG, OURS)]);
    deny(&world, "UpdateMitigationAction", 1);
    world.send(&update()).await.succeeded();
    assert!(!world.aws.iot.action(NAME).unwrap().tags.contains_key(REQUEST_TAG));
}

#[tokio::test]
async fn an_update_without_a_wait_leaves_the_request_tag_alone() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    world.send(&update()).await.succeeded();
    assert_eq!(request_tag(&world, NAME), tag);
}

#[tokio::test]
async fn a_wait_for_throttling_puts_no_mark() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Throttle, 3);
    let played = world.send(&update()).await;
    let tagged = played.succeeded().calls.iter().filter(|call| call.operation == "TagResource");
    assert_eq!(tagged.count(), 1, "{:?}", played.operations());
}

#[tokio::test]
async fn a_create_that_adopts_after_its_cancellation_is_released() {
    let world = world_with(&WAITING).await;
    world.plant_identical(NAME, &[]);
    let before = world.aws.iot.actions();
    let event = create_with(&json!({ "OnConflict": "Adopt", "Tags": [] }));
    deny(&world, "CreateMitigationAction", 1);
    let (created, deleted) = overlap(&world, &event, &cancelled(&event)).await;
    created.succeeded();
    deleted.succeeded();
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn a_create_without_a_name_is_removed_after_its_cancellation() {
    let world = world_with(&WAITING).await;
    deny(&world, "CreateMitigationAction", 1);
    let event = sample("create-without-name.json");
    let (created, deleted) = overlap(&world, &event, &cancelled(&event)).await;
    created.succeeded();
    deleted.succeeded();
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_id_that_is_the_name_of_an_action_of_ours_is_known_and_the_action_is_deleted() {
    let world = world().await;
    world.plant_identical("renamed-by-hand", &[(OWNER_TAG, OURS)]);
    let deleted = world.send(&delete_of(&create(), "renamed-by-hand")).await;
    assert!(deleted.succeeded().response_time.unwrap() < Duration::from_secs(1));
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_update_takes_over_what_a_failed_create_made_and_the_clean_up_leaves_it() {
    let world = world().await;
    let failed = fail_create(&world, &create()).await;
    let id = failed.physical_id();
    let retry = with_id(merged(update(), &json!({ "PhysicalResourceId": id })), "update");
    assert_eq!(world.send(&retry).await.succeeded().physical_id(), NAME);
    world.send(&delete_of(&create(), id)).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn an_update_to_another_name_leaves_a_failed_creates_action_to_the_clean_up() {
    let world = world().await;
    let failed = fail_create(&world, &create()).await;
    let id = failed.physical_id();
    let retry = with_id(merged(rename(), &json!({ "PhysicalResourceId": id })), "update");
    assert_eq!(world.send(&retry).await.succeeded().physical_id(), RENAMED);
    world.send(&delete_of(&create(), id)).await.succeeded();
    assert_eq!(names(&world), [RENAMED]);
}

#[tokio::test]
async fn a_retained_action_survives_the_clean_up_of_a_create_that_met_it() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    let event = with_id(create_with(&json!({ "Tags": [{ "Key": "new", "Value": "x" }] })), "again");
    deny(&world, "TagResource", 1);
    let failed = world.send(&event).await;
    failed.failed("AccessDeniedException");
    assert_eq!(request_tag(&world, NAME), tag);
    world.send(&follow_up(&event, failed.response())).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn a_create_that_succeeds_with_a_retained_action_writes_its_request_tag_last() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    let event = with_id(create_with(&json!({ "Tags": [] })), "again");
    let played = world.send(&event).await;
    assert_eq!(played.succeeded().operations().last(), Some(&"TagResource"));
    let renewed = request_tag(&world, NAME);
    assert_ne!(renewed.split_once('/').unwrap().1, tag.split_once('/').unwrap().1);
    world.send(&event).await.succeeded().changed_nothing_but_the_create();
    assert_eq!(request_tag(&world, NAME), renewed);
}

#[tokio::test]
async fn a_released_action_loses_both_of_our_tags() {
    let world = world().await;
    world.plant_identical(NAME, &[("theirs", "stays")]);
    let event = create_with(&json!({ "OnConflict": "Adopt" }));
    world.send(&event).await.succeeded();
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    assert_eq!((tags[OWNER_TAG].as_str(), tags.contains_key(REQUEST_TAG)), (ADOPTED, true));
    world.send(&delete_of(&event, NAME)).await.succeeded();
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    assert!(tags.keys().all(|key| !key.starts_with("mitigation-action-provider:")), "{tags:?}");
}

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
async fn an_update_whose_tags_lag_ends_as_one_whose_tags_are_found() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.send(&update()).await.succeeded();
    let expected = world.aws.iot.action(NAME).unwrap();

    world.aws.iot.reset();
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    let lag = Fault::Refuse(404, "ResourceNotFoundException");
    world.aws.iot.faults.set("ListTagsForResource", lag, 2);
    world.send(&update()).await.succeeded();
    let updated = world.aws.iot.action(NAME).unwrap();
    assert_eq!(updated.params, expected.params);
    let keys = |action: &stand_ins::iot::Action| action.tags.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&updated), keys(&expected));
    assert_eq!(request_tag(&world, NAME), tag);
}

#[tokio::test]
async fn an_update_whose_tags_never_appear_fails_after_eight_attempts() {
    let world = world().await;
    world.aws.iot.set_tag_lag(Duration::from_hours(1));
    world.plant_identical(NAME, &[(OWNER_TAG, OURS)]);
    let played = world.send(&update()).await;
    let calls = played.failed("InternalFailureException").operations();
    let creates = calls.iter().filter(|call| **call == "CreateMitigationAction").count();
    assert_eq!(creates, 8, "{calls:?}");
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

#[tokio::test]
async fn a_reverse_update_releases_what_a_failed_rename_adopted() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.plant_identical(RENAMED, &[]);
    let before = world.aws.iot.action(RENAMED).unwrap();
    let event = merged(
        rename(),
        &json!({ "ResourceProperties": {
            "OnConflict": "Adopt", "Tags": [],
            "ActionParams": create()["ResourceProperties"]["ActionParams"],
        } }),
    );
    world.aws.iot.faults.set("TagResource", Fault::LoseAfter, 1);
    deny(&world, "TagResource", 1);
    world.send(&event).await.failed("AccessDeniedException");
    assert_eq!(world.aws.iot.action(RENAMED).unwrap().tags[OWNER_TAG], ADOPTED);
    world.send(&reverse(&event)).await.succeeded();
    assert_eq!(world.aws.iot.action(RENAMED).unwrap(), before);
    assert_eq!(names(&world), [RENAMED, NAME]);
}

#[tokio::test]
async fn a_reverse_update_leaves_the_new_name_of_another_owner_alone() {
    for owner in [super::OTHERS, "event/com.example/1"] {
        let world = world().await;
        world.send(&create()).await.succeeded();
        let tag = "9999999999999/0011223344556677";
        world.plant_identical(RENAMED, &[(OWNER_TAG, owner), (REQUEST_TAG, tag)]);
        let before = world.aws.iot.action(RENAMED);
        world.send(&reverse(&rename())).await.succeeded();
        assert_eq!(world.aws.iot.action(RENAMED), before);
    }
}
