//! What an action does: the role that it assumes, and parameters of exactly one kind.

use serde::Serialize;

use super::{
    Arn,
    text::{Parse, has_length},
};

string_enum! {
    /// A kind of mitigation action, by the API's
    /// [`actionType`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html).
    ///
    /// When adding one, also add a variant to [`Params`]. The compiler names every
    /// match in Rust. Then tests report what is missing:
    ///
    /// - `tests/contract/completeness/kinds.rs`: `schemas/`, [`AuditCheck`](super::AuditCheck),
    ///   `examples/all-kinds.yaml`, `cdk/src/index.ts`, `docs/reference.md`, what a describe
    ///   returns, the list of the demo (`stand-ins/src/bin/stand-ins/demo.rs`), and
    ///   `fuzz/dict/invocation.dict`.
    /// - `tests/contract/lifecycle/create.rs`: a sample in `events/`, which the fake AWS IoT
    ///   (`stand-ins/src/iot.rs` and `stand-ins/src/iot/validation.rs`) must accept.
    /// - `tests/deploy/test_examples.py`: the permissions of its role.
    pub enum Kind {
        /// Moves things to thing groups, typically for quarantine.
        AddThingsToThingGroup = "ADD_THINGS_TO_THING_GROUP",
        EnableIoTLogging = "ENABLE_IOT_LOGGING",
        PublishFindingToSns = "PUBLISH_FINDING_TO_SNS",
        /// Replaces a policy with a blank one.
        ReplaceDefaultPolicyVersion = "REPLACE_DEFAULT_POLICY_VERSION",
        /// Deactivates a CA certificate.
        UpdateCaCertificate = "UPDATE_CA_CERTIFICATE",
        /// Deactivates a device certificate.
        UpdateDeviceCertificate = "UPDATE_DEVICE_CERTIFICATE",
    }
}

impl Kind {
    /// The member of
    /// [`MitigationActionParams`](https://docs.aws.amazon.com/iot/latest/apireference/API_MitigationActionParams.html)
    /// that holds the parameters of this kind.
    pub const fn params_member(self) -> &'static str {
        match self {
            Self::AddThingsToThingGroup => "addThingsToThingGroupParams",
            Self::EnableIoTLogging => "enableIoTLoggingParams",
            Self::PublishFindingToSns => "publishFindingToSnsParams",
            Self::ReplaceDefaultPolicyVersion => "replaceDefaultPolicyVersionParams",
            Self::UpdateCaCertificate => "updateCACertificateParams",
            Self::UpdateDeviceCertificate => "updateDeviceCertificateParams",
        }
    }
}

/// What an action does when Device Defender applies it: all but its name and tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The role that Device Defender assumes to apply the action.
    pub role_arn: RoleArn,
    pub params: Params,
}

/// [`MitigationActionParams`](https://docs.aws.amazon.com/iot/latest/apireference/API_MitigationActionParams.html):
/// exactly one kind of change. Serializes as in the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Params {
    #[serde(rename = "addThingsToThingGroupParams", rename_all = "camelCase")]
    AddThingsToThingGroup {
        thing_group_names: ThingGroupNames,
        /// Whether a thing leaves dynamic groups when it has reached the limit of groups.
        #[serde(skip_serializing_if = "Flag::is_absent")]
        override_dynamic_groups: Flag,
    },
    #[serde(rename = "enableIoTLoggingParams", rename_all = "camelCase")]
    EnableIoTLogging {
        /// The least severe level that is logged.
        log_level: LogLevel,
        /// The role that AWS IoT assumes to write logs.
        role_arn_for_logging: RoleArn,
    },
    #[serde(rename = "publishFindingToSnsParams", rename_all = "camelCase")]
    PublishFindingToSns { topic_arn: TopicArn },
    #[serde(rename = "replaceDefaultPolicyVersionParams", rename_all = "camelCase")]
    ReplaceDefaultPolicyVersion { template_name: PolicyTemplate },
    #[serde(rename = "updateCACertificateParams", rename_all = "camelCase")]
    UpdateCaCertificate { action: CertificateAction },
    #[serde(rename = "updateDeviceCertificateParams", rename_all = "camelCase")]
    UpdateDeviceCertificate { action: CertificateAction },
}

