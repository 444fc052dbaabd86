//! Stand-ins for AWS, over HTTP on the loopback interface, and the real binary run against them.
//!
//! They are strict: they reject what the real service would reject. The tests, the `stand-ins`
//! program and the benchmarks share them; the package contains none of them. The caller gives the
//! paths of the binary and of the events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "misuse of a stand-in fails the test"
)]
#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::missing_errors_doc,
    reason = "used only in this repository"
)]

pub mod bucket;
pub mod bus;
pub mod fault;
pub mod function;
pub mod iot;
pub mod lambda;
pub mod queue;
mod server;
pub mod stack;
pub mod tls;

pub use function::Function;

/// The region, account and function of every test.
pub const REGION: &str = "eu-west-1";
pub const ACCOUNT: &str = "123456789012";
pub const FUNCTION: &str = "mitigation-action-provider";

/// The key of the tag that names the owner of an action.
pub const OWNER_TAG: &str = "mitigation-action-provider:owner";

/// The keys of the tags that record the request that created an action, and the one that last
/// claimed it.
pub const CREATED_TAG: &str = "mitigation-action-provider:created";
pub const CLAIMED_TAG: &str = "mitigation-action-provider:claimed";

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use server::{HttpRequest, HttpResponse};

/// Every AWS service that the provider needs, at one address.
#[derive(Clone)]
pub struct Aws {
    pub address: SocketAddr,
    pub iot: Arc<iot::Iot>,
    pub bucket: Arc<bucket::Bucket>,
    pub bus: Arc<bus::Bus>,
    pub lambda: Arc<lambda::Lambda>,
    connections: Arc<AtomicUsize>,
}

impl Aws {
    /// Starts the stand-ins on any free port.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts the stand-ins at `address`.
    pub async fn start_at(address: &str) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address is free");
        let aws = Self {
            address: listener.local_addr().unwrap(),
            iot: Arc::default(),
            bucket: Arc::default(),
            bus: Arc::default(),
            lambda: Arc::default(),
            connections: Arc::default(),
        };
        aws.serve(listener);
        aws
    }

    /// Empties the stand-ins and clears all faults. Instances of the function keep running.
    pub fn reset(&self) {
        self.iot.reset();
        self.bucket.reset();
        self.bus.reset();
    }

    /// Listens at an additional address.
    pub async fn listen_at(&self, address: &str) -> std::io::Result<()> {
        self.serve(tokio::net::TcpListener::bind(address).await?);
        Ok(())
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let router = self.clone();
        server::serve(listener, self.connections.clone(), move |request| {
            let aws = router.clone();
            async move { aws.respond(request).await }
        });
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn respond(&self, request: HttpRequest) -> HttpResponse {
        let path = request.path.clone();
        if path.starts_with("/2018-06-01/runtime/") || path.starts_with("/2015-03-31/functions/") {
            self.lambda.respond(request).await
        } else if path == "/local/events" {
            // For people and scripts: the result events since the last request.
            HttpResponse::json(200, &self.bus.take().iter().map(bus::Event::to_json).collect())
        } else if path.starts_with("/response/") {
            self.bucket.respond(request).await
        } else if request.header("x-amz-target").is_some() {
            self.bus.respond(request).await
        } else {
            self.iot.respond(request).await
        }
    }
}
