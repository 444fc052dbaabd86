//! CloudFormation's protocol. What a resource declares is in `action_properties.rs`.

mod physical_id;
mod request;
mod response;
mod response_url;

use std::time::SystemTime;

use mitigation_action_provider::{
    mitigation::{Failure, Success},
    trigger::{
        FunctionLocation, Payload, Plan, Trigger,
        cloudformation::{self, CustomResourceRequest, ResponseUrl},
    },
};
use serde_json::Value;
pub use stand_ins::stack::amz_date;

fn read(event: &Value) -> CustomResourceRequest {
    let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
    match Trigger::recognize(&payload) {
        Ok(Trigger::CloudFormation(request)) => *request,
        _ => panic!("not a custom resource request: {event}"),
    }
}

fn response_url() -> ResponseUrl {
    ResponseUrl::parse("http://bucket/key", "eu-west-1", &["bucket".to_owned()]).unwrap()
}

/// What the function would do for a request.
pub fn plan(event: &Value) -> Plan {
    let location = FunctionLocation::new("", "eu-west-1");
    cloudformation::plan(&read(event), &response_url(), SystemTime::now(), &location)
}

/// The response to a request with this result.
pub fn respond(event: &Value, result: &Result<Success, Failure>) -> String {
    cloudformation::respond(&read(event), &response_url(), result)
}
