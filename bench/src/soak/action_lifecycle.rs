//! The lifecycles of a few actions, each through one trigger.

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    bucket::Put,
    bus::Event,
    lambda::Returned,
    queue::{Message, Queue},
    stack::merged,
};

use super::{Soak, fault::Delivery};
use crate::sample;

const LIFECYCLES: usize = 15;
const TRIGGERS: [Trigger; 5] =
    [Trigger::CloudFormation, Trigger::Sns, Trigger::EventBridge, Trigger::Sqs, Trigger::Direct];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    CloudFormation,
    /// A custom resource whose service token is a topic.
    Sns,
    EventBridge,
    Sqs,
    Direct,
}

/// An action, the trigger of its requests, and its role while it exists.
#[derive(Clone)]
pub struct ActionLifecycle {
    pub trigger: Trigger,
    pub name: String,
    pub role: Option<String>,
}

impl ActionLifecycle {
    pub fn all() -> Vec<Self> {
        let triggers = TRIGGERS.into_iter().cycle().take(LIFECYCLES);
        let lifecycle =
            |(number, trigger)| Self { trigger, name: format!("action-{number}"), role: None };
        triggers.enumerate().map(lifecycle).collect()
    }

    pub fn is_custom_resource(&self) -> bool {
        matches!(self.trigger, Trigger::CloudFormation | Trigger::Sns)
    }

    /// The kind of the owner tag.
    fn owner(&self) -> &'static str {
        match self.trigger {
            Trigger::CloudFormation | Trigger::Sns => "stack/",
            Trigger::EventBridge | Trigger::Sqs => "event/",
            Trigger::Direct => "request/",
        }
    }

    /// A request of the custom resource.
    pub fn request(&self, operation: &str, role: &str) -> Value {
        let id = if operation == "Create" { Value::Null } else { json!(self.name) };
        let patch = json!({
            "RequestType": operation, "LogicalResourceId": self.name, "PhysicalResourceId": id,
            "ResourceProperties": { "ActionName": self.name, "RoleArn": role },
        });
        merged(sample("create-add-things-to-thing-group.json"), &patch)
    }
}

pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{name}")
}

impl Soak {
    /// Creates an action that does not exist, and updates or deletes one that does.
    pub async fn advance(&mut self, number: usize) {
        let lifecycle = self.lifecycles[number].clone();
        if lifecycle.is_custom_resource() && self.is_overlap_due() {
            self.overlap(&lifecycle).await;
            self.check_action(number, "a canceled request");
            return;
        }
        let operation = match (&lifecycle.role, self.rng.u8(..3)) {
            (None, _) => "Create",
            (Some(_), 0) => "Delete",
            (Some(_), _) => "Update",
        };
        let role = role_arn(&format!("role-{}", self.rng.u8(..9)));
        if lifecycle.is_custom_resource() {
            self.send_resource_request(&lifecycle, operation, &role).await;
        } else {
            self.send_api_request(&lifecycle, operation, &role).await;
        }
        self.lifecycles[number].role = (operation != "Delete").then_some(role);
        self.check_action(number, operation);
    }

    /// Asserts that the action exists, has its role and its owner's tag, or does not exist.
    fn check_action(&self, number: usize, after: &str) {
        let lifecycle = &self.lifecycles[number];
        let action = self.stage.aws.iot.action(&lifecycle.name);
        let has_owner = action.as_ref().is_none_or(|action| {
            action.tags.get(OWNER_TAG).is_some_and(|tag| tag.starts_with(lifecycle.owner()))
        });
        let role = action.as_ref().map(|action| &action.role_arn);
        assert!(
            role == lifecycle.role.as_ref() && has_owner,
            "{} after {after}: expected the role {:?}: {action:?}",
            lifecycle.name,
            lifecycle.role
        );
    }

