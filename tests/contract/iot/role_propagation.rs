//! The waits for a new role.

use std::time::Duration;

use stand_ins::fault::Fault;

use crate::{lifecycle::create, sample, world_with};

#[tokio::test]
async fn the_wait_for_role_propagation_ends_before_the_deadline_and_the_reason_says_so() {
    let world = world_with(&[("ROLE_PROPAGATION_SECONDS", "20")])
        .await
        .with_timeout(Duration::from_secs(6));
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        100,
    );
    let exchange = world.send(&create()).await;
    assert!(
        exchange.failed("AccessDeniedException").reason().contains("s of retries"),
        "{}",
        exchange.reason()
    );
    assert!(exchange.calls.len() >= 4, "{:?}", exchange.calls);
    assert!(exchange.response_time.unwrap().as_secs_f64() > 3.0, "{:?}", exchange.response_time);
}

#[tokio::test]
async fn role_propagation_is_waited_for_and_the_reason_says_how_long() {
    for (status, code) in [(400, "InvalidRequestException"), (403, "AccessDeniedException")] {
        let world = world_with(&[("ROLE_PROPAGATION_SECONDS", "3")]).await;
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Refuse(status, code), 2);
        world.send(&create()).await.succeeded().called(&["CreateMitigationAction"; 3]);
        world.aws.iot.faults.set("UpdateMitigationAction", Fault::Refuse(status, code), 100);
        let exchange = world.send(&sample("update.json")).await;
        exchange.failed(code);
        assert!(exchange.reason().contains("3 s"), "{}", exchange.reason());
        assert_eq!(
            exchange
                .operations()
                .iter()
                .filter(|operation| **operation == "UpdateMitigationAction")
                .count(),
            3
        );
        world.aws.iot.faults.clear();
        world.aws.iot.faults.set("ListTagsForResource", Fault::Refuse(status, code), 100);
        world.send(&sample("delete.json")).await.failed(code).called(&["ListTagsForResource"]);
    }
}
