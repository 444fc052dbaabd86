//! Which results are published to the result bus, and which are function errors.

use std::time::Duration;

use stand_ins::fault::Fault;

use crate::{
    invocation::{create_event, invoke, world_with_bus},
    sample, world,
};

#[tokio::test]
async fn without_a_result_bus_the_result_is_only_returned() {
    let world = world().await;
    let invocation = invoke(&world, &create_event()).await;
    invocation.succeeded("CREATED");
    assert_eq!(world.aws.bus.calls(), 0);
}

#[tokio::test]
async fn a_permanent_failure_is_published_and_without_a_bus_is_a_function_error() {
    let world = world_with_bus().await;
    let message = invoke(&world, &sample("event-invalid.json"))
        .await
        .published_failure("InvalidRequestException")
        .to_owned();
    for part in [
        "detail.actionName: invalid value \"fleet quarantine\"",
        "detail.roleArn: missing",
        "detail.actionParams.updateCaCertificateParams: unknown property",
        "updateCACertificateParams",
        "detail.onConflicts: unknown property",
        "onConflict",
    ] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    let world = crate::world().await;
    invoke(&world, &sample("event-invalid.json")).await.function_error("InvalidRequestException");
    world.aws.iot.set_limit(0);
    invoke(&world, &create_event()).await.function_error("LimitExceededException");
}

#[tokio::test]
async fn a_transient_failure_is_a_function_error_and_is_not_published() {
    for (fault, error_type) in [
        (Fault::Throttle, "ThrottlingException"),
        (Fault::Refuse(500, "x"), "InternalFailureException"),
        (Fault::Hang, "InternalFailureException"),
    ] {
        let world = world_with_bus().await.with_timeout(Duration::from_secs(2));
        world.aws.iot.faults.set("*", fault, 1000);
        let invocation = invoke(&world, &create_event()).await;
        invocation.function_error(error_type);
        assert!(invocation.events.is_empty());
        world.aws.iot.faults.clear();
        invoke(&world, &create_event()).await.succeeded("CREATED");
    }
}

#[tokio::test]
async fn a_result_is_published_again_after_a_response_that_cannot_be_read() {
    let world = world_with_bus().await;
    world.aws.bus.faults.set("PutEvents", Fault::Garbage, 1);
    let invocation = invoke(&world, &create_event()).await;
    invocation.succeeded("CREATED");
    assert_eq!(world.aws.bus.calls(), 2);
    let [first, second] = invocation.events.as_slice() else { panic!("{:?}", invocation.events) };
    assert_eq!(first.detail, second.detail);
}

#[tokio::test]
async fn an_unpublished_result_is_a_function_error_and_the_retry_publishes_it() {
    for (call, fault, times) in [
        ("entry", Fault::Refuse(0, "InternalFailure"), 1),
        ("PutEvents", Fault::Refuse(500, "InternalException"), 100),
        ("PutEvents", Fault::LoseBefore, 100),
        ("PutEvents", Fault::Hang, 100),
        ("PutEvents", Fault::Garbage, 100),
        ("PutEvents", Fault::Refuse(400, "AccessDeniedException"), 1),
    ] {
        let world = world_with_bus().await.with_timeout(Duration::from_secs(4));
        world.aws.bus.faults.set(call, fault, times);
        let invocation = invoke(&world, &create_event()).await;
        invocation.function_error("UndeliverableResult");
        assert_eq!(world.aws.iot.actions().len(), 1, "the request was executed");
        world.aws.bus.faults.clear();
        let again = invoke(&world, &create_event()).await;
        again.succeeded("CREATED");
        assert_eq!(again.only_event().detail["outcome"], "CREATED");
        assert_eq!(world.aws.iot.actions().len(), 1);
    }
}
