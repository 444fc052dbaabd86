//! Tests of the real binary, run as Lambda runs it, against strict stand-ins for AWS over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "an unexpected value fails the test"
)]

mod action_properties;
mod cloudformation;
mod completeness;
mod deadlines;
mod direct;
mod eventbridge;
mod examples;
mod http;
mod init;
mod invocation;
mod iot;
mod lifecycle;
mod limits;
mod location;
mod logs;
mod message;
mod metrics;
// mod model;
mod ownership;
mod properties;
mod result_bus;
mod retry;
mod schemas;
mod sdk;
mod settings;
mod sns;
mod sqs;
mod unrecognized;

use std::path::Path;

use serde_json::Value;
use stand_ins::{
    Aws, Function,
    stack::{World, read_event},
};

/// A world with the settings that a local run needs.
async fn world() -> World {
    world_with(&[]).await
}

async fn world_with(settings: &[(&str, &str)]) -> World {
    World::start(Path::new(env!("CARGO_BIN_EXE_bootstrap")), settings).await
}

/// Another instance of the function.
fn function(aws: &Aws, settings: &[(&str, &str)]) -> Function {
    Function::start(Path::new(env!("CARGO_BIN_EXE_bootstrap")), aws, settings)
}

/// The names of the actions that AWS IoT holds.
fn names(world: &World) -> Vec<String> {
    world.aws.iot.actions().into_keys().collect()
}

/// Reads an event of `events/`.
fn sample(name: &str) -> Value {
    read_event(&Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name))
}

/// A Create for tests that do not depend on its properties.
fn create_request() -> Value {
    sample("create-update-device-certificate.json")
}
