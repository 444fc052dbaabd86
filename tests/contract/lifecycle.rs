//! The life cycle of an action in a stack, with and without faults.

mod answers;
mod conflict;
mod create;
mod delete;
mod marks;
mod overlap;
mod retry;
mod update;

use serde_json::{Value, json};
use stand_ins::stack::merged;

use crate::sample;

const OURS: &str = "stack/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Quarantine";

const ADOPTED: &str = "adopted/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Quarantine";

const OTHERS: &str = "stack/another/00000000-0000-4000-8000-000000000000/Quarantine";

pub const NAME: &str = "fleet-quarantine";

pub fn create() -> Value {
    sample("create-add-things-to-thing-group.json")
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
