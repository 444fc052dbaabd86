//! Who called: recognise an event by its shape and hand it to the protocol it belongs to.

pub mod api;
pub mod batch;
pub mod cloudformation;
pub mod eventbridge;
mod json;
mod notification;
mod properties;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::{api::Call, batch::Batch, cloudformation::Envelope, eventbridge::Event, json::value_of};
use crate::mitigation::{Arn, Place};

/// The event as it came. Taking it never fails, as what cannot be parsed could not be answered; it cannot be printed.
pub struct Payload(Option<Box<RawValue>>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer).ok()))
    }
}

/// The members of an object, each still to be parsed, so that one that is broken does not take the rest along.
pub struct Fields<'p>(BTreeMap<String, &'p RawValue>);

impl<'p> Fields<'p> {
    /// The members of the object that `text` is; `None` where it is none.
    #[must_use]
    pub fn of(text: &'p str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// Whether there is a member of that name, null or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The member of that name, if there is one and it is not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'p RawValue> {
        self.0.get(name).copied().filter(|value| value.get() != "null")
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'p RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The string of that name, if there is one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }
}

/// An event that is recognised.
pub enum Trigger {
    /// A request for a custom resource.
    CloudFormation(Box<Envelope>),
    /// Such requests through a topic.
    Notification(Vec<Result<Envelope, Unrecognized>>),
    /// An event on a bus.
    Event(Event),
    /// Messages of a queue.
    Batch(Batch),
    /// A request of somebody who waits for its result.
    Direct(Box<Call>),
}

impl Trigger {
    /// Recognises an event by the members it has.
    ///
    /// # Errors
    /// Where it is none that this function answers.
    pub fn recognise(payload: &Payload) -> Result<Self, Unrecognized> {
        let text = payload.0.as_deref().ok_or(Unrecognized::NotAnObject)?.get();
        let fields = Fields::of(text).ok_or(Unrecognized::NotAnObject)?;
        if fields.get("ResponseURL").is_some() {
            return Ok(Self::CloudFormation(Box::new(Envelope::read(&fields))));
        }
        if let Some(records) = fields.get("Records") {
            return Self::recognise_records(records);
        }
        if Event::is_one(&fields) {
            return Event::read(&fields).map(Self::Event);
        }
        if ["actionName", "operation"].iter().any(|name| fields.has(name)) {
            let value = value_of(text);
            return Ok(Self::Direct(Box::new(Call::read("", value.as_ref(), true))));
        }
        Err(Unrecognized::NoSuchShape)
    }

    /// The name of the way in, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CloudFormation(_) => "cloudformation",
            Self::Notification(_) => "sns",
            Self::Event(_) => "eventbridge",
            Self::Batch(_) => "sqs",
            Self::Direct(_) => "direct",
        }
    }

    /// Recognises records by any of them: those of an invocation are all of one kind, and one may be broken.
    fn recognise_records(records: &RawValue) -> Result<Self, Unrecognized> {
        let records: Vec<&RawValue> =
            serde_json::from_str(records.get()).map_err(|_| Unrecognized::NoSuchShape)?;
        let any = |is_one: fn(&Fields<'_>) -> bool| {
            records
                .iter()
                .filter_map(|record| Fields::of(record.get()))
                .any(|record| is_one(&record))
        };
        if any(Batch::is_of_one) {
            Ok(Self::Batch(Batch::read(&records)))
        } else if any(notification::is_one) {
            Ok(Self::Notification(notification::read(&records)))
        } else {
            Err(Unrecognized::NoSuchShape)
        }
    }
}

/// Why an event is none that this function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecognized {
    /// It is no JSON object.
    NotAnObject,
    /// It has none of the members that tell.
    NoSuchShape,
    /// It is an event of another type.
    AnotherDetailType,
    /// A notification with no custom-resource request in it.
    NoRequestInside,
}

impl fmt::Display for Unrecognized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "the event is not a JSON object",
            Self::NoSuchShape => {
                "the event has none of: ResponseURL (a CloudFormation custom-resource request), Records of aws:sns or aws:sqs, detail-type, \
                 source and detail (an EventBridge event), actionName or operation (a direct call)"
            }
            Self::AnotherDetailType => "the event's detail-type is not \"Mitigation Action Requested\"",
            Self::NoRequestInside => "the notification's Message is not a CloudFormation custom-resource request with a ResponseURL",
        })
    }
}

/// Where the function is: what it can answer for.
pub struct Home {
    region: String,
    place: Option<Place>,
}

impl Home {
    /// The account that the emulators make up, whatever the real one is.
    const EMULATED: &str = "012345678912";

    /// The place of the function `arn`; from an emulator, whose ARNs are made up, only the `region` of the settings.
    #[must_use]
    pub fn new(arn: &str, region: &str) -> Self {
        let arn =
            Arn::parse(arn).filter(|arn| arn.account != Self::EMULATED && !arn.region.is_empty());
        Self { region: region.to_owned(), place: arn.map(Place::from) }
    }

    /// Where the actions are that are made from here; `None` from an emulator.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Whether what is in `other` can be made from here.
    ///
    /// # Errors
    /// In words, where it cannot.
    pub fn is_home_of(&self, other: &Place) -> Result<(), String> {
        match &self.place {
            Some(place) if place != other => Err(format!(
                "the stack is in {other}, and the function in {place}: it acts on its own only"
            )),
            None if self.region != other.region
                || partition_of(&self.region) != other.partition =>
            {
                Err(format!(
                    "the stack is in {other}, and the function in region {}: it acts on its own only",
                    self.region
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The partition that a region is in: <https://docs.aws.amazon.com/general/latest/gr/rande.html>.
fn partition_of(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 8] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
        ("", "aws"),
    ];

    PREFIXES
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("aws", |(_, partition)| partition)
}
