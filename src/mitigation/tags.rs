//! Tags: their rules, and how to change the tags of an action without touching those of others.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use unicode_general_category::{GeneralCategory, get_general_category};

use super::{
    Record, Records,
    text::{Expected, has_length},
};

pub const OWNER_TAG: &str = "mitigation-action-provider:owner";

/// The key of the tag with the record of the request that created an action.
pub const CREATED_TAG: &str = "mitigation-action-provider:created";

/// The key of the tag with the record of the last request that took an action over or set out to
/// change it.
pub const CLAIMED_TAG: &str = "mitigation-action-provider:claimed";

/// The prefix of the keys of the provider's own tags, which no request may use.
const RESERVED_PREFIX: &str = "mitigation-action-provider:";

/// Tags by key. They may be any that the service returns; those in a request are checked with
/// `check_key` and `check_value` when it is read. Serializes as in the API:
/// `[{"Key": …, "Value": …}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// The most tags of an action.
    pub const MAX: usize = 50;

    /// The most tags in a request: three of an action's are the provider's own.
    pub(crate) const MAX_GIVEN: usize = 47;

    /// Checks the key of a tag: 1 to 128 characters of `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, and no prefix
    /// that AWS or the provider reserves.
    pub(crate) fn check_key(key: &str) -> Result<(), Expected> {
        let begins_with = |prefix: &str| {
            let start = key.trim_start().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if !has_length(key, 1, 128) || !key.chars().all(is_valid_in_key) {
            Err(Expected("1 to 128 letters, digits, spaces and _.:/=+-@"))
        } else if begins_with("aws:") {
            Err(Expected("a key that does not begin with aws:, which AWS reserves"))
        } else if begins_with(RESERVED_PREFIX) {
            Err(Expected(
                "a key that does not begin with mitigation-action-provider:, which the provider \
                 reserves",
            ))
        } else {
            Ok(())
        }
    }

    pub(crate) fn check_value(value: &str) -> Result<(), Expected> {
        if has_length(value, 0, 256) { Ok(()) } else { Err(Expected("at most 256 characters")) }
    }

    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub fn owner(&self) -> Option<&str> {
        self.0.get(OWNER_TAG).map(String::as_str)
    }

    /// The records that are valid at `now`, in seconds since 1970.
    pub fn records(&self, now: u64) -> Records {
        let record = |key: &str| Record::parse(self.0.get(key)?, now);
        Records { created: record(CREATED_TAG), claimed: record(CLAIMED_TAG) }
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The change from these tags, which the action has, to `desired`: removes those of
    /// `previous_keys` (from an earlier request) that exist and are no longer desired; sets what is
    /// missing or differs; leaves the rest.
    pub fn change_to(&self, desired: &Self, previous_keys: &[String]) -> TagChange {
        let is_gone = |key: &&String| self.contains(key) && !desired.contains(key);
        let mut remove: Vec<String> = previous_keys.iter().filter(is_gone).cloned().collect();
        remove.sort_unstable();
        remove.dedup();
        let differs = |(key, value): &(&String, &String)| self.0.get(*key) != Some(*value);
        let set = desired.0.iter().filter(differs).map(|(k, v)| (k.clone(), v.clone())).collect();
        TagChange { remove, set: Self(set) }
    }

    pub(crate) fn len_after(&self, change: &TagChange) -> usize {
        let new = change.set.0.keys().filter(|key| !self.contains(key)).count();
        self.len() + new - change.remove.len()
    }
}

impl FromIterator<(String, String)> for Tags {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(tags: I) -> Self {
        Self(tags.into_iter().collect())
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Tag<'a> {
            key: &'a str,
            value: &'a str,
        }

        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for (key, value) in self.iter() {
            list.serialize_element(&Tag { key, value })?;
        }
        list.end()
    }
}

/// The calls that change tags: first `remove`, then `set`; there is no call for an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    pub remove: Vec<String>,
    pub set: Tags,
}

impl TagChange {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }
}

fn is_valid_in_key(c: char) -> bool {
    use GeneralCategory as Is;

    if c.is_ascii() {
        return c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@');
    }
    // \p{L}, \p{Z} and \p{N}. `char::is_alphabetic` takes combining marks, which the service
    // rejects.
    matches!(
        get_general_category(c),
        Is::UppercaseLetter
            | Is::LowercaseLetter
            | Is::TitlecaseLetter
            | Is::ModifierLetter
            | Is::OtherLetter
            | Is::DecimalNumber
            | Is::LetterNumber
            | Is::OtherNumber
            | Is::SpaceSeparator
            | Is::LineSeparator
            | Is::ParagraphSeparator
    )
}
