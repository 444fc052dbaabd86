//! How errors of AWS IoT are classified: by their names, by the status, and as a proxy's.

use std::time::Duration;

use stand_ins::fault::Fault;

use crate::{
    lifecycle::{NAME, create},
    sample, world,
};

#[tokio::test]
async fn a_4xx_without_an_error_name_is_transient_and_proves_nothing() {
    for status in [400, 402, 404, 405, 410, 418, 422, 451] {
        let world = world().await;
        world.send(&create()).await.succeeded();
        world.aws.iot.faults.set("ListTagsForResource", Fault::Refuse(status, ""), 2);
        let deleted = world.send(&sample("delete.json")).await;
        deleted.succeeded();
        assert_eq!(world.aws.iot.action(NAME), None, "{status}");
    }
    let world = world().await.with_timeout(Duration::from_secs(3));
    world.send(&create()).await.succeeded();
    world.aws.iot.faults.set("*", Fault::Refuse(404, ""), 1000);
    world.send(&sample("delete.json")).await.failed("InternalFailureException");
}

#[tokio::test]
async fn a_409_without_an_error_name_is_a_conflict_for_a_create_and_else_transient() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Refuse(409, ""), 1);
    let again = world.send(&create()).await;
    assert_eq!(
        again.succeeded().operations()[..2],
        ["CreateMitigationAction", "ListTagsForResource"]
    );
    world.aws.iot.faults.set("UpdateMitigationAction", Fault::Refuse(409, ""), 1);
    world.send(&sample("update.json")).await.succeeded();
}

#[tokio::test]
async fn the_names_that_the_sdk_calls_throttling_or_transient_are_retried() {
    for name in
        ["RequestThrottledException", "SlowDown", "RequestTimeout", "PriorRequestNotComplete"]
    {
        let world = world().await;
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Refuse(400, name), 2);
        world.send(&create()).await.succeeded();
    }
}

#[tokio::test]
async fn a_response_of_a_proxy_is_transient_for_every_call_of_a_stack() {
    for status in [400, 402, 404, 407, 408, 409, 410, 413, 418, 429] {
        let world = world().await;
        let fault = |call: &str| world.aws.iot.faults.set(call, Fault::Proxy(status), 2);
        fault("CreateMitigationAction");
        world.send(&create()).await.succeeded();
        for call in
            ["ListTagsForResource", "UpdateMitigationAction", "TagResource", "UntagResource"]
        {
            fault(call);
        }
        world.send(&sample("update.json")).await.succeeded();
        fault("ListTagsForResource");
        fault("DeleteMitigationAction");
        world.send(&sample("delete.json")).await.succeeded();
        assert!(world.aws.iot.actions().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_proxys_404_does_not_prove_absence() {
    let world = world().await.with_timeout(Duration::from_secs(4));
    world.send(&create()).await.succeeded();
    for call in ["ListTagsForResource", "DescribeMitigationAction", "DeleteMitigationAction"] {
        world.aws.iot.faults.set(call, Fault::Proxy(404), 1000);
        world.send(&sample("delete.json")).await.failed("InternalFailureException");
        assert!(world.aws.iot.action(NAME).is_some(), "{call}");
    }
}

#[tokio::test]
async fn a_denial_without_an_error_name_is_permanent() {
    for status in [401, 403] {
        let world = world().await;
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Proxy(status), 1000);
        let exchange = world.send(&create()).await;
        exchange.failed("AccessDeniedException").called(&["CreateMitigationAction"]);
    }
}
