//! Booleans and numbers of properties. CloudFormation sends every scalar as a string: `true` as
//! `"true"`, `1.50` as `"1.5"`.
//!
//! ```
//! # use cloudformation_custom_resource::scalar;
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Properties {
//!     #[serde(deserialize_with = "scalar::boolean")]
//!     enabled: bool,
//!     #[serde(default, deserialize_with = "scalar::optional_number")]
//!     size: Option<u32>,
//! }
//!
//! let text = r#"{ "Enabled": "True", "Size": "12" }"#;
//! let Properties { enabled, size } = serde_json::from_str(text).unwrap();
//! assert_eq!((enabled, size), (true, Some(12)));
//! ```

use std::{fmt, str::FromStr};

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The text of a scalar as CloudFormation or a person wrote it.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a number or a string that contains one")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.trim().to_owned()))
    }
}

/// A boolean: `true`, `"true"`, `"True"`.
///
/// # Errors
/// If the value is neither true nor false.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    optional_boolean(deserializer)?.ok_or_else(|| Error::custom("expected true or false"))
}

/// A boolean that may be null; with `#[serde(default)]`, absent as well.
///
/// # Errors
/// As [`boolean`].
pub fn optional_boolean<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    let Some(Scalar(text)) = Option::deserialize(deserializer)? else { return Ok(None) };
    text.to_ascii_lowercase()
        .parse()
        .map(Some)
        .map_err(|_| Error::custom(format_args!("invalid value {text:?}: expected true or false")))
}

/// A number of any type: `12`, `"12"`.
///
/// # Errors
/// If the value is no number of that type.
pub fn number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error> {
    optional_number(deserializer)?.ok_or_else(|| Error::custom("expected a number"))
}

/// A number that may be null; with `#[serde(default)]`, absent as well.
///
/// # Errors
/// As [`number`].
pub fn optional_number<'de, D: Deserializer<'de>, T: FromStr>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(Scalar(text)) = Option::deserialize(deserializer)? else { return Ok(None) };
    let invalid = |_| {
        let expected = std::any::type_name::<T>();
        Error::custom(format_args!("invalid value {text:?}: expected a number ({expected})"))
    };
    text.parse().map(Some).map_err(invalid)
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "an unexpected value fails the test")]
mod tests {
    use serde::de::IntoDeserializer;
    use serde_json::{Value, json};

    fn boolean(value: Value) -> Result<bool, serde_json::Error> {
        super::boolean(value.into_deserializer())
    }

    fn number(value: Value) -> Result<u8, serde_json::Error> {
        super::number(value.into_deserializer())
    }

    #[test]
    fn a_scalar_is_the_same_as_a_string_and_as_itself() {
        for value in [json!(true), json!("true"), json!("True"), json!(" TRUE ")] {
            assert!(boolean(value).unwrap());
        }
        assert!(!boolean(json!("false")).unwrap());
        for value in [json!(12), json!("12"), json!(" 12 ")] {
            assert_eq!(number(value).unwrap(), 12);
        }
        let float = super::number::<_, f64>(json!("1.5").into_deserializer());
        assert_eq!(float.map_err(|error: serde_json::Error| error.to_string()), Ok(1.5));
    }

    #[test]
    fn another_value_is_named_with_what_is_expected() {
        for value in [json!("yes"), json!(1), json!([]), Value::Null] {
            let error = boolean(value).unwrap_err().to_string();
            assert!(error.contains("expected "), "{error}");
        }
        let error = number(json!("300")).unwrap_err().to_string();
        assert!(error.contains("\"300\"") && error.contains("u8"), "{error}");
    }
}
