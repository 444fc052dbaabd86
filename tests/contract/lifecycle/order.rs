//! The order of the requests of a resource: of two, the one that CloudFormation sent later decides,
//! whatever overlaps or arrives late.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    CLAIMED_TAG, CREATED_TAG, OWNER_TAG,
    fault::Fault,
    iot::{Action, Call},
    stack::{Exchange, World, merged},
};

use super::{
    ADOPTED, NAME, OURS, RENAMED, WAITING, assert_restored, create, create_with, delete_of, deny,
    overlap, overlap_after, record_of, record_sent, rename, reverse, update, waiting_world,
    with_id,
};
use crate::{function, names, sample, world, world_with};

const SUPERSEDED: &str = "superseded: a later request for this resource has taken over";

/// [`update`], which takes all tags away.
fn update_without_tags() -> Value {
    merged(update(), &json!({ "ResourceProperties": { "Tags": [] } }))
}

/// A record that was written so many seconds before the world began.
fn record(seconds: u64, request_type: &str) -> String {
    record_sent(seconds.try_into().unwrap(), "0011223344556677", request_type)
}

/// Sends a request, and changes an action half a second later, while the request waits.
async fn send_and_tamper(
    world: &World,
    event: &Value,
    name: &str,
    change: impl FnOnce(&mut Option<Action>),
) -> Exchange {
    let tamper = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.aws.iot.tamper(name, change);
    };
    tokio::join!(world.send(event), tamper).0
}

/// A record of a request that is sent in half a minute.
fn later(request_type: &str) -> String {
    record_sent(-30, "8899AABBCCDDEEFF", request_type)
}

fn claim_later(action: &mut Option<Action>) {
    action.as_mut().unwrap().tags.insert(CLAIMED_TAG.to_owned(), later("Update"));
}

fn tag(world: &World, name: &str, key: &str) -> Option<String> {
    world.aws.iot.action(name).unwrap().tags.get(key).cloned()
}

#[tokio::test]
async fn a_create_records_itself_and_an_update_claims_beside_that() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let created = tag(&world, NAME, CREATED_TAG).unwrap();
    let [sent, digest, "Create"] = created.split('/').collect::<Vec<_>>()[..] else {
        panic!("{created}")
    };
    assert!(sent.parse::<u64>().is_ok() && digest.len() == 16, "{created}");
    assert_eq!(tag(&world, NAME, CLAIMED_TAG), None);
    world.send(&update()).await.succeeded();
    assert_eq!(tag(&world, NAME, CREATED_TAG), Some(created.clone()), "a claim rewrites nothing");
    let claimed = tag(&world, NAME, CLAIMED_TAG).unwrap();
    assert!(claimed.ends_with("/Update") && !claimed.contains(digest), "{claimed}");
    let claimed_at: u64 = claimed.split('/').next().unwrap().parse().unwrap();
    assert_eq!(claimed_at, sent.parse::<u64>().unwrap() + 1, "a second later");
}

#[tokio::test]
async fn a_rename_claims_the_old_action_before_it_creates_the_new_one() {
    let world = world().await;
    let bare = json!({ "ResourceProperties": { "Tags": [] } });
    world.send(&merged(create(), &bare)).await.succeeded();
    let renamed = world.send(&merged(rename(), &bare)).await;
    renamed.succeeded().called(&["ListTagsForResource", "TagResource", "CreateMitigationAction"]);
    assert!(tag(&world, NAME, CLAIMED_TAG).unwrap().ends_with("/Update"));
    assert!(tag(&world, RENAMED, CREATED_TAG).unwrap().ends_with("/Update"));
}

#[tokio::test]
async fn an_update_that_waits_once_looks_again_before_its_change() {
    let (world, _) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    let played = world.send(&update_without_tags()).await;
    let calls = &played.succeeded().calls;
    let updates: Vec<&Call> =
        calls.iter().filter(|call| call.operation == "UpdateMitigationAction").collect();
    let [_, second] = updates[..] else { panic!("{:?}", played.operations()) };
    let look =
        calls.iter().rfind(|call| call.operation == "ListTagsForResource" && call.at < second.at);
    assert!(second.at.duration_since(look.unwrap().at) < Duration::from_secs(1));
}

