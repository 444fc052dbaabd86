//! Tags: their rules, and how the tags of an action become the desired ones without touching
//! anybody else's.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use unicode_general_category::{GeneralCategory, get_general_category};

use super::{
    RequestTag,
    text::{Expected, has_length},
};

/// The key of the tag that says who owns an action.
pub const OWNER_TAG: &str = "mitigation-action-provider:owner";

/// The key of the tag that says which request made an action or last took it over.
pub const REQUEST_TAG: &str = "mitigation-action-provider:request";

/// What the keys of the provider's own tags begin with; refused from users at every trigger.
const RESERVED_PREFIX: &str = "mitigation-action-provider:";

/// Tags by key. A value may be anything that the service holds; what users give is checked where it
/// is read, with [`Tags::check_key`] and [`Tags::check_value`]. Serialises as the API writes
/// it: `[{"Key": …, "Value": …}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Tags that an action can have.
    pub const MAX: usize = 50;

    /// Tags that a user may give: two are the provider's own.
    pub(crate) const MAX_GIVEN: usize = 48;

    /// Checks the key of a tag: 1 to 128 characters of `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, and no prefix
    /// that AWS or the provider reserves.
    ///
    /// # Errors
    /// What is expected of a key instead.
    pub(crate) fn check_key(key: &str) -> Result<(), Expected> {
        let begins_with = |prefix: &str| {
            let start = key.trim_start().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if !has_length(key, 1, 128) || !key.chars().all(is_legal_in_key) {
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

    /// Checks the value of a tag: at most 256 characters.
    ///
    /// # Errors
    /// What is expected of a value instead.
    pub(crate) fn check_value(value: &str) -> Result<(), Expected> {
        if has_length(value, 0, 256) { Ok(()) } else { Err(Expected("at most 256 characters")) }
    }

    /// Sets one tag; returns whether the key was new.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> bool {
        self.0.insert(key.into(), value.into()).is_none()
    }

    /// These tags and one more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Whether there is a tag with that key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of the owner tag, if any.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.0.get(OWNER_TAG).map(String::as_str)
    }

    /// The request tag, if there is one that the provider wrote.
    #[must_use]
    pub fn request(&self) -> Option<RequestTag> {
        RequestTag::parse(self.0.get(REQUEST_TAG)?)
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What leads from these tags, which the action has, to `desired`: of `previous_keys` (which an
    /// earlier request gave) those that are there and no longer desired are removed; what is
    /// missing or differs is set; the rest stays.
    #[must_use]
    pub fn change_to(&self, desired: &Self, previous_keys: &[String]) -> TagChange {
        let is_gone = |key: &&String| self.contains(key) && !desired.contains(key);
        let mut remove: Vec<String> = previous_keys.iter().filter(is_gone).cloned().collect();
        remove.sort_unstable();
        remove.dedup();
        let differs = |(key, value): &(&String, &String)| self.0.get(*key) != Some(*value);
        let set = desired.0.iter().filter(differs).map(|(k, v)| (k.clone(), v.clone())).collect();
        TagChange { remove, set: Self(set) }
    }

    /// How many tags there are after `change`.
    #[must_use]
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

/// The calls that lead from some tags to the desired ones: first `remove`, then `set`; an empty one
/// is no call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Keys to remove.
    pub remove: Vec<String>,
    /// Tags to add or to change.
    pub set: Tags,
}

impl TagChange {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }
}

fn is_legal_in_key(c: char) -> bool {
    use GeneralCategory as Is;

    if c.is_ascii() {
        return c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@');
    }
    // \p{L}, \p{Z} and \p{N}. `char::is_alphabetic` takes combining marks, which the service
    // refuses.
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
