//! The response to a CloudFormation request: its delivery and its size limit.

use std::time::Duration;

use mitigation_action_provider::mitigation::{ErrorCode, Failure, Success};
use serde_json::{Value, json};
use stand_ins::{fault::Fault, stack::merged};

use super::respond;
use crate::{create_request, sample, world};

#[tokio::test]
async fn a_response_is_retried_after_transient_errors_until_it_is_accepted() {
    for fault in [
        Fault::Refuse(500, "InternalError"),
        Fault::Refuse(503, "SlowDown"),
        Fault::Refuse(429, "TooManyRequests"),
        Fault::Refuse(408, "RequestTimeout"),
        Fault::LoseBefore,
        Fault::LoseAfter,
        Fault::Hang,
    ] {
        let world = world().await.with_timeout(Duration::from_secs(8));
        world.aws.bucket.faults.set("PUT", fault.clone(), 2);
        let exchange = world.send(&create_request()).await;
        assert_eq!(exchange.succeeded().puts, 3, "{fault:?}");
        assert_eq!(exchange.returned.as_ref().unwrap(), exchange.response());
    }
}

#[tokio::test]
async fn a_response_that_is_redirected_is_sent_again_to_the_same_url() {
    for status in [307, 301] {
        let world = world().await;
        world.aws.bucket.faults.set("PUT", Fault::Refuse(status, "TemporaryRedirect"), 2);
        assert_eq!(world.send(&create_request()).await.succeeded().puts, 3, "{status}");
    }
}

#[tokio::test]
async fn a_response_is_tried_once_however_little_time_is_left() {
    for milliseconds in [1, 20] {
        let world = world().await.with_timeout(Duration::from_millis(milliseconds));
        let (key, url) = world.response_url("");
        world.send_to(&key, merged(create_request(), &json!({ "ResponseURL": url }))).await;
        // The stand-in no longer waits; the function does not end there.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(world.aws.bucket.puts(&key).len(), 1, "{milliseconds} ms");
    }
}

#[tokio::test]
async fn a_response_that_is_rejected_is_a_function_error_that_names_s3s_code() {
    for code in ["AccessDenied", "SignatureDoesNotMatch"] {
        let world = world().await;
        world.aws.bucket.faults.set("PUT", Fault::Refuse(403, code), 100);
        let exchange = world.send(&create_request()).await;
        let error = exchange.returned.as_ref().unwrap_err();
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.contains("403") && message.contains(code), "{message}");
        let output = world.function.stop().await;
        assert!(output.contains(code), "{output}");
    }
}

#[tokio::test]
async fn a_response_that_is_rejected_is_a_function_error() {
    for status in [400, 403, 404, 411] {
        let world = world().await;
        world.aws.bucket.faults.set("PUT", Fault::Refuse(status, "Refused"), 100);
        let exchange = world.send(&create_request()).await;
        let error = exchange.returned.as_ref().unwrap_err();
        assert_eq!(error["errorType"], "UndeliverableResponse");
        assert!(error["errorMessage"].as_str().unwrap().contains(&status.to_string()), "{error}");
        assert_eq!(exchange.puts, 1);
    }
}

#[tokio::test]
async fn a_response_that_is_never_accepted_is_a_function_error_before_the_deadline() {
    for fault in [Fault::Refuse(503, "SlowDown"), Fault::Hang] {
        let world = world().await.with_timeout(Duration::from_secs(3));
        world.aws.bucket.faults.set("PUT", fault, 1000);
        let exchange = world.send(&create_request()).await;
        assert_eq!(exchange.returned.as_ref().unwrap_err()["errorType"], "UndeliverableResponse");
        assert!(exchange.puts > 1);
    }
}

#[tokio::test]
async fn a_response_with_an_accepting_status_is_sent_once_even_if_the_body_never_ends() {
    let world = world().await.with_timeout(Duration::from_secs(8));
    world.aws.bucket.faults.set("PUT", Fault::Garbage, 100);
    assert_eq!(world.send(&create_request()).await.succeeded().puts, 1);
    world.send(&create_request()).await.succeeded();
}

#[tokio::test]
async fn a_long_id_is_echoed_unabridged_if_it_fits() {
    let world = world().await;
    let id = "L".repeat(700);
    let exchange = world.send(&merged(create_request(), &json!({ "LogicalResourceId": id }))).await;
    assert_eq!(exchange.succeeded().response()["LogicalResourceId"], id);
}

#[test]
fn an_id_is_echoed_unabridged_up_to_the_size_limit() {
    const MAX: usize = 4096;
    const MIN_REASON: usize = 128;
    const CODE: ErrorCode = ErrorCode::InternalFailure;

    let respond_with = |result: &Result<Success, Failure>, length: usize| {
        let event =
            merged(sample("delete.json"), &json!({ "PhysicalResourceId": "p".repeat(length) }));
        respond(&event, result)
    };
    // The size of a response without its id.
    let success = Ok(Success::absent("nothing"));
    let rest = respond_with(&success, 1).len() - 1;
    let without_reason = respond_with(&Err(Failure::service(CODE, "")), 1).len()
        - 1
        - format!("{}: ", CODE.as_str()).len();
    let failure = Err(Failure::service(CODE, "why ".repeat(2000)));
    for (result, rest) in [(success, rest), (failure, without_reason + MIN_REASON)] {
        for length in MAX - rest - 200..MAX - rest + 200 {
            let text = respond_with(&result, length);
            assert!(text.len() <= MAX, "{} bytes", text.len());
            let response: Value = serde_json::from_str(&text).unwrap();
            let is_unabridged = response["PhysicalResourceId"].as_str().unwrap().len() == length;
            assert_eq!(is_unabridged, rest + length <= MAX, "{length} of {result:?}");
        }
    }
}

#[tokio::test]
async fn a_success_has_no_reason() {
    let world = world().await;
    for event in
        [create_request(), sample("update.json"), sample("delete.json"), sample("delete.json")]
    {
        assert!(world.send(&event).await.succeeded().response()["Reason"].is_null());
    }
}

#[tokio::test]
async fn a_reason_that_is_too_long_is_shortened_and_says_by_how_much() {
    let world = world().await;
    let many: serde_json::Map<String, Value> =
        (0..300).map(|n| (format!("Property\"{n}\u{1f512}"), json!("x"))).collect();
    let exchange = world
        .send(&merged(
            create_request(),
            &json!({ "ResourceProperties": many, "LogicalResourceId": "L".repeat(255) }),
        ))
        .await;
    let reason = exchange.failed("InvalidRequestException").reason();
    assert!(reason.contains("; and ") && reason.ends_with(" more"), "{reason}");
    let long = json!({
        "PhysicalResourceId": "\u{1}".repeat(3000),
        "RequestType": "\u{1f512}".repeat(3000),
        "RequestId": "r".repeat(9000),
    });
    world.send(&merged(create_request(), &long)).await.failed("InvalidRequestException");
}

#[tokio::test]
async fn s3s_request_timeout_is_retried() {
    let world = world().await;
    world.aws.bucket.faults.set("PUT", Fault::Refuse(400, "RequestTimeout"), 2);
    assert_eq!(world.send(&create_request()).await.succeeded().puts, 3);
}

#[tokio::test]
async fn another_400_of_the_response_bucket_is_permanent() {
    let world = world().await;
    world.aws.bucket.faults.set("PUT", Fault::Refuse(400, "EntityTooLarge"), 1);
    let exchange = world.send(&create_request()).await;
    assert_eq!(exchange.returned.unwrap_err()["errorType"], "UndeliverableResponse");
    assert_eq!(exchange.puts, 1);
}
