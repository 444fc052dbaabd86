//! Races around a mark: it arrives after the rollback, another delivery has done half of the work,
//! or it cannot be read or written.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use stand_ins::{
    REQUEST_TAG,
    fault::Fault,
    iot::Call,
    stack::{Exchange, World, merged},
};

use super::{
    NAME, RENAMED, WAITING, assert_restored, create, delete_of, deny, overlap, overlap_after,
    rename, request_tag, reverse, update, waiting_world,
};
use crate::{function, names};

/// [`update`], which takes all tags away.
fn update_without_tags() -> Value {
    merged(update(), &json!({ "ResourceProperties": { "Tags": [] } }))
}

/// [`update`], which leaves the tags as they are.
fn update_of_definition() -> Value {
    let tags = create()["ResourceProperties"]["Tags"].clone();
    merged(update(), &json!({ "ResourceProperties": { "Tags": tags } }))
}

/// Sends the Update, and its rollback, which succeeds while the Update adds its mark.
async fn roll_back_before_the_mark(world: &World, update: &Value) -> Exchange {
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::from_secs(1)), 1);
    let (forward, back) = overlap(world, update, &reverse(update)).await;
    back.succeeded();
    forward
}

#[tokio::test]
async fn an_update_that_is_rolled_back_before_its_mark_is_set_changes_nothing() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    let forward = roll_back_before_the_mark(&world, &update()).await;
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_that_is_rolled_back_before_its_mark_is_set_creates_nothing() {
    let (world, before) = waiting_world().await;
    deny(&world, "CreateMitigationAction", 1);
    let forward = roll_back_before_the_mark(&world, &rename()).await;
    forward.failed("AccessDeniedException");
    assert_eq!(names(&world), [NAME]);
    assert_restored(&world, &before);
}

#[tokio::test]
async fn an_update_that_was_half_done_before_it_waited_is_finished() {
    let (world, _) = waiting_world().await;
    let event = update_without_tags();
    deny(&world, "UntagResource", 1);
    let played = world.send(&event).await;
    let denied = |call: &Call| call.operation == "UntagResource" && call.status == 403;
    assert!(played.succeeded().calls.iter().any(denied), "{:?}", played.operations());
}

#[tokio::test]
async fn a_delivery_that_meets_another_half_done_gives_the_same_response() {
    let (world, _) = waiting_world().await;
    let event = update_without_tags();
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("UntagResource", Fault::Slow(Duration::from_secs(2)), 1);
    let (one, other) = overlap(&world, &event, &event).await;
    assert_eq!(one.succeeded().response(), other.succeeded().response());
}

#[tokio::test]
async fn a_second_delivery_of_a_rename_that_waits_for_tags_creates_nothing_after_the_rollback() {
    let (world, _) = waiting_world().await;
    let tag = request_tag(&world, NAME);
    world.aws.iot.set_tag_lag(Duration::from_secs(3));
    let event = rename();
    world.send(&event).await.succeeded();
    let (again, ()) = tokio::join!(world.send(&event), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // As the rollback does.
        world.aws.iot.tamper(NAME, |action| {
            action.as_mut().unwrap().tags.insert(REQUEST_TAG.to_owned(), tag.clone());
        });
        world.aws.iot.tamper(RENAMED, |action| *action = None);
    });
    again.failed("InternalFailureException");
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn the_mark_of_a_request_that_was_delivered_twice_is_removed() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    let (one, other) = overlap(&world, &update(), &update()).await;
    assert_eq!(one.succeeded().response(), other.succeeded().response());
    assert_eq!(request_tag(&world, NAME), before.tags[REQUEST_TAG]);
}

#[tokio::test]
async fn a_rollback_that_waits_restores_what_an_earlier_call_changes_meanwhile() {
    let (world, before) = waiting_world().await;
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Slow(Duration::from_secs(1)), 1);
    deny(&world, "UpdateMitigationAction", 1);
    let (_, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    assert_restored(&world, &before);
}

#[tokio::test]
async fn an_update_whose_lost_response_was_a_success_is_not_mistaken_for_another_request() {
    let (world, before) = waiting_world().await;
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::LoseAfter, 1);
    deny(&world, "UpdateMitigationAction", 1);
    world.send(&update_without_tags()).await.succeeded();
    assert_eq!(request_tag(&world, NAME), before.tags[REQUEST_TAG]);
}

#[tokio::test]
async fn an_update_finishes_while_another_delivery_of_it_is_slow() {
    let (world, _) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("UntagResource", Fault::Slow(Duration::from_secs(4)), 1);
    let event = update_without_tags();
    let (one, other) = overlap(&world, &event, &event).await;
    assert_eq!(one.succeeded().response(), other.succeeded().response());
}

#[tokio::test]
async fn a_late_mark_of_an_update_does_not_replace_that_of_its_rollback() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 2);
    let forward = roll_back_before_the_mark(&world, &update()).await;
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_call_is_not_repeated_once_the_rollback_has_taken_over() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Hang, 1);
    let after = Duration::from_millis(1500);
    let (_, back) = overlap_after(after, &world, &update(), &reverse(&update())).await;
    back.succeeded();
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_deletes_what_it_created_if_its_resource_is_deleted_as_it_ends() {
    let (world, _) = waiting_world().await;
    deny(&world, "CreateMitigationAction", 1);
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::ZERO), 1);
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::from_secs(2)), 1);
    let delete = delete_of(&create(), NAME);
    let after = Duration::from_millis(1800);
    let (forward, deleted) = overlap_after(after, &world, &rename(), &delete).await;
    deleted.succeeded();
    forward.failed("AccessDeniedException");
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_update_whose_first_lookups_are_denied_waits_for_its_role() {
    let (world, _) = waiting_world().await;
    deny(&world, "ListTagsForResource", 2);
    world.send(&update()).await.succeeded();
}

