//! The content of an SNS notification or an SQS message.

use super::{
    eventbridge::{Event, EventRequest},
    request_object::RequestObject,
    unrecognized::Unrecognized,
};
use cloudformation_custom_resource::{
    Request as CustomResourceRequest,
    json::{self, Fields},
};

/// The content of a message.
pub enum Content {
    /// A request for a custom resource.
    CustomResource(Box<CustomResourceRequest>),
    /// An event, or a request in the API's JSON.
    Request(Box<EventRequest>),
    /// A result event of the provider itself.
    OwnResult,
    /// None of these.
    Unrecognized(Unrecognized),
}

/// The id and the source of a request that comes in a message without an event around it.
pub(super) struct MessageSource {
    pub id: String,
    /// The member of the message that has the id.
    pub id_member: &'static str,
    /// The `requestSource` of its result.
    pub source: &'static str,
}

impl Content {
    /// Parses the text of a message. An event keeps its own id and source.
    pub(super) fn read(text: &str, source: MessageSource) -> Self {
        match read_object(text) {
            Ok(RequestObject::CustomResource(request)) => Self::CustomResource(request),
            Ok(RequestObject::Event(Event::Request(request))) => Self::Request(request),
            Ok(RequestObject::Event(Event::OwnResult)) => Self::OwnResult,
            Ok(RequestObject::ApiRequest(request)) => {
                let MessageSource { id, id_member, source } = source;
                Self::Request(Box::new(EventRequest::in_message(*request, id, id_member, source)))
            }
            Err(unrecognized) => Self::Unrecognized(unrecognized),
        }
    }
}

fn read_object(text: &str) -> Result<RequestObject, Unrecognized> {
    let object = json::raw(text).ok_or(Unrecognized::NoRequestInside)?;
    let fields = Fields::read(object.get(), &RequestObject::member_names())
        .map_err(|_| Unrecognized::NoRequestInside)?;
    RequestObject::read(object, &fields, Unrecognized::NoRequestInside)
}
