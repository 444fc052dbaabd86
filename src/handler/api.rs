//! A request in the API's JSON, whatever carried it: an event, a message or a direct invocation.

use super::{Handler, Invocation, Label, Limits};
use crate::{
    mitigation::{Failure, Owner, Request, Success},
    trigger::{Casing, Plan, Step, api::ApiRequest, eventbridge::EventRequest},
};

impl Invocation {
    /// The label of a request in the API's JSON with that id.
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
    /// Executes a request whose result is an event.
    pub(super) async fn execute_event(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
        limits: Limits,
    ) -> Result<Success, Failure> {
        let EventRequest { api_request, owner, .. } = request;
        self.execute_api(api_request, owner, request.id(), invocation, limits).await
    }

    /// Executes a request for `owner`, under its id.
    pub(super) async fn execute_api(
        &self,
        request: &ApiRequest,
        owner: &Owner,
        id: &str,
        invocation: &Invocation,
        limits: Limits,
    ) -> Result<Success, Failure> {
        let plan = || {
            let step = match request.task() {
                Err(failure) => Step::Respond(Err(failure)),
                Ok(task) => {
                    let (owner, location) = (owner.clone(), invocation.location.location());
                    let location = location.cloned();
                    Step::Execute(Box::new(Request { task, owner, location, stack: None }))
                }
            };
            let action_name = request.action_name().map(str::to_owned);
            Plan { step, action_name, warnings: request.warnings().to_vec() }
        };
        let label = invocation.api_label(request, id);
        self.execute(&plan, Casing::Api, label, limits, &invocation.metrics).await
    }
}
