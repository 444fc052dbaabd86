//! Executes the request of any trigger.

use std::{cell::OnceCell, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::{
    Handler, Invocation,
    telemetry::{self, Label},
};
use crate::{
    iot::{OnTimeout, Pacing},
    lifecycle,
    metrics::Metrics,
    mitigation::{ErrorCode, Failure, Owner, Success},
    trigger::{Plan, Step, Syntax, api::ApiRequest, describe_conflict},
};

#[derive(Clone, Copy)]
pub struct Limits {
    pub until: Instant,
    pub on_timeout: OnTimeout,
    pub pacing: Pacing,
}

impl Invocation {
    /// The label of a request in the API's JSON.
    pub(super) fn api_label<'a>(&'a self, request: &'a ApiRequest, id: &'a str) -> Label<'a> {
        Label {
            operation: request.operation(),
            operation_text: request.operation_text().into(),
            subject: request.action_name().unwrap_or_default(),
            id,
            ..self.label()
        }
    }
}

impl Handler<'_> {
    /// Plans a request and executes it, under a deadline and with panics caught; logs and counts
    /// the outcome. `plan` runs inside, so that a panic in it becomes a failure, too.
    pub(super) async fn execute(
        &self,
        plan: &dyn Fn() -> Plan,
        syntax: Syntax,
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
            Ok(result) => result.map_err(|failure| describe_conflict(failure, syntax)),
            Err(_) => Err(session.out_of_time()),
        };
        let label = Label { action: action_name.get().and_then(Option::as_deref), ..label };
        telemetry::record(&label, &result, &session, metrics);
        result
    }

    pub(super) async fn execute_api(
        &self,
        request: &ApiRequest,
        owner: &Owner,
        id: &str,
        invocation: &Invocation,
        limits: Limits,
    ) -> Result<Success, Failure> {
        let label = invocation.api_label(request, id);
        let plan = || request.plan(owner, &invocation.location);
        self.execute(&plan, Syntax::Api, label, limits, &invocation.metrics).await
    }
}

pub async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| panicked())
}

fn panicked() -> Failure {
    let text = "the provider panicked, which is a bug: the log shows where";
    Failure::refusal(ErrorCode::InternalFailure, text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{FunctionLocation, Http, Settings, SystemTime, TriggerName},
        ErrorCode, Handler, Instant, Invocation, Limits, Metrics, OnTimeout, Pacing, Syntax,
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
            deadline: SystemTime::now(),
            metrics: Metrics::default(),
        };
        let (label, metrics) = (invocation.label(), &invocation.metrics);
        let plan = || panic!("of any kind");
        let result = handler.execute(&plan, Syntax::Api, label, limits, metrics).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::InternalFailure);
    }
}