    /// A failed request is followed by what CloudFormation sends next, and by another attempt.
    async fn send_resource_request(
        &mut self,
        lifecycle: &ActionLifecycle,
        operation: &str,
        role: &str,
    ) {
        let request = lifecycle.request(operation, role);
        self.inject_fault(operation, Delivery::Put);
        let response = self.respond(lifecycle.trigger, &request).await;
        if response["Status"] == "SUCCESS" {
            return;
        }
        self.redeliveries += 1;
        if operation == "Create" {
            let id = &response["PhysicalResourceId"];
            let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
            let response = self.respond(lifecycle.trigger, &merged(request.clone(), &delete)).await;
            assert_eq!(response["Status"], "SUCCESS", "{response}");
        }
        let response = self.respond(lifecycle.trigger, &request).await;
        assert_eq!(response["Status"], "SUCCESS", "{response}");
    }

    /// Sends a request with a `ResponseURL` of its own, and returns the response.
    async fn respond(&mut self, trigger: Trigger, request: &Value) -> Value {
        let (key, event) = self.event(trigger, request);
        drop(self.invoke(&event).await);
        self.stage.aws.bucket.check();
        accepted(&self.stage.aws.bucket.take(), &key)
    }

    /// The event of a request, and the key of its response.
    pub fn event(&mut self, trigger: Trigger, request: &Value) -> (String, Value) {
        let key = format!("{:032x}", self.rng.u128(..));
        let url = format!("{}/response/{key}", self.stage.tls.bucket.url);
        let ids = json!({ "ResponseURL": url, "RequestId": key });
        let request = merged(request.clone(), &ids);
        if trigger != Trigger::Sns {
            return (key, request);
        }
        let mut notification = sample("notification.json");
        notification["Records"][0]["Sns"]["Message"] = json!(request.to_string());
        (key, notification)
    }

    /// Sends an event, a message or a direct invocation, and retries it once if it failed.
    async fn send_api_request(&mut self, lifecycle: &ActionLifecycle, operation: &str, role: &str) {
        let id = format!("{:032x}", self.rng.u128(..));
        let event = api_event(lifecycle, operation, role, &id);
        let delivery = if lifecycle.trigger == Trigger::Direct {
            Delivery::ReturnValue
        } else {
            Delivery::ResultBus
        };
        self.inject_fault(operation, delivery);
        let mut returned = self.invoke(&event).await;
        if !is_success(&returned) {
            self.redeliveries += 1;
            returned = self.invoke(&event).await;
        }
        assert!(is_success(&returned), "{event}: {returned:?}");
        let results = self.stage.aws.bus.take();
        let is_result = |event: &Event| {
            event.detail["requestId"] == id && event.detail["status"] == "SUCCEEDED"
        };
        assert!(
            delivery != Delivery::ResultBus || results.iter().any(is_result),
            "no result of {event}: {results:?}"
        );
    }
}

/// The response that was accepted under a key. A retried PUT may have delivered it twice.
pub fn accepted(puts: &[Put], key: &str) -> Value {
    let accepted: Vec<Value> =
        puts.iter().filter(|put| put.key == key && put.accepted).map(Put::response).collect();
    assert!(accepted.windows(2).all(|pair| pair[0] == pair[1]), "{accepted:?}");
    accepted.into_iter().next().unwrap_or_else(|| panic!("no response under {key}: {puts:?}"))
}

fn api_event(lifecycle: &ActionLifecycle, operation: &str, role: &str, id: &str) -> Value {
    let operation_and_name = json!({
        "actionName": lifecycle.name,
        "operation": format!("{operation}MitigationAction"),
    });
    let mut event = sample("event-create.json");
    let detail = match operation {
        "Create" => merged(event["detail"].clone(), &json!({ "roleArn": role })),
        "Update" => json!({ "roleArn": role }),
        _ => json!({}),
    };
    let detail = merged(detail, &operation_and_name);
    if lifecycle.trigger == Trigger::Direct {
        return merged(detail, &json!({ "requestId": id }));
    }
    (event["detail"], event["id"]) = (detail, json!(id));
    if lifecycle.trigger == Trigger::Sqs {
        let body = event.to_string();
        return Queue::event(&[Message { id: id.to_owned(), body, sent: 1, receive_count: 1 }]);
    }
    event
}

/// Whether an invocation, or its one message, succeeded.
fn is_success(returned: &Returned) -> bool {
    returned
        .as_ref()
        .is_ok_and(|value| value["batchItemFailures"].as_array().is_none_or(Vec::is_empty))
}
