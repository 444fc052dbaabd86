//! What follows a failed request: the Delete of a failed Create, and the reverse Update of a failed
//! rename. They remove what the request made, and nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG, REQUEST_TAG,
    fault::Fault,
    stack::{Exchange, World, merged},
};

use super::{
    ADOPTED, NAME, OURS, RENAMED, create, create_with, delete_of, deny, follow_up, rename,
    request_tag, reverse, update, with_id,
};
use crate::{names, sample, world};

/// A Create whose call is applied, and whose failure is reported.
async fn fail_create(world: &World, event: &Value) -> Exchange {
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    deny(world, "CreateMitigationAction", 1);
    let failed = world.send(event).await;
    failed.failed("AccessDeniedException");
    failed
}

#[tokio::test]
async fn the_delete_after_a_failed_create_removes_only_what_that_create_created() {
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
        let warning = "may have been left behind by a failed replacement";
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

#[tokio::test]
async fn an_update_takes_over_what_a_failed_create_created_and_the_cleanup_keeps_it() {
    let world = world().await;
    let failed = fail_create(&world, &create()).await;
    let id = failed.physical_id();
    let retry = with_id(merged(update(), &json!({ "PhysicalResourceId": id })), "update");
    assert_eq!(world.send(&retry).await.succeeded().physical_id(), NAME);
    world.send(&delete_of(&create(), id)).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn an_update_to_another_name_leaves_a_failed_creates_action_to_the_cleanup() {
    let world = world().await;
    let failed = fail_create(&world, &create()).await;
    let id = failed.physical_id();
    let retry = with_id(merged(rename(), &json!({ "PhysicalResourceId": id })), "update");
    assert_eq!(world.send(&retry).await.succeeded().physical_id(), RENAMED);
    world.send(&delete_of(&create(), id)).await.succeeded();
    assert_eq!(names(&world), [RENAMED]);
}

#[tokio::test]
async fn a_retained_action_survives_the_cleanup_of_a_create_that_found_it() {
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
async fn a_released_action_loses_both_tags_of_the_provider() {
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
