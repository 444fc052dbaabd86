//! EventBridge: events whose detail is a request, and result events.
//!
//! See <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>.

use super::{
    MessageSource, Trigger, Unrecognized,
    api::{ApiRequest, RequestIds, cut},
};
use crate::mitigation::{Failure, Owner, Problem, Success};
use cloudformation_custom_resource::json::Fields;

/// The `detail-type` of requests.
pub const REQUESTED: &str = "Mitigation Action Requested";
const SUCCEEDED: &str = "Mitigation Action Request Succeeded";
const FAILED: &str = "Mitigation Action Request Failed";

/// The `source` of result events.
pub const SOURCE: &str = "mitigation-action-provider";

/// A request whose result is published: an event, or a request in a message.
pub struct EventRequest {
    /// The detail of the event, or the message.
    pub api_request: ApiRequest,
    pub owner: Owner,
    id: String,
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultEvent {
    /// The id of the request, as in the log.
    pub request_id: String,
    pub detail_type: &'static str,
    /// The ARN of the action, if there is one.
    pub resource: Option<String>,
    /// A result document in JSON.
    pub detail: String,
}

pub(super) const MEMBERS: [&str; 4] = ["detail-type", "source", "detail", "id"];

pub(super) fn has_event_members(fields: &Fields<'_>) -> bool {
    ["detail-type", "source", "detail"].iter().all(|name| fields.has(name))
}

/// # Errors
/// If it has another `detail-type`.
pub(super) fn read(fields: &Fields<'_>) -> Result<Trigger, Unrecognized> {
    let text = |name: &str| fields.string(name).unwrap_or_default().into_owned();
    let source = text("source");
    if source == SOURCE {
        return Ok(Trigger::OwnResult);
    }
    let detail_type = text("detail-type");
    if detail_type != REQUESTED {
        return Err(Unrecognized::AnotherDetailType {
            given: cut(&detail_type),
            expected: REQUESTED,
        });
    }
    let id = text("id");
    let mut request = ApiRequest::read("detail", fields.get("detail"), RequestIds::Rejected);
    if id.is_empty() {
        let expected = "the event's id, which identifies a redelivery";
        request = request.rejected(Problem::missing("id", expected));
    }
    let owner = Owner::event(&source, &id);
    Ok(Trigger::EventBridge(Box::new(EventRequest { api_request: request, owner, id, source })))
}

impl EventRequest {
    pub(super) fn in_message(request: ApiRequest, from: MessageSource) -> Self {
        let MessageSource { id, id_member, source } = from;
        let source = source.to_owned();
        if let Some(given) = request.request_id() {
            let (id, owner) = (given.to_owned(), request.owner(given));
            return Self { api_request: request, owner, id, source };
        }
        let request = if id.is_empty() {
            request.rejected(Problem::missing(id_member, "the id of the message"))
        } else {
            request
        };
        Self { api_request: request, owner: Owner::message(&id), id, source }
    }

    /// The id of the event or of the message, or `requestId`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The result event. Texts of the request are truncated to 256 characters.
    pub fn result_event(&self, result: &Result<Success, Failure>) -> ResultEvent {
        let (id, source) = (cut(&self.id), cut(&self.source));
        let document = self.api_request.result(result).for_event(&id, &source);
        let action = result.as_ref().ok().and_then(|success| success.action.as_ref());
        ResultEvent {
            request_id: self.id.clone(),
            detail_type: if result.is_ok() { SUCCEEDED } else { FAILED },
            resource: action.map(|action| action.arn.clone()),
            detail: serde_json::to_string(&document).unwrap_or_default(),
        }
    }
}
