//! JSON, read one level at a time, so that one invalid value hides no other.
//!
//! Values are parsed only when they are needed; until then each is a slice of the event's text. So
//! the memory for an event does not depend on its structure, and megabytes of brackets cost one
//! scan. `serde_json` skips values without recursion.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
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
#[must_use]
pub fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// Parses a string; `None` if `value` is not one.
#[must_use]
pub fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

    let text: Text<'_> = serde_json::from_str(value.get()).ok()?;
    Some(text.0)
}

/// The text of a string, a number or a boolean, because CloudFormation turns every scalar into a
/// string.
#[must_use]
pub fn scalar(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => string(value),
        b'-' | b'0'..=b'9' | b't' | b'f' => Some(Cow::Borrowed(value.get())),
        _ => None,
    }
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
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| *other == name)
    }

    /// The member with that name, unless it is null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'t RawValue> {
        let (_, value) = self.0.iter().find(|(other, _)| *other == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The member with that name, if it is a string.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<Cow<'t, str>> {
        string(self.get(name)?)
    }

    /// The members `names` of the object with that name, if it is an object.
    #[must_use]
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
        while let Some(name) = members.next_key::<MemberName<'de>>()? {
            (self.0)(name.into_text(), members.next_value()?);
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

/// The name of a member, which need not be Unicode: `"\ud800"`.
#[derive(serde::Deserialize)]
struct MemberName<'n>(#[serde(borrow)] Cow<'n, [u8]>);

impl<'n> MemberName<'n> {
    fn into_text(self) -> Cow<'n, str> {
        match self.0 {
            Cow::Borrowed(name) => String::from_utf8_lossy(name),
            Cow::Owned(name) => Cow::Owned(String::from_utf8_lossy(&name).into_owned()),
        }
    }
}
