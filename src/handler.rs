//! One invocation: recognise the event, execute what it asks under a deadline with panics caught,
//! log and count the outcome. How each trigger is served is a file of its own.

mod custom_resource;
mod deadlines;
mod direct;
mod eventbridge;
mod outcome;
mod sns;
mod sqs;

use std::{
    cell::Cell,
    fmt,
    panic::AssertUnwindSafe,
    time::{Instant as Clock, SystemTime},
};

use futures_util::FutureExt as _;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use self::{deadlines::Deadlines, outcome::Label};
use crate::{
    http::Http,
    iot::{Iot, Session},
    lifecycle,
    metrics::{Metric, Metrics},
    mitigation::{ErrorCode, Failure, Success, truncate},
    result_bus::{ResultBus, Unpublished},
    settings::Settings,
    trigger::{Casing, FunctionLocation, Payload, Plan, Trigger, TriggerName, Unrecognized, api},
    trigger::{describe_conflict, eventbridge::Event},
};

/// The function: what its invocations share.
pub struct Handler<'s> {
    settings: &'s Settings,
    http: Http,
    iot: Iot<'s>,
    result_bus: ResultBus<'s>,
    is_cold: Cell<bool>,
}

/// A failed invocation, which Lambda reports as a function error.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// `errorType`.
    pub error_type: &'static str,
    /// `errorMessage`.
    pub message: String,
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}

impl std::error::Error for FunctionError {}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.to_owned(), error_message: error.message }
    }
}

impl From<Unrecognized> for FunctionError {
    fn from(unrecognized: Unrecognized) -> Self {
        Self { error_type: "UnrecognizedEvent", message: unrecognized.to_string() }
    }
}

impl From<&Failure> for FunctionError {
    fn from(failure: &Failure) -> Self {
        Self { error_type: failure.code.as_str(), message: api::message(failure) }
    }
}

impl From<Unpublished> for FunctionError {
    fn from(unpublished: Unpublished) -> Self {
        let message = format!("the work is done, but its result was not published: {unpublished}");
        Self { error_type: "UndeliverableResult", message: truncate(&message, 4096) }
    }
}

/// What the work of one invocation shares.
struct Invocation {
    trigger: TriggerName,
    /// Lambda's request id.
    request_id: String,
    /// The `X-Amzn-Trace-Id` of the invocation.
    trace: Option<String>,
    location: FunctionLocation,
    end: SystemTime,
    metrics: Metrics,
}

impl Invocation {
    /// The deadlines of a request that ends with the invocation.
    fn deadlines(&self) -> Deadlines {
        Deadlines::new(SystemTime::now(), [self.end])
    }

    /// The label of a request of this invocation, to be completed.
    fn label(&self) -> Label<'_> {
        Label {
            trigger: self.trigger,
            operation: None,
            operation_text: "",
            subject: "",
            id: &self.request_id,
            request_id: &self.request_id,
            trace_id: self.trace.as_deref().map(root_of_trace),
        }
    }
}

/// The trace id in an `X-Amzn-Trace-Id`, `Root=<trace id>;Parent=…`.
fn root_of_trace(header: &str) -> &str {
    header.split(';').find_map(|part| part.strip_prefix("Root=")).unwrap_or(header)
}

