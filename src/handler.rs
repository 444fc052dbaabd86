//! One invocation: recognizes the event, executes its request under a deadline with panics caught,
//! and logs and counts the outcome. Each trigger is served in a file of its own.

mod api;
mod custom_resource;
mod deadlines;
mod direct;
mod eventbridge;
mod function_error;
mod sns;
mod sqs;
mod telemetry;

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    panic::AssertUnwindSafe,
    time::{Instant as Clock, SystemTime},
};

use futures_util::FutureExt as _;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

pub use self::function_error::{ErrorType, FunctionError};
use self::{deadlines::Deadlines, telemetry::Label};
use crate::{
    http::Http,
    iot::{Iot, OnTimeout, Pacing},
    lifecycle,
    metrics::{Metric, Metrics},
    mitigation::{ErrorCode, Failure, Success},
    result_bus::ResultBus,
    settings::Settings,
    trigger::{
        Casing, FunctionLocation, Payload, Plan, Step, Trigger, TriggerName, Unrecognized,
        describe_conflict, eventbridge::Event,
    },
};

/// The function: what its invocations share.
pub struct Handler<'s> {
    settings: &'s Settings,
    http: Http,
    iot: Iot<'s>,
    result_bus: ResultBus<'s>,
    is_cold: Cell<bool>,
}

/// What the work of one invocation shares.
struct Invocation {
    trigger: TriggerName,
    /// Lambda's request id.
    request_id: String,
    /// The `X-Amzn-Trace-Id` of the invocation.
    trace_header: Option<String>,
    location: FunctionLocation,
    /// When the event was received.
    received: SystemTime,
    /// When Lambda ends the invocation.
    deadline: SystemTime,
    metrics: Metrics,
}

/// What limits the execution of a request.
#[derive(Clone, Copy)]
struct Limits {
    /// When work ends.
    until: Instant,
    on_timeout: OnTimeout,
    pacing: Pacing,
}

impl Invocation {
    /// The deadlines of a request that ends with the invocation.
    fn deadlines(&self) -> Deadlines {
        Deadlines::new(SystemTime::now(), [self.deadline])
    }

    /// The label of a request of this invocation, to be completed.
    fn label(&self) -> Label<'_> {
        Label {
            trigger: self.trigger,
            operation: None,
            operation_text: Cow::Borrowed(""),
            subject: "",
            action: None,
            id: &self.request_id,
            request_id: &self.request_id,
            trace_id: self.trace_header.as_deref().map(trace_id),
        }
    }
}

