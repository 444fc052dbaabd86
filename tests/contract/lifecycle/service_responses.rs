//! Unusual responses of the service, and how they are interpreted.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{OWNER_TAG, fault::Fault, stack::merged};

use super::{NAME, OURS, create, create_with};
use crate::{sample, world};

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
async fn a_list_that_repeats_its_token_is_an_internal_failure_at_once() {
    let world = world().await;
    world.send(&create()).await.succeeded();
    world.aws.iot.set_endless_tags();
    let exchange = world.send(&sample("update.json")).await;
    exchange.failed("InternalFailureException").changed_nothing();
    assert!(exchange.reason().contains("nextToken"), "{}", exchange.reason());
    assert!(exchange.calls.len() <= 3, "{:?}", exchange.operations());
}

/// As many tags as are given, with the keys of another tool.
fn many(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("theirs-{number}"), "x".to_owned())).collect()
}

#[tokio::test]
async fn tags_that_would_not_fit_fail_before_anything_is_changed() {
    for (on_conflict, owner, event) in [
        ("Overwrite", None, "Create"),
        ("Adopt", None, "Create"),
        ("Fail", Some(OURS), "Create"),
        ("Fail", Some(OURS), "Update"),
    ] {
        let world = world().await;
        let mut tags = many(48);
        tags.extend(owner.map(|owner| (OWNER_TAG.to_owned(), owner.to_owned())));
        let tags: Vec<(&str, &str)> =
            tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        world.plant_identical(NAME, &tags);
        let actions = world.aws.iot.actions();
        let given: Value =
            (0..3).map(|n| json!({ "Key": format!("ours-{n}"), "Value": "x" })).collect();
        let request = create_with(&json!({ "OnConflict": on_conflict, "Tags": given }));
        let patch = json!({ "RequestType": event, "PhysicalResourceId": NAME });
        let exchange = world.send(&merged(request, &patch)).await;
        exchange.failed("InvalidRequestException");
        assert!(exchange.reason().contains("at most 50"), "{}", exchange.reason());
        assert_eq!(world.aws.iot.actions(), actions, "{on_conflict} {event}");
    }
}

#[tokio::test]
async fn at_the_limit_an_action_of_that_name_is_a_conflict_like_any() {
    for (tags, on_conflict, end) in [
        (vec![], "Fail", Err("ResourceAlreadyExistsException")),
        (vec![], "Adopt", Ok(())),
        (vec![], "Overwrite", Ok(())),
        (vec![(OWNER_TAG, OURS)], "Fail", Ok(())),
        (vec![(OWNER_TAG, "stack/other/0/X")], "Overwrite", Err("ResourceAlreadyExistsException")),
    ] {
        let world = world().await;
        world.plant_identical(NAME, &tags);
        world.aws.iot.faults.set(
            "CreateMitigationAction",
            Fault::Refuse(410, "LimitExceededException"),
            1,
        );
        let exchange = world.send(&create_with(&json!({ "OnConflict": on_conflict }))).await;
        match end {
            Ok(()) => exchange.succeeded(),
            Err(code) => exchange.failed(code),
        };
    }
}

#[tokio::test]
async fn s3s_request_timeout_is_retried() {
    let world = world().await;
    world.aws.bucket.faults.set("PUT", Fault::Refuse(400, "RequestTimeout"), 2);
    assert_eq!(world.send(&create()).await.succeeded().puts, 3);
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

#[tokio::test]
async fn another_400_of_the_response_bucket_is_permanent() {
    let world = world().await;
    world.aws.bucket.faults.set("PUT", Fault::Refuse(400, "EntityTooLarge"), 1);
    let exchange = world.send(&create()).await;
    assert_eq!(exchange.returned.unwrap_err()["errorType"], "UndeliverableResponse");
    assert_eq!(exchange.puts, 1);
}