impl<'s> Handler<'s> {
    /// A handler with `settings`, whose calls all go over `http`.
    #[must_use]
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        Self {
            settings,
            http: http.clone(),
            iot: Iot::new(settings, http.clone()),
            result_bus: ResultBus::new(settings, http),
            is_cold: Cell::new(true),
        }
    }

    /// Opens the AWS IoT connection during an on-demand init, where Lambda grants a full CPU; at
    /// 128 MB the invocation gets about 7 %.
    pub async fn warm_up(&self) {
        if self.settings.is_on_demand && self.settings.failure().is_none() {
            self.iot.preconnect(&self.http).await;
        }
    }

    /// Serves one event.
    ///
    /// # Errors
    /// Where the caller waits for no other response, or it could not be delivered.
    pub async fn handle(
        &self,
        event: LambdaEvent<Payload>,
    ) -> Result<Box<RawValue>, FunctionError> {
        let LambdaEvent { payload, context } = event;
        let began = Clock::now();
        let end = context.deadline();
        let trigger = Trigger::recognise(&payload);
        let invocation = Invocation {
            trigger: trigger.as_ref().map_or(TriggerName::Unrecognized, Trigger::name),
            location: FunctionLocation::new(&context.invoked_function_arn, &self.settings.region),
            end,
            request_id: context.request_id,
            trace: context.xray_trace_id,
            metrics: Metrics::default(),
        };
        if self.is_cold.replace(false) {
            invocation.metrics.add(Metric::ColdStart, 1);
        }
        let result = self.serve(trigger, &invocation).await;
        if let Err(error) = &result {
            log_error(error, &invocation);
        }
        invocation.metrics.write(self.settings, invocation.trigger, began.elapsed());
        result
    }

    async fn serve(
        &self,
        trigger: Result<Trigger, Unrecognized>,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        match trigger? {
            Trigger::CloudFormation(request) => {
                self.serve_custom_resource(&request, invocation, invocation.end).await
            }
            Trigger::Sns(contents) => self.serve_notifications(contents, invocation).await,
            Trigger::EventBridge(Event::Request(request)) => {
                self.serve_event(&request, invocation).await
            }
            Trigger::EventBridge(Event::OwnResult) => ignored(),
            Trigger::Sqs(batch) => self.serve_batch(batch, invocation).await,
            Trigger::Direct(request) => self.serve_direct_call(&request, invocation).await,
        }
    }

    /// Executes a plan under a deadline, with panics caught; logs and counts the outcome.
    async fn execute(
        &self,
        plan: Plan,
        casing: Casing,
        label: Label<'_>,
        session: &Session<'_>,
        until: Instant,
        metrics: &Metrics,
    ) -> Result<Success, Failure> {
        let work = catch_panic(self.execute_plan(plan, session));
        let result = match timeout_at(until, work).await {
            Ok(result) => result.map_err(|failure| describe_conflict(failure, casing)),
            Err(_) => Err(session.out_of_time()),
        };
        outcome::record(label, &result, session, metrics);
        result
    }

    async fn execute_plan(&self, plan: Plan, session: &Session<'_>) -> Result<Success, Failure> {
        if let Some(failure) = self.settings.failure() {
            return Err(failure);
        }
        match plan {
            Plan::Execute(request, warnings) => {
                for warning in warnings {
                    session.warn(warning);
                }
                lifecycle::execute(&request, session).await
            }
            Plan::Respond(result) => result,
        }
    }

    /// Whether a failed request is redelivered: to be executed, or in the end to be kept for a
    /// person. Permanent failures are published where there is a bus.
    fn is_redelivered(&self, failure: &Failure) -> bool {
        failure.code.is_transient()
            || failure.code == ErrorCode::InvalidSetting
            || !self.result_bus.is_set()
    }
}

async fn catch_panic(
    work: impl Future<Output = Result<Success, Failure>>,
) -> Result<Success, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        let text = "the provider panicked, which is a defect: the log says where";
        Err(Failure::refusal(ErrorCode::InternalFailure, text))
    })
}

fn log_error(error: &FunctionError, invocation: &Invocation) {
    let Label { trigger, id, request_id, trace_id, .. } = invocation.label();
    tracing::error!(
        trigger = trigger.as_str(),
        id,
        error_type = error.error_type,
        error_message = error.message,
        request_id,
        xray_trace_id = trace_id,
        "invocation failed"
    );
    if error.error_type == "UnrecognizedEvent" {
        invocation.metrics.add(Metric::CallerMistakes, 1);
    }
}

/// The return value for one of the provider's own result events.
fn ignored() -> Result<Box<RawValue>, FunctionError> {
    to_json(&serde_json::json!({ "status": "IGNORED" }))
}

fn to_json(document: &impl Serialize) -> Result<Box<RawValue>, FunctionError> {
    let written = serde_json::value::to_raw_value(document);
    written.map_err(|error| Unpublished(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::{ErrorCode, Failure, Success, catch_panic};

    #[tokio::test]
    #[expect(clippy::panic, clippy::unwrap_used, reason = "what is tested")]
    async fn a_panic_becomes_a_failure() {
        let work =
            std::future::poll_fn(|_| -> Poll<Result<Success, Failure>> { panic!("of any kind") });
        assert_eq!(catch_panic(work).await.unwrap_err().code, ErrorCode::InternalFailure);
    }
}
