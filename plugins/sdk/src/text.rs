//! Text that an automation's author wrote, or that a variable filled in with its own JSON type.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// The name under which serde_json passes a number that no type of Rust holds without loss. No text that the host or
/// the SDK takes for JSON has it as a name of its own.
const NUMBER: &str = "$serde_json::private::Number";

/// A string read from a JSON string, number or boolean. A number keeps its digits.
///
/// A parameter that is one variable and nothing else keeps the value's type, so that a string meant for people may arrive
/// as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, taken out.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl<'de> Visitor<'de> for Scalar {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Text, E> {
                Ok(Text(truth.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Text, A::Error> {
                digits(members, &self).map(Text)
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}

/// The digits of a number that is passed as an object; an object that is one is `expected` to be something else.
pub(crate) fn digits<'de, A: MapAccess<'de>>(
    mut members: A,
    expected: &impl serde::de::Expected,
) -> Result<String, A::Error> {
    let is_number = members.next_key::<String>()?.is_some_and(|name| name == NUMBER);
    if !is_number {
        return Err(A::Error::invalid_type(serde::de::Unexpected::Map, expected));
    }
    let digits: String = members.next_value()?;
    if hookwright_json::check(digits.as_bytes()).is_ok() && digits.starts_with(|c: char| c == '-' || c.is_ascii_digit())
    {
        Ok(digits)
    } else {
        Err(A::Error::invalid_type(serde::de::Unexpected::Map, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_string_a_number_or_a_boolean() {
        for (json, text) in [
            (r#""a""#, "a"),
            (r#""""#, ""),
            ("7", "7"),
            ("-1", "-1"),
            ("2.5", "2.5"),
            ("true", "true"),
            ("1.10", "1.10"),
            ("-0", "-0"),
            ("12345678901234567890123456789", "12345678901234567890123456789"),
        ] {
            assert_eq!(serde_json::from_str::<Text>(json).unwrap().as_str(), text);
        }
        for json in ["null", "[]", "{}", r#"{"a": "1"}"#, r#"{"$serde_json::private::Number": "x"}"#] {
            assert!(serde_json::from_str::<Text>(json).is_err(), "{json}");
        }
    }
}
