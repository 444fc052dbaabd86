//! SNS notifications, each served in turn by the request in its message.

use std::time::SystemTime;

use serde_json::value::RawValue;

use super::{FunctionError, Handler, Invocation, ignored, outcome, to_json};
use crate::{iot::Pacing, trigger::Content};

impl Handler<'_> {
    /// Serves notifications in turn; the remaining ones share the remaining time. Lambda delivers
    /// one at a time.
    pub(super) async fn serve_notifications(
        &self,
        contents: Vec<Content>,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let mut documents = Vec::new();
        let mut first_error = None;
        let mut left = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        for content in contents {
            let now = SystemTime::now();
            let share = invocation.end.duration_since(now).unwrap_or_default() / left.max(1);
            left = left.saturating_sub(1);
            let served = match &content {
                Content::CustomResource(request) => {
                    let (end, pacing) = (now + share, Pacing::None);
                    self.serve_custom_resource(request, invocation, end, pacing).await
                }
                Content::Request(request) => self.serve_event(request, invocation).await,
                Content::OwnResult => ignored(),
                Content::Unrecognized(unrecognized) => Err(unrecognized.clone().into()),
            };
            match served {
                Ok(document) => documents.push(document),
                Err(error) if first_error.is_none() => first_error = Some(error),
                // The invocation fails with the first one.
                Err(error) => {
                    let label = match &content {
                        Content::CustomResource(request) => invocation.resource_label(request),
                        Content::Request(request) => {
                            invocation.api_label(&request.request, request.id())
                        }
                        Content::OwnResult | Content::Unrecognized(_) => invocation.label(),
                    };
                    outcome::record_error(&label, &error, "notification failed");
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