impl Params {
    pub fn kind(&self) -> Kind {
        match self {
            Self::AddThingsToThingGroup { .. } => Kind::AddThingsToThingGroup,
            Self::EnableIoTLogging { .. } => Kind::EnableIoTLogging,
            Self::PublishFindingToSns { .. } => Kind::PublishFindingToSns,
            Self::ReplaceDefaultPolicyVersion { .. } => Kind::ReplaceDefaultPolicyVersion,
            Self::UpdateCaCertificate { .. } => Kind::UpdateCaCertificate,
            Self::UpdateDeviceCertificate { .. } => Kind::UpdateDeviceCertificate,
        }
    }
}

/// An optional boolean. Absent and false compare equal, and only a given value is sent.
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

/// One to ten thing groups. Lists that differ only in order are equal.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct ThingGroupNames(Vec<ThingGroupName>);

impl ThingGroupNames {
    pub const MAX: usize = 10;

    pub const EXPECTED: &'static str = "a list of 1 to 10 names";

    pub fn new(names: Vec<ThingGroupName>) -> Option<Self> {
        (1..=Self::MAX).contains(&names.len()).then_some(Self(names))
    }

    /// A list from the service, of any length.
    pub fn from_service(names: Vec<String>) -> Self {
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

/// Declares a type of text with a rule. `from_service` accepts any text from the service, which
/// may be older than the rule.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $rule:expr $(, $hint:expr)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn from_service(text: String) -> Self {
                Self(text)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Parse for $name {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Option<Self> {
                let rule: fn(&str) -> bool = $rule;
                rule(text).then(|| Self(text.to_owned()))
            }
            $(
                fn hint(text: &str) -> Option<&'static str> {
                    let hint: fn(&str) -> Option<&'static str> = $hint;
                    hint(text)
                }
            )?
        }
    };
}

text!(
    /// The ARN of an IAM role: `arn:<partition>:iam::<12 digits>:role/…`, 20 to 2048 characters.
    RoleArn, "the ARN of an IAM role, arn:<partition>:iam::<12 digits>:role/<name>, of 20 to 2048 \
              characters",
    |text| has_length(text, 20, 2048) && is_arn(text, |arn| {
        arn.service == "iam" && arn.region.is_empty() && is_path(arn.resource, "role/")
    }),
    |text| (!text.starts_with("arn:")).then_some(
        "!Ref of a role is its name: use !GetAtt with .Arn"
    )
);
text!(
    /// The ARN of an SNS topic: `arn:<partition>:sns:<region>:<12 digits>:<name>`, at most 350
    /// characters.
    TopicArn, "the ARN of an SNS topic, arn:<partition>:sns:<region>:<12 digits>:<name>, of at \
               most 350 characters",
    |text| has_length(text, 1, 350) && is_arn(text, |arn| {
        arn.service == "sns" && is_word(arn.region) && is_word(arn.resource)
    })
);
text!(
    /// The name of a thing group: 1 to 128 characters of `[a-zA-Z0-9:_-]`.
    ThingGroupName, "1 to 128 characters of [a-zA-Z0-9:_-]",
    |text| has_length(text, 1, 128)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-'))
);
text!(
    /// How much AWS IoT logs. `DISABLED` is in the API's enum, but the service rejects it.
    LogLevel, "DEBUG, INFO, WARN or ERROR (the service rejects DISABLED)",
    |text| matches!(text, "DEBUG" | "INFO" | "WARN" | "ERROR")
);
text!(CertificateAction, "DEACTIVATE", |text| text == "DEACTIVATE");
text!(PolicyTemplate, "BLANK_POLICY", |text| text == "BLANK_POLICY");

fn is_arn(text: &str, rule: impl FnOnce(Arn<'_>) -> bool) -> bool {
    Arn::parse(text).is_some_and(|arn| arn.has_aws_partition() && arn.has_account() && rule(arn))
}

/// Whether `text` is `prefix` and visible ASCII characters that end in a name.
fn is_path(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|path| {
        !path.is_empty() && !path.ends_with('/') && path.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// Whether `text` is letters, digits and `-_.`, as regions and the names of topics are.
fn is_word(text: &str) -> bool {
    let is_valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(is_valid)
}
