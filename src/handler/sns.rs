//! SNS notifications, each served in turn by the request in its message.

use serde_json::value::RawValue;

use super::{FunctionError, Handler, Invocation, Label, ignored, telemetry, to_json};
use crate::trigger::Content;

impl Handler<'_> {
    /// Serves notifications in turn; Lambda delivers one at a time.
    pub(super) async fn serve_notifications(
        &self,
        contents: Vec<Content>,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let mut documents = Vec::new();
        let mut first_error = None;
        for content in contents {
            match self.serve_notification(&content, invocation).await {
                Ok(document) => documents.push(document),
                Err(error) if first_error.is_none() => first_error = Some(error),
                // The invocation fails with the first one.
                Err(error) => {
                    let label = invocation.content_label(&content);
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

    async fn serve_notification(
        &self,
        content: &Content,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        match content {
            Content::CustomResource(request) => {
                self.serve_custom_resource(request, invocation).await
            }
            Content::Request(request) => self.serve_event(request, invocation).await,
            Content::OwnResult => ignored(),
            Content::Unrecognized(unrecognized) => Err(unrecognized.clone().into()),
        }
    }
}

impl Invocation {
    fn content_label<'a>(&'a self, content: &'a Content) -> Label<'a> {
        match content {
            Content::CustomResource(request) => self.resource_label(request),
            Content::Request(request) => self.api_label(&request.api_request, request.id()),
            Content::OwnResult | Content::Unrecognized(_) => self.label(),
        }
    }
}
