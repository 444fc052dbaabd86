//! Updates that wait for their role under a mark, and the requests that overtake them.

use std::time::Duration;

use stand_ins::{OWNER_TAG, REQUEST_TAG, fault::Fault};

use super::{
    NAME, OURS, RENAMED, WAITING, assert_restored, create, delete_of, deny, overlap, rename,
    request_tag, reverse, update, waiting_world,
};
use crate::{function, names, sample, world, world_with};

#[tokio::test]
async fn an_update_that_waits_changes_nothing_after_its_rollback() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    let reason = forward.failed("AccessDeniedException").reason();
    assert!(reason.contains("a later request for this resource has taken over"), "{reason}");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn an_undisturbed_update_that_waits_succeeds_and_removes_its_mark() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    deny(&world, "UpdateMitigationAction", 1);
    world.send(&sample("update.json")).await.succeeded();
    assert_eq!(request_tag(&world, NAME), tag);
    deny(&world, "UpdateMitigationAction", 100);
    world.send(&sample("update.json")).await.failed("AccessDeniedException");
    assert_eq!(request_tag(&world, NAME), tag);
}

#[tokio::test]
async fn a_rename_that_waits_creates_nothing_after_its_rollback() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    deny(&world, "CreateMitigationAction", 1);
    let (forward, back) = overlap(&world, &rename(), &reverse(&rename())).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_eq!(forward.physical_id(), NAME);
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn a_rename_whose_create_is_in_flight_deletes_what_it_creates_after_its_rollback() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    deny(&world, "CreateMitigationAction", 1);
    // The second create is in flight during the rollback.
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Slow(Duration::from_secs(2)), 1);
    let _other = function(&world.aws, &WAITING);
    let (event, back) = (rename(), reverse(&rename()));
    let (forward, back) = tokio::join!(world.send(&event), async {
        tokio::time::sleep(Duration::from_millis(1800)).await;
        world.send(&back).await
    });
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn two_deliveries_of_a_rename_that_waits_both_succeed_and_keep_the_action() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    deny(&world, "CreateMitigationAction", 3);
    let (one, other) = overlap(&world, &rename(), &rename()).await;
    assert_eq!(one.succeeded().response(), other.succeeded().response());
    assert_eq!(names(&world), [RENAMED, NAME]);
    let tag = &world.aws.iot.action(NAME).unwrap().tags[REQUEST_TAG];
    assert_eq!(tag.split('/').count(), 2, "the mark is removed: {tag}");
}

#[tokio::test]
async fn two_deliveries_of_an_update_that_waits_both_succeed_and_remove_the_mark() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    let tag = request_tag(&world, NAME);
    deny(&world, "UpdateMitigationAction", 3);
    let (one, other) = overlap(&world, &update(), &update()).await;
    assert_eq!(one.succeeded().response(), other.succeeded().response());
    assert_eq!(request_tag(&world, NAME), tag);
}

#[tokio::test]
async fn an_update_whose_rollback_waits_too_changes_nothing() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 2);
    let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_that_waits_creates_nothing_after_the_delete_of_its_resource() {
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
async fn a_wait_for_throttling_sets_no_mark() {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Throttle, 3);
    let played = world.send(&update()).await;
    let tagged = played.succeeded().calls.iter().filter(|call| call.operation == "TagResource");
    assert_eq!(tagged.count(), 1, "{:?}", played.operations());
}
