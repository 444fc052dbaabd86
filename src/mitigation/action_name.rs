//! Names of actions, given or generated.

use std::fmt;

use super::{
    Location, StackId,
    text::{Parse, digest, has_length},
};

/// The name of a mitigation action: 1 to 128 characters of `[a-zA-Z0-9_-]`.
///
/// Unique in an account and region; the physical id of a stack's resource. The native
/// CloudFormation resource also accepts `:`, which the service rejects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionName(String);

impl ActionName {
    const MAX_LENGTH: usize = 128;
    const SUFFIX: usize = 12;

    /// The name of an action whose template gives none: `<stack name>-<logical id>-<12
    /// characters>`.
    ///
    /// A pure function of stack id and logical id, so that a replay, and a Delete that knows
    /// nothing else, find the same action. The readable part is truncated to the length limit.
    pub fn generated(stack: &StackId, logical_id: &str) -> Self {
        let readable = stack.name.chars().chain(['-']).chain(logical_id.chars());
        let mut name: String = readable
            .map(|c| if is_valid_char(c) { c } else { '-' })
            .take(Self::MAX_LENGTH - Self::SUFFIX - 1)
            .collect();
        name.push('-');
        name.extend(letters_of(&digest(&[&stack.text, logical_id])).take(Self::SUFFIX));
        Self(name)
    }

    pub fn arn(&self, location: &Location) -> String {
        let Location { partition, region, account } = location;
        format!("arn:{partition}:iot:{region}:{account}:mitigationaction/{self}")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Parse for ActionName {
    const EXPECTED: &'static str = "1 to 128 characters of [a-zA-Z0-9_-]";

    fn parse(text: &str) -> Option<Self> {
        (has_length(text, 1, Self::MAX_LENGTH) && text.chars().all(is_valid_char))
            .then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_valid_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// The digest in the alphabet of CloudFormation's own suffixes: upper-case letters and digits, five
/// bits each.
fn letters_of(digest: &[u8; 32]) -> impl Iterator<Item = char> {
    digest.iter().map(|byte| match byte & 0x1f {
        low @ 0..26 => char::from(b'A' + low),
        high => char::from(b'2' + (high - 26)),
    })
}
