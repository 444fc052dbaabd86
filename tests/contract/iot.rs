//! Calls to AWS IoT. How their errors are classified is in `sdk.rs`.

mod role_propagation;

use crate::{lifecycle::create, sample, world};

#[tokio::test]
async fn a_list_that_repeats_its_token_is_an_internal_failure_at_once() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.aws.iot.set_endless_tags();
    let exchange = world.send(&sample("update.json")).await;
    exchange.failed("InternalFailureException").changed_nothing();
    assert!(exchange.reason().contains("nextToken"), "{}", exchange.reason());
    assert!(exchange.calls.len() <= 3, "{:?}", exchange.operations());
}
