//! The one HTTP stack: HTTP/1.1 over rustls with ring, for the AWS SDK's clients and the response
//! PUT.
//!
//! One pool of connections and one TLS configuration, without the system's certificates: reading
//! those takes longer than the rest of the start. Redirects are not followed.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector as SdkConnector, HttpConnectorFuture, HttpConnectorSettings,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use cloudformation_custom_resource::{HyperPut, no_response};
use hyper::{
    Uri,
    rt::{Read as _, ReadBuf},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore, SupportedCipherSuite,
    crypto::{
        CryptoProvider,
        ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256},
    },
};
use tokio::net::TcpStream;
use tower_service::Service;

/// How long a TCP connection may take to open, and how long sent data may stay unacknowledged. A
/// connection that died while the function was frozen is noticed in time for another attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a preconnected connection may wait for its first request: its peer may drop it after
/// that.
const PRECONNECTED_FOR: Duration = Duration::from_mins(1);

/// Sends the responses to CloudFormation.
pub type HttpPut = HyperPut<Connections, SdkBody>;

/// The HTTP client. Clones share its connections.
#[derive(Clone)]
pub struct Http {
    client: Client<Connections, SdkBody>,
    connections: Connections,
}

impl Http {
    /// A client that trusts `roots`, or the built-in root certificates where that is `None`.
    ///
    /// # Errors
    /// If the TLS library has no protocol version in common with its cryptography, which no input
    /// can cause.
    pub fn new(roots: Option<RootCertStore>) -> Result<Self, rustls::Error> {
        let roots =
            roots.unwrap_or_else(|| webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
        let tls = ClientConfig::builder_with_provider(cryptography().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connections = Connections { connector, preconnected: Arc::default() };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connections.clone());
        Ok(Self { client, connections })
    }

    /// Sends responses to CloudFormation over the same connections.
    pub fn put(&self) -> HttpPut {
        HyperPut::over(self.client.clone())
    }

    pub async fn preconnect(&self, uri: Uri) {
        if let Ok(opened) = self.connections.connector.clone().call(uri.clone()).await {
            *self.connections.preconnected() = Some((uri, Instant::now(), opened));
        }
    }
}

/// ring, with the AES-128 of TLS 1.3 first: a handshake then derives its keys with SHA-256, for
/// which most processors have instructions, and not with SHA-384.
fn cryptography() -> CryptoProvider {
    let mut provider = ring::default_provider();
    let is_other = |suite: &SupportedCipherSuite| *suite != TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(is_other);
    provider
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Sends the SDK's requests. The SDK sets no timeouts: see `sdk::config`.
impl SdkConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.client.clone();
        HttpConnectorFuture::new(async move {
            let request =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.request(request).await;
            let response =
                response.map_err(|error| ConnectorError::io(no_response(&error).0.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections; one may have been opened during init.
#[derive(Clone)]
pub struct Connections {
    connector: HttpsConnector<HttpConnector>,
    preconnected: Arc<Mutex<Option<(Uri, Instant, Connection)>>>,
}

impl Connections {
    fn preconnected(&self) -> MutexGuard<'_, Option<(Uri, Instant, Connection)>> {
        self.preconnected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<Uri> for Connections {
    type Response = Connection;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let preconnected = self
            .preconnected()
            .take_if(|(to, ..)| (to.scheme(), to.authority()) == (uri.scheme(), uri.authority()));
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            if let Some((_, since, mut opened)) = preconnected
                && since.elapsed() < PRECONNECTED_FOR
                && is_open(&mut opened).await
            {
                return Ok(opened);
            }
            connecting.await
        })
    }
}

/// Whether an unused connection is still open: its peer may have closed it while the function was
/// frozen.
async fn is_open(connection: &mut Connection) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    poll_fn(|context| {
        Poll::Ready(Pin::new(&mut *connection).poll_read(context, buffer.unfilled()).is_pending())
    })
    .await
}
