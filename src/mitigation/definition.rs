//! What an action does: the role it takes on, and one of six kinds of parameters.

use serde::Serialize;

use super::{Text, has_length};

/// What an action does when Device Defender applies it: all of it but its name and its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The role that the action takes on.
    pub role_arn: RoleArn,
    /// What it does.
    pub params: Params,
}

/// [`MitigationActionParams`](https://docs.aws.amazon.com/iot/latest/apireference/API_MitigationActionParams.html):
/// exactly one kind of change. Serialises as the API writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Params {
    /// Moves the things to groups, typically for quarantine.
    #[serde(rename = "addThingsToThingGroupParams", rename_all = "camelCase")]
    AddThingsToThingGroup {
        /// The groups.
        thing_group_names: ThingGroupNames,
        /// Whether things are taken out of dynamic groups that have reached their limit; absent is false.
        #[serde(skip_serializing_if = "Flag::is_absent")]
        override_dynamic_groups: Flag,
    },
    /// Switches AWS IoT logging on.
    #[serde(rename = "enableIoTLoggingParams", rename_all = "camelCase")]
    EnableIoTLogging {
        /// How much is logged.
        log_level: LogLevel,
        /// The role that logging takes on.
        role_arn_for_logging: RoleArn,
    },
    /// Publishes the finding to a topic.
    #[serde(rename = "publishFindingToSnsParams", rename_all = "camelCase")]
    PublishFindingToSns {
        /// The topic.
        topic_arn: TopicArn,
    },
    /// Puts a blank policy in place of the one that was found.
    #[serde(rename = "replaceDefaultPolicyVersionParams", rename_all = "camelCase")]
    ReplaceDefaultPolicyVersion {
        /// What the new version is made from.
        template_name: PolicyTemplate,
    },
    /// Deactivates the CA certificate.
    #[serde(rename = "updateCACertificateParams", rename_all = "camelCase")]
    UpdateCaCertificate {
        /// What becomes of it.
        action: CertificateAction,
    },
    /// Deactivates the device certificate.
    #[serde(rename = "updateDeviceCertificateParams", rename_all = "camelCase")]
    UpdateDeviceCertificate {
        /// What becomes of it.
        action: CertificateAction,
    },
}

impl Params {
    /// The API's [`actionType`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html).
    #[must_use]
    pub fn action_type(&self) -> &'static str {
        match self {
            Self::AddThingsToThingGroup { .. } => "ADD_THINGS_TO_THING_GROUP",
            Self::EnableIoTLogging { .. } => "ENABLE_IOT_LOGGING",
            Self::PublishFindingToSns { .. } => "PUBLISH_FINDING_TO_SNS",
            Self::ReplaceDefaultPolicyVersion { .. } => "REPLACE_DEFAULT_POLICY_VERSION",
            Self::UpdateCaCertificate { .. } => "UPDATE_CA_CERTIFICATE",
            Self::UpdateDeviceCertificate { .. } => "UPDATE_DEVICE_CERTIFICATE",
        }
    }
}

/// A boolean that may be absent, which means false: the two are equal, and only what was given is sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Flag(pub Option<bool>);

impl Flag {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl PartialEq for Flag {
    fn eq(&self, other: &Self) -> bool {
        self.0.unwrap_or_default() == other.0.unwrap_or_default()
    }
}

impl Eq for Flag {}

/// One to ten thing groups. Their order means nothing, and is kept for the call.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct ThingGroupNames(Vec<ThingGroupName>);

impl ThingGroupNames {
    /// What is legal, as [`Text::LEGAL`].
    pub const LEGAL: &'static str = "a list of 1 to 10 names";

    /// The list, or `None` where it is empty or longer than ten.
    #[must_use]
    pub fn new(names: Vec<ThingGroupName>) -> Option<Self> {
        (1..=10).contains(&names.len()).then_some(Self(names))
    }

    /// The list that the service holds, whatever its length.
    #[must_use]
    pub fn found(names: Vec<String>) -> Self {
        Self(names.into_iter().map(ThingGroupName).collect())
    }

    /// The names in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ThingGroupName::as_str)
    }
}

impl PartialEq for ThingGroupNames {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |names: &Self| {
            let mut names = names.0.clone();
            names.sort_unstable();
            names
        };
        self.0 == other.0 || sorted(self) == sorted(other)
    }
}

impl Eq for ThingGroupNames {}

/// Declares a type of text with a rule. `found` takes what the service holds, which may be older than the rule.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $legal:literal, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What the service holds, whether or not it would be taken today.
            #[must_use]
            pub fn found(text: String) -> Self {
                Self(text)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Text for $name {
            const LEGAL: &'static str = $legal;

            fn parse(text: &str) -> Option<Self> {
                let rule: fn(&str) -> bool = $rule;
                rule(text).then(|| Self(text.to_owned()))
            }
        }
    };
}

text!(
    /// The ARN of an IAM role: 20 to 2048 characters; the API sets no pattern.
    RoleArn, "20 to 2048 characters", |text| has_length(text, 20, 2048)
);
text!(
    /// The ARN of an SNS topic: at most 350 characters; the API sets no pattern.
    TopicArn, "1 to 350 characters", |text| has_length(text, 1, 350)
);
text!(
    /// The name of a thing group: 1 to 128 characters of `[a-zA-Z0-9:_-]`.
    ThingGroupName, "1 to 128 characters of [a-zA-Z0-9:_-]",
    |text| has_length(text, 1, 128) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-'))
);
text!(
    /// How much AWS IoT logs. `DISABLED` is in the API's enum, and the service refuses it.
    LogLevel, "DEBUG, INFO, WARN or ERROR (the service refuses DISABLED)",
    |text| matches!(text, "DEBUG" | "INFO" | "WARN" | "ERROR")
);
text!(
    /// What becomes of a certificate.
    CertificateAction, "DEACTIVATE", |text| text == "DEACTIVATE"
);
text!(
    /// What the new version of a policy is made from.
    PolicyTemplate, "BLANK_POLICY", |text| text == "BLANK_POLICY"
);
