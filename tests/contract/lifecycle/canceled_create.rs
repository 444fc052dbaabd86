//! The Delete of a Create that CloudFormation canceled: its physical id is unknown, and the Create
//! may still be running in another instance.

use std::time::Duration;

use serde_json::json;
use stand_ins::{OWNER_TAG, fault::Fault, stack::merged};

use super::{NAME, OTHERS, OURS, WAITING, canceled, create, create_with, delete_of, deny, overlap};
use crate::{names, sample, world, world_with};

#[tokio::test]
async fn a_delete_with_an_unknown_id_removes_what_the_canceled_create_creates_later() {
    for on_conflict in ["Fail", "Overwrite"] {
        let world = world_with(&WAITING).await;
        deny(&world, "CreateMitigationAction", 2);
        let event = create_with(&json!({ "OnConflict": on_conflict }));
        let (created, deleted) = overlap(&world, &event, &canceled(&event)).await;
        created.succeeded();
        deleted.succeeded();
        assert_eq!(names(&world), [""; 0]);
    }
}

#[tokio::test]
async fn a_delete_with_an_unknown_id_looks_until_its_time_for_work_ends() {
    let world = world().await.with_timeout(Duration::from_secs(8));
    let exchange = world.send(&canceled(&create())).await;
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
async fn a_delete_with_an_unknown_id_keeps_little_of_a_short_time_for_its_last_poll() {
    let timeout = Duration::from_secs(3);
    let world = world().await.with_timeout(timeout);
    let deleted = world.send(&canceled(&create())).await;
    let response_time = deleted.succeeded().response_time.unwrap();
    assert!(response_time > timeout / 3, "{response_time:?}");
}

#[tokio::test]
async fn a_delete_with_an_unknown_id_responds_at_once_if_the_create_cannot_succeed() {
    let world = world().await;
    for (tags, properties) in [
        (vec![(OWNER_TAG, OTHERS)], json!({ "OnConflict": "Overwrite" })),
        (vec![], json!({})),
        (vec![(OWNER_TAG, "event/com.example/1")], json!({})),
        (vec![], json!({ "ActionName": "no name", "OnConflict": "Overwrite" })),
    ] {
        world.aws.iot.reset();
        world.plant_identical(NAME, &tags);
        let deleted = world.send(&canceled(&create_with(&properties))).await;
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
async fn a_create_that_adopts_after_its_cancellation_is_released() {
    let world = world_with(&WAITING).await;
    world.plant_identical(NAME, &[]);
    let before = world.aws.iot.actions();
    let event = create_with(&json!({ "OnConflict": "Adopt", "Tags": [] }));
    deny(&world, "CreateMitigationAction", 1);
    let (created, deleted) = overlap(&world, &event, &canceled(&event)).await;
    created.succeeded();
    deleted.succeeded();
    assert_eq!(world.aws.iot.actions(), before);
}

#[tokio::test]
async fn a_create_without_a_name_is_removed_after_its_cancellation() {
    let world = world_with(&WAITING).await;
    deny(&world, "CreateMitigationAction", 1);
    let event = sample("create-without-name.json");
    let (created, deleted) = overlap(&world, &event, &canceled(&event)).await;
    created.succeeded();
    deleted.succeeded();
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_id_that_is_the_name_of_the_resources_own_action_is_known_and_deleted() {
    let world = world().await;
    world.plant_identical("renamed-by-hand", &[(OWNER_TAG, OURS)]);
    let deleted = world.send(&delete_of(&create(), "renamed-by-hand")).await;
    assert!(deleted.succeeded().response_time.unwrap() < Duration::from_secs(1));
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test]
async fn an_action_whose_name_is_the_id_is_found_even_if_its_tags_lag() {
    let world = world().await.with_timeout(Duration::from_secs(6));
    world.plant_identical("renamed-by-hand", &[(OWNER_TAG, OURS)]);
    // The first look for the action.
    let lag = Fault::Refuse(404, "ResourceNotFoundException");
    world.aws.iot.faults.set("ListTagsForResource", lag, 1);
    world.send(&delete_of(&create(), "renamed-by-hand")).await.succeeded();
    assert_eq!(names(&world), [""; 0]);
}
