//! Triggers: recognizes an event by its members and parses it by its protocol. No I/O.
//!
//! Events are read a member at a time, not as the types of `aws_lambda_events`: there, one member of
//! another type makes a record unreadable, and with it the id that reports it. Responses are theirs.

mod action_properties;
pub mod api;
pub mod cloudformation;
pub mod eventbridge;
mod reader;
mod sns;
pub mod sqs;
mod unrecognized;

use cloudformation_custom_resource::{
    Request as CustomResourceRequest,
    json::{self, Fields},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub(crate) use self::reader::Syntax;
pub use self::unrecognized::Unrecognized;
use self::{api::ApiRequest, eventbridge::EventRequest, sqs::Batch};
use crate::mitigation::{
    Detail, Failure, OWNER_TAG, OnConflict, Property, Remedy, Request, Success,
};

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
        CloudFormation = "cloudformation",
        Sns = "sns",
        EventBridge = "eventbridge",
        Sqs = "sqs",
        /// A direct invocation with a request in the API's JSON.
        Direct = "direct",
        Unrecognized = "unrecognized",
    }
}

/// A recognized event, or the content of a message.
///
/// When adding a trigger, teach [`Trigger::recognize`] its members and add its [`TriggerName`]; the
/// compiler names every match in Rust. The tests of `tests/contract/completeness/triggers.rs` name
/// which of these still lack it: the message of [`Unrecognized`], the template's dashboard, a
/// sample in `events/`, `docs/reference.md` and `bench/src/soak/action_lifecycle.rs`.
pub enum Trigger {
    CloudFormation(Box<CustomResourceRequest>),
    /// SNS notifications, by their content. Each is of another trigger than `Sns` and `Sqs`.
    Sns(Vec<Result<Self, Unrecognized>>),
    /// A request whose result is published: an event, or what a message holds.
    EventBridge(Box<EventRequest>),
    /// A result event of the provider itself, which it ignores.
    OwnResult,
    Sqs(Batch),
    /// A request whose caller waits for the result.
    Direct(Box<ApiRequest>),
}

/// The id and the source of a request that comes in a message without an event around it.
struct MessageSource {
    id: String,
    /// The member of the message that has the id.
    id_member: &'static str,
    /// The `requestSource` of its result.
    source: &'static str,
}

impl Trigger {
    pub fn recognize(payload: &Payload) -> Result<Self, Unrecognized> {
        let event = payload.0.as_deref().ok_or(Unrecognized::NotAnObject)?;
        let text = event.get();
        if text.starts_with('[') {
            // EventBridge Pipes invoke the function with the records alone.
            return Self::recognize_records(text);
        }
        let mut names = Self::member_names();
        names.push("Records");
        let fields = Fields::read(text, &names).map_err(|_| Unrecognized::NotAnObject)?;
        match fields.get("Records") {
            Some(records) if fields.get("ResponseURL").is_none() => {
                Self::recognize_records(records.get())
            }
            _ => Self::recognize_request(event, &fields, Unrecognized::NoKnownMember),
        }
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

    /// Recognizes what a message holds. An event keeps its own id and source.
    fn recognize_message(text: &str, from: MessageSource) -> Result<Self, Unrecognized> {
        let object = json::raw(text).ok_or(Unrecognized::NoRequestInside)?;
        let fields = Fields::read(object.get(), &Self::member_names())
            .map_err(|_| Unrecognized::NoRequestInside)?;
        let found = Self::recognize_request(object, &fields, Unrecognized::NoRequestInside)?;
        let Self::Direct(request) = found else { return Ok(found) };
        Ok(Self::EventBridge(Box::new(EventRequest::in_message(*request, from))))
    }

    /// Recognizes `object`, whose members are `fields`.
    ///
    /// # Errors
    /// If it is no request: the usual mistake that it looks like, or else `otherwise`.
    fn recognize_request(
        object: &RawValue,
        fields: &Fields<'_>,
        otherwise: Unrecognized,
    ) -> Result<Self, Unrecognized> {
        if let Some(request) = CustomResourceRequest::from_fields(fields) {
            Ok(Self::CloudFormation(Box::new(request)))
        } else if eventbridge::has_event_members(fields) {
            eventbridge::read(fields)
        } else if fields.has("actionName") || fields.has("operation") {
            Ok(Self::Direct(Box::new(ApiRequest::whole(object))))
        } else {
            Err(Unrecognized::hint(object.get()).unwrap_or(otherwise))
        }
    }

    /// The members of a request that are read to recognize it.
    fn member_names() -> Vec<&'static str> {
        let mut names = CustomResourceRequest::MEMBERS.to_vec();
        names.extend(eventbridge::MEMBERS);
        names.extend(["actionName", "operation"]);
        names
    }

    pub fn name(&self) -> TriggerName {
        match self {
            Self::CloudFormation(_) => TriggerName::CloudFormation,
            Self::Sns(_) => TriggerName::Sns,
            Self::EventBridge(_) | Self::OwnResult => TriggerName::EventBridge,
            Self::Sqs(_) => TriggerName::Sqs,
            Self::Direct(_) => TriggerName::Direct,
        }
    }
}

pub struct Plan {
    pub step: Step,
    /// The name of the action, for the log; `None` if the request does not give one.
    pub action_name: Option<String>,
    /// Warnings for the log, whether or not the request is valid.
    pub warnings: Vec<String>,
}

pub enum Step {
    Execute(Box<Request>),
    /// Respond at once, because the result is known without a call to AWS IoT.
    Respond(Result<Success, Failure>),
}

/// Says what the caller can do about a name conflict, with the property names of `syntax`; leaves
/// other failures alone.
pub(crate) fn describe_conflict(failure: Failure, syntax: Syntax) -> Failure {
    let Detail::NameConflict(conflict) = &failure.detail else { return failure };
    let [property, adopt, overwrite] =
        [Property::OnConflict.as_str(), OnConflict::Adopt.as_str(), OnConflict::Overwrite.as_str()]
            .map(|name| syntax.name(name));
    let remedy = match conflict.remedy {
        Remedy::AdoptOrOverwrite => format!(
            "choose another name, or set {property} to {adopt} (which accepts an \
             identical action) or {overwrite} (which also replaces its definition)"
        ),
        Remedy::MatchOrOverwrite => format!(
            "its role or its parameters differ, so that it cannot be adopted: choose another name, \
             make them the same, or set {property} to {overwrite}"
        ),
        Remedy::DeleteThere => format!(
            "choose another name, or have its owner delete it (if that owner no longer exists, \
             remove the tag {OWNER_TAG} from the action and set {property} to {adopt} or \
             {overwrite})"
        ),
    };
    Failure::refusal(failure.code, format!("{conflict}: {remedy}"))
}
