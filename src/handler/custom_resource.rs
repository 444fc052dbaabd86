//! A custom resource request: one response, even on timeout or panic, unless its URL is forbidden
//! or CloudFormation no longer waits.

use std::{fmt, panic::AssertUnwindSafe, time::SystemTime};

use hyper::{StatusCode, body::Bytes};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::{
    Deadlines, ErrorType, FunctionError, Handler, Invocation, Label, Limits, panicked, telemetry,
    to_json,
};
use crate::{
    http::NoResponse,
    iot::{OnTimeout, Pacing},
    metrics::Metric,
    mitigation::{Failure, Operation, Success},
    retry::{AttemptError, Retry, RetryError, attempt_time, time_left},
    trigger::{
        Casing,
        cloudformation::{self, CustomResourceRequest, ForbiddenUrl, RequestType, ResponseUrl},
    },
};

/// Why the response was not delivered.
#[derive(Debug)]
enum PutError {
    /// S3 rejected the last attempt, and may accept another.
    Status(StatusCode),
    /// S3 rejected the response permanently; S3's `<Code>`, if the body has one.
    Rejected(StatusCode, Option<String>),
    /// The last attempt got no response.
    NoResponse(NoResponse),
    /// The last attempt got no response in time.
    TimedOut,
}

impl fmt::Display for PutError {
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

impl std::error::Error for PutError {}

impl Invocation {
    /// The label of a custom resource request.
    pub(super) fn resource_label<'a>(&'a self, request: &'a CustomResourceRequest) -> Label<'a> {
        Label {
            operation: request.request_type().ok().map(operation_of),
            operation_text: request.request_type_text().into(),
            subject: &request.logical_id,
            id: &request.request_id,
            ..self.label()
        }
    }
}

impl Handler<'_> {
    /// Serves a request, which must get its response by the end of the invocation.
    pub(super) async fn serve_custom_resource(
        &self,
        request: &CustomResourceRequest,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let url = request
            .response_url(&self.settings.region, &self.settings.response_hosts)
            .map_err(|forbidden| self.forbidden(forbidden))?;
        let Some(deadlines) = deadlines(request, &url, invocation.deadline) else {
            return expired(request, invocation);
        };
        let limits = Limits {
            until: deadlines.work,
            on_timeout: OnTimeout::LastError,
            pacing: Pacing::None,
        };
        let Invocation { received, location, metrics, .. } = invocation;
        let plan = || cloudformation::plan(request, &url, *received, location);
        let label = invocation.resource_label(request);
        let result = self.execute(&plan, Casing::CloudFormation, label, limits, metrics).await;
        let response = write_response(request, &url, &result);
        if let Err(error) = self.put_response(&url, &response, deadlines.respond).await {
            metrics.add(Metric::ResponsesUndelivered, 1);
            return Err(undeliverable(&error));
        }
        RawValue::from_string(response).map_err(|error| undeliverable(&error))
    }

    /// The error for a `ResponseURL` that may be forbidden only because a setting is invalid.
    fn forbidden(&self, forbidden: ForbiddenUrl) -> FunctionError {
        match self.settings.check() {
            Err(failure) => (&failure).into(),
            Ok(()) => FunctionError {
                error_type: ErrorType::ForbiddenResponseUrl,
                message: format!("invalid ResponseURL, so no work is done: {forbidden}"),
            },
        }
    }

    /// PUTs the response until it is accepted once. The first attempt is made however little time
    /// is left.
    async fn put_response(
        &self,
        url: &ResponseUrl,
        response: &str,
        until: Instant,
    ) -> Result<(), RetryError<PutError>> {
        let mut least = std::time::Duration::from_secs(1);
        let attempt = async || {
            let limit = attempt_time(time_left(until)).max(std::mem::take(&mut least));
            match timeout(limit, self.http.put(url.expose(), response.to_owned())).await {
                Ok(Ok((status, _))) if status.is_success() => Ok(()),
                Ok(Ok((status, body))) => Err(rejection(status, &body)),
                Ok(Err(none)) => Err(AttemptError::Transient(PutError::NoResponse(none))),
                Err(_) => Err(AttemptError::Transient(PutError::TimedOut)),
            }
        };
        Retry::until(until).run(attempt).await
    }
}

/// The response as JSON; that of a failure if a panic prevents it.
fn write_response(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    result: &Result<Success, Failure>,
) -> String {
    let write = || cloudformation::respond(request, url, result);
    std::panic::catch_unwind(AssertUnwindSafe(write))
        .unwrap_or_else(|_| cloudformation::respond(request, url, &Err(panicked())))
}

/// The deadlines of a request: before the earliest of `deadline`, the end of the `ServiceTimeout`
/// and the expiry of the URL. `None` if CloudFormation no longer waits.
fn deadlines(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    deadline: SystemTime,
) -> Option<Deadlines> {
    let now = SystemTime::now();
    let waits_until = waits_until(request, url, now);
    (waits_until > now).then(|| Deadlines::new(now, [deadline, waits_until]))
}

/// Until when CloudFormation waits for the response: the end of the `ServiceTimeout`, or the expiry
/// of the URL if that is earlier.
fn waits_until(request: &CustomResourceRequest, url: &ResponseUrl, now: SystemTime) -> SystemTime {
    let began = url.signed_at().unwrap_or(now);
    let service_end = began.checked_add(request.service_timeout()).unwrap_or(now);
    url.expires_at().map_or(service_end, |expires| expires.min(service_end))
}

/// Logs a request that CloudFormation no longer waits for; nothing else is done.
fn expired(
    request: &CustomResourceRequest,
    invocation: &Invocation,
) -> Result<Box<RawValue>, FunctionError> {
    let action_name = cloudformation::name_of_create(request);
    let label = Label { action: action_name.as_deref(), ..invocation.resource_label(request) };
    telemetry::record_expired(&label, &invocation.metrics);
    to_json(&serde_json::json!({ "status": "EXPIRED" }))
}

fn operation_of(request_type: RequestType) -> Operation {
    match request_type {
        RequestType::Create => Operation::Create,
        RequestType::Update => Operation::Update,
        RequestType::Delete => Operation::Delete,
    }
}

/// Whether a response that was rejected may be accepted later. S3 rejects a body that came too
/// slowly with 400 `RequestTimeout`, and redirects while a bucket is new or moves; the URL is
/// signed for its host, so only the same URL can succeed.
fn rejection(status: StatusCode, body: &Bytes) -> AttemptError<PutError> {
    let code = error_code(body);
    let is_transient = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
        StatusCode::BAD_REQUEST => code.as_deref() == Some("RequestTimeout"),
        other => other.is_server_error() || other.is_redirection(),
    };
    if is_transient {
        AttemptError::Transient(PutError::Status(status))
    } else {
        AttemptError::Permanent(PutError::Rejected(status, code))
    }
}

/// The `<Code>` in an error of S3. The rest of the body repeats what was signed.
fn error_code(body: &[u8]) -> Option<String> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_name = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then(|| code.to_owned())
}

fn undeliverable(why: &dyn fmt::Display) -> FunctionError {
    let message = format!("the response could not be delivered: {why}");
    FunctionError { error_type: ErrorType::UndeliverableResponse, message }
}
