//! Stand-ins for AWS, over HTTP on the loopback interface, and the real binary run against them.
//!
//! They are strict: they refuse what the real service would refuse. The tests, the `stand-ins`
//! program and the measurements share them; the package holds none of them. The path of the binary
//! and of the events is the caller's to give.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a stand-in that is misused ends the test"
)]
#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::missing_errors_doc,
    reason = "nobody outside this repository uses it"
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

/// The tag with which the function marks whose an action is.
pub const OWNER_TAG: &str = "mitigation-action-provider:owner";

/// The key of the tag that says which request made an action.
pub const REQUEST_TAG: &str = "mitigation-action-provider:request";

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use server::{Reply, Seen};

/// All of AWS that the provider needs, at one address.
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

    /// Empties the stand-ins and ends all faults; instances of the function stay.
    pub fn reset(&self) {
        self.iot.reset();
        self.bucket.reset();
        self.bus.reset();
    }

    /// Listens at one more address.
    pub async fn listen_at(&self, address: &str) -> std::io::Result<()> {
        self.serve(tokio::net::TcpListener::bind(address).await?);
        Ok(())
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let router = self.clone();
        server::serve(listener, self.connections.clone(), move |seen| {
            let aws = router.clone();
            async move { aws.answer(seen).await }
        });
    }

    /// How many connections have been made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn answer(&self, seen: Seen) -> Reply {
        let path = seen.path.clone();
        if path.starts_with("/2018-06-01/runtime/") || path.starts_with("/2015-03-31/functions/") {
            self.lambda.answer(seen).await
        } else if path == "/local/events" {
            // For people and scripts: the result events since the last look.
            Reply::json(200, &self.bus.take().iter().map(bus::Event::to_json).collect())
        } else if path.starts_with("/response/") {
            self.bucket.answer(seen).await
        } else if seen.header("x-amz-target").is_some() {
            self.bus.answer(seen).await
        } else {
            self.iot.answer(seen).await
        }
    }
}