#[tokio::test]
async fn no_change_is_sent_more_than_a_second_after_the_last_look() {
    for fault in [Fault::Throttle, Fault::LoseBefore, Fault::Refuse(503, "ServiceUnavailable")] {
        for event in [update_without_tags(), rename()] {
            let world = world().await;
            world.send(&create()).await.succeeded();
            for call in ["UpdateMitigationAction", "CreateMitigationAction", "TagResource"] {
                world.aws.iot.faults.set(call, fault.clone(), 5);
            }
            let played = world.send(&event).await;
            let mut look = None;
            for call in &played.succeeded().calls {
                if call.operation == "ListTagsForResource" && call.name() == NAME {
                    look = Some(call.at);
                }
                let age = call.at.duration_since(look.unwrap());
                let is_fresh = age < Duration::from_millis(1100);
                assert!(!call.is_change() || is_fresh, "{} after {age:?}", call.operation);
            }
        }
    }
}

#[tokio::test]
async fn an_update_that_waits_changes_nothing_after_its_rollback() {
    for denied in [1, 2] {
        let (world, before) = waiting_world().await;
        deny(&world, "UpdateMitigationAction", denied);
        let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
        back.succeeded();
        let reason = forward.failed("AccessDeniedException").reason();
        assert!(reason.contains(SUPERSEDED), "{reason}");
        assert_restored(&world, &before);
    }
}

