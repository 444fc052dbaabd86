//! An event: its result is published on the result bus.
//!
//! Permanent failures are published and not retried. Without a result bus they are function errors,
//! so they reach the dead-letter queue. Transient failures are function errors, so they are
//! redelivered.

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{FunctionError, Handler, Invocation, Label, to_json};
use crate::{
    iot::{OnTimeout, Session},
    metrics::Metric,
    mitigation::{Failure, Owner, Request, Success},
    trigger::{Casing, Plan, api::ApiRequest, eventbridge::EventRequest},
};

impl Handler<'_> {
    pub(super) async fn serve_event(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let deadlines = invocation.deadlines();
        let session = self.iot.session(deadlines.work, OnTimeout::Transient);
        let result = self.execute_event(request, invocation, &session, deadlines.work).await;
        if let Err(failure) = &result
            && self.is_redelivered(failure)
        {
            return Err(failure.into());
        }
        let event = request.result_event(&result);
        let trace = invocation.trace.as_deref();
        if let Err(why) = self.result_bus.publish(&event, trace, deadlines.respond).await {
            invocation.metrics.add(Metric::ResultsUnpublished, 1);
            return Err(why.into());
        }
        to_json(&request.request.result(&result))
    }

    /// Executes a request whose result is an event.
    pub(super) async fn execute_event(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
        session: &Session<'_>,
        until: Instant,
    ) -> Result<Success, Failure> {
        let EventRequest { request: api_request, owner, .. } = request;
        let id = request.id();
        self.execute_api(api_request, owner.clone(), id, invocation, session, until).await
    }

    /// Executes a request in the API's JSON for `owner`, under its id.
    pub(super) async fn execute_api(
        &self,
        request: &ApiRequest,
        owner: Owner,
        id: &str,
        invocation: &Invocation,
        session: &Session<'_>,
        until: Instant,
    ) -> Result<Success, Failure> {
        let label = Label {
            operation: request.operation(),
            operation_text: request.operation_text(),
            subject: request.action_name().unwrap_or_default(),
            id,
            ..invocation.label()
        };
        let plan = match request.task() {
            Err(failure) => Plan::Respond(Err(failure)),
            Ok(task) => {
                let location = invocation.location.location().cloned();
                let (digest, current, orphan) = (None, None, None);
                let planned = Request { task, owner, location, digest, current, orphan };
                Plan::Execute(Box::new(planned), request.warnings().to_vec())
            }
        };
        self.execute(plan, Casing::Api, label, session, until, &invocation.metrics).await
    }
}
