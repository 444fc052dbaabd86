//! JSON, read one level at a time as the text that it is.
//!
//! Nothing is built of what is not asked for: a value is a slice of its event until somebody reads
//! it. So the memory that an event takes does not depend on what is in it, and an event of
//! megabytes of brackets costs no more than a scan. `serde_json` skips values without recursion.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Why a value cannot be read: its text is not the JSON of what was asked for, or a string in it is
/// no Unicode.
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

/// Calls `each` with the members of the object that `text` is, in their order.
///
/// # Errors
/// Where `text` is not an object; `each` may have been called.
pub fn each_member<'t>(
    text: &'t str,
    each: &mut dyn FnMut(Cow<'t, str>, &'t RawValue),
) -> Result<(), Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(EachMember(each))?;
    Ok(deserializer.end()?)
}

/// Calls `each` with the items of the array that `text` is, in their order.
///
/// # Errors
/// Where `text` is not an array; `each` may have been called.
pub fn each_item<'t>(text: &'t str, each: &mut dyn FnMut(&'t RawValue)) -> Result<(), Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_seq(EachItem(each))?;
    Ok(deserializer.end()?)
}

/// The string that `value` is, or `None` where it is none.
pub fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    struct Text<'t>(Cow<'t, str>);

    impl<'de> Deserialize<'de> for Text<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Name.deserialize(deserializer).map(Self)
        }
    }

    let is_string = value.get().starts_with('"');
    is_string.then(|| serde_json::from_str(value.get()).ok().map(|Text(text)| text)).flatten()
}

/// The members of an object that somebody looks for, each still to be read, so that a broken one
/// does not take the others along.
#[derive(Default)]
pub struct Fields<'t>(Vec<(&'static str, &'t RawValue)>);

impl<'t> Fields<'t> {
    /// Those of `names` that the object `text` has; of a name that is there twice the last one.
    ///
    /// # Errors
    /// Where `text` is not an object.
    pub fn read(text: &'t str, names: &[&'static str]) -> Result<Self, Unreadable> {
        let mut fields = Self::default();
        each_member(text, &mut |name, value| {
            if let Some(known) = names.iter().find(|known| **known == name) {
                fields.set(known, value);
            }
        })?;
        Ok(fields)
    }

    /// Adds a member, or replaces the one of that name.
    pub fn set(&mut self, name: &'static str, value: &'t RawValue) {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value));
    }

    /// Whether there is a member of that name, null or not.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| *other == name)
    }

    /// The member of that name, if there is one and it is not null.
    pub fn get(&self, name: &str) -> Option<&'t RawValue> {
        let (_, value) = self.0.iter().find(|(other, _)| *other == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The string of that name, if there is one.
    pub fn string(&self, name: &str) -> Option<Cow<'t, str>> {
        string(self.get(name)?)
    }

    /// The object of that name, if there is one: those of `names` that it has.
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
        while let Some(name) = members.next_key_seed(Name)? {
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

/// Reads a string, without a copy where nothing in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
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
