//! What the log contains, and what it never contains.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{
    fault::Fault,
    function::{ACCESS_KEY, SECRET_KEY, SESSION_TOKEN},
    stack::merged,
};

use crate::{
    create_request,
    invocation::{NAME, create_event, invoke},
    world, world_with,
};

#[tokio::test]
async fn a_request_logs_one_line_with_its_outcome_and_its_figures() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    world.send(&create_request()).await.succeeded();
    let output = world.function.stop().await;
    let lines: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [line, metrics] = lines.as_slice() else { panic!("{output}") };
    assert!(metrics["_aws"].is_object());
    assert_eq!(
        (&line["level"], &line["outcome"], &line["operation"]),
        (&json!("INFO"), &json!("CREATED"), &json!("Create"))
    );
    assert_eq!(
        (&line["action"], &line["calls"]),
        (&json!("fleet-deactivate-certificate"), &json!(1))
    );
    assert_eq!(
        (&line["subject"], &line["id"]),
        (&create_request()["LogicalResourceId"], &create_request()["RequestId"])
    );
    assert!(line["timestamp"].is_string() && line["milliseconds"].is_number(), "{line}");
}

#[tokio::test]
async fn the_log_line_counts_calls_throttles_and_milliseconds() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Throttle, 2);
    world.send(&create_request()).await.succeeded();
    let output = world.function.stop().await;
    let line: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
    assert_eq!((&line["calls"], &line["throttles"]), (&json!(3), &json!(2)), "{line}");
    // The waits between the attempts take at least half of 100 and of 200 ms.
    assert!(line["milliseconds"].as_u64().unwrap() >= 150, "{line}");
}

#[tokio::test]
async fn the_log_line_of_an_event_has_its_action_and_its_id() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    invoke(&world, &create_event()).await.succeeded("CREATED");
    let output = world.function.stop().await;
    let line: Value = serde_json::from_str(
        output.lines().find(|line| line.contains("request succeeded")).unwrap(),
    )
    .unwrap();
    assert_eq!((&line["subject"], &line["id"]), (&json!(NAME), &create_event()["id"]));
}

#[tokio::test]
async fn no_log_and_no_response_contains_the_url_a_credential_or_the_payload() {
    let levels = "trace,hyper=trace,aws_smithy_runtime=trace,lambda_runtime=trace,\
                  mitigation_action_provider=trace";
    for format in ["JSON", "TEXT"] {
        let settings = [("RUST_LOG", levels), ("AWS_LAMBDA_LOG_FORMAT", format)];
        let world = world_with(&settings).await.with_timeout(Duration::from_secs(3));
        let secret = merged(
            create_request(),
            &json!({ "ResourceProperties": { "Tags": [{ "Key": "k", "Value": "PAYLOADvalue" }] } }),
        );
        let mut exchanges = vec![world.send(&secret).await];
        world.aws.iot.faults.set("*", Fault::LoseBefore, 1);
        world.aws.bucket.faults.set("PUT", Fault::LoseBefore, 1);
        exchanges.push(world.send(&secret).await);
        world.aws.bucket.faults.set("PUT", Fault::Refuse(403, "SignatureDoesNotMatch"), 1);
        exchanges.push(world.send(&secret).await);
        let elsewhere = json!({ "ResponseURL": "https://evil.example/5ec4e75167a7u4e" });
        exchanges.push(world.send_to("none", merged(secret.clone(), &elsewhere)).await);
        exchanges.push(world.send(&merged(secret, &json!({ "RequestType": "Nonsense" }))).await);
        let output = world.function.stop().await;
        assert!(output.contains("request succeeded"), "{output}");
        let everything = format!("{output}\n{exchanges:?}");
        for secret in ["5ec4e75167a7u4e", ACCESS_KEY, SECRET_KEY, SESSION_TOKEN] {
            assert!(!everything.contains(secret), "{secret} is in {everything}");
        }
        assert!(!output.contains("PAYLOADvalue"), "{output}");
    }
}

#[tokio::test]
async fn a_rejected_signature_does_not_repeat_the_credentials() {
    let world = world().await;
    world.aws.iot.reject_signatures();
    let exchange = world.send(&create_request()).await;
    let reason = exchange.failed("AccessDeniedException").reason();
    assert!(reason.contains("Canonical"), "{reason}");
    for secret in [ACCESS_KEY, SESSION_TOKEN] {
        assert!(!reason.contains(secret), "{reason}");
    }
}

/// The line with `outcome` in the output of a function that logs JSON.
fn outcome_line(output: &str, outcome: &str) -> Value {
    let mut lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["outcome"] == outcome).unwrap_or_else(|| panic!("{output}"))
}

#[tokio::test]
async fn the_log_line_of_every_outcome_has_the_action() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": NAME });
    let named = json!({ "ResourceProperties": { "ActionName": NAME } });
    world.send(&merged(merged(create_request(), &delete), &named)).await.succeeded();
    let invalid = json!({ "ResourceProperties": { "ActionName": NAME, "RoleArn": "short" } });
    world.send(&merged(create_request(), &invalid)).await.failed("InvalidRequestException");
    let (key, url) = world.response_url("Expires=1");
    let patch = merged(named, &json!({ "ResponseURL": url }));
    world.send_to(&key, merged(create_request(), &patch)).await;
    let event = merged(create_event(), &json!({ "detail": { "roleArn": "short" } }));
    invoke(&world, &event).await;
    let output = world.function.stop().await;
    for outcome in ["ABSENT", "FAILED", "EXPIRED"] {
        let line = outcome_line(&output, outcome);
        assert_eq!(line["action"], NAME, "{line}");
        for member in ["trigger", "operation", "subject", "id", "request_id"] {
            assert!(line[member].is_string(), "{line} lacks {member}");
        }
        for member in ["calls", "throttles", "milliseconds"] {
            assert!(line[member].is_number(), "{line} lacks {member}");
        }
    }
    let is_of_event = |line: &&str| line.contains("eventbridge") && line.contains("FAILED");
    let line: Value = serde_json::from_str(output.lines().find(is_of_event).unwrap()).unwrap();
    assert_eq!((&line["action"], &line["subject"]), (&json!(NAME), &json!(NAME)));
}

#[tokio::test]
async fn an_unknown_check_of_an_invalid_request_is_logged_too() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let names = ["A_CHECK_THAT_AWS_ADDS_LATER"];
    let properties = json!({ "RoleArn": "short", "CheckNames": names });
    let event = merged(create_request(), &json!({ "ResourceProperties": properties }));
    world.send(&event).await.failed("InvalidRequestException");
    let detail = json!({ "roleArn": "short", "checkNames": names });
    invoke(&world, &merged(create_event(), &json!({ "detail": detail }))).await;
    let output = world.function.stop().await;
    let is_warning =
        |line: &&str| line.contains("WARN") && line.contains("A_CHECK_THAT_AWS_ADDS_LATER");
    assert_eq!(output.lines().filter(is_warning).count(), 2, "{output}");
}
