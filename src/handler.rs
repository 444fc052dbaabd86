//! One invocation from start to finish. That a request is answered exactly once is decided here and nowhere else.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use hyper::StatusCode;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument as _;

use crate::{
    http::Http,
    iot::{Iot, Session},
    lifecycle,
    mitigation::{Code, Failure, Outcome, Task},
    retry::{attempt_time, backoff},
    settings::Settings,
    trigger::{
        Home, Payload, Trigger,
        cloudformation::{Ask, Envelope, ResponseUrl},
    },
};

/// The function: what every invocation shares.
pub struct Handler<'s> {
    settings: &'s Settings,
    http: Http,
    iot: Iot<'s>,
}

/// A failed invocation: what Lambda reports as a function error.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// `errorType`.
    pub kind: &'static str,
    /// `errorMessage`.
    pub message: String,
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.kind.to_owned(), error_message: error.message }
    }
}

impl<'s> Handler<'s> {
    /// A handler with `settings`, whose calls all go over `http`.
    #[must_use]
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        Self { settings, http: http.clone(), iot: Iot::new(settings, http) }
    }

    /// Answers one event.
    ///
    /// # Errors
    /// Where nobody waits for an answer elsewhere, or it could not be delivered.
    pub async fn handle(&self, event: LambdaEvent<Payload>) -> Result<Box<RawValue>, FunctionError> {
        let LambdaEvent { payload, context } = event;
        let span = tracing::info_span!("invocation", request_id = context.request_id);
        let result = async {
            match Trigger::recognise(&payload) {
                Ok(Trigger::CloudFormation(envelope)) => self.answer(&envelope, &context).await,
                Err(unrecognized) => Err(FunctionError { kind: "UnrecognizedEvent", message: unrecognized.to_string() }),
            }
        };
        let result = result.instrument(span.clone()).await;
        if let Err(FunctionError { kind, message }) = &result {
            tracing::error!(parent: &span, error_type = kind, error_message = message, "invocation failed");
        }
        result
    }

    /// Works a custom resource's request and delivers its answer: one document, whatever happens on the way to it.
    async fn answer(&self, envelope: &Envelope, context: &Context) -> Result<Box<RawValue>, FunctionError> {
        let began = Instant::now();
        let url = envelope.response_url(&self.settings.response_hosts).map_err(|fault| FunctionError {
            kind: "ForbiddenResponseUrl",
            message: format!("the ResponseURL is not answered and no work is done: {fault}"),
        })?;
        let now = SystemTime::now();
        if url.expires_at().is_some_and(|expires| expires <= now) {
            tracing::warn!(logical_id = envelope.logical_id(), "the ResponseURL has expired, so nobody waits and nothing is done");
            return returned(r#"{"status":"EXPIRED"}"#.to_owned());
        }
        let deadlines = Deadlines::new(now, &url, envelope.service_timeout(), context.deadline());
        let session = self.iot.session(deadlines.work);
        let home = Home::new(&context.invoked_function_arn, &self.settings.region);
        let work = self.work(envelope, &home, &session);
        let result = match timeout_at(deadlines.work, caught(work)).await {
            Ok(result) => result,
            Err(_) => Err(session.out_of_time("the work was cut short")),
        };
        report(envelope, &result, &session, began);
        let document = envelope.answer(&result);
        self.deliver(&url, &document, deadlines.answer).await?;
        returned(document)
    }

    async fn work(&self, envelope: &Envelope, home: &Home, session: &Session<'_>) -> Result<Outcome, Failure> {
        if let Some(failure) = self.settings.failure() {
            return Err(failure);
        }
        match envelope.ask(home) {
            Ask::Work(request) => {
                if matches!(request.task, Task::Create(_) | Task::Update(_)) {
                    // The stack may have made the role moments ago.
                    session.wait_for_role();
                }
                lifecycle::carry_out(&request, session).await
            }
            Ask::Settled(result) => result,
        }
    }

    /// PUTs the one document until it is accepted once.
    async fn deliver(&self, url: &ResponseUrl, document: &str, by: Instant) -> Result<(), FunctionError> {
        let mut tries = 0;
        loop {
            let room = by.saturating_duration_since(Instant::now());
            tries += 1;
            let fault = match timeout(attempt_time(room), self.http.put(url.expose(), document.to_owned())).await {
                Ok(Ok(status)) if status.is_success() => return Ok(()),
                Ok(Ok(status)) if !is_passing(status) => return Err(undeliverable(&format!("it was refused with status {status}"))),
                Ok(Ok(status)) => format!("the last of {tries} attempts was answered with status {status}"),
                Ok(Err(none)) => format!("the last of {tries} attempts failed: {none}"),
                Err(_) => format!("the last of {tries} attempts was not answered"),
            };
            let room = by.saturating_duration_since(Instant::now());
            if room < Duration::from_millis(20) {
                return Err(undeliverable(&fault));
            }
            tracing::debug!(fault, "response not delivered yet");
            sleep(backoff(tries).min(room / 2)).await;
        }
    }
}

