//! CloudFormation's protocol for custom resources, for any resource type.
//!
//! CloudFormation creates what it has no type for by invoking a Lambda function with a *request*:
//! Create, Update or Delete. The function does the work and PUTs a *response* to a presigned URL
//! of Amazon S3 that the request holds. If no response arrives, the stack hangs for an hour. This
//! crate does the protocol, without any AWS SDK, and three methods of yours do the work:
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
//!     async fn update(
//!         &self,
//!         request: &Request,
//!         _id: &str,
//!     ) -> Result<Resource<Attributes>, Failure> {
//!         // Another name is another topic: CloudFormation then deletes the old one.
//!         self.create(request).await
//!     }
//!
//!     async fn delete(&self, _: &Request, target: Target<'_>) -> Result<(), Failure> {
//!         match target {
//!             // Delete it. If it does not exist, that is a success.
//!             Target::Id(name) => println!("delete {name}"),
//!             // Delete it only if that request created it: its Create failed, perhaps because the
//!             // name was taken.
//!             Target::FailedCreate { name, request } => println!("delete {name} of {request:?}"),
//!         }
//!         Ok(())
//!     }
//!
//!     fn name(&self, request: &Request) -> Option<String> {
//!         request.properties().ok().map(|Properties { topic_name }| topic_name)
//!     }
//! }
//! ```
//!
//! [`Provider::handle`] serves an event with them. In a function, with `lambda_runtime` and the
//! feature `hyper`, that is all of `main`:
//!
//! ```no_run
//! # use cloudformation_custom_resource::{CustomResource, HyperPut, Provider};
//! # use lambda_runtime::{Error, LambdaEvent, service_fn};
//! # use serde_json::value::RawValue;
//! # async fn run(topics: impl CustomResource) -> Result<(), Error> {
//! let provider = Provider::new(std::env::var("AWS_REGION")?, HyperPut::new());
//! let service = service_fn(async |event: LambdaEvent<Box<RawValue>>| {
//!     let until = event.context.deadline();
//!     provider.handle(&topics, event.payload.get(), until).await.map(drop).map_err(Error::from)
//! });
//! lambda_runtime::Runtime::new(service).run().await
//! # }
//! ```
//!
//! `examples/random_suffix.rs` is a whole function in 60 lines. A template passes the function's
//! ARN, or that of an SNS topic in front of it, as `ServiceToken`:
//!
//! ```yaml
//! Orders:
//!   Type: Custom::Topic
//!   Properties:
//!     ServiceToken: !GetAtt Function.Arn
//!     ServiceTimeout: 360
//!     TopicName: orders
//! ```
//!
//! # Which method serves a request
//!
//! | `RequestType` | `PhysicalResourceId` | Method |
//! |---|---|---|
//! | Create | | [`create`](CustomResource::create) |
//! | Update | of a Create that failed | [`create`](CustomResource::create) |
//! | Update | of a resource | [`update`](CustomResource::update) |
//! | Update | missing | [`refuse`](CustomResource::refuse) |
//! | Delete | of a resource, or missing | [`delete`](CustomResource::delete) of [`Target::Id`] |
//! | Delete | of a Create that failed | `delete` of [`Target::FailedCreate`] |
//! | another | | [`refuse`](CustomResource::refuse) |
//!
//! # What the crate guarantees
//!
//! - **One response.** Each delivery of a request gets exactly one, even if a method panics, hangs
//!   at an `await` or returns what cannot be sent: before the invocation ends and before
//!   `ServiceTimeout` does. It is PUT again until S3 accepts it once, and it is never longer than
//!   the 4096 bytes that CloudFormation accepts. If it cannot be delivered, that is an [`Error`],
//!   so that Lambda retries the invocation.
//! - **Only to CloudFormation.** A `ResponseURL` must be that of CloudFormation's bucket in the
//!   function's region. Otherwise nothing is done, because the request is nobody's.
//! - **Only while somebody waits.** A request whose URL or `ServiceTimeout` has expired is not
//!   executed: CloudFormation has gone on without it.
//! - **Ids that survive a failed Create.** A Create that fails responds with an id that says which
//!   request failed under which name, and the Delete that follows gets both back as
//!   [`Target::FailedCreate`]. A failed Update or Delete keeps the id of its request.
//! - **Nothing logged.** The crate writes no log, and no error repeats the URL. A [`Failure`] of
//!   [`Request::properties`] repeats a value that does not fit, as the errors of serde do.
//!
//! # What is left to you
//!
//! - **Be idempotent.** Events are delivered at least once, and Lambda retries them. The same
//!   request again has the same [`Request::digest`]: store it with what you create, and a second
//!   delivery finds its own work.
//! - **Delete only what is yours.** The Create of a [`Target::FailedCreate`] may have failed
//!   because its name was taken. Compare the digest that you stored.
//! - **Return a new id only to replace.** Another physical id in an Update makes CloudFormation
//!   delete the resource of the old one. Keep the id where the resource is the same.
//! - **Let the later request decide.** CloudFormation may cancel a request that still runs, and
//!   send the next at once. Compare [`Request::sent`].
//! - **End by [`Request::deadline`].** What runs on is dropped at its next `await`, so do not
//!   block the thread. [`retry`] makes calls until then.
//! - **Read the old properties leniently.** An Update that fails for them can never succeed.
//! - **Expect scalars as strings.** [`scalar`] has what serde needs.
//! - **Keep the attributes small.** A success that does not fit the response fails.
//!
//! Set `ServiceTimeout` in your templates, to 360 seconds for a function of 60: else a function
//! that cannot be invoked at all leaves the stack waiting for an hour. Lambda retries a failed
//! invocation after one and after two minutes, and CloudFormation still waits then.
//!
//! # Without AWS
//!
//! Call [`Provider::handle`] with a [`Put`] of your own, which keeps what it gets. No server, no
//! credentials and no time is needed:
//!
//! ```
//! # use cloudformation_custom_resource::{
//! #     CustomResource, Failure, NoResponse, Provider, Put, PutResponse, Request, Resource,
//! #     Target,
//! # };
//! # struct Fixed;
//! # impl CustomResource for Fixed {
//! #     type Attributes = ();
//! #     async fn create(&self, _: &Request) -> Result<Resource<()>, Failure> {
//! #         Ok(Resource { physical_id: "orders".to_owned(), attributes: () })
//! #     }
//! #     async fn update(&self, request: &Request, _: &str) -> Result<Resource<()>, Failure> {
//! #         self.create(request).await
//! #     }
//! #     async fn delete(&self, _: &Request, _: Target<'_>) -> Result<(), Failure> {
//! #         Ok(())
//! #     }
//! # }
//! use std::{cell::RefCell, time::{Duration, SystemTime}};
//!
//! #[derive(Default)]
//! struct Responses(RefCell<Vec<String>>);
//!
//! impl Put for &Responses {
//!     async fn put(&self, _: http::Uri, body: String) -> Result<PutResponse, NoResponse> {
//!         self.0.borrow_mut().push(body);
//!         Ok(PutResponse { status: http::StatusCode::OK, body: Vec::new() })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let event = r#"{ "RequestType": "Create", "ResponseURL": "http://localhost/", "StackId": "s",
//!                  "RequestId": "r", "LogicalResourceId": "Orders", "ResourceProperties": {} }"#;
//! let responses = Responses::default();
//! let provider = Provider::new("eu-west-1", &responses).allow_hosts(["localhost".to_owned()]);
//! let until = SystemTime::now() + Duration::from_secs(60);
//! provider.handle(&Fixed, event, until).await.unwrap();
//! assert!(responses.0.borrow()[0].contains(r#""PhysicalResourceId":"orders""#));
//! # });
//! ```
//!
//! Or run the function on an emulator of Lambda and CloudFormation, and [allow its
//! host](Provider::allow_hosts).
//!
//! # Features
//!
//! - `hyper`: `HyperPut`, a [`Put`] on hyper and rustls, or on a hyper client of your own. Without
//!   it, the crate needs no HTTP client; implement [`Put`] with the one that your function has.

#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(test, allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic"))]

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
pub use self::hyper::{HyperPut, no_response};
pub use self::{
    deadlines::Deadlines,
    failure::{Failure, json_len, truncate},
    physical_id::{RequestDigest, Target},
    put::{NoResponse, Put, PutResponse, Undelivered},
    request::{Request, RequestType},
    response_url::{ForbiddenUrl, ResponseUrl},
    serve::{CustomResource, Error, Provider, Resource, Served},
};
