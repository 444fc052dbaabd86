//! Events, messages and direct invocations, and their results.

use serde_json::{Value, json};
use stand_ins::{
    bus::Event,
    iot::Call,
    lambda::Returned,
    stack::{World, merged},
};

use crate::{sample, world_with};

pub const BUS: &str = "mitigation-action-results";

pub const NAME: &str = "device-quarantine";

pub const EVENTS_TAG: &str = "event/com.example.fleet/7bf73129-1428-4cd3-a780-95db273d1601";

/// The results of an invocation.
pub struct Invocation {
    pub returned: Returned,
    pub events: Vec<Event>,
    pub calls: Vec<Call>,
}

impl Invocation {
    #[track_caller]
    pub fn succeeded(&self, outcome: &str) -> &Value {
        let document = self.returned.as_ref().unwrap();
        assert_eq!(
            (&document["status"], &document["outcome"]),
            (&json!("SUCCEEDED"), &json!(outcome)),
            "{document}"
        );
        document
    }

    #[track_caller]
    pub fn function_error(&self, error_type: &str) -> &str {
        let error = self.returned.as_ref().unwrap_err();
        assert_eq!(error["errorType"], error_type, "{error}");
        error["errorMessage"].as_str().unwrap()
    }

    #[track_caller]
    pub fn only_event(&self) -> &Event {
        let [event] = self.events.as_slice() else { panic!("{:?}", self.events) };
        event
    }

    /// Asserts that a permanent failure was published and is no function error.
    #[track_caller]
    pub fn published_failure(&self, code: &str) -> &str {
        let event = self.only_event();
        assert_eq!(event.detail_type, "Mitigation Action Request Failed");
        assert_eq!(
            (&event.detail["status"], &event.detail["error"]["code"]),
            (&json!("FAILED"), &json!(code)),
            "{event:?}"
        );
        assert_eq!(event.detail["error"]["retryable"], false);
        assert_eq!(self.returned.as_ref().unwrap()["error"], event.detail["error"]);
        event.detail["error"]["message"].as_str().unwrap()
    }

    pub fn operations(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.operation).collect()
    }

    #[track_caller]
    pub fn changed_nothing(&self) {
        let changes: Vec<&Call> =
            self.calls.iter().filter(|call| call.is_change() && call.status != 409).collect();
        assert!(changes.is_empty(), "{changes:?}");
    }
}

pub async fn invoke(world: &World, event: &Value) -> Invocation {
    world.aws.iot.take_calls();
    world.aws.bus.take();
    let returned =
        world.aws.lambda.invoke(event.to_string().into_bytes(), world.timeout, &world.arn).await;
    let events = world.aws.bus.take();
    for event in &events {
        crate::schemas::check_result(&event.detail_type, &event.detail);
    }
    Invocation { returned, events, calls: world.aws.iot.take_calls() }
}

pub async fn world_with_bus() -> World {
    world_with(&[("RESULT_EVENT_BUS", BUS)]).await
}

pub fn create_event() -> Value {
    sample("event-create.json")
}

pub fn event_with(detail: &Value) -> Value {
    merged(create_event(), &json!({ "detail": detail }))
}

pub fn with_id(id: &str, event: Value) -> Value {
    merged(event, &json!({ "id": id }))
}