#[tokio::test]
async fn an_update_whose_claim_comes_after_its_rollback_changes_nothing_more() {
    let (world, before) = waiting_world().await;
    // Slow enough to be looked at again: the claim is in flight while the rollback responds.
    world.aws.iot.faults.set("ListTagsForResource", Fault::Slow(Duration::from_secs(2)), 1);
    let (forward, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    let reason = forward.failed("InternalFailureException").reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_that_waits_creates_nothing_after_its_rollback() {
    let (world, before) = waiting_world().await;
    deny(&world, "CreateMitigationAction", 1);
    let (forward, back) = overlap(&world, &rename(), &reverse(&rename())).await;
    back.succeeded();
    forward.failed("AccessDeniedException");
    assert_eq!(forward.physical_id(), NAME);
    assert_eq!(names(&world), [NAME]);
    assert_restored(&world, &before);
}

#[tokio::test]
async fn a_rename_that_waits_creates_nothing_after_the_delete_of_its_resource() {
    let (world, _) = waiting_world().await;
    deny(&world, "CreateMitigationAction", 1);
    let (forward, deleted) = overlap(&world, &rename(), &delete_of(&create(), NAME)).await;
    deleted.succeeded();
    forward.failed("AccessDeniedException");
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn two_deliveries_of_a_request_that_waits_both_succeed() {
    for (event, call) in
        [(rename(), "CreateMitigationAction"), (update_without_tags(), "UpdateMitigationAction")]
    {
        let (world, _) = waiting_world().await;
        deny(&world, call, 3);
        let (one, other) = overlap(&world, &event, &event).await;
        assert_eq!(one.succeeded().response(), other.succeeded().response());
    }
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
async fn a_rollback_that_waits_restores_what_an_earlier_call_changes_meanwhile() {
    let (world, before) = waiting_world().await;
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Slow(Duration::from_secs(1)), 1);
    deny(&world, "UpdateMitigationAction", 1);
    let (_, back) = overlap(&world, &update(), &reverse(&update())).await;
    back.succeeded();
    assert_restored(&world, &before);
}

#[tokio::test]
async fn an_update_whose_first_lookups_are_denied_waits_for_its_role() {
    let (world, _) = waiting_world().await;
    deny(&world, "ListTagsForResource", 2);
    world.send(&update()).await.succeeded();
}

#[tokio::test]
async fn a_late_delivery_of_an_update_changes_nothing() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.send(&update()).await.succeeded();
    let second = with_id(
        merged(update(), &json!({ "ResourceProperties": { "OnConflict": "Fail", "Tags": [] } })),
        "second",
    );
    world.send(&second).await.succeeded();
    let before = world.aws.iot.actions();
    let late = world.send(&update()).await;
    let reason = late.failed("InternalFailureException").changed_nothing().reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_eq!(late.physical_id(), NAME);
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn a_late_delivery_of_a_create_does_not_adopt_what_lost_its_owner_tag() {
    let world = world().await;
    let late = create_with(&json!({ "OnConflict": "Adopt" }));
    world.send(&late).await.succeeded();
    // It claims the action and leaves it as it is.
    let properties = &late["ResourceProperties"];
    let again = json!({ "ResourceProperties": properties, "OldResourceProperties": properties });
    world.send(&merged(update(), &again)).await.succeeded();
    world.aws.iot.tamper(NAME, |action| {
        action.as_mut().unwrap().tags.remove(OWNER_TAG);
    });
    let before = world.aws.iot.actions();
    let late = world.send(&late).await;
    let reason = late.failed("InternalFailureException").reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn a_late_delivery_that_finds_what_it_asks_for_succeeds_and_changes_nothing() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let first = world.send(&update()).await;
    world.send(&with_id(update(), "the same again")).await.succeeded();
    let late = world.send(&update()).await;
    assert_eq!(late.succeeded().changed_nothing().response(), first.response());
}

#[tokio::test]
async fn a_late_delivery_of_a_rename_changes_nothing_after_its_rollback() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.send(&rename()).await.succeeded();
    let back = merged(reverse(&rename()), &json!({ "PhysicalResourceId": RENAMED }));
    world.send(&back).await.succeeded();
    world.send(&delete_of(&rename(), RENAMED)).await.succeeded();
    let before = world.aws.iot.actions();
    let late = world.send(&rename()).await;
    let reason = late.failed("InternalFailureException").changed_nothing().reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn an_update_whose_action_goes_before_a_change_is_superseded() {
    for call in ["TagResource", "UpdateMitigationAction"] {
        let world = world().await;
        world.send(&create()).await.succeeded();
        let gone = Fault::Refuse(404, "ResourceNotFoundException");
        world.aws.iot.faults.set(call, gone, 1);
        let played = world.send(&update()).await;
        let reason = played.failed("InternalFailureException").reason();
        assert!(reason.contains(SUPERSEDED), "{call}: {reason}");
    }
}

#[tokio::test]
async fn a_late_delivery_of_a_create_does_not_undo_an_update() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.send(&update()).await.succeeded();
    let before = world.aws.iot.actions();
    let late = world.send(&create()).await;
    late.failed("InternalFailureException").changed_nothing_but_the_create();
    assert!(late.physical_id().starts_with("not-created:"), "{}", late.physical_id());
    world.send(&delete_of(&create(), late.physical_id())).await.succeeded().changed_nothing();
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn a_late_delete_leaves_the_action_of_a_later_request() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let (one, other) = (create(), rename());
    world.send(&one).await.succeeded();
    world.send(&other).await.succeeded();
    // The Delete of the old id of the rename, and then a rename back.
    let delete = delete_of(&one, NAME);
    world.send(&delete).await.succeeded();
    let back = merged(reverse(&other), &json!({ "PhysicalResourceId": RENAMED }));
    world.send(&back).await.succeeded();
    world.send(&delete_of(&other, RENAMED)).await.succeeded();
    assert_eq!(names(&world), [NAME]);
    world.send(&delete).await.succeeded().changed_nothing();
    assert_eq!(names(&world), [NAME]);
    let output = world.function.stop().await;
    assert!(output.contains("a later request for this resource has taken over"), "{output}");
    assert!(!output.contains("DeletesSkipped"), "{output}");
}

#[tokio::test]
async fn an_earlier_delete_that_adopted_releases_nothing_of_a_later_request() {
    let world = world().await;
    let tags = [(OWNER_TAG, ADOPTED), (CLAIMED_TAG, &record(0, "Update"))];
    world.plant_identical(NAME, &tags);
    let before = world.aws.iot.actions();
    world.send(&delete_of(&create(), NAME)).await.succeeded().changed_nothing();
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn a_record_that_is_unreadable_or_of_the_future_blocks_nothing() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let future = format!("{}/0011223344556677/Update", now.as_secs() + 600);
    for value in [future.as_str(), "yesterday", "1/2/Update", "9999999999/0011223344556677/Delete"]
    {
        let world = world().await;
        let created = record(100, "Create");
        let tags = [(OWNER_TAG, OURS), (CREATED_TAG, &created), (CLAIMED_TAG, value)];
        world.plant_identical(NAME, &tags);
        world.send(&update()).await.succeeded();
        assert!(tag(&world, NAME, CLAIMED_TAG).unwrap().ends_with("/Update"), "{value}");
        world.send(&delete_of(&create(), NAME)).await.succeeded();
        assert_eq!(names(&world), [""; 0]);
    }
}

#[tokio::test]
async fn a_tag_of_somebody_does_not_disturb_an_update_that_waits() {
    let (world, _) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 2);
    let event = update();
    let played = send_and_tamper(&world, &event, NAME, |action| {
        action.as_mut().unwrap().tags.insert("others".to_owned(), "stay".to_owned());
    })
    .await;
    played.succeeded();
    assert_eq!(tag(&world, NAME, "others").as_deref(), Some("stay"));
}

#[tokio::test]
async fn an_update_whose_claim_is_seen_late_succeeds() {
    let (world, _) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    let event = update();
    let played = send_and_tamper(&world, &event, NAME, |action| {
        action.as_mut().unwrap().tags.remove(CLAIMED_TAG);
    })
    .await;
    played.succeeded();
}

#[tokio::test]
async fn an_action_that_an_update_had_found_is_not_created_again() {
    let (world, _) = waiting_world().await;
    deny(&world, "UpdateMitigationAction", 1);
    let event = update();
    let played = send_and_tamper(&world, &event, NAME, |action| *action = None).await;
    played.failed("AccessDeniedException");
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_action_that_was_described_while_its_tags_lagged_is_not_created_again() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let lag = Fault::Refuse(404, "ResourceNotFoundException");
    world.aws.iot.faults.set("ListTagsForResource", lag, 100);
    let played = send_and_tamper(&world, &update(), NAME, |action| *action = None).await;
    let reason = played.failed("InternalFailureException").reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn a_rename_without_an_old_action_ends_when_a_later_request_creates_it() {
    let world = world().await;
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Throttle, 5);
    let event = rename();
    let (played, ()) = tokio::join!(world.send(&event), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.plant_identical(NAME, &[(OWNER_TAG, OURS), (CREATED_TAG, &later("Update"))]);
    });
    let reason = played.failed("InternalFailureException").reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_eq!(names(&world), [NAME]);
}

