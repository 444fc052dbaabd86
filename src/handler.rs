//! One invocation: recognizes the event and serves it as its trigger, in a file of its own. `execute`
//! executes a request of any.

mod custom_resource;
mod direct;
mod eventbridge;
mod execute;
mod function_error;
mod sns;
mod sqs;
mod telemetry;

use std::{
    borrow::Cow,
    cell::Cell,
    time::{Instant as Clock, SystemTime},
};

use cloudformation_custom_resource::{Deadlines, Provider};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::value::RawValue;

pub use self::function_error::{ErrorType, FunctionError};
use self::{execute::Limits, telemetry::Label};
use crate::{
    http::{Http, HttpPut},
    iot::Iot,
    metrics::{Metric, Metrics},
    mitigation::{ErrorCode, Failure, FunctionLocation},
    result_bus::ResultBus,
    settings::Settings,
    trigger::{Payload, Trigger, TriggerName, Unrecognized},
};

/// The function: what its invocations share.
pub struct Handler<'s> {
    settings: &'s Settings,
    http: Http,
    provider: Provider<HttpPut>,
    iot: Iot<'s>,
    result_bus: ResultBus<'s>,
    is_cold: Cell<bool>,
}

struct Invocation {
    trigger: TriggerName,
    /// Lambda's request id.
    request_id: String,
    /// The `X-Amzn-Trace-Id` of the invocation.
    trace_header: Option<String>,
    location: FunctionLocation,
    /// When Lambda ends the invocation.
    deadline: SystemTime,
    metrics: Metrics,
}

impl Invocation {
    fn deadlines(&self) -> Deadlines {
        Deadlines::new(SystemTime::now(), [self.deadline])
    }

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
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        Self {
            settings,
            provider: Provider::new(settings.region.as_str(), http.put())
                .allow_hosts(settings.response_hosts.iter().cloned()),
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

    /// # Errors
    /// A function error, if that is the caller's result, or if the result could not be delivered.
    pub async fn handle(
        &self,
        event: LambdaEvent<Payload>,
    ) -> Result<Box<RawValue>, FunctionError> {
        let LambdaEvent { payload, context } = event;
        let began = Clock::now();
        let trigger = Trigger::recognize(&payload);
        let invocation = Invocation {
            trigger: trigger.as_ref().map_or(TriggerName::Unrecognized, Trigger::name),
            location: FunctionLocation::new(&context.invoked_function_arn, &self.settings.region),
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
            // The failure of a request has a line already.
            if !matches!(error.error_type, ErrorType::Request(_)) {
                telemetry::record_error(&invocation.label(), error, "invocation failed");
            }
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
                self.serve_custom_resource(*request, invocation).await
            }
            Trigger::Sns(contents) => self.serve_notifications(contents, invocation).await,
            Trigger::EventBridge(request) => self.serve_event(&request, invocation).await,
            Trigger::OwnResult => to_json(&serde_json::json!({ "status": "IGNORED" })),
            Trigger::Sqs(batch) => self.serve_batch(batch, invocation).await,
            Trigger::Direct(request) => self.serve_direct(&request, invocation).await,
        }
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

fn to_json(document: &impl Serialize) -> Result<Box<RawValue>, FunctionError> {
    Ok(serde_json::value::to_raw_value(document)?)
}