/// The result of `work`; a panic is a failure like any other.
async fn caught(work: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        let text = "the provider panicked, which is a defect of it: its log says where";
        Err(Failure::new(Code::InternalFailure, text))
    })
}

/// Until when to work, and until when the answer has to be accepted.
struct Deadlines {
    work: Instant,
    answer: Instant,
}

impl Deadlines {
    /// Of the time until the earliest end, a fifth, or a second if that is less, is kept free behind the answer, and as
    /// much again up to three seconds for delivering it.
    fn new(now: SystemTime, url: &ResponseUrl, service_timeout: Option<Duration>, invocation: SystemTime) -> Self {
        let service = service_timeout.and_then(|timeout| url.signed_at().unwrap_or(now).checked_add(timeout));
        let ends = [Some(invocation), service, url.expires_at()];
        let left = |end: SystemTime| end.duration_since(now).unwrap_or_default();
        let time = ends.into_iter().flatten().map(left).min().unwrap_or_default();
        let now = Instant::now();
        if time.is_zero() {
            // Whoever waited does not any more; one attempt at an answer does no harm, and work would.
            return Self { work: now, answer: now + Duration::from_secs(1) };
        }
        let answer = time.saturating_sub((time / 5).min(Duration::from_secs(1)));
        let work = answer.saturating_sub((time / 5).min(Duration::from_secs(3)));
        Self { work: now + work, answer: now + answer }
    }
}

/// Whether a response that was refused with `status` may be taken later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn undeliverable(fault: &str) -> FunctionError {
    let message = format!("the response could not be delivered: {fault}");
    FunctionError { kind: "UndeliverableResponse", message }
}

fn returned(document: String) -> Result<Box<RawValue>, FunctionError> {
    RawValue::from_string(document).map_err(|error| undeliverable(&format!("it is not JSON: {error}")))
}

/// One line an outcome.
fn report(envelope: &Envelope, result: &Result<Outcome, Failure>, session: &Session<'_>, began: Instant) {
    let tally = session.tally();
    let calls = tally.calls.get();
    let throttles = tally.throttles.get();
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (operation, logical_id) = (envelope.request_type(), envelope.logical_id());
    match result {
        Ok(Outcome { verdict, action, notice }) => {
            let outcome = verdict.as_str();
            let action = action.as_ref().map(|action| action.name.as_str());
            match notice {
                None => tracing::info!(operation, logical_id, action, outcome, calls, throttles, milliseconds, "request done"),
                Some(notice) => {
                    tracing::warn!(operation, logical_id, action, outcome, notice, calls, throttles, milliseconds, "request done");
                }
            }
        }
        Err(failure) => {
            let reason = failure.reason(4096);
            tracing::error!(operation, logical_id, outcome = "FAILED", reason, calls, throttles, milliseconds, "request failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::{Code, Failure, Outcome, caught};

    #[tokio::test]
    #[expect(clippy::panic, clippy::unwrap_used, reason = "what is tested")]
    async fn a_panic_becomes_a_failure() {
        let work = std::future::poll_fn(|_| -> Poll<Result<Outcome, Failure>> { panic!("of any kind") });
        assert_eq!(caught(work).await.unwrap_err().code, Code::InternalFailure);
    }
}
