//! SNS notifications, each served in turn by what its message holds. Lambda delivers one at a time.

use serde_json::value::RawValue;

use super::{FunctionError, Handler, Invocation, telemetry, to_json};
use crate::trigger::{Trigger, Unrecognized};

impl Handler<'_> {
    pub(super) async fn serve_notifications(
        &self,
        contents: Vec<Result<Trigger, Unrecognized>>,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let mut documents = Vec::new();
        let mut first_error = None;
        for content in contents {
            match Box::pin(self.serve(content, invocation)).await {
                Ok(document) => documents.push(document),
                Err(error) if first_error.is_none() => first_error = Some(error),
                // The invocation fails with the first one.
                Err(error) => {
                    telemetry::record_error(&invocation.label(), &error, "notification failed");
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
