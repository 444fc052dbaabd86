//! [`Put`] on hyper and rustls.

use std::{fmt, time::Duration};

use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{NoResponse, Put, PutResponse};

/// Sends a PUT over HTTP/1.1, with rustls and built-in root certificates. Clones share its
/// connections.
#[derive(Clone)]
pub struct HyperPut {
    client: Client<HttpsConnector<HttpConnector>, Full<bytes::Bytes>>,
}

impl HyperPut {
    /// A client without connections.
    ///
    /// # Panics
    /// Never: ring has cipher suites for TLS 1.2 and 1.3.
    #[must_use]
    #[expect(clippy::expect_used, reason = "no input can cause the error")]
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(Duration::from_secs(3)));
        let connector = HttpsConnectorBuilder::new()
            // By name: beside an SDK with aws-lc-rs, rustls knows two, and has no default.
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }
}

impl Default for HyperPut {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HyperPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperPut")
    }
}

impl Put for HyperPut {
    async fn put(&self, url: Uri, body: String) -> Result<PutResponse, NoResponse> {
        let request = Request::put(url)
            .body(Full::from(body))
            .map_err(|_| NoResponse("the request could not be built"))?;
        let response = self.client.request(request).await.map_err(|error| {
            NoResponse(if error.is_connect() {
                "the connection failed"
            } else {
                "the connection was closed"
            })
        })?;
        let status = response.status();
        // S3 says in the body of a 4xx what is wrong. Any other body does not matter.
        let wait = Duration::from_millis(if status.is_client_error() { 1000 } else { 100 });
        let body = Limited::new(response.into_body(), 64 * 1024).collect();
        let body = tokio::time::timeout(wait, body).await.ok().and_then(Result::ok);
        let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Ok(PutResponse { status, body })
    }
}
