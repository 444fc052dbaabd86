//! Events that this function does not serve, and the usual mistakes among them.

use std::{borrow::Cow, fmt};

use super::json::Fields;

/// Why an event is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrecognized {
    /// It is neither a JSON object nor an array of records.
    NotAnObject,
    /// It has none of the members that are looked for.
    NoKnownMember,
    /// It is an event with another `detail-type`.
    AnotherDetailType {
        /// Its `detail-type`.
        given: String,
        /// That of the events that are served.
        expected: &'static str,
    },
    /// A notification or a message that holds no request.
    NoRequestInside,
    /// Its records are neither a queue's nor a topic's.
    UnknownRecords,
    /// It has more records than an event source delivers.
    TooManyRecords,
    /// It is a CloudFormation template.
    Template,
    /// It is a resource of a template, or its properties.
    Properties,
    /// It is a request whose members are written as in a template.
    PascalCase,
    /// It is what `PutEvents` takes.
    PutEventsEntry,
}

impl Unrecognized {
    /// The members by which the usual mistakes are recognised.
    const MEMBERS: [&'static str; 12] = [
        "AWSTemplateFormatVersion",
        "Resources",
        "Type",
        "Properties",
        "ServiceToken",
        "ActionName",
        "ActionParams",
        "RoleArn",
        "Operation",
        "Entries",
        "DetailType",
        "Detail",
    ];

    /// The usual mistake that the members of the object `text` look like, if they look like one.
    pub(super) fn hint(text: &str) -> Option<Self> {
        let fields = Fields::read(text, &Self::MEMBERS).unwrap_or_default();
        let has = |name: &&str| fields.has(name);
        if ["AWSTemplateFormatVersion", "Resources"].iter().any(has) {
            Some(Self::Template)
        } else if fields.has("ServiceToken") || ["Type", "Properties"].iter().all(has) {
            Some(Self::Properties)
        } else if ["Entries", "DetailType", "Detail"].iter().any(has) {
            Some(Self::PutEventsEntry)
        } else if ["ActionName", "ActionParams", "RoleArn", "Operation"].iter().any(has) {
            Some(Self::PascalCase)
        } else {
            None
        }
    }
}

const LOOKED_FOR: &str = "expected one of: ResponseURL (a CloudFormation custom-resource request), \
                          Records of aws:sns or aws:sqs, detail-type, source and detail (an \
                          EventBridge event), actionName or operation (a direct call)";

impl Unrecognized {
    /// What the event is, or looks like.
    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotAnObject => "the event is not a JSON object",
            Self::NoKnownMember => "the event has no known member",
            Self::UnknownRecords => "the event's Records are neither a queue's nor a topic's",
            Self::AnotherDetailType { given, expected } => {
                let words = format!("invalid value {given:?} of the event's detail-type");
                return Cow::Owned(format!("{words}: expected {expected:?}"));
            }
            Self::NoRequestInside => "the message holds no request",
            Self::TooManyRecords => {
                "the event has more Records than the 10,000 of a queue or the 100 of a topic"
            }
            Self::Template => {
                "the event looks like a whole CloudFormation template: deploy it as a stack, with \
                 this function as ServiceToken of its Custom::IoTMitigationAction"
            }
            Self::Properties => {
                "the event looks like a resource of a template, or its bare Properties: deploy it \
                 in a stack, or call with the API's members (actionName, roleArn, actionParams)"
            }
            Self::PascalCase => {
                "the event looks like a request, or a resource's bare Properties, with members as \
                 in a template (ActionName): a direct call writes them as the API does \
                 (actionName, roleArn, actionParams, operation)"
            }
            Self::PutEventsEntry => {
                "the event looks like an entry of PutEvents (Source, DetailType, Detail): put it \
                 on a bus, or send it as EventBridge delivers it (source, detail-type, detail)"
            }
        })
    }
}

impl fmt::Display for Unrecognized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())?;
        match self {
            Self::AnotherDetailType { .. } => Ok(()),
            Self::NotAnObject
            | Self::NoKnownMember
            | Self::NoRequestInside
            | Self::UnknownRecords
            | Self::TooManyRecords
            | Self::Template
            | Self::Properties
            | Self::PascalCase
            | Self::PutEventsEntry => write!(f, "; {LOOKED_FOR}"),
        }
    }
}

impl std::error::Error for Unrecognized {}
