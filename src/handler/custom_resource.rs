//! A custom resource request: one response, even on timeout or panic, unless its URL is forbidden,
//! CloudFormation no longer waits, or it is redelivered.

use std::{fmt, time::SystemTime};

use futures_util::future::LocalBoxFuture;
use hyper::StatusCode;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::{
    Deadlines, Delivery, ErrorType, FunctionError, Handler, IfNotStarted, Invocation, Label,
    Limits, telemetry, to_json,
};
use crate::{
    http::NoResponse,
    iot::OnTimeout,
    metrics::Metric,
    mitigation::Operation,
    retry::{Attempt, Retry, RetryError, no_preparation},
    trigger::{
        Casing,
        cloudformation::{self, CustomResourceRequest, RequestType, ResponseUrl},
    },
};

/// Why the response was not delivered.
#[derive(Debug)]
enum PutError {
    /// S3 rejected the last attempt, and may accept another.
    Status(StatusCode),
    /// S3 rejected the response permanently.
    Rejected(StatusCode),
    /// The last attempt got no response.
    NoResponse(NoResponse),
    /// The last attempt got no response in time.
    TimedOut,
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the last attempt got status {status}"),
            Self::Rejected(status) => write!(f, "rejected with status {status}"),
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
    /// Serves a request, which must get its response by the deadline of its delivery.
    pub(super) async fn serve_custom_resource(
        &self,
        request: &CustomResourceRequest,
        invocation: &Invocation,
        delivery: Delivery,
    ) -> Result<Box<RawValue>, FunctionError> {
        let url = request
            .response_url(&self.settings.region, &self.settings.response_hosts)
            .map_err(|forbidden| FunctionError {
                error_type: ErrorType::ForbiddenResponseUrl,
                message: format!("invalid ResponseURL, so no work is done: {forbidden}"),
            })?;
        let Some(deadlines) = deadlines(request, &url, delivery.deadline) else {
            return expired(request, invocation);
        };
        let limits = Limits {
            until: deadlines.work,
            on_timeout: OnTimeout::LastError,
            pacing: delivery.pacing,
        };
        let plan = || cloudformation::plan(request, &url, &invocation.location);
        let (label, metrics) = (invocation.resource_label(request), &invocation.metrics);
        let result = self.execute(&plan, Casing::CloudFormation, label, limits, metrics).await;
        if let Err(failure) = &result
            && failure.is_not_started()
            && delivery.if_not_started == IfNotStarted::Fail
        {
            return Err(failure.into());
        }
        let response = cloudformation::respond(request, &url, &result);
        if let Err(error) = self.put_response(&url, &response, deadlines.respond).await {
            metrics.add(Metric::ResponsesUndelivered, 1);
            return Err(undeliverable(&error));
        }
        RawValue::from_string(response).map_err(|error| undeliverable(&error))
    }

    /// PUTs the response until it is accepted once.
    async fn put_response(
        &self,
        url: &ResponseUrl,
        response: &str,
        until: Instant,
    ) -> Result<(), RetryError<PutError>> {
        let attempt = move |limit| -> LocalBoxFuture<'_, Attempt<PutError>> {
            Box::pin(async move {
                let put = self.http.put(url.expose(), response.to_owned());
                match timeout(limit, put).await {
                    Ok(Ok((status, _))) if status.is_success() => Attempt::Success,
                    Ok(Ok((status, body))) if is_transient(status, &body) => {
                        Attempt::Transient(PutError::Status(status))
                    }
                    Ok(Ok((status, _))) => Attempt::Permanent(PutError::Rejected(status)),
                    Ok(Err(none)) => Attempt::Transient(PutError::NoResponse(none)),
                    Err(_) => Attempt::Transient(PutError::TimedOut),
                }
            })
        };
        Retry::until(until).run(&no_preparation, &attempt).await
    }
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
pub(super) fn waits_until(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    now: SystemTime,
) -> SystemTime {
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
/// slowly with 400 `RequestTimeout`.
fn is_transient(status: StatusCode, body: &[u8]) -> bool {
    const TIMED_OUT: &[u8] = b"<Code>RequestTimeout</Code>";

    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
        StatusCode::BAD_REQUEST => body.windows(TIMED_OUT.len()).any(|part| part == TIMED_OUT),
        other => other.is_server_error(),
    }
}

fn undeliverable(why: &dyn fmt::Display) -> FunctionError {
    let message = format!("the response could not be delivered: {why}");
    FunctionError { error_type: ErrorType::UndeliverableResponse, message }
}
