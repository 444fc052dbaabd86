//! Triggers: recognizes an event by its members and parses it by its protocol. No I/O.

mod action_properties;
pub mod api;
pub mod cloudformation;
pub mod eventbridge;
mod location;
mod message;
mod name_conflict;
mod plan;
mod reader;
mod request_object;
mod sns;
pub mod sqs;
mod unrecognized;

use cloudformation_custom_resource::{
    Request as CustomResourceRequest,
    json::{self, Fields},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::{api::ApiRequest, eventbridge::Event, request_object::RequestObject, sqs::Batch};
pub use self::{
    location::FunctionLocation,
    message::Content,
    plan::{Plan, Step},
    unrecognized::Unrecognized,
};
pub(crate) use self::{name_conflict::describe_conflict, reader::Casing};

/// The raw event. Deserializing it never fails, because the caller could not be told. It has no
/// `Debug` or `Display`.
pub struct Payload(Option<Box<RawValue>>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer).ok()))
    }
}

string_enum! {
    /// The name of a trigger in logs and metrics.
    pub enum TriggerName {
        /// A CloudFormation custom resource request.
        CloudFormation = "cloudformation",
        /// SNS notifications.
        Sns = "sns",
        /// An EventBridge event.
        EventBridge = "eventbridge",
        /// A batch of SQS messages.
        Sqs = "sqs",
        /// A direct invocation with a request in the API's JSON.
        Direct = "direct",
        /// None of these.
        Unrecognized = "unrecognized",
    }
}

/// A recognized event.
///
/// When adding a trigger, teach [`Trigger::recognize`] its members and add its [`TriggerName`]; the
/// compiler names every match in Rust. The tests of `tests/contract/completeness/triggers.rs` name
/// which of these still lack it: the message of [`Unrecognized`], the template's dashboard, a
/// sample in `events/`, `docs/reference.md` and `bench/src/soak/action_lifecycle.rs`.
pub enum Trigger {
    /// A request for a custom resource.
    CloudFormation(Box<CustomResourceRequest>),
    /// The contents of SNS notifications.
    Sns(Vec<Content>),
    /// An EventBridge event.
    EventBridge(Event),
    /// A batch of SQS messages.
    Sqs(Batch),
    /// A request whose caller waits for the result.
    Direct(Box<ApiRequest>),
}

impl Trigger {
    /// Recognizes an event by its members.
    ///
    /// # Errors
    /// If the event is of no trigger.
    pub fn recognize(payload: &Payload) -> Result<Self, Unrecognized> {
        let event = payload.0.as_deref().ok_or(Unrecognized::NotAnObject)?;
        let text = event.get();
        if text.starts_with('[') {
            // EventBridge Pipes invoke the function with the records alone.
            return Self::recognize_records(text);
        }
        let mut names = RequestObject::member_names();
        names.push("Records");
        let fields = Fields::read(text, &names).map_err(|_| Unrecognized::NotAnObject)?;
        if let Some(records) = fields.get("Records")
            && fields.get("ResponseURL").is_none()
        {
            return Self::recognize_records(records.get());
        }
        Ok(match RequestObject::read(event, &fields, Unrecognized::NoKnownMember)? {
            RequestObject::CustomResource(request) => Self::CloudFormation(request),
            RequestObject::Event(event) => Self::EventBridge(event),
            RequestObject::ApiRequest(request) => Self::Direct(request),
        })
    }

    /// Recognizes records by any of them, because all come from one service, and some may be
    /// invalid.
    fn recognize_records(text: &str) -> Result<Self, Unrecognized> {
        let mut records = Vec::new();
        let read = json::each_item(text, &mut |record| {
            // One more than any trigger accepts is enough to reject them all.
            if records.len() <= Batch::MAX_MESSAGES {
                records.push(record);
            }
        });
        read.map_err(|_| Unrecognized::UnknownRecords)?;
        if records.iter().any(|record| Batch::is_record(record)) {
            Batch::read(&records).map(Self::Sqs)
        } else if records.iter().any(|record| sns::is_record(record)) {
            sns::read_records(&records).map(Self::Sns)
        } else {
            Err(Unrecognized::UnknownRecords)
        }
    }

    /// The name of the trigger, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> TriggerName {
        match self {
            Self::CloudFormation(_) => TriggerName::CloudFormation,
            Self::Sns(_) => TriggerName::Sns,
            Self::EventBridge(_) => TriggerName::EventBridge,
            Self::Sqs(_) => TriggerName::Sqs,
            Self::Direct(_) => TriggerName::Direct,
        }
    }
}
