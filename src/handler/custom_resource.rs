//! A custom resource's request: always exactly one response, even on timeout or panic.

use std::time::SystemTime;

use futures_util::future::LocalBoxFuture;
use hyper::StatusCode;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::{Deadlines, FunctionError, Handler, Invocation, Label, to_json};
use crate::{
    iot::{OnTimeout, Session},
    metrics::Metric,
    mitigation::Operation,
    retry::{Attempt, Retry, RetryError, at_once},
    trigger::{
        Casing,
        cloudformation::{self, CustomResourceRequest, RequestType, ResponseUrl},
    },
};

/// How the calls of a request are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pacing {
    /// At once.
    None,
    /// At the pace of the instance, as one of many.
    Shared,
}

impl Handler<'_> {
    /// Serves a request that has to be responded to by `end`.
    pub(super) async fn serve_custom_resource(
        &self,
        request: &CustomResourceRequest,
        invocation: &Invocation,
        end: SystemTime,
    ) -> Result<Box<RawValue>, FunctionError> {
        self.serve_custom_resource_paced(request, invocation, end, Pacing::None).await
    }

    /// As [`Self::serve_custom_resource`], with its calls at that pace.
    pub(super) async fn serve_custom_resource_paced(
        &self,
        request: &CustomResourceRequest,
        invocation: &Invocation,
        end: SystemTime,
        pacing: Pacing,
    ) -> Result<Box<RawValue>, FunctionError> {
        let url = request
            .response_url(&self.settings.region, &self.settings.response_hosts)
            .map_err(|forbidden| FunctionError {
                error_type: "ForbiddenResponseUrl",
                message: format!("invalid ResponseURL, so no work is done: {forbidden}"),
            })?;
        let now = SystemTime::now();
        let began = url.signed_at().unwrap_or(now);
        let service_end = began.checked_add(request.service_timeout()).unwrap_or(now);
        if service_end <= now || url.expires_at().is_some_and(|expires| expires <= now) {
            return expired(request, invocation);
        }
        let ends = [end, service_end].into_iter().chain(url.expires_at());
        let deadlines = Deadlines::new(now, ends);
        let session = self.custom_resource_session(deadlines.work, pacing);
        let plan = cloudformation::plan(request, &url, &invocation.location);
        let operation_text = request.request_type_text();
        let label = Label {
            operation: request.request_type().ok().map(operation_of),
            operation_text: &operation_text,
            subject: &request.logical_id,
            id: &request.request_id,
            ..invocation.label()
        };
        let (casing, metrics) = (Casing::CloudFormation, &invocation.metrics);
        let result = self.execute(plan, casing, label, &session, deadlines.work, metrics).await;
        let response = cloudformation::respond(request, &url, &result);
        if let Err(undeliverable) = self.deliver(&url, &response, deadlines.respond).await {
            metrics.add(Metric::ResponsesUndelivered, 1);
            return Err(undeliverable);
        }
        RawValue::from_string(response).map_err(|error| undeliverable(&error.to_string()))
    }

    fn custom_resource_session(&self, until: Instant, pacing: Pacing) -> Session<'_> {
        match pacing {
            Pacing::None => self.iot.session(until, OnTimeout::LastAnswer),
            Pacing::Shared => self.iot.paced_session(until, OnTimeout::LastAnswer),
        }
    }

    /// PUTs the response until it is accepted once.
    async fn deliver(
        &self,
        url: &ResponseUrl,
        response: &str,
        until: Instant,
    ) -> Result<(), FunctionError> {
        let attempt = move |limit| -> LocalBoxFuture<'_, Attempt<String>> {
            Box::pin(async move {
                let put = self.http.put(url.expose(), response.to_owned());
                match timeout(limit, put).await {
                    Ok(Ok((status, _))) if status.is_success() => Attempt::Success,
                    Ok(Ok((status, body))) if is_transient(status, &body) => {
                        Attempt::Transient(format!("the last attempt got status {status}"))
                    }
                    Ok(Ok((status, _))) => {
                        Attempt::Permanent(format!("refused with status {status}"))
                    }
                    Ok(Err(none)) => Attempt::Transient(format!("the last attempt failed: {none}")),
                    Err(_) => Attempt::Transient("the last attempt got no response".to_owned()),
                }
            })
        };
        match Retry::until(until).run(&at_once, &attempt).await {
            Ok(()) => Ok(()),
            Err(RetryError::Permanent(why) | RetryError::Exhausted(Some(why))) => {
                Err(undeliverable(&why))
            }
            Err(RetryError::Exhausted(None)) => Err(undeliverable("no time was left")),
        }
    }
}

/// Nobody waits for the response any more, so nothing is done.
fn expired(
    request: &CustomResourceRequest,
    invocation: &Invocation,
) -> Result<Box<RawValue>, FunctionError> {
    tracing::warn!(
        trigger = invocation.trigger.as_str(),
        operation = request.request_type_text(),
        subject = request.logical_id,
        id = request.request_id,
        "the ResponseURL or the ServiceTimeout has expired, so nobody waits and nothing is done"
    );
    invocation.metrics.add(Metric::Expired, 1);
    to_json(&serde_json::json!({ "status": "EXPIRED" }))
}

fn operation_of(request_type: RequestType) -> Operation {
    match request_type {
        RequestType::Create => Operation::Create,
        RequestType::Update => Operation::Update,
        RequestType::Delete => Operation::Delete,
    }
}

/// Whether a response that was refused may be accepted later. S3 answers a body that came too
/// slowly with 400 `RequestTimeout`.
fn is_transient(status: StatusCode, body: &[u8]) -> bool {
    const TIMED_OUT: &[u8] = b"<Code>RequestTimeout</Code>";

    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
        StatusCode::BAD_REQUEST => body.windows(TIMED_OUT.len()).any(|part| part == TIMED_OUT),
        other => other.is_server_error(),
    }
}

fn undeliverable(why: &str) -> FunctionError {
    let message = format!("the response could not be delivered: {why}");
    FunctionError { error_type: "UndeliverableResponse", message }
}
