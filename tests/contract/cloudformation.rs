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
    cloudformation::plan(&read(event), &response_url(), &location)
}

/// The response to a request with this result.
pub fn respond(event: &Value, result: &Result<Success, Failure>) -> String {
    cloudformation::respond(&read(event), &response_url(), result)
}

/// The `X-Amz-Date` that is `seconds` from now.
pub fn amz_date(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let then = now.checked_add_signed(seconds).unwrap();
    let (days, second) = (then / 86_400, then % 86_400);
    let mut year = 1970;
    let mut day = days;
    let length = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) {
            366
        } else {
            365
        }
    };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = if length(year) == 366 { 29 } else { 28 };
    let mut month = 0;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    format!(
        "{year:04}{:02}{:02}T{:02}{:02}{:02}Z",
        month + 1,
        day + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}
