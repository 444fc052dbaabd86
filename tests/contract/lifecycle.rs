//! The life cycle of an action in a stack: every row of its table, and the faults around it.

mod answers;
mod conflict;
mod create;
mod delete;
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

/// The create, patched in its properties.
fn create_with(properties: &Value) -> Value {
    merged(create(), &json!({ "ResourceProperties": properties }))
}

/// What CloudFormation sends after `event` failed with the answer `document`.
pub fn follow_up(event: &Value, document: &Value) -> Value {
    match event["RequestType"].as_str().unwrap() {
        "Create" => merged(
            event.clone(),
            &json!({ "RequestType": "Delete", "PhysicalResourceId": document["PhysicalResourceId"] }),
        ),
        _ => merged(
            event.clone(),
            &json!({ "ResourceProperties": event["OldResourceProperties"], "OldResourceProperties": event["ResourceProperties"] }),
        ),
    }
}
