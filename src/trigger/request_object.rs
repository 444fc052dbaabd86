//! JSON objects that are requests, whether they are the event or the text of a message.

use cloudformation_custom_resource::{Request as CustomResourceRequest, json::Fields};
use serde_json::value::RawValue;

use super::{api::ApiRequest, eventbridge::Event, unrecognized::Unrecognized};

/// A request, recognized by the members of its object.
pub(super) enum RequestObject {
    /// A request for a custom resource.
    CustomResource(Box<CustomResourceRequest>),
    /// An EventBridge event.
    Event(Event),
    /// A request in the API's JSON.
    ApiRequest(Box<ApiRequest>),
}

impl RequestObject {
    /// The members that are read.
    pub fn member_names() -> Vec<&'static str> {
        let mut names = CustomResourceRequest::MEMBERS.to_vec();
        names.extend(Event::MEMBERS);
        names.extend(["actionName", "operation"]);
        names
    }

    /// Recognizes and parses `object`, whose members are `fields`.
    ///
    /// # Errors
    /// If it is no request: the usual mistake that it looks like, or else `otherwise`.
    pub fn read(
        object: &RawValue,
        fields: &Fields<'_>,
        otherwise: Unrecognized,
    ) -> Result<Self, Unrecognized> {
        if let Some(request) = CustomResourceRequest::from_fields(fields) {
            Ok(Self::CustomResource(Box::new(request)))
        } else if Event::has_event_members(fields) {
            Event::read(fields).map(Self::Event)
        } else if fields.has("actionName") || fields.has("operation") {
            Ok(Self::ApiRequest(Box::new(ApiRequest::whole(object))))
        } else {
            Err(Unrecognized::hint(object.get()).unwrap_or(otherwise))
        }
    }
}