#[tokio::test]
async fn a_rollback_whose_lookup_of_the_orphan_is_denied_waits_for_its_role() {
    let (world, before) = waiting_world().await;
    deny(&world, "ListTagsForResource", 1);
    world.send(&reverse(&rename())).await.succeeded();
    assert_restored(&world, &before);
}

#[tokio::test]
async fn an_update_that_cannot_remove_its_mark_succeeds_and_the_next_one_removes_it() {
    let (world, before) = waiting_world().await;
    let event = update_of_definition();
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::ZERO), 1);
    deny(&world, "TagResource", 1);
    world.send(&event).await.succeeded();
    assert_ne!(request_tag(&world, NAME), before.tags[REQUEST_TAG]);
    world.send(&reverse(&event)).await.succeeded();
    assert_eq!(request_tag(&world, NAME), before.tags[REQUEST_TAG]);
}

#[tokio::test]
async fn an_update_that_is_rolled_back_before_it_looks_changes_nothing() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Slow(Duration::from_secs(1)), 1);
    let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}

/// The marks that the calls set.
fn marks<'a>(calls: impl IntoIterator<Item = &'a Call>) -> BTreeSet<&'a str> {
    let after = calls.into_iter().filter_map(|call| call.change.as_ref()?.1.as_ref());
    after.filter_map(|action| action.tags[REQUEST_TAG].split('/').nth(2)).collect()
}

#[tokio::test]
async fn an_update_that_finds_the_mark_of_its_rollback_sets_none() {
    let (world, before) = waiting_world().await;
    // The Update looks while the rollback waits, from half a second to three and a half.
    deny(&world, "UpdateMitigationAction", 3);
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Slow(Duration::from_secs(2)), 1);
    let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    let marks = marks(forward.calls.iter().chain(&back.calls));
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn an_update_that_waits_succeeds_if_tags_move_dates() {
    let (world, _) = waiting_world().await;
    world.aws.iot.let_tags_move_dates();
    deny(&world, "UpdateMitigationAction", 2);
    let played = world.send(&update()).await;
    assert!(played.succeeded().response_time.unwrap() > Duration::from_millis(2900));
}

#[tokio::test]
async fn an_update_that_has_waited_is_retried_while_the_service_throttles() {
    let (world, _) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Throttle, 5);
    let played = world.send(&update()).await;
    // A second for the role, and waits that double.
    assert!(played.succeeded().response_time.unwrap() > Duration::from_millis(2500));
}

#[tokio::test]
async fn an_update_that_waits_changes_nothing_after_a_rollback_that_met_no_mark() {
    let (world, before) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Slow(Duration::from_secs(1)), 1);
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::from_millis(700)), 1);
    let event = update_of_definition();
    let (forward, back) = overlap(&world, &event, &reverse(&event)).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_keeps_the_action_that_another_delivery_has_responded_with() {
    let (world, _) = waiting_world().await;
    deny(&world, "CreateMitigationAction", 1);
    // Two around the mark, and one each before the attempt and before its call; the fifth is the
    // look after it.
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Slow(Duration::ZERO), 4);
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Slow(Duration::from_secs(2)), 1);
    let event = rename();
    let _other = function(&world.aws, &WAITING);
    let again = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        world.send(&event).await.succeeded();
        world.send(&delete_of(&create(), NAME)).await.succeeded();
    };
    tokio::join!(world.send(&event), again);
    assert_eq!(names(&world), [RENAMED]);
}

/// Lets the last look of [`update_of_definition`] meet `fault`, after a wait.
async fn disturb_the_last_look(world: &World, fault: Fault, times: usize) -> Exchange {
    deny(world, "UpdateMitigationAction", 1);
    // Two around the mark, and one each before the attempt and before its call.
    world.aws.iot.faults.set("DescribeMitigationAction", Fault::Slow(Duration::ZERO), 4);
    world.aws.iot.faults.set("DescribeMitigationAction", fault, times);
    world.send(&update_of_definition()).await
}

#[tokio::test]
async fn an_update_whose_last_look_is_denied_succeeds() {
    let (world, _) = waiting_world().await;
    let fault = Fault::Refuse(403, "AccessDeniedException");
    disturb_the_last_look(&world, fault, 1).await.succeeded();
}

#[tokio::test]
async fn an_update_whose_last_look_gets_no_response_in_time_fails() {
    let (world, _) = waiting_world().await;
    let world = world.with_timeout(Duration::from_secs(6));
    let played = disturb_the_last_look(&world, Fault::Hang, 1000).await;
    played.failed("InternalFailureException");
}

#[tokio::test]
async fn an_update_of_tags_alone_changes_nothing_after_its_rollback() {
    let (world, before) = waiting_world().await;
    let event = merged(
        create(),
        &json!({
            "RequestType": "Update",
            "RequestId": "update",
            "PhysicalResourceId": NAME,
            "ResourceProperties": { "Tags": [] },
            "OldResourceProperties": create()["ResourceProperties"],
        }),
    );
    deny(&world, "UpdateMitigationAction", 1);
    let (forward, back) = overlap(&world, &event, &reverse(&event)).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_restored(&world, &before);
}
