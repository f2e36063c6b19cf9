//! Ids of records: text for the host, but often a number in an event's payload.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};

use crate::text::digits;

/// The id of a record, read from a JSON string or a JSON integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// The id as the host knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrInteger;

        impl<'de> Visitor<'de> for TextOrInteger {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a string that is not empty, or an integer")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                if text.is_empty() {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                } else {
                    Ok(Id(text.to_owned()))
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Id, A::Error> {
                let digits = digits(members, &self)?;
                if digits.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
                    Ok(Id(digits))
                } else {
                    let found = Unexpected::Float(digits.parse().unwrap_or_default());
                    Err(A::Error::invalid_type(found, &self))
                }
            }
        }

        deserializer.deserialize_any(TextOrInteger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_string_or_an_integer() {
        for (json, id) in [
            (r#""a7""#, "a7"),
            ("7", "7"),
            ("-7", "-7"),
            ("18446744073709551615", "18446744073709551615"),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            assert_eq!(serde_json::from_str::<Id>(json).unwrap().as_str(), id);
        }
        for json in [r#""""#, "7.5", "null", "true", "[7]"] {
            assert!(serde_json::from_str::<Id>(json).is_err(), "{json}");
        }
    }
}
