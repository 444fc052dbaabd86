//! Tags: their rules, and how the tags of an action become the desired ones without touching anybody else's.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use unicode_general_category::{GeneralCategory, get_general_category};

use super::{OWNER_TAG, has_length};

/// What the keys of the provider's own tags begin with; refused from users at every trigger.
pub const RESERVED_PREFIX: &str = "mitigation-action-provider:";

/// Tags by key. A value may be anything that the service holds; what users give is checked where it is read, with
/// [`Tags::key_fault`] and [`Tags::value_fault`]. Serialises as the API writes it: `[{"Key": …, "Value": …}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// How many tags a user may give: the service's fifty, less the owner's.
    pub const MOST: usize = 49;

    /// What makes `key` illegal, as what would be legal; `None` where nothing does.
    ///
    /// 1 to 128 characters of `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, and of no prefix that is somebody else's.
    #[must_use]
    pub fn key_fault(key: &str) -> Option<&'static str> {
        const AWS: &str = "aws:";

        if !has_length(key, 1, 128) || !key.chars().all(is_legal_in_key) {
            Some("1 to 128 letters, digits, spaces and _.:/=+-@")
        } else if key.get(..AWS.len()).is_some_and(|start| start.eq_ignore_ascii_case(AWS)) {
            Some("a key that does not begin with aws:, which AWS reserves")
        } else if key.starts_with(RESERVED_PREFIX) {
            Some(
                "a key that does not begin with mitigation-action-provider:, which the provider reserves",
            )
        } else {
            None
        }
    }

    /// What makes `value` illegal, as [`Tags::key_fault`]: it has at most 256 characters, and may be empty.
    #[must_use]
    pub fn value_fault(value: &str) -> Option<&'static str> {
        (!has_length(value, 0, 256)).then_some("at most 256 characters")
    }

    /// Sets one tag; returns whether the key was new.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> bool {
        self.0.insert(key.into(), value.into()).is_none()
    }

    /// These tags, and the owner's.
    #[must_use]
    pub fn owned_by(&self, owner: &str) -> Self {
        let mut tags = self.clone();
        tags.set(OWNER_TAG, owner);
        tags
    }

    /// The value of the owner's tag, if any.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.0.get(OWNER_TAG).map(String::as_str)
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

    /// What leads from these tags, which the action has, to `desired`: of the keys in `forgotten` (which an earlier
    /// request gave) those that are there and no longer desired go; what is missing or differs is set; the rest stays.
    #[must_use]
    pub fn change_to(&self, desired: &Self, forgotten: &[String]) -> TagChange {
        let gone = |key: &&String| self.0.contains_key(*key) && !desired.0.contains_key(*key);
        let mut remove: Vec<String> = forgotten.iter().filter(gone).cloned().collect();
        remove.sort_unstable();
        remove.dedup();
        let differs = |(key, value): &(&String, &String)| self.0.get(*key) != Some(*value);
        let set = desired
            .0
            .iter()
            .filter(differs)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        TagChange { remove, set: Self(set) }
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

/// The calls that lead from some tags to the desired ones: first `remove`, then `set`; an empty one is no call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Keys to remove.
    pub remove: Vec<String>,
    /// Tags to add or to change.
    pub set: Tags,
}

fn is_legal_in_key(c: char) -> bool {
    use GeneralCategory as Is;

    if c.is_ascii() {
        return c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@');
    }
    // \p{L}, \p{Z} and \p{N}; `char::is_alphabetic` would let combining marks through, which the service refuses.
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