#[tokio::test]
async fn a_rename_to_an_action_of_its_own_ends_when_a_later_request_claims_that() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.plant_different(RENAMED, &[(OWNER_TAG, OURS), (CREATED_TAG, &record(90, "Create"))]);
    let before = world.aws.iot.action(RENAMED).unwrap().params;
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Throttle, 5);
    let played = send_and_tamper(&world, &rename(), RENAMED, claim_later).await;
    let reason = played.failed("InternalFailureException").reason();
    assert!(reason.contains(SUPERSEDED), "{reason}");
    assert_eq!(world.aws.iot.action(RENAMED).unwrap().params, before);
}

#[tokio::test]
async fn a_superseded_update_succeeds_if_the_action_is_as_it_asks() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    let properties = &create()["ResourceProperties"];
    let same = json!({ "ResourceProperties": properties, "OldResourceProperties": properties });
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Throttle, 5);
    let event = merged(update(), &same);
    send_and_tamper(&world, &event, NAME, claim_later).await.succeeded();
}

#[tokio::test]
async fn an_action_that_becomes_anothers_or_nobodys_meanwhile_is_left_alone() {
    for owner in [Some(super::OTHERS), None] {
        let (world, _) = waiting_world().await;
        deny(&world, "UpdateMitigationAction", 1);
        let event = update();
        let played = send_and_tamper(&world, &event, NAME, |action| {
            let tags = &mut action.as_mut().unwrap().tags;
            tags.remove(OWNER_TAG);
            tags.extend(owner.map(|owner| (OWNER_TAG.to_owned(), owner.to_owned())));
        })
        .await;
        played.failed("AccessDeniedException");
        let action = world.aws.iot.action(NAME).unwrap();
        let params = &action.params["addThingsToThingGroupParams"];
        assert_eq!(params["overrideDynamicGroups"], true, "{owner:?}");
    }
}

#[tokio::test]
async fn a_delete_reads_again_before_it_repeats_its_call() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.aws.iot.faults.set("DeleteMitigationAction", Fault::Throttle, 1);
    let played = world.send(&delete_of(&create(), NAME)).await;
    let changes: Vec<usize> = played
        .succeeded()
        .operations()
        .iter()
        .enumerate()
        .filter(|(_, operation)| **operation == "DeleteMitigationAction")
        .map(|(index, _)| index)
        .collect();
    let [first, second] = changes[..] else { panic!("{:?}", played.operations()) };
    assert!(played.operations()[first..second].contains(&"ListTagsForResource"));
}

#[tokio::test]
async fn an_update_tags_an_action_that_lost_its_owner_tag_by_its_created_record() {
    let created = record(100, "Create");
    for (records, owner, remains) in
        [(vec![(CREATED_TAG, created.as_str())], OURS, false), (vec![], ADOPTED, true)]
    {
        for on_conflict in ["Fail", "Adopt", "Overwrite"] {
            let world = world().await;
            world.plant_identical(NAME, &records);
            let policy = json!({ "ResourceProperties": { "OnConflict": on_conflict } });
            world.send(&merged(sample("update.json"), &policy)).await.succeeded();
            assert_eq!(tag(&world, NAME, OWNER_TAG).as_deref(), Some(owner), "{on_conflict}");
            world.send(&sample("delete.json")).await.succeeded();
            assert_eq!(world.aws.iot.action(NAME).is_some(), remains, "{on_conflict}");
        }
    }
}

