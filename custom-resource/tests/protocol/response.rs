//! The response: one for each request, whatever a method does, and within CloudFormation's limit.

use cloudformation_custom_resource::{
    CustomResource, Failure, Provider, Request, Resource, Target, json_len, truncate,
};
use serde_json::{Value, json};

use crate::{Recorder, Stack, delete, failed_create, request, update};

fn behaving(behaviour: &str) -> Value {
    request(&json!({ "ResourceProperties": { "Behave": behaviour } }))
}

#[tokio::test]
async fn a_method_that_panics_fails() {
    let (_, reason) = Stack::default().fails(&behaving("panic")).await;
    assert_eq!(reason, "the provider panicked, which is a bug");
}

#[tokio::test(start_paused = true)]
async fn a_method_that_hangs_fails_once_its_time_is_over() {
    for behaviour in ["hang", "hang and panic"] {
        let (id, reason) = Stack::default().fails(&behaving(behaviour)).await;
        assert_eq!((failed_create(&id).0, reason.as_str()), ("orders", "time ran out"));
    }
}

#[tokio::test]
async fn attributes_that_cannot_be_sent_fail() {
    for (behaviour, expected) in [
        (
            "attributes that do not fit",
            "the attributes of the resource are too long for a response",
        ),
        ("attributes that cannot be written", "the attributes cannot be written: it is a secret"),
        (
            "attributes that are no object",
            "the attributes cannot be written: they are not an object",
        ),
        ("attributes that panic", "the provider panicked, which is a bug"),
    ] {
        let (id, reason) = Stack::default().fails(&behaving(behaviour)).await;
        assert_eq!((failed_create(&id).0, reason.as_str()), ("orders", expected), "{behaviour}");
    }
}

#[tokio::test]
async fn a_resource_without_attributes_has_no_data() {
    let response = Stack::default().succeeds(&behaving("no attributes")).await;
    assert!(response.get("Data").is_none(), "{response}");
}

#[tokio::test]
async fn an_id_that_no_later_request_could_have_fails() {
    for (behaviour, expected) in [
        ("no id", "it is empty"),
        ("long id", "it has more than 1024 characters"),
        ("reserved id", "it is one of a Create that failed"),
    ] {
        let (id, reason) = Stack::default().fails(&behaving(behaviour)).await;
        assert_eq!(failed_create(&id).0, "orders");
        assert_eq!(reason, format!("the physical id of the resource is invalid: {expected}"));
    }
}

#[tokio::test]
async fn a_reason_that_is_too_long_is_truncated_between_characters() {
    let stack = Stack::default();
    let response = stack.send(&behaving("fail at length")).await;
    let length = response.to_string().len();
    assert!((4080..=4096).contains(&length), "{length} bytes");
    let reason = response["Reason"].as_str().unwrap().strip_suffix('…').unwrap();
    assert!("why\u{1f512}\"".repeat(2000).starts_with(reason), "{reason}");
}

#[tokio::test]
async fn a_failure_always_has_a_reason() {
    let (_, reason) = Stack::default().fails(&behaving("fail without a reason")).await;
    assert_eq!(reason, "no reason was given");
    let (_, reason) = Stack::default().fails(&behaving("fail to say why")).await;
    assert_eq!(reason, "the provider panicked, which is a bug");
}

