//! The lifecycle of an action in a stack, with and without faults.

mod canceled_create;
mod clean_up;
mod conflict;
mod create;
mod delete;
mod order;
mod tag_lag;
mod update;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mitigation_action_provider::mitigation::Kind;
use serde_json::{Value, json};
use stand_ins::{
    CLAIMED_TAG,
    fault::Fault,
    iot::Action,
    stack::{Exchange, World, merged},
};

use crate::{function, sample, world_with};

const OURS: &str = "stack/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Quarantine";

const ADOPTED: &str = "adopted/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Quarantine";

const OTHERS: &str = "stack/another/00000000-0000-4000-8000-000000000000/Quarantine";

const WAITING: [(&str, &str); 1] = [("ROLE_PROPAGATION_SECONDS", "10")];

const RENAMED: &str = "fleet-isolate";

pub const NAME: &str = "fleet-quarantine";

pub fn create() -> Value {
    sample("create-add-things-to-thing-group.json")
}

/// The sample event that creates an action of a kind.
pub fn create_of(kind: Kind) -> Value {
    sample(match kind {
        Kind::AddThingsToThingGroup => "create-add-things-to-thing-group.json",
        Kind::EnableIoTLogging => "create-enable-iot-logging.json",
        Kind::PublishFindingToSns => "create-publish-finding-to-sns.json",
        Kind::ReplaceDefaultPolicyVersion => "create-replace-default-policy-version.json",
        Kind::UpdateCaCertificate => "create-update-ca-certificate.json",
        Kind::UpdateDeviceCertificate => "create-update-device-certificate.json",
    })
}

/// [`create`] with `properties` merged into its own.
fn create_with(properties: &Value) -> Value {
    merged(create(), &json!({ "ResourceProperties": properties }))
}

/// The request that CloudFormation sends after a failed response to `event`.
pub fn follow_up(event: &Value, response: &Value) -> Value {
    let patch = match event["RequestType"].as_str().unwrap() {
        "Create" => json!({
            "RequestType": "Delete",
            "PhysicalResourceId": response["PhysicalResourceId"],
        }),
        _ => json!({
            "ResourceProperties": event["OldResourceProperties"],
            "OldResourceProperties": event["ResourceProperties"],
        }),
    };
    merged(event.clone(), &patch)
}

/// The Delete that follows the canceled Create `event`, with an unknown physical id.
fn canceled(event: &Value) -> Value {
    let delete = json!({
        "RequestType": "Delete",
        "RequestId": "canceled",
        "PhysicalResourceId": "fleet-security-Quarantine-1A2B3C4D5E6F",
    });
    merged(event.clone(), &delete)
}

fn with_id(event: Value, id: &str) -> Value {
    merged(event, &json!({ "RequestId": id }))
}

fn delete_of(event: &Value, id: &str) -> Value {
    let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
    with_id(merged(event.clone(), &delete), "delete")
}

/// The Update in place of the action of [`create`].
fn update() -> Value {
    let old = create()["ResourceProperties"].clone();
    merged(sample("update.json"), &json!({ "OldResourceProperties": old }))
}

/// An Update that renames the action of [`create`].
fn rename() -> Value {
    merged(
        sample("rename.json"),
        &json!({ "OldResourceProperties": create()["ResourceProperties"] }),
    )
}

/// The Update that CloudFormation sends to roll `event` back.
fn reverse(event: &Value) -> Value {
    merged(follow_up(event, &json!({})), &json!({ "RequestId": "reverse" }))
}

/// The record of a request that was sent so many seconds ago, or is sent later if that is negative.
fn record_sent(seconds_ago: i64, digest: &str, request_type: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!("{}/{digest}/{request_type}", now.checked_add_signed(-seconds_ago).unwrap())
}

fn deny(world: &World, call: &str, times: usize) {
    world.aws.iot.faults.set(call, Fault::Refuse(403, "AccessDeniedException"), times);
}

/// A world in which requests wait for their role, with the action of [`create`].
async fn waiting_world() -> (World, Action) {
    let world = world_with(&WAITING).await;
    world.send(&create()).await.succeeded();
    let before = world.aws.iot.action(NAME).unwrap();
    (world, before)
}

/// Asserts that the definition and the tags of the action are as they were, but for the claim.
fn assert_restored(world: &World, before: &Action) {
    let mut after = world.aws.iot.action(NAME).unwrap();
    after.tags.remove(CLAIMED_TAG);
    assert_eq!((&after.params, &after.tags), (&before.params, &before.tags));
}

/// The digest and the type of a record of an action.
fn record_of(world: &World, name: &str, key: &str) -> (String, String) {
    let record = world.aws.iot.action(name).unwrap().tags[key].clone();
    let [_, digest, request_type] = record.split('/').collect::<Vec<_>>()[..] else {
        panic!("{record}")
    };
    (digest.to_owned(), request_type.to_owned())
}

/// Sends `first`, which waits for its role, and half a second later `second`, to another instance.
async fn overlap(world: &World, first: &Value, second: &Value) -> (Exchange, Exchange) {
    overlap_after(Duration::from_millis(500), world, first, second).await
}

/// As [`overlap`], with another time in between.
async fn overlap_after(
    after: Duration,
    world: &World,
    first: &Value,
    second: &Value,
) -> (Exchange, Exchange) {
    let _other = function(&world.aws, &WAITING);
    tokio::join!(world.send(first), async {
        tokio::time::sleep(after).await;
        world.send(second).await
    })
}
