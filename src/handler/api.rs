//! A request in the API's JSON, whatever carried it: an event, a message or a direct invocation.

use tokio::time::Instant;

use super::{Handler, Invocation, Label};
use crate::{
    iot::Session,
    mitigation::{Failure, Owner, Request, Success},
    trigger::{Casing, Plan, api::ApiRequest, eventbridge::EventRequest},
};

impl Handler<'_> {
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
        self.execute_api(api_request, owner, id, invocation, session, until).await
    }

    /// Executes a request for `owner`, under its id.
    pub(super) async fn execute_api(
        &self,
        request: &ApiRequest,
        owner: &Owner,
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
        let plan = || match request.task() {
            Err(failure) => Plan::Respond(Err(failure)),
            Ok(task) => {
                let (owner, location) = (owner.clone(), invocation.location.location().cloned());
                let planned = Request { task, owner, location, stack: None };
                Plan::Execute(Box::new(planned), request.warnings().to_vec())
            }
        };
        self.execute(&plan, Casing::Api, label, session, until, &invocation.metrics).await
    }
}
