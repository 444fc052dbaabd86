//! Where things are: ARNs, accounts and regions, and the stack that asks.

use std::fmt;

use super::ActionName;

/// An Amazon Resource Name, taken apart: `arn:<partition>:<service>:<region>:<account>:<resource>`.
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
    /// All the rest, colons included.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes `text` apart; `None` where it is not an ARN.
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
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty())
            .then_some(arn)
    }
}

/// A partition, region and account: where an action is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// `eu-west-1`, …
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Place {
    /// The ARN that an action of this name has here.
    #[must_use]
    pub fn action_arn(&self, name: &ActionName) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:iot:{region}:{account}:mitigationaction/{name}")
    }
}

impl From<Arn<'_>> for Place {
    fn from(arn: Arn<'_>) -> Self {
        Self {
            partition: arn.partition.to_owned(),
            region: arn.region.to_owned(),
            account: arn.account.to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}, region {}, partition {}", self.account, self.region, self.partition)
    }
}

/// The ARN of a stack, `arn:<partition>:cloudformation:<region>:<account>:stack/<name>/<uuid>`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackId {
    /// The whole ARN.
    pub text: String,
    /// Where the stack is, and so where its actions are.
    pub place: Place,
    /// The stack's name.
    pub name: String,
    /// What tells it from an earlier stack of the same name.
    pub uuid: String,
}

impl StackId {
    /// Takes `text` apart; `None` where it is not the ARN of a stack.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "cloudformation")?;
        let (name, uuid) = arn.resource.strip_prefix("stack/")?.split_once('/')?;
        let is_account = arn.account.len() <= 12 && arn.account.bytes().all(|b| b.is_ascii_digit());
        let whole = ![name, uuid, arn.region, arn.account].contains(&"") && !uuid.contains('/');
        (whole && is_account).then(|| Self {
            text: text.to_owned(),
            place: arn.into(),
            name: name.to_owned(),
            uuid: uuid.to_owned(),
        })
    }
}
