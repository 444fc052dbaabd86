//! EventBridge's `PutEvents`: accepts or rejects each entry on its own.
//!
//! See <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    fault::{Fault, Faults},
    server::{HttpRequest, HttpResponse},
};

/// An entry that was accepted.
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
            "bus": self.bus,
            "source": self.source,
            "detail-type": self.detail_type,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

/// Faults of the call go by `PutEvents`, faults of one entry by `entry`. An entry's fault is a
/// `Refuse`, whose status is ignored.
#[derive(Debug)]
pub struct Bus {
    pub faults: Faults,
    events: Mutex<Vec<Event>>,
    calls: AtomicUsize,
}

impl Default for Bus {
    fn default() -> Self {
        let is_supported = |call: &str, fault: &Fault| match call {
            "PutEvents" => !matches!(fault, Fault::RefuseWith(..)),
            "entry" => matches!(fault, Fault::Refuse(..)),
            _ => false,
        };
        Self {
            faults: Faults::new(is_supported),
            events: Mutex::default(),
            calls: AtomicUsize::default(),
        }
    }
}

impl Bus {
    /// Takes the events so far.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Removes all events and faults.
    pub fn reset(&self) {
        self.faults.clear();
        self.take();
    }

    /// The number of calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) async fn respond(&self, request: HttpRequest) -> HttpResponse {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = self.faults.next("PutEvents");
        let Some(fault) = fault else { return self.put_events(&request) };
        match fault {
            Fault::Throttle => return error_response(400, "ThrottlingException"),
            Fault::Refuse(status, code) | Fault::RefuseWith(status, code, _) => {
                return error_response(status, code);
            }
            Fault::Empty => return HttpResponse::json(200, &json!({})),
            Fault::Proxy(status) => return HttpResponse::proxy(status),
            Fault::LoseBefore => return HttpResponse::Disconnect,
            Fault::Hang => return HttpResponse::Hang,
            Fault::Slow(time) => tokio::time::sleep(time).await,
            Fault::LoseAfter | Fault::HangAfter | Fault::FailAfter | Fault::Garbage => {}
        }
        let response = self.put_events(&request);
        match fault {
            Fault::LoseAfter => HttpResponse::Disconnect,
            Fault::HangAfter => HttpResponse::Hang,
            Fault::FailAfter => error_response(500, "InternalException"),
            Fault::Garbage => HttpResponse::garbage(200),
            Fault::Throttle
            | Fault::Refuse(..)
            | Fault::RefuseWith(..)
            | Fault::Empty
            | Fault::Proxy(_)
            | Fault::LoseBefore
            | Fault::Hang
            | Fault::Slow(_) => response,
        }
    }

    fn put_events(&self, request: &HttpRequest) -> HttpResponse {
        let authorization = request.header("authorization").unwrap_or_default();
        if request.header("x-amz-target") != Some("AWSEvents.PutEvents")
            || !authorization.contains("/events/aws4_request, SignedHeaders=")
        {
            return error_response(400, "UnknownOperationException");
        }
        let body = request.json();
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        if entries.is_empty() || entries.len() > 10 || request.body.len() > 256 * 1024 {
            return error_response(400, "ValidationException");
        }
        let results: Vec<Value> = entries.iter().map(|entry| self.put_entry(entry)).collect();
        let failed = results.iter().filter(|result| result["ErrorCode"].is_string()).count();
        HttpResponse::json(200, &json!({ "FailedEntryCount": failed, "Entries": results }))
    }

    fn put_entry(&self, entry: &Value) -> Value {
        let error = |code, message| json!({ "ErrorCode": code, "ErrorMessage": message });
        if let Some(Fault::Refuse(_, code)) = self.faults.next("entry") {
            return error(code, "rejected");
        }
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let Ok(detail) = serde_json::from_str(&text("Detail")) else {
            return error("MalformedDetail", "Detail is malformed.");
        };
        if text("Source").starts_with("aws.") || text("DetailType").is_empty() {
            return error("NotAuthorizedForSourceException", "Not authorized for the source.");
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

fn error_response(status: u16, code: &str) -> HttpResponse {
    let body = json!({ "__type": code, "message": "rejected" });
    HttpResponse::text(
        status,
        &[("x-amzn-errortype", code), ("content-type", "application/x-amz-json-1.1")],
        &body.to_string(),
    )
}
