//! Overlapping requests for one resource. CloudFormation can cancel a request that is in progress
//! and send the next one to another instance.

use std::time::Duration;

use serde_json::json;
use stand_ins::{OWNER_TAG, REQUEST_TAG, fault::Fault, stack::merged};

use super::{
    ADOPTED, NAME, OTHERS, OURS, RENAMED, WAITING, assert_restored, cancelled, create, create_with,
    deny, follow_up, overlap, rename, request_tag, reverse, update, waiting_world,
};
use crate::{function, names, sample, world, world_with};

#[tokio::test]
async fn a_delete_with_an_invented_id_removes_what_the_cancelled_create_creates_later() {
    for on_conflict in ["Fail", "Overwrite"] {
        let world = world_with(&WAITING).await;
        deny(&world, "CreateMitigationAction", 2);
        let event = create_with(&json!({ "OnConflict": on_conflict }));
        let (created, deleted) = overlap(&world, &event, &cancelled(&event)).await;
        created.succeeded();
        deleted.succeeded();
        assert_eq!(names(&world), [""; 0]);
    }
}

#[tokio::test]
async fn a_delete_with_an_invented_id_looks_until_its_time_for_work_ends() {
    let world = world().await.with_timeout(Duration::from_secs(8));
    let exchange = world.send(&cancelled(&create())).await;
    let calls = &exchange.succeeded().calls;
    let looks = calls.iter().filter(|call| call.operation == "ListTagsForResource");
    let looks: Vec<_> = looks.map(|look| look.at).collect();
    // The first is for the name that the id is.
    let [_, first, second, third, ..] = looks[..] else { panic!("{:?}", exchange.operations()) };
    let [one, two] =
        [(first, second), (second, third)].map(|(from, to)| to.duration_since(from).as_secs_f64());
    assert!((0.9..1.3).contains(&one) && (1.8..2.5).contains(&two), "{one} {two}");
    assert_eq!(exchange.succeeded().operations().last(), Some(&"DescribeMitigationAction"));
    assert!(exchange.response_time.unwrap() > Duration::from_secs(2));
}

#[tokio::test]
async fn a_delete_with_an_invented_id_responds_at_once_if_the_create_cannot_succeed() {
    let world = world().await;
    for (tags, properties) in [
        (vec![(OWNER_TAG, OTHERS)], json!({ "OnConflict": "Overwrite" })),
        (vec![], json!({})),
        (vec![(OWNER_TAG, "event/com.example/1")], json!({})),
        (vec![], json!({ "ActionName": "no name", "OnConflict": "Overwrite" })),
    ] {
        world.aws.iot.reset();
        world.plant_identical(NAME, &tags);
        let deleted = world.send(&cancelled(&create_with(&properties))).await;
        deleted.succeeded().changed_nothing();
        assert!(deleted.response_time.unwrap() < Duration::from_secs(1), "{properties}");
    }
}

#[tokio::test]
async fn a_delete_by_a_known_id_never_waits() {
    let world = world().await;
    let generated = world.send(&sample("create-without-name.json")).await.physical_id().to_owned();
    world.aws.iot.reset();
    for (event, id) in [
        (create(), NAME),
        (create(), "not-created:fleet-quarantine:0011223344556677"),
        (create(), "not-created:unknown"),
        (sample("create-without-name.json"), generated.as_str()),
    ] {
        let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
        let deleted = world.send(&merged(event, &delete)).await;
        assert!(deleted.succeeded().response_time.unwrap() < Duration::from_secs(1), "{id}");
    }
}

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
async fn a_rename_whose_create_is_in_flight_deletes_what_it_makes_after_its_rollback() {
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
async fn the_delete_after_a_failed_create_removes_only_what_that_create_made() {
    let world = world().await;
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    deny(&world, "CreateMitigationAction", 1);
    let failed = world.send(&create()).await;
    let id = failed.failed("AccessDeniedException").physical_id().to_owned();
    assert!(id.starts_with("not-created:fleet-quarantine:"), "{id}");
    // A retry takes the action over before the Delete that follows the failure.
    let retry = merged(create(), &json!({ "RequestId": "retry" }));
    world.send(&retry).await.succeeded();
    let clean_up = follow_up(&create(), failed.response());
    world.send(&clean_up).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
    // Without the retry the Delete removes the action.
    world.aws.iot.reset();
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    deny(&world, "CreateMitigationAction", 1);
    world.send(&create()).await.failed("AccessDeniedException");
    world.send(&clean_up).await.succeeded();
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn a_failed_adoption_is_released_by_its_delete() {
    let world = world().await.with_timeout(Duration::from_secs(4));
    world.plant_identical(NAME, &[]);
    let event = create_with(&json!({ "OnConflict": "Adopt" }));
    world.aws.iot.faults.set("TagResource", Fault::HangAfter, 100);
    let failed = world.send(&event).await;
    failed.failed("InternalFailureException");
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], ADOPTED);
    world.aws.iot.faults.clear();
    world.send(&follow_up(&event, failed.response())).await.succeeded();
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    assert!(!tags.contains_key(OWNER_TAG) && !tags.contains_key(REQUEST_TAG), "{tags:?}");
}

#[tokio::test]
async fn a_reverse_update_leaves_an_action_that_is_older_than_the_current_one() {
    let tag = |milliseconds: u64| format!("{milliseconds}/0011223344556677");
    for (orphan, current, is_removed, is_warned) in [
        (Some(2), Some(1), true, false),
        (Some(1), Some(2), false, false),
        (Some(1), Some(1), false, false),
        (None, Some(1), false, true),
        (Some(2), None, false, true),
    ] {
        let world = world().await;
        for (name, milliseconds) in [(RENAMED, orphan), (NAME, current)] {
            let tag = milliseconds.map(tag);
            let mut tags = vec![(OWNER_TAG, OURS)];
            tags.extend(tag.as_deref().map(|tag| (REQUEST_TAG, tag)));
            world.plant_identical(name, &tags);
        }
        world.send(&reverse(&rename())).await.succeeded();
        assert_eq!(world.aws.iot.action(RENAMED).is_none(), is_removed, "{orphan:?} {current:?}");
        let output = world.function.stop().await;
        let warning = "may be left behind by a failed replacement";
        assert_eq!(output.contains(warning), is_warned, "{output}");
    }
}

#[tokio::test]
async fn a_failed_update_of_what_was_not_created_responds_with_an_id_of_its_own() {
    let world = world().await;
    let id = "not-created:fleet-quarantine:0011223344556677";
    let update = merged(sample("update.json"), &json!({ "PhysicalResourceId": id }));
    deny(&world, "*", 100);
    let failed = world.send(&update).await;
    failed.failed("AccessDeniedException");
    let own = failed.physical_id();
    assert!(own.starts_with("not-created:fleet-quarantine:") && own != id, "{own}");
    world.aws.iot.faults.clear();
    assert_eq!(world.send(&update).await.succeeded().physical_id(), NAME);
}
