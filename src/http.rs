//! The one HTTP stack: HTTP/1.1 over rustls with ring, for the AWS SDK's clients and for the response PUT alike.
//!
//! One pool of connections and one TLS configuration, built without a look at the system's certificates: reading those
//! takes longer than all the rest of the start. Redirects are not followed.

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
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Request, Uri,
    rt::{Read as _, ReadBuf},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service;

/// How long a TCP connection may take to be made, and how long what was sent may stay unacknowledged: a connection that
/// died while the function was frozen is found out, and there is time for another.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection that was made ahead may wait for its first request: its peer may have forgotten it after that.
const AHEAD_FOR: Duration = Duration::from_mins(1);

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
    /// Where the TLS library has no protocol version in common with its cryptography, which no input brings about.
    pub fn new(roots: Option<RootCertStore>) -> Result<Self, rustls::Error> {
        let roots =
            roots.unwrap_or_else(|| webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
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
        let connections = Connections { connector, ahead: Arc::default() };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connections.clone());
        Ok(Self { client, connections })
    }

    /// Makes a connection for the first request that goes where `uri` leads.
    pub async fn connect(&self, uri: Uri) {
        if let Ok(made) = self.connections.connector.clone().call(uri.clone()).await {
            *self.connections.ahead() = Some((uri, Instant::now(), made));
        }
    }

    /// PUTs `body` with no `Content-Type`, as the signature of CloudFormation's URL calls for, and returns the status.
    ///
    /// # Errors
    /// Where there is no answer: which step failed, never the URL.
    pub async fn put(&self, uri: Uri, body: String) -> Result<hyper::StatusCode, NoAnswer> {
        let request = Request::put(uri)
            .body(SdkBody::from(body))
            .map_err(|_| NoAnswer("the request could not be built"))?;
        let response =
            self.client.request(request).await.map_err(|error| NoAnswer::from(&error))?;
        let status = response.status();
        // Read to its end, so that the connection can be used again, but not waited for: the status says all.
        let rest = Limited::new(response.into_body(), 64 * 1024).collect();
        drop(tokio::time::timeout(Duration::from_millis(100), rest).await);
        Ok(status)
    }
}

/// Why an HTTP request had no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub &'static str);

impl From<&hyper_util::client::legacy::Error> for NoAnswer {
    fn from(error: &hyper_util::client::legacy::Error) -> Self {
        Self(if error.is_connect() {
            "no connection could be made"
        } else {
            "the connection was lost"
        })
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // Making the connection is part of waiting for the answer, and bounded by the connector's own time-out besides.
        let patience = match (settings.connect_timeout(), settings.read_timeout()) {
            (connect, Some(read)) => Some(read + connect.unwrap_or_default()),
            (_, None) => None,
        };
        SharedHttpConnector::new(Connector { http: self.clone(), patience })
    }
}

/// The client as the SDK calls it, with the time-outs that the SDK asks for.
#[derive(Debug)]
struct Connector {
    http: Http,
    patience: Option<Duration>,
}

impl SdkConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.http.client.clone();
        let patience = self.patience;
        HttpConnectorFuture::new(async move {
            let request =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let answer = client.request(request);
            let answer = match patience {
                None => answer.await,
                Some(patience) => tokio::time::timeout(patience, answer)
                    .await
                    .map_err(|error| ConnectorError::timeout(error.into()))?,
            };
            let response =
                answer.map_err(|error| ConnectorError::io(NoAnswer::from(&error).0.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Makes connections; one may have been made ahead.
#[derive(Clone)]
struct Connections {
    connector: HttpsConnector<HttpConnector>,
    ahead: Arc<Mutex<Option<(Uri, Instant, Connection)>>>,
}

impl Connections {
    fn ahead(&self) -> MutexGuard<'_, Option<(Uri, Instant, Connection)>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
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
        let ahead = self
            .ahead()
            .take_if(|(to, ..)| (to.scheme(), to.authority()) == (uri.scheme(), uri.authority()));
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            if let Some((_, since, mut made)) = ahead
                && since.elapsed() < AHEAD_FOR
                && is_open(&mut made).await
            {
                return Ok(made);
            }
            connecting.await
        })
    }
}

/// Whether a connection on which nothing was asked is still there: its peer may have closed it while the function was frozen.
async fn is_open(connection: &mut Connection) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    poll_fn(|context| {
        Poll::Ready(Pin::new(&mut *connection).poll_read(context, buffer.unfilled()).is_pending())
    })
    .await
}