#[tokio::test]
async fn adopt_and_overwrite_take_off_the_created_record_of_a_former_owner() {
    for on_conflict in ["Adopt", "Overwrite"] {
        let world = world().await;
        world.plant_identical(NAME, &[(CREATED_TAG, &record(100, "Create"))]);
        world.send(&create_with(&json!({ "OnConflict": on_conflict }))).await.succeeded();
        assert_eq!(tag(&world, NAME, CREATED_TAG), None, "{on_conflict}");
        assert_eq!(record_of(&world, NAME, CLAIMED_TAG).1, "Create");
    }
}

#[tokio::test]
async fn a_rename_from_the_name_of_anothers_action_leaves_that_alone() {
    for tags in [vec![], vec![(OWNER_TAG, super::OTHERS)], vec![(OWNER_TAG, "event/a/b")]] {
        let world = world().await;
        world.plant_identical("somebodys", &tags);
        let before = world.aws.iot.action("somebodys");
        // So that the request looks at it again.
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Throttle, 5);
        let event = merged(rename(), &json!({ "PhysicalResourceId": "somebodys" }));
        world.send(&event).await.succeeded();
        assert_eq!(world.aws.iot.action("somebodys"), before, "{tags:?}");
        assert!(world.aws.iot.action(RENAMED).is_some());
    }
}

#[tokio::test]
async fn a_rename_from_a_foreign_physical_id_ends_when_a_later_request_claims_it() {
    // Another implementation's id that is the name of somebody's action.
    let world = world_with(&WAITING).await;
    world.plant_identical("somebodys", &[]);
    deny(&world, "CreateMitigationAction", 1);
    let event = merged(rename(), &json!({ "PhysicalResourceId": "somebodys" }));
    let played = send_and_tamper(&world, &event, "somebodys", |action| {
        let tags = &mut action.as_mut().unwrap().tags;
        tags.insert(CLAIMED_TAG.to_owned(), record(0, "Update"));
    })
    .await;
    played.failed("AccessDeniedException");
    assert_eq!(names(&world), ["somebodys"]);
}

#[tokio::test]
async fn a_rename_whose_response_was_lost_keeps_what_another_delivery_responded_with() {
    let (world, _) = waiting_world().await;
    deny(&world, "CreateMitigationAction", 1);
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

#[tokio::test]
async fn requests_that_are_dated_by_the_expiry_of_their_url_have_the_same_order() {
    let world = world().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let send = async |event: &Value, after: u64| {
        let (key, url) = world.response_url(&format!("Expires={}", now.as_secs() + 7200 + after));
        world.send_to(&key, merged(event.clone(), &json!({ "ResponseURL": url }))).await
    };
    send(&create(), 0).await.succeeded();
    send(&with_id(update(), "later"), 2).await.succeeded();
    let before = world.aws.iot.actions();
    let late = send(&with_id(update_without_tags(), "earlier"), 1).await;
    late.failed("InternalFailureException").changed_nothing();
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn what_was_taken_over_with_a_created_record_is_released_by_its_clean_up() {
    let world = world().await;
    world.plant_different(NAME, &[(CREATED_TAG, &record(100, "Create"))]);
    let event = create_with(&json!({ "OnConflict": "Overwrite" }));
    deny(&world, "UntagResource", 1);
    let failed = world.send(&event).await;
    failed.failed("AccessDeniedException");
    world.send(&delete_of(&event, failed.physical_id())).await.succeeded();
    let tags = world.aws.iot.action(NAME).expect("what people made stays").tags;
    assert_eq!(tags.get(OWNER_TAG), None, "{tags:?}");
}

#[tokio::test]
async fn the_second_delivery_of_a_rollback_cleans_up() {
    let world = world().await;
    let claimed = record(100, "Create");
    world.plant_identical(NAME, &[(OWNER_TAG, ADOPTED), (CLAIMED_TAG, &claimed)]);
    world.plant_identical(RENAMED, &[(OWNER_TAG, OURS), (CREATED_TAG, &record(50, "Update"))]);
    // The first delivery ends before it has cleaned up.
    deny(&world, "DeleteMitigationAction", 1);
    let event = reverse(&rename());
    world.send(&event).await.succeeded();
    world.aws.iot.faults.clear();
    world.send(&event).await.succeeded();
    assert_eq!(names(&world), [NAME]);
}
