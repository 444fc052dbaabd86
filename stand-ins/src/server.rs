//! An HTTP/1.1 server on the loopback interface that can withhold a response.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A request with its whole body.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl HttpRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A query parameter, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pair = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name);
        pair.map(|(_, value)| decode(value))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A response, or the lack of one.
pub enum HttpResponse {
    Complete(Response<Full<Bytes>>),
    /// A status, and a body that never ends.
    Stalled(StatusCode),
    /// The connection closes without a response.
    Disconnect,
    /// The connection stays open without a response.
    Hang,
}

impl HttpResponse {
    pub fn stalled(status: u16) -> Self {
        Self::Stalled(StatusCode::from_u16(status).unwrap())
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, &[("content-type", "application/json")], &body.to_string())
    }

    /// The response of a proxy, which has no error name.
    pub fn proxy(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self::text(status, &[("content-type", "text/html")], &body)
    }

    /// A response whose body is not the JSON that it is said to be.
    pub fn garbage(status: u16) -> Self {
        Self::text(status, &[("content-type", "application/json")], "<html>")
    }

    pub fn text(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Self::Complete(response.body(Full::new(Bytes::from(body.to_owned()))).unwrap())
    }
}

/// Serves and counts connections until the process ends or the runtime is dropped.
pub fn serve<R, F>(listener: TcpListener, connections: Arc<AtomicUsize>, respond: R)
where
    R: Fn(HttpRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(connection(TokioIo::new(stream), respond.clone()));
        }
    });
}

pub async fn connection<I, R, F>(io: I, respond: R)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    R: Fn(HttpRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let respond = respond.clone();
        async move {
            let Ok(request) = read(request).await else {
                return Err(io::Error::other("an incomplete request"));
            };
            match respond(request).await {
                HttpResponse::Complete(response) => {
                    Ok(response.map(|body| body.map_err(|never| match never {}).boxed_unsync()))
                }
                HttpResponse::Stalled(status) => {
                    let body = StreamBody::new(futures_util::stream::pending::<
                        Result<Frame<Bytes>, io::Error>,
                    >());
                    Ok(Response::builder()
                        .status(status)
                        .header("content-length", "10")
                        .body(body.boxed_unsync())
                        .unwrap())
                }
                HttpResponse::Disconnect => Err(io::Error::other("disconnected")),
                HttpResponse::Hang => std::future::pending::<Result<_, io::Error>>().await,
            }
        }
    });
    drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
}

async fn read(request: Request<Incoming>) -> Result<HttpRequest, hyper::Error> {
    let (parts, body) = request.into_parts();
    Ok(HttpRequest {
        method: parts.method,
        path: decode(parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.collect().await?.to_bytes(),
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let hex = String::from_utf8(vec![*high, *low]).unwrap_or_default();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
                rest = after;
            }
            (byte, after) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn percent_encoding_is_decoded_and_an_invalid_sequence_is_a_question_mark() {
        assert_eq!(decode("arn%3Aaws%2fx+y"), "arn:aws/x+y");
        assert_eq!(decode("a%zz%4"), "a?%4");
    }
}
