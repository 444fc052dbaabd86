//! Claims about the real binary: run as Lambda runs it, against strict stand-ins, over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "a test that meets the unexpected ends"
)]

mod answer;
mod laws;
mod lifecycle;
mod metrics;
mod model;
mod samples;
mod schemas;
mod start;
mod triggers;
mod validation;

use std::path::Path;

use serde_json::Value;
use stand_ins::{
    Aws, Function,
    stack::{World, read_event},
};

/// A world with no settings but those that a local run needs.
async fn world() -> World {
    world_with(&[]).await
}

async fn world_with(settings: &[(&str, &str)]) -> World {
    World::start(Path::new(env!("CARGO_BIN_EXE_bootstrap")), settings).await
}

/// One more instance of the function.
fn function(aws: &Aws, settings: &[(&str, &str)]) -> Function {
    Function::start(Path::new(env!("CARGO_BIN_EXE_bootstrap")), aws, settings)
}

/// An event of `events/`.
fn sample(name: &str) -> Value {
    read_event(&Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name))
}
