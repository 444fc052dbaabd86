//! A Create of an absent action, or of one that the same request created.

use std::time::Duration;

use mitigation_action_provider::mitigation::Kind;
use serde_json::json;
use stand_ins::{
    CREATED_TAG, OWNER_TAG,
    fault::Fault,
    iot::{IdenticalCreate, Iot},
    stack::merged,
};

use super::{NAME, OURS, create, create_of, deny};
use crate::{sample, world, world_with};

#[tokio::test]
async fn a_create_makes_one_call_and_returns_every_attribute() {
    let world = world().await;
    let exchange = world.send(&create()).await;
    exchange.succeeded().called(&["CreateMitigationAction"]);
    let action = world.aws.iot.action(NAME).unwrap();
    let arn = Iot::arn(NAME);
    assert_eq!(
        exchange.response()["Data"],
        json!({
            "ActionArn": arn, "ActionId": action.id,
            "MitigationActionArn": arn, "MitigationActionId": action.id,
            "ActionName": NAME, "ActionType": "ADD_THINGS_TO_THING_GROUP",
        })
    );
    assert_eq!(exchange.physical_id(), NAME);
    for echoed in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_eq!(exchange.response()[echoed], create()[echoed]);
    }
    assert_eq!(exchange.returned.as_ref().unwrap(), exchange.response());
    let groups = json!({ "thingGroupNames": ["quarantine"], "overrideDynamicGroups": true });
    assert_eq!(action.params, json!({ "addThingsToThingGroupParams": groups }));
    let tags = [(OWNER_TAG, OURS), ("stage", "prod"), ("team", "iot-security")];
    let actual = action.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    assert!(actual.filter(|(key, _)| *key != CREATED_TAG).eq(tags), "{:?}", action.tags);
}

#[tokio::test]
async fn every_kind_is_created_and_has_its_action_type() {
    let world = world().await;
    for kind in Kind::ALL {
        let event = create_of(*kind);
        let exchange = world.send(&event).await;
        exchange.succeeded().called(&["CreateMitigationAction"]);
        assert_eq!(exchange.response()["Data"]["ActionType"], kind.as_str());
        // If the service rejects an identical create, the function has to recognize the definition
        // in the description, for each kind.
        world.aws.iot.set_identical_create(IdenticalCreate::Conflict);
        let again = world.send(&event).await;
        again.succeeded().changed_nothing_but_the_create();
        assert_eq!(again.response(), exchange.response());
        world.aws.iot.set_identical_create(IdenticalCreate::Success);
    }
}

#[tokio::test]
async fn an_action_without_a_name_is_named_after_the_stack_and_the_logical_id() {
    let world = world().await;
    let exchange = world.send(&sample("create-without-name.json")).await;
    let name = exchange.succeeded().physical_id().to_owned();
    let suffix = name.strip_prefix("fleet-security-Nameless-").expect("stack name and logical id");
    assert!(suffix.len() == 12 && suffix.chars().all(|c| c.is_ascii_alphanumeric()), "{suffix}");
    assert!(world.aws.iot.action(&name).is_some());
    let empty = merged(
        sample("create-without-name.json"),
        &json!({ "ResourceProperties": { "ActionName": "" } }),
    );
    assert_eq!(world.send(&empty).await.succeeded().physical_id(), name, "an empty name is absent");
}

#[tokio::test]
async fn a_redelivered_create_gets_the_same_response_and_changes_nothing() {
    for identical_create in IdenticalCreate::ALL {
        let world = world().await;
        let first = world.send(&create()).await;
        let actions = world.aws.iot.actions();
        world.aws.iot.set_identical_create(identical_create);
        let second = world.send(&create()).await;
        assert_eq!(first.response(), second.succeeded().response());
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn a_create_updates_an_action_of_its_own_to_the_requested_definition() {
    let world = world().await;
    world.plant_different(NAME, &[(OWNER_TAG, OURS), ("stage", "old"), ("others", "stay")]);
    world.send(&create()).await.succeeded();
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        action.role_arn,
        "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
    );
    assert_eq!(action.tags["stage"], "prod");
    assert_eq!(action.tags["team"], "iot-security");
    assert_eq!(action.tags["others"], "stay");
    assert_eq!(action.tags[OWNER_TAG], OURS);
}

#[tokio::test]
async fn a_create_at_the_limit_of_the_account_fails_without_a_retry() {
    let world = world().await;
    world.aws.iot.set_limit(0);
    let exchange = world.send(&create()).await;
    // The other calls find out whether an action of that name exists.
    exchange.failed("LimitExceededException").called(&[
        "CreateMitigationAction",
        "ListTagsForResource",
        "DescribeMitigationAction",
    ]);
}

#[tokio::test]
async fn a_redelivered_create_at_the_limit_of_the_account_finds_its_action() {
    let world = world().await;
    let first = world.send(&create()).await;
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(410, "LimitExceededException"),
        1,
    );
    assert_eq!(world.send(&create()).await.succeeded().response(), first.response());
}

#[tokio::test]
async fn a_create_whose_conflict_disappears_creates_the_action() {
    let world = world().await;
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(409, "ResourceAlreadyExistsException"),
        1,
    );
    world.send(&create()).await.succeeded().called(&[
        "CreateMitigationAction",
        "ListTagsForResource",
        "DescribeMitigationAction",
        "CreateMitigationAction",
    ]);
}

#[tokio::test]
async fn a_conflict_with_an_absent_action_is_transient() {
    let world = world().await.with_timeout(Duration::from_secs(5));
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(409, "ResourceAlreadyExistsException"),
        100,
    );
    let exchange = world.send(&create()).await;
    assert_eq!(exchange.response()["Status"], "FAILED");
    assert!(exchange.reason().contains("time ran out"), "{}", exchange.reason());
}

#[tokio::test]
async fn a_create_that_succeeds_without_an_arn_proves_nothing() {
    // Nobody's action, which the service has not created: it is created again.
    let world = world().await;
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Empty, 1);
    world.send(&create()).await.succeeded();
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], OURS);
    // Somebody's action: the owner is checked first.
    for tags in [vec![], vec![(OWNER_TAG, super::OTHERS)]] {
        world.aws.iot.reset();
        world.plant_identical(NAME, &tags);
        let before = world.aws.iot.actions();
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Empty, 1);
        world.send(&create()).await.failed("ResourceAlreadyExistsException");
        assert_eq!(world.aws.iot.actions(), before);
    }
}

#[tokio::test]
async fn a_create_that_is_refused_looks_nothing_up() {
    for (status, name) in [(400, "InvalidRequestException"), (403, "AccessDeniedException")] {
        let world = world_with(&[("ROLE_PROPAGATION_SECONDS", "0")]).await;
        let refused = Fault::Refuse(status, name);
        world.aws.iot.faults.set("CreateMitigationAction", refused, 1);
        world.send(&create()).await.failed(name).called(&["CreateMitigationAction"]);
    }
}

#[tokio::test]
async fn a_create_whose_response_was_lost_and_whose_retry_is_denied_finds_its_action() {
    let world = world_with(&[("ROLE_PROPAGATION_SECONDS", "0")]).await;
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    deny(&world, "CreateMitigationAction", 1000);
    world.send(&create()).await.succeeded();
}
