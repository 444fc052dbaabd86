//! JSON, parsed one level at a time.
//!
//! Values are parsed only when they are needed; until then each is a slice of the event text. So
//! the memory for an event does not depend on its structure, and megabytes of brackets cost one
//! scan. `serde_json` skips values without recursion.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The error for a value that is not JSON of the expected type, or has a string that is not
/// Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be read as JSON")
    }
}

impl std::error::Error for Unreadable {}

impl From<serde_json::Error> for Unreadable {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// Calls `each` with the members of the object `text`, in order. A name that is not Unicode has
/// replacement characters, so that it does not hide the other members.
///
/// # Errors
/// If `text` is not an object; `each` may have been called.
pub fn each_member<'t>(
    text: &'t str,
    each: &mut dyn FnMut(Cow<'t, str>, &'t RawValue),
) -> Result<(), Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(EachMember(each))?;
    Ok(deserializer.end()?)
}

/// Calls `each` with the items of the array `text`, in order.
///
/// # Errors
/// If `text` is not an array; `each` may have been called.
pub fn each_item<'t>(text: &'t str, each: &mut dyn FnMut(&'t RawValue)) -> Result<(), Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_seq(EachItem(each))?;
    Ok(deserializer.end()?)
}

/// Checks that `text` is JSON.
pub fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// Parses a string; `None` if `value` is not one.
pub fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    struct Text<'t>(Cow<'t, str>);

    impl<'de> Deserialize<'de> for Text<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Unicode).map(Self)
        }
    }

    let is_string = value.get().starts_with('"');
    is_string.then(|| serde_json::from_str(value.get()).ok().map(|Text(text)| text)).flatten()
}

/// Selected members of an object, unparsed, so that one invalid member does not affect the others.
#[derive(Default)]
pub struct Fields<'t>(Vec<(&'static str, &'t RawValue)>);

impl<'t> Fields<'t> {
    /// The members of the object `text` with these names. The last of several with one name counts.
    ///
    /// # Errors
    /// If `text` is not an object.
    pub fn read(text: &'t str, names: &[&'static str]) -> Result<Self, Unreadable> {
        let mut fields = Self::default();
        each_member(text, &mut |name, value| {
            if let Some(known) = names.iter().find(|known| **known == name) {
                fields.set(known, value);
            }
        })?;
        Ok(fields)
    }

    /// Adds a member, or replaces the one with that name.
    pub fn set(&mut self, name: &'static str, value: &'t RawValue) {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value));
    }

    /// Whether there is a member with that name, even if it is null.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| *other == name)
    }

    /// The member with that name, unless it is null.
    pub fn get(&self, name: &str) -> Option<&'t RawValue> {
        let (_, value) = self.0.iter().find(|(other, _)| *other == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The member with that name, if it is a string.
    pub fn string(&self, name: &str) -> Option<Cow<'t, str>> {
        string(self.get(name)?)
    }

    /// The members `names` of the object with that name, if it is an object.
    pub fn object(&self, name: &str, names: &[&'static str]) -> Option<Self> {
        Self::read(self.get(name)?.get(), names).ok()
    }
}

struct EachMember<'f, 't>(&'f mut dyn FnMut(Cow<'t, str>, &'t RawValue));

impl<'de> Visitor<'de> for EachMember<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key_seed(MemberName)? {
            (self.0)(name, members.next_value()?);
        }
        Ok(())
    }
}

struct EachItem<'f, 't>(&'f mut dyn FnMut(&'t RawValue));

impl<'de> Visitor<'de> for EachItem<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item);
        }
        Ok(())
    }
}

/// Visits a string, without a copy unless it has an escape sequence.
struct Unicode;

impl<'de> Visitor<'de> for Unicode {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Deserializes the name of a member as bytes, which need not be Unicode: `"\ud800"`.
struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_bytes<E: Error>(self, name: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(name))
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(name).into_owned()))
    }
}
