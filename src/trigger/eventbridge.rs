//! EventBridge: an event whose detail is a request in; a result event out.
//!
//! See <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>.

use serde_json::Value;

use super::{Fields, Unrecognized, api::Call, json::value_of};
use crate::mitigation::{Failure, Outcome, Owner, Problem};

/// The `detail-type` of the events that are requests.
pub const REQUESTED: &str = "Mitigation Action Requested";
const SUCCEEDED: &str = "Mitigation Action Request Succeeded";
const FAILED: &str = "Mitigation Action Request Failed";

/// The source of the provider's own events.
pub const SOURCE: &str = "mitigation-action-provider";

/// What an event turns out to be.
pub enum Event {
    /// A request.
    Requested(Box<Requested>),
    /// A result of the provider's own, which it never acts on.
    OwnResult,
}

/// A request whose result is an event.
pub struct Requested {
    /// What is asked.
    pub call: Call,
    /// For whom.
    pub owner: Owner,
    id: String,
    source: String,
}

/// An event that says what came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultEvent {
    /// What the event is: that a request succeeded, or failed.
    pub detail_type: &'static str,
    /// The ARN of the action, where there is one.
    pub resource: Option<String>,
    /// The result, as JSON.
    pub detail: String,
}

impl Event {
    /// Whether the members are those of an event.
    #[must_use]
    pub fn is_one(fields: &Fields<'_>) -> bool {
        ["detail-type", "source", "detail"].iter().all(|name| fields.has(name))
    }

    /// Reads an event.
    ///
    /// # Errors
    /// Where its `detail-type` is another's.
    pub fn read(fields: &Fields<'_>) -> Result<Self, Unrecognized> {
        let text = |name: &str| fields.text(name).unwrap_or_default();
        let source = text("source");
        if source == SOURCE {
            return Ok(Self::OwnResult);
        }
        if text("detail-type") != REQUESTED {
            return Err(Unrecognized::AnotherDetailType);
        }
        let id = text("id");
        let detail =
            fields.get("detail").map_or(Some(Value::Null), |detail| value_of(detail.get()));
        let mut call = Call::read("detail", detail.as_ref(), false);
        if id.is_empty() {
            call = call.refused(vec![Problem::missing(
                "id",
                "the event's id, by which a second delivery is recognised",
            )]);
        }
        Ok(Self::Requested(Box::new(Requested {
            call,
            owner: Owner::event(&source, &id),
            id,
            source,
        })))
    }
}

impl Requested {
    /// A request that is no event itself, as a queue's message may be.
    #[must_use]
    pub fn message(call: Call, id: String) -> Self {
        let call = if id.is_empty() {
            call.refused(vec![Problem::missing("messageId", "the message's id")])
        } else {
            call
        };
        Self { call, owner: Owner::message(&id), id, source: "aws:sqs".to_owned() }
    }

    /// The event's id, or the message's.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What came of it, as an event.
    #[must_use]
    pub fn result(&self, result: &Result<Outcome, Failure>) -> ResultEvent {
        let mut document = self.call.document(result);
        document.request_id = Some(&self.id);
        document.request_source = Some(&self.source);
        ResultEvent {
            detail_type: if result.is_ok() { SUCCEEDED } else { FAILED },
            resource: result
                .as_ref()
                .ok()
                .and_then(|outcome| outcome.action.as_ref())
                .map(|action| action.arn.clone()),
            detail: serde_json::to_string(&document).unwrap_or_default(),
        }
    }
}
