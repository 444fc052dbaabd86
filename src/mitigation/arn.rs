//! ARNs, stack ids and locations: partition, region and account.

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

    pub fn has_account(&self) -> bool {
        self.account.len() == 12 && self.account.bytes().all(|b| b.is_ascii_digit())
    }

    /// Whether the partition is `aws`, or `aws-` and words.
    pub fn has_aws_partition(&self) -> bool {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let mut words = self.partition.split('-');
        words.next() == Some("aws") && words.all(is_word)
    }
}

/// The partition of a region: <https://docs.aws.amazon.com/general/latest/gr/rande.html>.
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub partition: String,
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

/// The region of the function and, except with an emulator, its account.
pub struct FunctionLocation {
    region: String,
    location: Option<Location>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationMismatch {
    stack: String,
    function: String,
}

impl FunctionLocation {
    /// The account in the ARN that emulators give every function.
    const EMULATED: &str = "012345678912";

    /// The location in the function's ARN. An emulator invents the ARN, so then only `region` is
    /// known.
    pub fn new(arn: &str, region: &str) -> Self {
        let arn =
            Arn::parse(arn).filter(|arn| arn.account != Self::EMULATED && !arn.region.is_empty());
        Self { region: region.to_owned(), location: arn.map(Location::from) }
    }

    /// Where the actions of the function are; `None` with an emulator.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    pub fn check(&self, stack: &Location) -> Result<(), LocationMismatch> {
        let (is_same, function) = match &self.location {
            Some(location) => (location == stack, location.to_string()),
            None => (
                self.region == stack.region && partition_of(&self.region) == stack.partition,
                format!("region {}", self.region),
            ),
        };
        if is_same { Ok(()) } else { Err(LocationMismatch { stack: stack.to_string(), function }) }
    }
}

impl fmt::Display for LocationMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, function } = self;
        write!(f, "the stack is in {stack}, and the function in {function}: expected the same")
    }
}

impl std::error::Error for LocationMismatch {}

/// The ARN of a stack, `arn:<partition>:cloudformation:<region>:<account>:stack/<name>/<uuid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackId {
    /// The whole ARN.
    pub text: String,
    /// Where the stack is, and therefore its actions.
    pub location: Location,
    pub name: String,
    /// Distinguishes the stack from an earlier one of the same name.
    pub uuid: String,
}

impl StackId {
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
