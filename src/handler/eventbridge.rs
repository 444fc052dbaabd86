//! An event: its result is published on the result bus.
//!
//! Permanent failures are published and not retried. Without a result bus they are function errors,
//! so they reach the dead-letter queue. Transient failures, and those of invalid settings, are
//! function errors, so they are redelivered.

use serde_json::value::RawValue;

use super::{FunctionError, Handler, Invocation, Limits, to_json};
use crate::{
    iot::{OnTimeout, Pacing},
    metrics::Metric,
    mitigation::{Failure, Success},
    trigger::eventbridge::EventRequest,
};

impl Handler<'_> {
    pub(super) async fn execute_event(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
        limits: Limits,
    ) -> Result<Success, Failure> {
        let EventRequest { api_request, owner, .. } = request;
        self.execute_api(api_request, owner, request.id(), invocation, limits).await
    }

    pub(super) async fn serve_event(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let deadlines = invocation.deadlines();
        let limits = Limits {
            until: deadlines.work,
            on_timeout: OnTimeout::Transient,
            pacing: Pacing::None,
        };
        let result = self.execute_event(request, invocation, limits).await;
        if let Err(failure) = &result
            && self.is_redelivered(failure)
        {
            return Err(failure.into());
        }
        let event = request.result_event(&result);
        let trace = invocation.trace_header.as_deref();
        if let Err(why) = self.result_bus.publish(&event, trace, deadlines.respond).await {
            invocation.metrics.add(Metric::ResultsUnpublished, 1);
            return Err(why.into());
        }
        to_json(&request.api_request.result(&result))
    }
}
