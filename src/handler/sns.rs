//! SNS notifications, each served in turn by what its message holds. Lambda delivers one at a time.

use serde_json::value::RawValue;

use super::{FunctionError, Handler, Invocation, Label, telemetry, to_json};
use crate::trigger::{Trigger, Unrecognized};

/// What the log names of a notification.
struct Named {
    id: String,
    subject: String,
    operation: String,
}

impl Handler<'_> {
    pub(super) async fn serve_notifications(
        &self,
        contents: Vec<Result<Trigger, Unrecognized>>,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let mut documents = Vec::new();
        let mut first_error = None;
        for content in contents {
            // The invocation fails with the first error. Only a later one is logged here.
            let named = first_error.is_some().then(|| Named::of(&content, invocation));
            match (Box::pin(self.serve(content, invocation)).await, &named) {
                (Ok(document), _) => documents.push(document),
                (Err(error), None) => first_error = Some(error),
                (Err(error), Some(Named { id, subject, operation })) => {
                    let operation_text = operation.into();
                    let label = Label { operation_text, subject, id, ..invocation.label() };
                    telemetry::record_error(&label, &error, "notification failed");
                }
            }
        }
        match (first_error, documents.as_slice()) {
            (Some(error), _) => Err(error),
            (None, [only]) => Ok(only.clone()),
            (None, several) => to_json(&several),
        }
    }
}

impl Named {
    fn of(content: &Result<Trigger, Unrecognized>, invocation: &Invocation) -> Self {
        let label = match content {
            Ok(Trigger::CloudFormation(request)) => invocation.resource_label(request),
            Ok(Trigger::EventBridge(request)) => {
                invocation.api_label(&request.api_request, request.id())
            }
            Ok(Trigger::Sns(_) | Trigger::OwnResult | Trigger::Sqs(_) | Trigger::Direct(_))
            | Err(_) => invocation.label(),
        };
        Self {
            id: label.id.to_owned(),
            subject: label.subject.to_owned(),
            operation: label.operation_text.into_owned(),
        }
    }
}
