//! What follows a failed request: the Delete of a failed Create, and the reverse Update of a failed
//! rename. They remove what the request made, and nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    CLAIMED_TAG, CREATED_TAG, OWNER_TAG,
    fault::Fault,
    stack::{Exchange, World, merged},
};

use super::{
    ADOPTED, NAME, OURS, RENAMED, canceled, create, create_with, delete_of, deny, follow_up,
    record_of, record_sent, rename, reverse, update, with_id,
};
use crate::{names, sample, world};

/// A Create or a rename whose create call is applied, and whose failure is reported.
async fn fail_create(world: &World, event: &Value) -> Exchange {
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    for call in ["CreateMitigationAction", "DescribeMitigationAction"] {
        deny(world, call, 1000);
    }
    let failed = world.send(event).await;
    failed.failed("AccessDeniedException");
    world.aws.iot.faults.clear();
    failed
}

/// A record that was written so many seconds ago, by the request with that digest.
fn record(seconds: u64, digest: char, request_type: &str) -> String {
    record_sent(seconds.try_into().unwrap(), &digest.to_string().repeat(16), request_type)
}

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn the_delete_after_a_failed_create_removes_only_what_that_create_created() {
    let world = world().await;
    let failed = fail_create(&world, &create()).await;
    let id = failed.physical_id().to_owned();
    assert!(id.starts_with("not-created:fleet-quarantine:"), "{id}");
    // A retry takes the action over before the Delete that follows the failure.
    let retry = merged(create(), &json!({ "RequestId": "retry" }));
    world.send(&retry).await.succeeded();
    let clean_up = follow_up(&create(), failed.response());
    world.send(&clean_up).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
    // Without the retry the Delete removes the action.
    world.aws.iot.reset();
    fail_create(&world, &create()).await;
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
    assert!(tags.keys().all(|key| !key.starts_with("mitigation-action-provider:")), "{tags:?}");
}

#[tokio::test]
async fn a_failed_overwrite_is_released_by_its_delete() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    let event = create_with(&json!({ "OnConflict": "Overwrite" }));
    world.aws.iot.faults.set("TagResource", Fault::LoseAfter, 1);
    deny(&world, "TagResource", 1);
    let failed = world.send(&event).await;
    failed.failed("AccessDeniedException");
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], OURS);
    world.send(&follow_up(&event, failed.response())).await.succeeded();
    let tags = world.aws.iot.action(NAME).expect("what people made stays").tags;
    assert!(tags.keys().all(|key| !key.starts_with("mitigation-action-provider:")), "{tags:?}");
}

#[tokio::test]
async fn an_update_cleans_up_only_after_an_update_that_was_sent_after_its_action_was_created() {
    let (created, claimed) = (record(100, 'A', "Create"), record(60, 'B', "Update"));
    let is_created = vec![(CREATED_TAG, created.as_str())];
    let is_taken_over = vec![(CLAIMED_TAG, claimed.as_str())];
    for (left_created, left_claimed, physical, remains) in [
        // Created by a failed Update: deleted. Retained, then claimed by one: left.
        (record(50, 'C', "Update"), None, &is_created, false),
        (record(900, 'D', "Create"), Some(record(50, 'C', "Update")), &is_created, true),
        // A Create's, or older than the resource's action: left.
        (record(50, 'C', "Create"), None, &is_created, true),
        (record(200, 'C', "Update"), None, &is_created, true),
        (record(100, 'C', "Update"), None, &is_created, true),
        // A resource's action that was taken over has a claim only.
        (record(60, 'B', "Update"), None, &is_taken_over, false),
        (record(50, 'C', "Update"), None, &is_taken_over, true),
        (record(50, 'C', "Update"), None, &vec![], true),
    ] {
        let world = world().await;
        let mut tags = vec![(OWNER_TAG, OURS)];
        tags.extend(physical);
        world.plant_identical(NAME, &tags);
        let mut tags = vec![(OWNER_TAG, OURS), (CREATED_TAG, left_created.as_str())];
        tags.extend(left_claimed.as_deref().map(|record| (CLAIMED_TAG, record)));
        world.plant_identical(RENAMED, &tags);
        world.send(&reverse(&rename())).await.succeeded();
        assert_eq!(world.aws.iot.action(RENAMED).is_some(), remains, "{tags:?} {physical:?}");
    }
}

#[tokio::test]
async fn the_rollback_of_a_rename_from_another_implementations_id_cleans_up() {
    for (seconds, remains) in [(50, false), (DAY - 60, false), (DAY + 60, true)] {
        let world = world().await;
        world.plant_identical(
            RENAMED,
            &[(OWNER_TAG, OURS), (CREATED_TAG, &record(seconds, 'A', "Update"))],
        );
        let id = json!({ "PhysicalResourceId": "2024/04/30/[$LATEST]0123456789abcdef" });
        world.send(&merged(reverse(&rename()), &id)).await.succeeded();
        assert_eq!(world.aws.iot.action(RENAMED).is_some(), remains, "{seconds}");
    }
}

