//! The placeholder physical id of a Create that failed.

use mitigation_action_provider::{
    mitigation::{Failure, Problems},
    trigger::cloudformation::{self, ResponseUrl},
};
use serde_json::Value;

use super::read;
use crate::create_request;

#[test]
fn a_request_with_another_date_has_another_placeholder() {
    let request = read(&create_request());
    let id = |query: &str| -> String {
        let url = format!("http://bucket/key?{query}");
        let url = ResponseUrl::parse(&url, "eu-west-1", &["bucket".to_owned()]).unwrap();
        let failure = Failure::invalid(Problems::default());
        let response = cloudformation::respond(&request, &url, &Err(failure));
        let response: Value = serde_json::from_str(&response).unwrap();
        response["PhysicalResourceId"].as_str().unwrap().to_owned()
    };
    let first = id("X-Amz-Date=20261122T101112Z");
    assert!(first.starts_with("not-created:fleet-deactivate-certificate:"), "{first}");
    assert_eq!(first, id("X-Amz-Date=20261122T101112Z&X-Amz-Signature=b"));
    assert_ne!(first, id("X-Amz-Date=20261122T101113Z"));
    assert_ne!(id("Expires=1795342272"), id("Expires=1795342273"));
}
