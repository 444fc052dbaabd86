//! ARNs, locations (partition, region and account) and stack ids.

use std::fmt;

/// An Amazon Resource Name, `arn:<partition>:<service>:<region>:<account>:<resource>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: &'a str,
    /// `iot`, `lambda`, …
    pub service: &'a str,
    /// `eu-west-1`; empty for a global service.
    pub region: &'a str,
    /// Twelve digits; empty for some services.
    pub account: &'a str,
    /// The rest, including colons.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Parses `text`; `None` if it is not an ARN.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        let arn = Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        };
        let has_needed_parts =
            ![arn.partition, arn.service, arn.resource].iter().any(|part| part.is_empty());
        has_needed_parts.then_some(arn)
    }

    /// Whether the account is twelve digits.
    #[must_use]
    pub fn has_account(&self) -> bool {
        self.account.len() == 12 && self.account.bytes().all(|b| b.is_ascii_digit())
    }

    /// Whether the partition is `aws`, or `aws-` and words.
    #[must_use]
    pub fn has_aws_partition(&self) -> bool {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let mut words = self.partition.split('-');
        words.next() == Some("aws") && words.all(is_word)
    }
}

/// The partition of a region: <https://docs.aws.amazon.com/general/latest/gr/rande.html>.
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];

    let found = PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix));
    found.map_or("aws", |(_, partition)| partition)
}

/// Where an action is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// `eu-west-1`, …
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl From<Arn<'_>> for Location {
    fn from(arn: Arn<'_>) -> Self {
        Self {
            partition: arn.partition.to_owned(),
            region: arn.region.to_owned(),
            account: arn.account.to_owned(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}, region {}, partition {}", self.account, self.region, self.partition)
    }
}

/// The ARN of a stack, `arn:<partition>:cloudformation:<region>:<account>:stack/<name>/<uuid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackId {
    /// The whole ARN.
    pub text: String,
    /// Where the stack is, and therefore its actions.
    pub location: Location,
    /// The part of the resource before the UUID.
    pub name: String,
    /// Distinguishes the stack from an earlier one of the same name.
    pub uuid: String,
}

impl StackId {
    /// Parses `text`; `None` if it is not the ARN of a stack.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "cloudformation")?;
        let (name, uuid) = arn.resource.strip_prefix("stack/")?.split_once('/')?;
        let is_account = arn.account.len() <= 12 && arn.account.bytes().all(|b| b.is_ascii_digit());
        let is_whole = ![name, uuid, arn.region, arn.account].contains(&"") && !uuid.contains('/');
        (is_whole && is_account).then(|| Self {
            text: text.to_owned(),
            location: arn.into(),
            name: name.to_owned(),
            uuid: uuid.to_owned(),
        })
    }
}
