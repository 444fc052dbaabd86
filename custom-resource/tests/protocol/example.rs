//! `examples/random_suffix.rs`, started as Lambda starts it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use stand_ins::{Aws, Function, stack::World};

use crate::{delete, failed_create, request, update};

/// `cargo test` builds the examples too; with `--test protocol` alone it does not.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile.join("examples/random_suffix");
    assert!(example.exists(), "cargo build --examples --all-features builds {}", example.display());
    example
}

async fn world() -> World {
    let aws = Aws::start().await;
    let function = Function::start(&example(), &aws, &[("ALLOWED_HOSTS", "127.0.0.1")]);
    World::new(aws, function).with_timeout(Duration::from_secs(5))
}

fn sized(length: &str) -> Value {
    json!({ "ResourceProperties": { "Length": length } })
}

#[tokio::test]
async fn a_suffix_is_created_kept_replaced_and_deleted() {
    let world = world().await;
    let created = world.send(&request(&sized("8"))).await;
    let suffix = created.succeeded().physical_id().to_owned();
    assert_eq!(suffix.len(), 8);
    assert_eq!(created.response()["Data"], json!({ "Value": suffix }));
    assert_eq!(world.send(&request(&sized("8"))).await.response(), created.response());
    let kept = world.send(&update(&suffix, &sized("8"))).await;
    assert_eq!(kept.succeeded().physical_id(), suffix);
    let replaced = world.send(&update(&suffix, &sized("4"))).await;
    assert_eq!(replaced.succeeded().physical_id().len(), 4);
    assert_eq!(world.send(&delete(&suffix)).await.succeeded().physical_id(), suffix);
}

#[tokio::test]
async fn a_length_that_is_invalid_is_named_and_its_delete_succeeds() {
    let world = world().await;
    for (length, expected) in [
        ("0", "Length: invalid value 0: expected 1 to 16"),
        ("17", "Length: invalid value 17: expected 1 to 16"),
        ("x", "Length: invalid value \"x\": expected a number (usize)"),
    ] {
        let failed = world.send(&request(&sized(length))).await;
        assert_eq!(failed.reason(), expected);
        let id = failed.physical_id();
        failed_create(id);
        world.send(&delete(id)).await.succeeded();
    }
}

#[tokio::test]
async fn an_event_that_is_no_request_is_a_function_error() {
    let world = world().await;
    let exchange = world.send_to("none", json!({ "hello": "world" })).await;
    let error = exchange.returned.unwrap_err();
    assert_eq!(error["errorMessage"], "the event is no request of CloudFormation");
}

#[test]
fn the_example_is_a_whole_provider_in_at_most_sixty_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/random_suffix.rs");
    let lines = std::fs::read_to_string(path).unwrap().lines().count();
    assert!(lines <= 60, "{lines} lines");
}
