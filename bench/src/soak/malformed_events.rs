//! Events that are no request, and requests that are rejected.

use serde_json::{Value, json};
use stand_ins::stack::merged;

use super::Soak;
use crate::sample;

impl Soak {
    /// Sends one of them. The function rejects it, and does nothing else.
    pub async fn send_malformed_event(&mut self) {
        let allowed = format!("{}/response/malformed", self.stage.tls.bucket.url);
        let (event, expected) = malformed_event(self.rng.usize(..8), &allowed);
        let found = match self.invoke(&event).await {
            Ok(value) if value["Status"].is_string() => {
                self.stage.aws.bucket.check();
                let puts = self.stage.aws.bucket.take();
                assert!(
                    matches!(puts.as_slice(), [put] if put.accepted && put.response() == value),
                    "{event}: {puts:?}"
                );
                value["Status"].clone()
            }
            Ok(value) => value["batchItemFailures"][0]["itemIdentifier"].clone(),
            Err(error) => error["errorType"].clone(),
        };
        assert_eq!(found, expected, "{event}");
        let has_outcome =
            !self.stage.aws.bucket.take().is_empty() || !self.stage.aws.bus.take().is_empty();
        assert!(!has_outcome, "{event}");
    }
}

/// An event, and the status, the error or the failed message that it results in.
fn malformed_event(number: usize, allowed_url: &str) -> (Value, &'static str) {
    let create = |patch: &Value| merged(sample("create-invalid.json"), patch);
    match number {
        0 => (json!({}), "UnrecognizedEvent"),
        1 => (json!([[[["deep"]]]]), "UnrecognizedEvent"),
        2 => {
            let record = json!({ "eventSource": "aws:sqs", "messageId": "m", "body": "{" });
            (json!({ "Records": [record] }), "m")
        }
        3 => {
            let event = json!({ "detail-type": "Another", "source": "s", "detail": {} });
            (event, "UnrecognizedEvent")
        }
        4 => (create(&json!({ "ResponseURL": "https://example.com/" })), "ForbiddenResponseUrl"),
        5 => (create(&json!({ "ResponseURL": allowed_url })), "FAILED"),
        6 => {
            let properties = "x".repeat(100_000);
            (json!({ "ResponseURL": allowed_url, "ResourceProperties": properties }), "FAILED")
        }
        _ => {
            let tags = json!({ "tags": [{ "Key": "k".repeat(10_000) }] });
            (merged(sample("direct-invalid.json"), &tags), "InvalidRequestException")
        }
    }
}