#[tokio::test]
async fn the_rollback_of_a_rename_whose_old_action_is_gone_cleans_up() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    fail_create(&world, &rename()).await;
    world.aws.iot.tamper(NAME, |action| *action = None);
    world.send(&reverse(&rename())).await.succeeded();
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn an_update_to_a_third_name_cleans_up_after_a_failed_rename() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let failed = fail_create(&world, &rename()).await;
    assert_eq!(failed.physical_id(), NAME);
    assert_eq!(names(&world), [RENAMED, NAME]);
    let third = with_id(
        merged(
            rename(),
            &json!({
                "ResourceProperties": { "ActionName": "third" },
                "OldResourceProperties": { "ActionName": RENAMED },
            }),
        ),
        "third",
    );
    world.send(&third).await.succeeded();
    assert_eq!(names(&world), [NAME, "third"]);
}

#[tokio::test]
async fn an_update_whose_clean_up_fails_succeeds_and_warns() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    fail_create(&world, &rename()).await;
    deny(&world, "DeleteMitigationAction", 1);
    world.send(&reverse(&rename())).await.succeeded();
    let output = world.function.stop().await;
    assert!(output.contains("may have been left behind"), "{output}");
}

#[tokio::test]
async fn an_update_whose_clean_up_hangs_succeeds_in_time() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    fail_create(&world, &rename()).await;
    let world = world.with_timeout(Duration::from_secs(4));
    world.aws.iot.faults.set("DeleteMitigationAction", Fault::Hang, 100);
    world.send(&reverse(&rename())).await.succeeded();
}

#[tokio::test]
async fn the_delete_of_a_canceled_create_takes_nothing_that_it_did_not_make() {
    for (tags, remains, is_owned) in [
        (vec![(CREATED_TAG, record(5, 'A', "Create"))], false, false),
        (vec![(CLAIMED_TAG, record(5, 'A', "Create"))], true, false),
        (vec![(CREATED_TAG, record(DAY - 60, 'A', "Create"))], false, false),
        (vec![(CREATED_TAG, record(DAY + 60, 'A', "Create"))], true, true),
        (vec![(CREATED_TAG, record(5, 'A', "Update"))], true, true),
        (
            vec![
                (CREATED_TAG, record(90 * DAY, 'A', "Create")),
                (CLAIMED_TAG, record(5, 'B', "Create")),
            ],
            true,
            true,
        ),
    ] {
        let world = world().await;
        let mut planted = vec![(OWNER_TAG, OURS)];
        planted.extend(tags.iter().map(|(key, value)| (*key, value.as_str())));
        world.plant_identical(NAME, &planted);
        // Sent now, and so after the records.
        let deleted = world.send_at(0, &canceled(&create())).await;
        let response_time = deleted.succeeded().response_time.unwrap();
        assert!(response_time < Duration::from_secs(1), "{response_time:?} {tags:?}");
        let found = world.aws.iot.action(NAME);
        assert_eq!(found.is_some(), remains, "{tags:?}");
        let owner = found.is_some_and(|action| action.tags.contains_key(OWNER_TAG));
        assert_eq!(owner, is_owned, "{tags:?}");
    }
}

#[tokio::test]
async fn an_adopted_action_is_released_even_if_it_still_has_a_created_record() {
    let world = world().await;
    world.plant_identical(NAME, &[(OWNER_TAG, ADOPTED), (CREATED_TAG, &record(5, 'A', "Create"))]);
    world.send_at(0, &canceled(&create())).await.succeeded();
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags.len(), 0);
}

#[tokio::test]
async fn the_delete_of_another_implementations_id_leaves_the_live_action() {
    for id in ["2024/04/30/[$LATEST]0123456789abcdef", "fleet-security_Quarantine_ABCDEFGH"] {
        let world = world().await;
        world.plant_different(NAME, &[]);
        let overwrite = json!({
            "RequestType": "Update",
            "PhysicalResourceId": id,
            "OldResourceProperties": create()["ResourceProperties"],
            "ResourceProperties": { "OnConflict": "Overwrite" },
        });
        let update = with_id(merged(create(), &overwrite), "update");
        assert_eq!(world.send(&update).await.succeeded().physical_id(), NAME);
        world.send(&delete_of(&update, id)).await.succeeded().changed_nothing();
        assert_eq!(names(&world), [NAME]);
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
    let event = with_id(create_with(&json!({ "Tags": [{ "Key": "new", "Value": "x" }] })), "again");
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::ZERO), 1);
    deny(&world, "TagResource", 1);
    let failed = world.send(&event).await;
    failed.failed("AccessDeniedException");
    assert_ne!(record_of(&world, NAME, CLAIMED_TAG), record_of(&world, NAME, CREATED_TAG));
    world.send(&follow_up(&event, failed.response())).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn a_released_action_loses_all_tags_of_the_provider() {
    let world = world().await;
    world.plant_identical(NAME, &[("theirs", "stays")]);
    let event = create_with(&json!({ "OnConflict": "Adopt" }));
    world.send(&event).await.succeeded();
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    assert_eq!((tags[OWNER_TAG].as_str(), tags.contains_key(CLAIMED_TAG)), (ADOPTED, true));
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
    // The first is the claim on the old action.
    world.aws.iot.faults.set("TagResource", Fault::Slow(Duration::ZERO), 1);
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
        let record = record(1, 'F', "Update");
        world.plant_identical(RENAMED, &[(OWNER_TAG, owner), (CREATED_TAG, &record)]);
        let before = world.aws.iot.action(RENAMED);
        world.send(&reverse(&rename())).await.succeeded();
        assert_eq!(world.aws.iot.action(RENAMED), before);
    }
}
