//! EventBridge's `PutEvents`, as its API page has it: takes entries one by one, and may refuse some of them.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    fault::{Fault, Faults},
    server::{Reply, Seen},
};

/// An entry that was taken.
#[derive(Clone, Debug)]
pub struct Event {
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub resources: Vec<String>,
    pub detail: Value,
}

impl Event {
    pub fn to_json(&self) -> Value {
        json!({
            "bus": self.bus, "source": self.source, "detail-type": self.detail_type, "resources": self.resources, "detail": self.detail,
        })
    }
}

/// Faults: by `PutEvents` those of the call; by `entry` (`Refuse`, of which the status means nothing) those of an entry.
#[derive(Debug, Default)]
pub struct Bus {
    pub faults: Faults,
    events: Mutex<Vec<Event>>,
    calls: AtomicUsize,
}

impl Bus {
    /// The events so far, which are forgotten.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// As at the start: no events, no faults.
    pub fn reset(&self) {
        self.faults.clear();
        self.take();
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) async fn answer(&self, seen: Seen) -> Reply {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = self.faults.next("PutEvents");
        match fault {
            Some(Fault::Throttle) => return refused(400, "ThrottlingException"),
            Some(Fault::Refuse(status, code)) => return refused(status, code),
            Some(Fault::LoseBefore) => return Reply::Lost,
            Some(Fault::Hang) => return Reply::Never,
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let answer = self.put(&seen);
        match fault {
            Some(Fault::LoseAfter) => Reply::Lost,
            Some(Fault::HangAfter) => Reply::Never,
            Some(Fault::FailAfter) => refused(500, "InternalException"),
            _ => answer,
        }
    }

    fn put(&self, seen: &Seen) -> Reply {
        let authorization = seen.header("authorization").unwrap_or_default();
        if seen.header("x-amz-target") != Some("AWSEvents.PutEvents")
            || !authorization.contains("/events/aws4_request, SignedHeaders=")
        {
            return refused(400, "UnknownOperationException");
        }
        let body = seen.json();
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        if entries.is_empty() || entries.len() > 10 || seen.body.len() > 256 * 1024 {
            return refused(400, "ValidationException");
        }
        let results: Vec<Value> = entries.iter().map(|entry| self.take_entry(entry)).collect();
        let failed = results.iter().filter(|result| result["ErrorCode"].is_string()).count();
        Reply::json(200, &json!({ "FailedEntryCount": failed, "Entries": results }))
    }

    fn take_entry(&self, entry: &Value) -> Value {
        if let Some(Fault::Refuse(_, code)) = self.faults.next("entry") {
            return json!({ "ErrorCode": code, "ErrorMessage": "not taken" });
        }
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let Ok(detail) = serde_json::from_str(&text("Detail")) else {
            return json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." });
        };
        if text("Source").starts_with("aws.") || text("DetailType").is_empty() {
            return json!({ "ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "no" });
        }
        let resources = entry["Resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|arn| arn.as_str().map(str::to_owned))
            .collect();
        let event = Event {
            bus: text("EventBusName"),
            source: text("Source"),
            detail_type: text("DetailType"),
            resources,
            detail,
        };
        self.events.lock().unwrap().push(event);
        json!({ "EventId": format!("{:032x}", fastrand::u128(..)) })
    }
}

fn refused(status: u16, code: &str) -> Reply {
    let body = json!({ "__type": code, "message": "refused" });
    Reply::text(
        status,
        &[("x-amzn-errortype", code), ("content-type", "application/x-amz-json-1.1")],
        &body.to_string(),
    )
}
