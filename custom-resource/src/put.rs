//! The PUT of the response, until it is accepted once.

use std::{fmt, time::Duration};

use http::{StatusCode, Uri};
use tokio::time::{Instant, timeout};

use crate::retry::{AttemptError, Retry, RetryError, attempt_time, time_left};

/// How to send one PUT.
///
/// With the feature `hyper`, `HyperPut` does it.
pub trait Put {
    /// PUTs `body` to `url`: with a `Content-Length` and without a `Content-Type`, because the URL
    /// is signed for an empty one. Does not follow redirects, and has no timeout of its own.
    fn put(&self, url: Uri, body: String) -> impl Future<Output = Result<PutResponse, NoResponse>>;
}

/// The response to a PUT.
#[derive(Clone, Debug)]
pub struct PutResponse {
    /// The status.
    pub status: StatusCode,
    /// The body, or its beginning. Only that of a 4xx matters: S3 says there what is wrong.
    pub body: Vec<u8>,
}

/// Why a PUT had no response: a fixed text, because the error of a library may repeat the URL, which
/// is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoResponse(pub &'static str);

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NoResponse {}

/// Why the response was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// S3 rejected the last attempt, and may accept another.
    Status(StatusCode),
    /// S3 rejected the response permanently; S3's `<Code>`, if the body has one. It tells a denied
    /// endpoint (`AccessDenied`) from a wrong signature (`SignatureDoesNotMatch`).
    Rejected(StatusCode, Option<String>),
    /// The last attempt got no response.
    NoResponse(NoResponse),
    /// The last attempt got no response in time.
    TimedOut,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the last attempt got status {status}"),
            Self::Rejected(status, None) => write!(f, "rejected with status {status}"),
            Self::Rejected(status, Some(code)) => {
                write!(f, "rejected with status {status}, {code}")
            }
            Self::NoResponse(none) => write!(f, "the last attempt failed: {none}"),
            Self::TimedOut => f.write_str("the last attempt got no response in time"),
        }
    }
}

impl std::error::Error for Undelivered {}

/// PUTs the response until it is accepted once. The first attempt is made however little time is
/// left.
pub(crate) async fn put_response(
    put: &impl Put,
    url: &Uri,
    response: &str,
    until: Instant,
) -> Result<(), Undelivered> {
    let mut least = Duration::from_secs(1);
    let attempt = async || {
        let limit = attempt_time(time_left(until)).max(std::mem::take(&mut least));
        match timeout(limit, put.put(url.clone(), response.to_owned())).await {
            Ok(Ok(response)) if response.status.is_success() => Ok(()),
            Ok(Ok(response)) => Err(rejection(&response)),
            Ok(Err(none)) => Err(AttemptError::Transient(Undelivered::NoResponse(none))),
            Err(_) => Err(AttemptError::Transient(Undelivered::TimedOut)),
        }
    };
    match Retry::until(until).run(attempt).await {
        Err(RetryError::Permanent(error) | RetryError::Exhausted(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Whether a response that was rejected may be accepted later. S3 rejects a body that came too
/// slowly with 400 `RequestTimeout`, and redirects while a bucket is new or moves; the URL is
/// signed for its host, so only the same URL can succeed.
fn rejection(PutResponse { status, body }: &PutResponse) -> AttemptError<Undelivered> {
    let code = error_code(body);
    let is_transient = match *status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
        StatusCode::BAD_REQUEST => code.as_deref() == Some("RequestTimeout"),
        other => other.is_server_error() || other.is_redirection(),
    };
    if is_transient {
        AttemptError::Transient(Undelivered::Status(*status))
    } else {
        AttemptError::Permanent(Undelivered::Rejected(*status, code))
    }
}

/// The `<Code>` in an error of S3. The rest of the body repeats what was signed.
fn error_code(body: &[u8]) -> Option<String> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_name = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then(|| code.to_owned())
}
