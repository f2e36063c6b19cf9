//! Integers in input: an error names the bounds of the field, and not those of a Rust type.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// An integer for a field with these bounds. One outside of them is accepted here: it is reported together with the
/// other errors in the object's content.
struct Whole<const LEAST: u32, const MOST: u32>(u32);

struct Reader<const LEAST: u32, const MOST: u32>;

impl<const LEAST: u32, const MOST: u32> Visitor<'_> for Reader<LEAST, MOST> {
    type Value = Whole<LEAST, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LEAST} to {MOST}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        u32::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        u32::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(Reader::<LEAST, MOST>)
    }
}

/// Reads an integer.
pub(crate) fn whole<'de, D, const LEAST: u32, const MOST: u32>(deserializer: D) -> Result<u32, D::Error>
where
    D: Deserializer<'de>,
{
    Whole::<LEAST, MOST>::deserialize(deserializer).map(|whole| whole.0)
}

/// Reads an integer, or null.
pub(crate) fn whole_or_null<'de, D, const LEAST: u32, const MOST: u32>(deserializer: D) -> Result<Option<u32>, D::Error>
where
    D: Deserializer<'de>,
{
    let read = Option::<Whole<LEAST, MOST>>::deserialize(deserializer)?;
    Ok(read.map(|whole| whole.0))
}

/// Reads an integer or null, where null differs from absent.
pub(crate) fn whole_given<'de, D, const LEAST: u32, const MOST: u32>(
    deserializer: D,
) -> Result<Option<Option<u32>>, D::Error>
where
    D: Deserializer<'de>,
{
    whole_or_null::<D, LEAST, MOST>(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::parse_json;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Thing {
        #[serde(default, deserialize_with = "whole_or_null::<_, 10, 300>")]
        timeout: Option<u32>,
        #[serde(default, deserialize_with = "whole_given::<_, 1, 5>")]
        most: Option<Option<u32>>,
        #[serde(deserialize_with = "whole::<_, 0, 7>")]
        days: u32,
    }

    #[test]
    fn an_error_names_the_bounds_of_the_field() {
        let read = |text: &str| parse_json::<Thing>(text.as_bytes()).map_err(|mistakes| mistakes.to_string());
        let thing = |timeout, most, days| Ok::<_, String>(Thing { timeout, most, days });
        assert_eq!(read(r#"{"days": 1}"#), thing(None, None, 1));
        assert_eq!(read(r#"{"timeout": null, "most": null, "days": 0}"#), thing(None, Some(None), 0));
        assert_eq!(read(r#"{"timeout": 7, "most": 9, "days": 8}"#), thing(Some(7), Some(Some(9)), 8));
        for (value, found) in [
            (r#""x""#, r#"the string "x""#),
            (r#""20""#, r#"the string "20""#),
            ("-1", "the number `-1`"),
            ("5000000000", "the number `5000000000`"),
            ("[]", "a list"),
            ("true", "`true`"),
        ] {
            let error = read(&format!(r#"{{"timeout": {value}, "days": {value}}}"#)).unwrap_err();
            for expected in ["from 10 to 300", "from 0 to 7"] {
                let part = format!("{found}, expected a whole number {expected}");
                assert!(error.contains(&part), "{part}: {error}");
            }
        }
        let error = read(r#"{"timeout": 1.5, "days": 1}"#).unwrap_err();
        assert!(error.contains("1.5") && error.contains("expected a whole number from 10 to 300"), "{error}");
    }
}
