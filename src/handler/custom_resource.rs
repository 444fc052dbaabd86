//! A custom resource request: the crate of the protocol sends its one response, and calls
//! `MitigationActions` for the work.

use std::borrow::Cow;

use cloudformation_custom_resource::{
    CustomResource, Error, Failure, ForbiddenUrl, Request, RequestType, Resource, Served, Target,
    json, truncate,
};
use serde_json::value::RawValue;

use super::{ErrorType, FunctionError, Handler, Invocation, Label, Limits, telemetry, to_json};
use crate::{
    iot::{OnTimeout, Pacing},
    metrics::Metric,
    mitigation::{ErrorCode, Operation, Success},
    trigger::{
        Syntax,
        cloudformation::{self, Attributes},
    },
};

struct MitigationActions<'a> {
    handler: &'a Handler<'a>,
    invocation: &'a Invocation,
}

impl Invocation {
    pub(super) fn resource_label<'a>(&'a self, request: &'a Request) -> Label<'a> {
        let given = request.raw_request_type().and_then(json::scalar);
        Label {
            operation: request.request_type.map(operation_of),
            operation_text: Cow::Owned(truncate(&given.unwrap_or_default(), 64)),
            subject: &request.logical_resource_id,
            id: &request.request_id,
            ..self.label()
        }
    }
}

impl Handler<'_> {
    /// Serves a request, which must get its response by the end of the invocation.
    pub(super) async fn serve_custom_resource(
        &self,
        mut request: Request,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let resource = MitigationActions { handler: self, invocation };
        match self.provider.serve(&resource, &mut request, invocation.deadline).await {
            Ok(Served::Responded(response)) => Ok(response),
            Ok(Served::Expired) => expired(&request, invocation),
            Err(Error::Forbidden(why)) => {
                let error = self.forbidden(why);
                if matches!(error.error_type, ErrorType::Request(_)) {
                    let label = invocation.resource_label(&request);
                    telemetry::record_error(&label, &error, "invocation failed");
                }
                Err(error)
            }
            Err(error @ (Error::Undelivered(_) | Error::NotARequest)) => {
                invocation.metrics.add(Metric::ResponsesUndelivered, 1);
                let error_type = ErrorType::UndeliverableResponse;
                Err(FunctionError { error_type, message: error.to_string() })
            }
        }
    }

    /// The error for a `ResponseURL` that may be forbidden only because a setting is invalid.
    fn forbidden(&self, why: ForbiddenUrl) -> FunctionError {
        match self.settings.check() {
            Err(failure) => (&failure).into(),
            Ok(()) => FunctionError {
                error_type: ErrorType::ForbiddenResponseUrl,
                message: format!("{} (RESPONSE_URL_ALLOWED_HOSTS)", Error::Forbidden(why)),
            },
        }
    }
}

impl CustomResource for MitigationActions<'_> {
    type Attributes = Attributes;

    async fn create(&self, request: &Request) -> Result<Resource<Attributes>, Failure> {
        let success = self.execute(request).await?;
        let action = success.action.ok_or_else(|| Failure::new("there is no such action"))?;
        Ok(cloudformation::resource(action))
    }

    async fn update(&self, request: &Request, _: &str) -> Result<Resource<Attributes>, Failure> {
        self.create(request).await
    }

    async fn delete(&self, request: &Request, _: Target<'_>) -> Result<(), Failure> {
        self.execute(request).await.map(drop)
    }

    fn name(&self, request: &Request) -> Option<String> {
        cloudformation::name_of_create(request)
    }

    fn failure(&self, problem: &str) -> Failure {
        let problem = format!("{}: {problem}", ErrorCode::InternalFailure);
        tracing::error!(reason = problem, "a custom resource request has no result");
        Failure::new(problem)
    }

    /// Names what else is wrong with the request.
    async fn refuse(&self, request: &Request, problem: &str) -> Failure {
        self.execute(request).await.err().unwrap_or_else(|| Failure::new(problem))
    }
}

impl MitigationActions<'_> {
    async fn execute(&self, request: &Request) -> Result<Success, Failure> {
        let Self { handler, invocation } = *self;
        let limits = Limits {
            until: request.deadline,
            on_timeout: OnTimeout::LastError,
            pacing: Pacing::None,
        };
        let plan = || cloudformation::plan(request, &invocation.location);
        let label = invocation.resource_label(request);
        let result = handler
            .execute(&plan, Syntax::CloudFormation, label, limits, &invocation.metrics)
            .await;
        result.map_err(|failure| Failure::fitting(move |bytes| failure.reason(bytes)))
    }
}

/// Logs a request that CloudFormation no longer waits for; nothing else is done.
fn expired(request: &Request, invocation: &Invocation) -> Result<Box<RawValue>, FunctionError> {
    let action_name = cloudformation::name_of_create(request);
    let label = Label { action: action_name.as_deref(), ..invocation.resource_label(request) };
    telemetry::record_expired(&label, &invocation.metrics);
    to_json(&serde_json::json!({ "status": "EXPIRED" }))
}

fn operation_of(request_type: RequestType) -> Operation {
    match request_type {
        RequestType::Create => Operation::Create,
        RequestType::Update => Operation::Update,
        RequestType::Delete => Operation::Delete,
    }
}
