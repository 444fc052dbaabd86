//! What a notification or a queue's message carries: a stack's request, an event, or a plain
//! request.

use super::{
    cloudformation::CustomResourceRequest,
    document::Document,
    eventbridge::{Event, EventRequest},
    json::Fields,
    unrecognized::Unrecognized,
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

/// Where a request without an event around it comes from.
pub(super) struct MessageSource {
    /// The id of the message.
    pub id: String,
    /// The member that holds it.
    pub id_member: &'static str,
    /// The source that its result names.
    pub source: &'static str,
}

impl Content {
    /// Reads what a message says. An event keeps its own id and source.
    pub(super) fn read(text: &str, source: MessageSource) -> Self {
        let Ok(fields) = Fields::read(text, &Document::member_names()) else {
            return Self::Unrecognized(Unrecognized::NoRequestInside);
        };
        match Document::read(text, &fields, Unrecognized::NoRequestInside) {
            Ok(Document::CustomResource(request)) => Self::CustomResource(request),
            Ok(Document::Event(Event::Request(request))) => Self::Request(request),
            Ok(Document::Event(Event::OwnResult)) => Self::OwnResult,
            Ok(Document::ApiRequest(request)) => {
                let MessageSource { id, id_member, source } = source;
                Self::Request(Box::new(EventRequest::plain(*request, id, id_member, source)))
            }
            Err(unrecognized) => Self::Unrecognized(unrecognized),
        }
    }
}
