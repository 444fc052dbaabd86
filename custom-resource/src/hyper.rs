//! [`Put`] on hyper and rustls.

use std::{error::Error, fmt, io, time::Duration};

use http::{Request, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};

use crate::{NoResponse, Put, PutResponse};

/// Sends a PUT over a hyper client. Clones share its connections.
#[derive(Clone)]
pub struct HyperPut<C = HttpsConnector<HttpConnector>, B = Full<bytes::Bytes>> {
    client: Client<C, B>,
}

impl HyperPut {
    /// A client of its own: HTTP/1.1, rustls and built-in root certificates.
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
        Self::over(Client::builder(TokioExecutor::new()).build(connector))
    }
}

impl<C, B> HyperPut<C, B> {
    /// Shares the client of something else, such as of the AWS SDK.
    #[must_use]
    pub fn over(client: Client<C, B>) -> Self {
        Self { client }
    }
}

impl Default for HyperPut {
    fn default() -> Self {
        Self::new()
    }
}

impl<C, B> fmt::Debug for HyperPut<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperPut")
    }
}

impl<C, B> Put for HyperPut<C, B>
where
    C: Connect + Clone + Send + Sync + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>>,
    B: From<String> + Send + Unpin + 'static,
{
    async fn put(&self, url: Uri, body: String) -> Result<PutResponse, NoResponse> {
        let request = Request::put(url)
            .body(B::from(body))
            .map_err(|_| NoResponse("the request could not be built"))?;
        let response = self.client.request(request).await.map_err(|error| no_response(&error))?;
        let status = response.status();
        // S3 says in the body of a 4xx what is wrong, so it gets a second. Any other body is read
        // only so that the connection can be reused, so it gets 100 ms.
        let wait = Duration::from_millis(if status.is_client_error() { 1000 } else { 100 });
        let body = Limited::new(response.into_body(), 64 * 1024).collect();
        let body = tokio::time::timeout(wait, body).await.ok().and_then(Result::ok);
        let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Ok(PutResponse { status, body })
    }
}

/// Why a request over a hyper client had no response, in a fixed text.
#[must_use]
pub fn no_response(error: &hyper_util::client::legacy::Error) -> NoResponse {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(known) = known_cause(error) {
            return NoResponse(known);
        }
        cause = error.source();
    }
    NoResponse(if error.is_connect() {
        "the connection failed"
    } else {
        "the connection was closed"
    })
}

/// The text for `cause`, one of the nested causes of an error.
fn known_cause(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return known_io_error(error);
    }
    // The type of this error is private.
    (cause.to_string() == "dns error").then_some("the host name was not found")
}

fn known_io_error(error: &io::Error) -> Option<&'static str> {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Some(if matches!(error, rustls::Error::InvalidCertificate(_)) {
            "the certificate is not trusted"
        } else {
            "the TLS handshake failed"
        });
    }
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return known_io_error(error);
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others do not occur here")]
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some("the connection was refused"),
        io::ErrorKind::TimedOut => Some("the connection timed out"),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some("the connection was closed"),
        _ => None,
    }
}
