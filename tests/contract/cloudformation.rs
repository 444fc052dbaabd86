//! CloudFormation's protocol, as the function serves it; the crate `cloudformation-custom-resource`
//! has tests of its own. What a resource declares is in `action_properties.rs`.

mod request;
mod response;
mod response_url;

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use cloudformation_custom_resource::{
    CustomResource, Failure as CrateFailure, NoResponse, Provider, Put, PutResponse, Request,
    Resource, Target,
};
use hyper::{StatusCode, Uri};
use mitigation_action_provider::{
    mitigation::{Failure, FunctionLocation, Success},
    trigger::{
        Payload, Plan, Trigger,
        cloudformation::{self, Attributes},
    },
};
use serde_json::{Value, json};
pub use stand_ins::stack::amz_date;
use stand_ins::stack::merged;

fn read(event: &Value) -> Request {
    let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
    match Trigger::recognize(&payload) {
        Ok(Trigger::CloudFormation(request)) => *request,
        _ => panic!("not a custom resource request: {event}"),
    }
}

/// What the function would do for a request.
pub fn plan(event: &Value) -> Plan {
    cloudformation::plan(&read(event), &FunctionLocation::new("", "eu-west-1"))
}

/// The response to a request with this result.
pub fn respond(event: &Value, result: &Result<Success, Failure>) -> String {
    let event = merged(event.clone(), &json!({ "ResponseURL": "http://bucket/key" }));
    let provider = Provider::new("eu-west-1", Bucket::default());
    let provider = provider.allow_hosts(["bucket".to_owned()]);
    let until = SystemTime::now() + Duration::from_secs(10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (resource, mut request) = (Ended(result), read(&event));
    match runtime.block_on(provider.serve(&resource, &mut request, until)).unwrap() {
        cloudformation_custom_resource::Served::Responded(response) => response.get().to_owned(),
        cloudformation_custom_resource::Served::Expired => panic!("{event} has expired"),
    }
}

/// Accepts every response.
#[derive(Default)]
struct Bucket(RefCell<Vec<String>>);

impl Put for Bucket {
    async fn put(&self, _: Uri, body: String) -> Result<PutResponse, NoResponse> {
        self.0.borrow_mut().push(body);
        Ok(PutResponse { status: StatusCode::OK, body: Vec::new() })
    }
}

/// A request that has ended with this result.
struct Ended<'r>(&'r Result<Success, Failure>);

impl CustomResource for Ended<'_> {
    type Attributes = Attributes;

    async fn create(&self, _: &Request) -> Result<Resource<Attributes>, CrateFailure> {
        match self.0.clone() {
            Ok(Success { action: Some(action), .. }) => Ok(cloudformation::resource(action)),
            Ok(Success { action: None, .. }) => panic!("a Create that succeeds has an action"),
            Err(failure) => Err(CrateFailure::fitting(move |bytes| failure.reason(bytes))),
        }
    }

    async fn update(
        &self,
        request: &Request,
        _: &str,
    ) -> Result<Resource<Attributes>, CrateFailure> {
        self.create(request).await
    }

    async fn delete(&self, request: &Request, _: Target<'_>) -> Result<(), CrateFailure> {
        if self.0.is_ok() { Ok(()) } else { self.create(request).await.map(drop) }
    }

    fn name(&self, request: &Request) -> Option<String> {
        cloudformation::name_of_create(request)
    }

    async fn refuse(&self, request: &Request, problem: &str) -> CrateFailure {
        self.create(request).await.err().unwrap_or_else(|| CrateFailure::new(problem))
    }
}
