//! The protocol, played with a resource type that is not ours: [`topics::Topics`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by a panic"
)]

mod deadlines;
mod delivery;
mod example;
mod life_cycle;
mod notifications;
mod properties;
mod response;
mod response_url;
mod topics;

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime},
};

use cloudformation_custom_resource::{
    Error, NoResponse, Provider, Put, PutResponse, RequestDigest, Served, Target,
};
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use stand_ins::stack::{amz_date, merged};

use self::topics::Topics;

const REGION: &str = "eu-west-1";

/// The `ResponseURL` of a request that was sent so many seconds from now.
fn response_url(sent: i64) -> String {
    let host = "cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com";
    let date = amz_date(sent);
    format!("https://{host}/key?X-Amz-Signature=5ec4e75167&X-Amz-Date={date}&X-Amz-Expires=7200")
}

/// A Create of the topic `orders`, with changes.
fn request(patch: &Value) -> Value {
    let create = json!({
        "RequestType": "Create",
        "ResponseURL": response_url(-5),
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/6f0c2b1e",
        "RequestId": "request-1",
        "ResourceType": "Custom::Topic",
        "LogicalResourceId": "Orders",
        "ResourceProperties": { "ServiceToken": "arn", "Name": "orders", "Size": "3" },
    });
    merged(create, patch)
}

fn update(id: &str, patch: &Value) -> Value {
    let old = request(&json!({}))["ResourceProperties"].clone();
    let update = json!({
        "RequestType": "Update",
        "RequestId": "request-2",
        "PhysicalResourceId": id,
        "OldResourceProperties": old,
    });
    merged(request(&update), patch)
}

fn delete(id: &str) -> Value {
    let delete =
        json!({ "RequestType": "Delete", "RequestId": "request-3", "PhysicalResourceId": id });
    request(&delete)
}

/// Accepts every response, and keeps it.
#[derive(Clone, Default)]
struct Recorder(Rc<RefCell<Vec<Value>>>);

impl Put for Recorder {
    async fn put(&self, _: Uri, body: String) -> Result<PutResponse, NoResponse> {
        assert!(body.len() <= 4096, "{} bytes", body.len());
        self.0.borrow_mut().push(serde_json::from_str(&body).unwrap());
        Ok(PutResponse { status: StatusCode::OK, body: Vec::new() })
    }
}

/// A stack whose topics are created by a function with a timeout of a minute.
#[derive(Default)]
struct Stack {
    topics: Topics,
    responses: Recorder,
}

impl Stack {
    /// Invokes the function. What it returns, and the responses that CloudFormation got.
    async fn invoke(&self, event: &Value) -> (Result<Vec<Served>, Error>, Vec<Value>) {
        let provider = Provider::new(REGION, self.responses.clone());
        let until = SystemTime::now() + Duration::from_mins(1);
        let returned = provider.handle(&self.topics, &event.to_string(), until).await;
        (returned, self.responses.0.take())
    }

    /// Sends a request, which gets one response, which the function returns.
    async fn send(&self, event: &Value) -> Value {
        let (returned, mut responses) = self.invoke(event).await;
        assert_eq!(responses.len(), 1, "{returned:?}");
        let response = responses.remove(0);
        let returned = returned.unwrap();
        let [Served::Responded(body)] = returned.as_slice() else { panic!("{returned:?}") };
        assert_eq!(serde_json::from_str::<Value>(body.get()).unwrap(), response);
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(response[name], event[name], "{name}");
        }
        response
    }

    async fn succeeds(&self, event: &Value) -> Value {
        let response = self.send(event).await;
        assert_eq!(response["Status"], "SUCCESS", "{response}");
        assert!(response["Reason"].is_null(), "{response}");
        response
    }

    /// The physical id and the reason of a request that fails.
    async fn fails(&self, event: &Value) -> (String, String) {
        let response = self.send(event).await;
        assert_eq!(response["Status"], "FAILED", "{response}");
        assert!(response["Data"].is_null(), "{response}");
        let text = |name: &str| response[name].as_str().unwrap().to_owned();
        (text("PhysicalResourceId"), text("Reason"))
    }
}

/// The name and the request in the id of a Create that failed.
fn failed_create(id: &str) -> (&str, RequestDigest) {
    let Target::FailedCreate { name, request: Some(request) } = Target::parse(id) else {
        panic!("{id}")
    };
    (name, request)
}
