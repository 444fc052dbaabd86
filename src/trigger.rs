//! Who called: recognise an event by its shape and hand it to the protocol it belongs to.

pub mod cloudformation;
mod properties;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::mitigation::{Arn, Place};

/// The event as it came. Taking it never fails, as what cannot be parsed could not be answered; it cannot be printed.
pub struct Payload(Option<Box<RawValue>>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer).ok()))
    }
}

/// The members of the event's object, each still to be parsed, so that one that is broken does not take the rest along.
pub struct Fields<'p>(BTreeMap<String, &'p RawValue>);

impl<'p> Fields<'p> {
    fn of(payload: &'p Payload) -> Option<Self> {
        serde_json::from_str(payload.0.as_deref()?.get()).ok().map(Self)
    }

    /// The member of that name, if there is one and it is not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'p RawValue> {
        self.0.get(name).copied().filter(|value| value.get() != "null")
    }
}

/// An event that is recognised.
pub enum Trigger {
    /// A request for a custom resource.
    CloudFormation(Box<cloudformation::Envelope>),
}

impl Trigger {
    /// Recognises an event by the members it has.
    ///
    /// # Errors
    /// Where it is none that this function answers.
    pub fn recognise(payload: &Payload) -> Result<Self, Unrecognized> {
        let fields = Fields::of(payload).ok_or(Unrecognized::NotAnObject)?;
        if fields.get("ResponseURL").is_some() {
            return Ok(Self::CloudFormation(Box::new(cloudformation::Envelope::read(&fields))));
        }
        Err(Unrecognized::NoSuchShape)
    }
}

/// Why an event is none that this function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecognized {
    /// It is no JSON object.
    NotAnObject,
    /// It has none of the members that tell.
    NoSuchShape,
}

impl fmt::Display for Unrecognized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "the event is not a JSON object",
            Self::NoSuchShape => "the event has no ResponseURL, by which a CloudFormation custom-resource request is recognised",
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
        let arn = Arn::parse(arn).filter(|arn| arn.account != Self::EMULATED && !arn.region.is_empty());
        Self { region: region.to_owned(), place: arn.map(Place::from) }
    }

    /// Whether what is in `other` can be made from here.
    ///
    /// # Errors
    /// In words, where it cannot.
    pub fn is_home_of(&self, other: &Place) -> Result<(), String> {
        match &self.place {
            Some(place) if place != other => Err(format!("the stack is in {other}, and the function in {place}: it acts on its own only")),
            None if self.region != other.region => {
                Err(format!("the stack is in region {}, and the function in region {}: it acts on its own only", other.region, self.region))
            }
            _ => Ok(()),
        }
    }
}