/// The trace id in an `X-Amzn-Trace-Id`, `Root=<trace id>;Parent=…`.
fn trace_id(header: &str) -> &str {
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
        if self.settings.is_on_demand && self.settings.check().is_ok() {
            self.iot.preconnect(&self.http).await;
        }
    }

    /// Serves one event.
    ///
    /// # Errors
    /// A function error, if that is the caller's result, or if the result could not be delivered.
    pub async fn handle(
        &self,
        event: LambdaEvent<Payload>,
    ) -> Result<Box<RawValue>, FunctionError> {
        let LambdaEvent { payload, context } = event;
        let (began, received) = (Clock::now(), SystemTime::now());
        let trigger = Trigger::recognize(&payload);
        let invocation = Invocation {
            trigger: trigger.as_ref().map_or(TriggerName::Unrecognized, Trigger::name),
            location: FunctionLocation::new(&context.invoked_function_arn, &self.settings.region),
            received,
            deadline: context.deadline(),
            request_id: context.request_id,
            trace_header: context.xray_trace_id,
            metrics: Metrics::default(),
        };
        if self.is_cold.replace(false) {
            invocation.metrics.add(Metric::ColdStart, 1);
        }
        let result = self.serve(trigger, &invocation).await;
        if let Err(error) = &result {
            telemetry::record_error(&invocation.label(), error, "invocation failed");
            if error.error_type == ErrorType::UnrecognizedEvent {
                invocation.metrics.add(Metric::CallerMistakes, 1);
            }
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
                self.serve_custom_resource(&request, invocation).await
            }
            Trigger::Sns(contents) => self.serve_notifications(contents, invocation).await,
            Trigger::EventBridge(Event::Request(request)) => {
                self.serve_event(&request, invocation).await
            }
            Trigger::EventBridge(Event::OwnResult) => ignored(),
            Trigger::Sqs(batch) => self.serve_batch(batch, invocation).await,
            Trigger::Direct(request) => self.serve_direct(&request, invocation).await,
        }
    }

    /// Plans a request and executes it, under a deadline and with panics caught; logs and counts
    /// the outcome. `plan` runs inside, so that a panic in it becomes a failure, too.
    async fn execute(
        &self,
        plan: &dyn Fn() -> Plan,
        casing: Casing,
        label: Label<'_>,
        limits: Limits,
        metrics: &Metrics,
    ) -> Result<Success, Failure> {
        let Limits { until, on_timeout, pacing } = limits;
        let session = self.iot.session(until, on_timeout, pacing);
        let action_name = OnceCell::new();
        let work = catch_panic(async {
            let Plan { step, action_name: name, warnings } = plan();
            action_name.get_or_init(|| name);
            for warning in warnings {
                session.warn(warning);
            }
            self.settings.check()?;
            match step {
                Step::Execute(request) => Box::pin(lifecycle::execute(&request, &session)).await,
                Step::Respond(result) => result,
            }
        });
        let work = async { work.await.unwrap_or_else(Err) };
        let result = match timeout_at(until, work).await {
            Ok(result) => result.map_err(|failure| describe_conflict(failure, casing)),
            Err(_) => Err(session.out_of_time()),
        };
        let label = Label { action: action_name.get().and_then(Option::as_deref), ..label };
        telemetry::record(&label, &result, &session, metrics);
        result
    }

    /// Whether a failed request is redelivered, until it succeeds or reaches the dead-letter queue.
    /// A permanent failure is redelivered only if there is no result bus to publish it to, or if a
    /// setting is invalid.
    fn is_redelivered(&self, failure: &Failure) -> bool {
        failure.is_transient()
            || failure.code == ErrorCode::InvalidSetting
            || !self.result_bus.is_set()
    }
}

/// The value of `work`, or the failure of a panic.
async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| panicked())
}

fn panicked() -> Failure {
    let text = "the provider panicked, which is a bug: the log shows where";
    Failure::refusal(ErrorCode::InternalFailure, text)
}

/// The return value for one of the provider's own result events.
fn ignored() -> Result<Box<RawValue>, FunctionError> {
    to_json(&serde_json::json!({ "status": "IGNORED" }))
}

fn to_json(document: &impl Serialize) -> Result<Box<RawValue>, FunctionError> {
    Ok(serde_json::value::to_raw_value(document)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        Casing, ErrorCode, FunctionLocation, Handler, Http, Instant, Invocation, Limits, Metrics,
        OnTimeout, Pacing, Settings, SystemTime, TriggerName,
    };

    #[tokio::test]
    #[expect(clippy::panic, clippy::unwrap_used, reason = "what is tested")]
    async fn a_panic_while_a_request_is_planned_becomes_a_failure() {
        let settings = Settings::read(|name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            _ => Some("credential".to_owned()).filter(|_| name.ends_with("_KEY")),
        });
        let handler = Handler::new(&settings, Http::new(None).unwrap());
        let limits = Limits {
            until: Instant::now() + Duration::from_secs(5),
            on_timeout: OnTimeout::LastError,
            pacing: Pacing::None,
        };
        let invocation = Invocation {
            trigger: TriggerName::CloudFormation,
            request_id: String::new(),
            trace_header: None,
            location: FunctionLocation::new("", "eu-west-1"),
            received: SystemTime::now(),
            deadline: SystemTime::now(),
            metrics: Metrics::default(),
        };
        let (label, metrics) = (invocation.label(), &invocation.metrics);
        let plan = || panic!("of any kind");
        let result = handler.execute(&plan, Casing::Api, label, limits, metrics).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::InternalFailure);
    }
}
