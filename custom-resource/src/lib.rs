//! CloudFormation's protocol for custom resources, for any resource type.
//!
//! CloudFormation creates what it has no type for by invoking a Lambda function with a *request*:
//! Create, Update or Delete. The function does the work and PUTs a *response* to a presigned URL of
//! Amazon S3 that the request holds. If no response arrives, the stack hangs for an hour. This crate
//! does the protocol, and three methods of yours do the work:
//!
//! ```
//! use cloudformation_custom_resource::{CustomResource, Failure, Request, Resource, Target};
//!
//! struct Topics;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Properties {
//!     topic_name: String,
//! }
//!
//! #[derive(serde::Serialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Attributes {
//!     topic_url: String,
//! }
//!
//! impl CustomResource for Topics {
//!     type Attributes = Attributes;
//!
//!     async fn create(&self, request: &Request) -> Result<Resource<Attributes>, Failure> {
//!         let Properties { topic_name } = request.properties()?;
//!         // Create it, unless an earlier delivery of this request has.
//!         let topic_url = format!("https://example.com/{topic_name}");
//!         Ok(Resource { physical_id: topic_name, attributes: Attributes { topic_url } })
//!     }
//!
//!     async fn update(&self, request: &Request, _: &str) -> Result<Resource<Attributes>, Failure> {
//!         // Another name is another topic: CloudFormation then deletes the old one.
//!         self.create(request).await
//!     }
//!
//!     async fn delete(&self, _: &Request, target: Target<'_>) -> Result<(), Failure> {
//!         let (Target::Id(name) | Target::FailedCreate { name, .. }) = target;
//!         // Delete it. If it does not exist, that is a success.
//!         drop(name);
//!         Ok(())
//!     }
//!
//!     fn name(&self, request: &Request) -> Option<String> {
//!         request.properties().ok().map(|Properties { topic_name }| topic_name)
//!     }
//! }
//! ```
//!
//! [`Provider::handle`] serves an event with them. `examples/random_suffix.rs` is a whole function,
//! with `lambda_runtime`; its template passes the function's ARN as `ServiceToken`.
//!
//! # What the crate guarantees
//!
//! - **One response.** Each delivery of a request gets exactly one, even if a method panics, hangs
//!   or returns what cannot be written: before the invocation ends and before `ServiceTimeout` does.
//!   It is PUT again until S3 accepts it once, and it is never longer than CloudFormation accepts.
//! - **Only to CloudFormation.** A `ResponseURL` must be that of CloudFormation's bucket in the
//!   function's region. Otherwise nothing is done, because the request is nobody's.
//! - **Only while somebody waits.** A request whose URL or `ServiceTimeout` has expired is not
//!   executed: CloudFormation has gone on without it.
//! - **Ids that survive a failed Create.** A Create that fails responds with an id that says which
//!   request failed under which name, and the Delete that follows gets both back as
//!   [`Target::FailedCreate`].
//! - **Nothing printed.** No URL and no property is logged or part of an error.
//!
//! # What is left to you
//!
//! - **Be idempotent.** Events are delivered at least once, and Lambda retries them. The same
//!   request again has the same [`Request::digest`]: store it with what you create, and a second
//!   delivery finds its own work.
//! - **Return a new id only to replace.** Another physical id in an Update makes CloudFormation
//!   delete the resource of the old one. Keep the id where the resource is the same.
//! - **Let the later request decide.** CloudFormation may cancel a request that still runs, and
//!   send the next at once. Compare [`Request::sent`].
//! - **End by [`Request::deadline`].** What runs on is dropped. [`retry`] makes calls until then.
//! - **Read the old properties leniently.** An Update that fails for them can never succeed.
//! - **Expect scalars as strings.** [`scalar`] has what serde needs.
//!
//! Set `ServiceTimeout` in your templates, to 360 seconds for a function of 60: else a function that
//! cannot be invoked at all leaves the stack waiting for an hour. Lambda retries a failed invocation
//! after one and after two minutes, and CloudFormation still waits then.
//!
//! # Without AWS
//!
//! Call [`Provider::serve`] with a [`Put`] of your own, as `tests/` does; or run the function on an
//! emulator, and [allow its host](Provider::allow_hosts).

mod deadlines;
mod failure;
#[cfg(feature = "hyper")]
mod hyper;
pub mod json;
mod physical_id;
mod put;
mod request;
mod response;
mod response_url;
pub mod retry;
pub mod scalar;
mod serve;

#[cfg(feature = "hyper")]
pub use self::hyper::HyperPut;
pub use self::{
    deadlines::Deadlines,
    failure::{Failure, json_len, truncate},
    physical_id::{RequestDigest, Target},
    put::{NoResponse, Put, PutResponse, Undelivered},
    request::{Request, RequestType},
    response_url::{ForbiddenUrl, ResponseUrl},
    serve::{CustomResource, Error, Provider, Resource, Served},
};