#[tokio::test]
async fn an_id_is_echoed_unabridged_up_to_the_size_limit() {
    const MAX: usize = 4096;
    const MIN_REASON: usize = 128;

    let stack = Stack::default();
    let send = async |event: Value| {
        let (_, responses) = stack.invoke(&event).await;
        let response = responses.into_iter().next().unwrap();
        (response.to_string().len(), response["PhysicalResourceId"].as_str().unwrap().len())
    };
    let failing = |id: String| {
        let patch = json!({ "ResourceProperties": { "Behave": "fail at length" } });
        update(&id, &patch)
    };
    let (success, _) = send(delete("p")).await;
    let (failure, _) = send(failing("p".repeat(MAX - 600))).await;
    assert!(failure > MAX - 8, "the reason fills the response");
    let reasonless = {
        let response = stack.send(&failing("p".to_owned())).await;
        response.to_string().len() - json_len(response["Reason"].as_str().unwrap())
    };
    for length in MAX - success - 100..MAX - success + 100 {
        let (bytes, echoed) = send(delete(&"p".repeat(length))).await;
        assert!(bytes <= MAX);
        assert_eq!(echoed == length, success - 1 + length <= MAX, "{length}");
    }
    let rest = reasonless - 1 + MIN_REASON;
    for length in MAX - rest - 100..MAX - rest + 100 {
        let (bytes, echoed) = send(failing("p".repeat(length))).await;
        assert!(bytes <= MAX);
        assert_eq!(echoed == length, rest + length <= MAX, "{length}");
    }
}

#[tokio::test]
async fn ids_longer_than_any_response_are_truncated() {
    let long = json!({
        "PhysicalResourceId": "\u{1}".repeat(9000),
        "StackId": "s".repeat(9000),
        "RequestId": "r".repeat(9000),
        "LogicalResourceId": "\u{1f512}".repeat(9000),
        "RequestType": "Replace",
    });
    let (_, responses) = Stack::default().invoke(&request(&long)).await;
    for name in ["PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId"] {
        let echoed = responses[0][name].as_str().unwrap();
        let beginning = echoed.strip_suffix('…').unwrap();
        assert!(long[name].as_str().unwrap().starts_with(beginning), "{name}: {echoed}");
    }
    assert!(
        responses[0]["Reason"].as_str().unwrap().ends_with("expected Create, Update or Delete")
    );
}

#[tokio::test]
async fn a_request_that_is_no_json_of_the_expected_types_gets_a_response() {
    for patch in [
        json!({ "StackId": null, "RequestId": null, "LogicalResourceId": null }),
        json!({ "StackId": [], "RequestId": {}, "LogicalResourceId": true }),
        json!({ "ResourceProperties": null }),
        json!({ "ResourceProperties": "x" }),
        json!({ "PhysicalResourceId": 7 }),
    ] {
        let (returned, responses) = Stack::default().invoke(&request(&patch)).await;
        assert_eq!((returned.unwrap().len(), responses.len()), (1, 1), "{patch}");
        assert!(responses[0]["StackId"].is_string(), "{patch}");
    }
}

#[test]
fn a_text_is_truncated_to_its_bytes_in_a_json_string() {
    for text in ["", "plain", "\"\\\n\u{1}", "é\u{1f512}", "\u{7f}\u{2028}"] {
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(json_len(text), json.len() - 2, "{text:?}");
        for bytes in 0..=json_len(text) {
            let cut = truncate(text, bytes);
            assert!(json_len(&cut) <= bytes, "{cut:?}");
            assert!(text.starts_with(cut.trim_end_matches('…')));
        }
        assert_eq!(truncate(text, json_len(text)), text);
    }
}

/// Refuses with a reason of its own.
struct Refusing;

impl CustomResource for Refusing {
    type Attributes = ();

    async fn create(&self, _: &Request) -> Result<Resource<()>, Failure> {
        Ok(Resource { physical_id: "id".to_owned(), attributes: () })
    }

    async fn update(&self, request: &Request, _: &str) -> Result<Resource<()>, Failure> {
        self.create(request).await
    }

    async fn delete(&self, _: &Request, _: Target<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn refuse(&self, request: &Request, problem: &str) -> Failure {
        Failure::new(format!("{problem}; and {} is invalid", request.logical_resource_id))
    }
}

#[tokio::test]
async fn a_resource_can_say_more_about_a_request_that_no_method_serves() {
    let responses = Recorder::default();
    let provider = Provider::new(crate::REGION, responses.clone());
    let event = request(&json!({ "RequestType": "Replace" })).to_string();
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
    provider.handle(&Refusing, &event, until).await.unwrap();
    let reason = responses.0.borrow()[0]["Reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("RequestType: ") && reason.ends_with("; and Orders is invalid"));
}
