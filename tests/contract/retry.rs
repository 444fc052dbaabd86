//! Which calls to AWS IoT are retried.

use std::time::Duration;

use serde_json::json;
use stand_ins::{OWNER_TAG, fault::Fault, iot::IdenticalCreate, stack::merged};

use crate::{
    invocation::{create_event, invoke, world_with_bus},
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

#[tokio::test]
async fn a_signature_that_is_not_valid_at_this_moment_is_transient() {
    for (status, code, message) in [
        (403, "InvalidSignatureException", "Signature expired: 20261128T000000Z is now earlier"),
        (403, "InvalidSignatureException", "Signature not yet current: 20261128T000000Z"),
        (400, "RequestExpired", "Request has expired."),
        (403, "RequestTimeTooSkewed", "The difference is too large."),
    ] {
        let world = world_with_bus().await;
        let fault = Fault::RefuseWith(status, code, message);
        world.aws.iot.faults.set("*", fault.clone(), 2);
        invoke(&world, &create_event()).await.succeeded("CREATED");
        world.send(&create()).await.succeeded();
        world.aws.iot.faults.set("*", fault, 2);
        world.send(&sample("delete.json")).await.succeeded();
        assert!(world.aws.iot.action(NAME).is_none(), "{code}");
    }
    let world = world().await;
    let wrong = "The request signature we calculated does not match the signature you provided.";
    let fault = Fault::RefuseWith(403, "InvalidSignatureException", wrong);
    world.aws.iot.faults.set("*", fault, 1);
    world.send(&create()).await.failed("AccessDeniedException");
}

#[tokio::test]
async fn a_success_that_lacks_what_it_must_have_is_transient() {
    for operation in ["ListTagsForResource", "UpdateMitigationAction", "DescribeMitigationAction"] {
        let world = world().await;
        world.send(&create()).await.succeeded();
        world.aws.iot.faults.set(operation, Fault::Empty, 1);
        world.send(&sample("update.json")).await.succeeded();
        let params = world.aws.iot.action(NAME).unwrap().params;
        let group = &params["addThingsToThingGroupParams"];
        assert_eq!(group["overrideDynamicGroups"], false, "{operation}");
        let describe = json!({ "operation": "DescribeMitigationAction", "actionName": NAME });
        invoke(&world, &describe).await.succeeded("DESCRIBED");
    }
}

#[tokio::test]
async fn a_list_without_tags_says_nothing_about_the_owner() {
    // Nobody's action would be taken, and the resource's own would be left.
    let world = world().await.with_timeout(Duration::from_secs(3));
    world.plant_different(NAME, &[(OWNER_TAG, "stack/another/0/Other")]);
    let before = world.aws.iot.actions();
    let overwrite = json!({ "ResourceProperties": { "OnConflict": "Overwrite" } });
    world.aws.iot.faults.set("ListTagsForResource", Fault::Empty, 1);
    let played = world.send(&merged(create(), &overwrite)).await;
    played.failed("ResourceAlreadyExistsException");
    assert_eq!(world.aws.iot.actions(), before);
    world.aws.iot.reset();
    world.send(&create()).await.succeeded();
    world.aws.iot.faults.set("ListTagsForResource", Fault::Empty, 1);
    world.send(&sample("delete.json")).await.succeeded();
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn an_events_create_that_is_denied_after_a_lost_response_is_looked_up() {
    let world = world_with_bus().await;
    let denied = Fault::Refuse(403, "AccessDeniedException");
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    world.aws.iot.faults.set("CreateMitigationAction", denied.clone(), 1);
    invoke(&world, &create_event()).await.succeeded("CREATED");
    // Nothing was created: the denial is reported.
    let world = crate::invocation::world_with_bus().await;
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseBefore, 1);
    world.aws.iot.faults.set("CreateMitigationAction", denied, 1);
    let invocation = invoke(&world, &create_event()).await;
    assert_eq!(invocation.only_event().detail["error"]["code"], "AccessDeniedException");
}

#[tokio::test]
async fn an_event_whose_create_proves_nothing_reports_no_other_action_as_its_own() {
    let world = world_with_bus().await;
    let name = create_event()["detail"]["actionName"].as_str().unwrap().to_owned();
    world.plant_different(&name, &[]);
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Empty, 1);
    let invocation = invoke(&world, &create_event()).await;
    let error = &invocation.only_event().detail["error"];
    assert_eq!(error["code"], "ResourceAlreadyExistsException");
}
