//! The environment variables that configure the function.

use serde_json::json;

use crate::{
    create_request,
    invocation::{create_event, invoke},
    sample, world_with,
};

#[tokio::test]
async fn an_invalid_setting_fails_a_request_by_its_name_and_no_call_is_made() {
    for (name, value) in [
        ("ROLE_PROPAGATION_SECONDS", "soon"),
        ("ROLE_PROPAGATION_SECONDS", "-1"),
        ("AWS_ENDPOINT_URL_IOT", "iot.local"),
        ("AWS_ENDPOINT_URL_IOT", "https://iot.local:99999"),
        ("AWS_ENDPOINT_URL_IOT", "https://[::1]:x"),
        ("RESPONSE_URL_ALLOWED_HOSTS", "127.0.0.1,[]"),
        ("SSL_CERT_FILE", "/nowhere/roots.pem"),
        ("SSL_CERT_FILE", "/dev/null"),
        ("RESPONSE_URL_ALLOWED_HOSTS", "127.0.0.1,https://example.com/"),
    ] {
        let world = world_with(&[(name, value)]).await;
        for event in [create_request(), sample("update.json"), sample("delete.json")] {
            let exchange = world.send(&event).await;
            let reason = exchange.failed("InvalidSetting").called(&[]).reason();
            assert!(
                reason.contains(name) && reason.contains(value) && reason.contains("expected "),
                "{reason}"
            );
        }
        let output = world.function.stop().await;
        assert!(output.contains("ERROR") && output.contains(name), "{output}");
    }
    // The stand-ins' bucket is not allowed, so that no response can be sent.
    let world = world_with(&[("RESPONSE_URL_ALLOWED_HOSTS", "127.0.0.1:80")]).await;
    let exchange = world.send(&create_request()).await;
    let error = exchange.returned.as_ref().unwrap_err();
    assert_eq!((&error["errorType"], exchange.puts), (&json!("InvalidSetting"), 0));
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("RESPONSE_URL_ALLOWED_HOSTS"), "{message}");
    let world =
        world_with(&[("AWS_ACCESS_KEY_ID", "no key"), ("AWS_SESSION_TOKEN", "a\nsecret")]).await;
    let exchange = world.send(&create_request()).await;
    let reason = exchange.failed("InvalidSetting").reason();
    assert!(
        reason.contains("AWS_ACCESS_KEY_ID")
            && reason.contains("AWS_SESSION_TOKEN")
            && !reason.contains("secret\""),
        "{reason}"
    );
    let world = world_with(&[("AWS_REGION", ""), ("AWS_SECRET_ACCESS_KEY", "")]).await;
    let exchange = world.send(&create_request()).await;
    let reason = exchange.failed("InvalidSetting").reason();
    assert!(reason.contains("AWS_REGION") && reason.contains("AWS_SECRET_ACCESS_KEY"), "{reason}");
}

#[tokio::test]
async fn an_invalid_setting_is_an_error_for_every_trigger_and_no_call_is_made() {
    let world = world_with(&[("RESULT_EVENT_BUS", "no bus")]).await;
    let message = invoke(&world, &create_event()).await.function_error("InvalidSetting").to_owned();
    assert!(message.contains("RESULT_EVENT_BUS") && message.contains("no bus"), "{message}");
    invoke(&world, &sample("direct-create.json")).await.function_error("InvalidSetting");
    let invocation = invoke(&world, &sample("batch.json")).await;
    assert_eq!(invocation.returned.unwrap()["batchItemFailures"].as_array().unwrap().len(), 4);
    assert!(world.aws.iot.actions().is_empty());
    for bus in ["default", "a/b.c-d_e", "arn:aws:events:eu-west-1:123456789012:event-bus/results"] {
        invoke(&world_with(&[("RESULT_EVENT_BUS", bus)]).await, &create_event())
            .await
            .succeeded("CREATED");
    }
}

#[tokio::test]
async fn an_empty_setting_is_the_same_as_an_absent_one() {
    let empty = [
        "ROLE_PROPAGATION_SECONDS",
        "AWS_ENDPOINT_URL_IOT",
        "SSL_CERT_FILE",
        "AWS_SESSION_TOKEN",
        "RUST_LOG",
    ]
    .map(|name| (name, ""));
    world_with(&empty).await.send(&create_request()).await.succeeded();
}
