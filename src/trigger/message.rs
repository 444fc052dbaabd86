//! What a notification or a queue's message carries: a stack's request, an event, or a plain
//! request.

use super::{
    Unrecognized,
    api::ApiRequest,
    cloudformation::CustomResourceRequest,
    eventbridge::{Event, EventRequest},
    json::Fields,
};

/// What a message carries.
pub enum Content {
    /// A request for a custom resource.
    CustomResource(Box<CustomResourceRequest>),
    /// An event, or a plain request.
    Request(Box<EventRequest>),
    /// A result event of the provider's own.
    OwnResult,
    /// None of these.
    Unrecognized(Unrecognized),
}

/// What carries a plain request, and so gives it an id.
pub struct Carrier {
    /// The id of the message.
    pub id: String,
    /// The member that holds it.
    pub id_member: &'static str,
    /// The source that its result names.
    pub source: &'static str,
}

impl Content {
    /// Reads what a message says. An event keeps its own id and source.
    pub(super) fn read(text: &str, carrier: Carrier) -> Self {
        let mut names = vec!["actionName", "operation"];
        names.extend(Event::MEMBERS);
        names.extend(CustomResourceRequest::MEMBERS);
        let Ok(fields) = Fields::read(text, &names) else {
            return Self::Unrecognized(Unrecognized::NoRequestInside);
        };
        if fields.get("ResponseURL").is_some() {
            return Self::CustomResource(Box::new(CustomResourceRequest::read(&fields)));
        }
        if Event::is_one(&fields) {
            return match Event::read(&fields) {
                Ok(Event::Request(request)) => Self::Request(request),
                Ok(Event::OwnResult) => Self::OwnResult,
                Err(unrecognized) => Self::Unrecognized(unrecognized),
            };
        }
        if !fields.has("actionName") && !fields.has("operation") {
            return Self::Unrecognized(match Unrecognized::hint(text) {
                Unrecognized::NoKnownMember => Unrecognized::NoRequestInside,
                mistake => mistake,
            });
        }
        let Carrier { id, id_member, source } = carrier;
        let request = ApiRequest::whole(text);
        Self::Request(Box::new(EventRequest::plain(request, id, id_member, source)))
    }
}
