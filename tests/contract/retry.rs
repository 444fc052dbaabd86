//! Which calls to AWS IoT are retried.

use std::time::Duration;

use stand_ins::{fault::Fault, iot::IdenticalCreate};

use crate::{
    lifecycle::{NAME, create},
    sample, world,
};

#[tokio::test]
async fn transient_errors_and_lost_responses_are_retried() {
    for fault in [
        Fault::Throttle,
        Fault::Refuse(500, "InternalFailureException"),
        Fault::Refuse(503, "ServiceUnavailableException"),
        Fault::Refuse(429, "TooManyRequestsException"),
        Fault::LoseBefore,
        Fault::LoseAfter,
        Fault::FailAfter,
        Fault::Hang,
        Fault::HangAfter,
        Fault::Garbage,
    ] {
        for identical_create in IdenticalCreate::ALL {
            let world = world().await.with_timeout(Duration::from_secs(6));
            world.aws.iot.set_identical_create(identical_create);
            world.aws.iot.faults.set("CreateMitigationAction", fault.clone(), 1);
            let exchange = world.send(&create()).await;
            exchange.succeeded();
            assert_eq!(
                exchange.response()["Data"]["ActionId"],
                world.aws.iot.action(NAME).unwrap().id,
                "{fault:?}"
            );
            assert_eq!(world.aws.iot.actions().len(), 1);
        }
    }
}

#[tokio::test]
async fn every_call_is_retried_after_a_lost_response() {
    for operation in [
        "ListTagsForResource",
        "UpdateMitigationAction",
        "UntagResource",
        "TagResource",
        "DeleteMitigationAction",
    ] {
        let world = world().await;
        world.send(&create()).await.succeeded();
        world.aws.iot.faults.set(operation, Fault::LoseAfter, 1);
        world.send(&sample("update.json")).await.succeeded();
        let tags = world.aws.iot.action(NAME).unwrap().tags;
        assert_eq!(
            (tags.get("owner").map(String::as_str), tags.get("stage")),
            (Some("on-call"), None),
            "{operation}"
        );
        world.send(&sample("delete.json")).await.succeeded();
        assert!(world.aws.iot.actions().is_empty(), "{operation}");
    }
}

#[tokio::test]
async fn permanent_errors_are_not_retried_without_a_wait_for_role_propagation() {
    for (status, code, reason) in [
        (410, "LimitExceededException", "LimitExceededException"),
        (403, "AccessDeniedException", "AccessDeniedException"),
        (403, "UnrecognizedClientException", "AccessDeniedException"),
        (401, "", "AccessDeniedException"),
        (400, "InvalidRequestException", "InvalidRequestException"),
        (400, "SerializationException", "InvalidRequestException"),
    ] {
        let world = world().await;
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Refuse(status, code), 100);
        let exchange = world.send(&create()).await;
        let creates = exchange
            .failed(reason)
            .operations()
            .iter()
            .filter(|operation| **operation == "CreateMitigationAction")
            .count();
        assert_eq!(creates, 1, "{code}");
    }
}
