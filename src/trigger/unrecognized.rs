//! Events of no trigger, and the usual mistakes among them.

use std::{borrow::Cow, fmt};

use cloudformation_custom_resource::json::Fields;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrecognized {
    /// The event is neither a JSON object nor an array of records.
    NotAnObject,
    NoKnownMember,
    AnotherDetailType {
        given: String,
        expected: &'static str,
    },
    NoRequestInside,
    StackRequestInQueue,
    UnknownRecords,
    TooManyRecords,
    Template,
    Properties,
    PascalCase,
    PutEventsEntry,
}

impl Unrecognized {
    /// The members that the usual mistakes have.
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

    /// The usual mistake that the object `text` looks like, if any.
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

const LOOKED_FOR: &str = "expected one of: ResponseURL (a CloudFormation custom resource request), \
                          Records of aws:sns or aws:sqs, detail-type, source and detail (an \
                          EventBridge event), actionName or operation (a direct invocation)";

impl Unrecognized {
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
            Self::StackRequestInQueue => {
                "the message holds a stack's request, which is not taken from a queue: the \
                 ServiceToken has to be the function, or the topic to which it is subscribed"
            }
            Self::TooManyRecords => {
                "the event has more Records than the 10,000 of a queue or the 100 of a topic"
            }
            Self::Template => {
                "the event looks like a whole CloudFormation template: deploy it as a stack, with \
                 this function as ServiceToken of its Custom::IoTMitigationAction"
            }
            Self::Properties => {
                "the event looks like a resource of a template, or its bare Properties: deploy it \
                 in a stack, or invoke the function with the API's members (actionName, roleArn, \
                 actionParams)"
            }
            Self::PascalCase => {
                "the event looks like a request, or a resource's bare Properties, with members as \
                 in a template (ActionName): write them as the API does (actionName, roleArn, \
                 actionParams, operation)"
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
            Self::AnotherDetailType { .. } | Self::StackRequestInQueue => Ok(()),
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
