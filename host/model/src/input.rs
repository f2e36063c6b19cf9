//! Parses the JSON that callers send, and reports every error in its shape.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::abridge::abridged;
use crate::shape_errors::{self, Fault, PathPart};
use crate::{Mistake, Mistakes, json};

pub use crate::json::MAX_DEPTH;

/// The prefix of messages that omit the value that was found.
const UNNAMED: [&str; 2] = [json::MISCHOSEN, "invalid type: number, "];

/// The input that creates an object.
pub trait Creates {
    /// The required fields that are missing. `has` returns whether a field is given and not null.
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes;
}

/// Checks that `payload` is one JSON value that every reader reads in the same way ([`json`]).
pub fn json_span(payload: &[u8], path: &str) -> Result<(), Mistake> {
    json::check(payload).map(|_| ()).map_err(|refused| refused_at(path, refused))
}

/// The reason for which the reader refuses a JSON text, as a validation error at `path`.
pub(crate) fn refused_at(path: &str, refused: json::Refused) -> Mistake {
    let joint = if path.is_empty() || refused.path.is_empty() || refused.path.starts_with('[') { "" } else { "." };
    Mistake::new(format!("{path}{joint}{}", refused.path), refused.message)
}

/// Reads JSON into `T`. Every error in its shape is reported at once with its path: values of a wrong type, unknown fields
/// and fields that are missing. A byte order mark before it is ignored, and an object is read from an object, never from a
/// list of its members' values.
///
/// # Errors
/// The text is not JSON, or not the JSON of a `T`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Mistakes> {
    let bytes = json::without_mark(bytes);
    json_span(bytes, "")?;
    read(bytes).map_err(|fault| shape_errors::all(bytes, fault, |text| read::<T>(text).err()))
}

/// As [`parse_json`], up to the first error: for callers that report no more than one.
///
/// # Errors
/// As [`parse_json`].
pub fn parse_json_briefly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Mistake> {
    let bytes = json::without_mark(bytes);
    json_span(bytes, "")?;
    read(bytes).map_err(|Fault { path, message }| Mistake::new(shape_errors::text_of(&path), message))
}

/// Parses the input that creates an object. If its shape is wrong, missing fields are reported together with that.
///
/// # Errors
/// As [`parse_json`].
pub fn parse_new<T: DeserializeOwned + Creates>(bytes: &[u8]) -> Result<T, Mistakes> {
    parse_json(bytes).map_err(|mut mistakes| {
        if let Ok(members) = serde_json::from_slice::<Map<String, Value>>(json::without_mark(bytes)) {
            let has = |field: &str| members.get(field).is_some_and(|value| !value.is_null());
            let missing = T::missing(&has).0;
            // A null in a required field of a new object is reported once, as a missing field.
            mistakes.0.retain(|mistake| missing.iter().all(|lack| lack.path != mistake.path));
            mistakes.0.extend(missing);
        }
        mistakes
    })
}

/// Reads JSON into `T`, up to the first error.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(json::Strict(&mut reader)).map_err(|error| {
        let (said, inner) = (error.inner().to_string(), error.inner());
        // The path locates the error. A line number would refer to a text that the sender may never have seen, such as
        // a part of a file.
        let position = format!(" at line {} column {}", inner.line(), inner.column());
        let message = json::plain(said.strip_suffix(&position).unwrap_or(&said));
        let message = match UNNAMED.iter().find_map(|begin| message.strip_prefix(*begin)) {
            Some(expected) => format!("invalid type: {}, {expected}", shown_at(bytes, error.path())),
            None => with_value_abridged(&message),
        };
        Fault { path: parts_of(error.path()), message }
    })
}

/// The library's path, as far as it is known.
fn parts_of(path: &Path) -> Vec<PathPart> {
    let known = path.iter().map_while(|segment| match segment {
        Segment::Seq { index } => Some(PathPart::Element(*index)),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(PathPart::Member(key.clone())),
        Segment::Unknown => None,
    });
    known.collect()
}

/// A message of the JSON library in which the value that was found is abridged: it is in quotes before what was expected.
fn with_value_abridged(message: &str) -> String {
    let parts = message.rsplit_once(", expected ").and_then(|(found, expected)| {
        let (before, value) = found.split_once(['`', '"'])?;
        Some((before, value, expected))
    });
    let Some((before, value, expected)) = parts else { return message.to_owned() };
    match value.char_indices().next_back() {
        Some((end, quote @ ('`' | '"'))) => {
            let value = abridged(value.get(..end).unwrap_or_default());
            format!("{before}{quote}{value}{quote}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

/// The value at a path, as messages show it. Only the values on the way to it are parsed.
fn shown_at(bytes: &[u8], path: &Path) -> String {
    match raw_at(bytes, path).unwrap_or_default() {
        list if list.starts_with('[') => "a list".to_owned(),
        object if object.starts_with('{') => "an object".to_owned(),
        number if number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            format!("the number `{}`", abridged(number))
        }
        logical @ ("true" | "false") => format!("`{logical}`"),
        _ => "another value".to_owned(),
    }
}

fn raw_at<'t>(bytes: &'t [u8], path: &Path) -> Option<&'t str> {
    let mut text = std::str::from_utf8(bytes).ok()?.trim();
    for segment in path {
        let inner = match segment {
            Segment::Seq { index } => serde_json::from_str::<Vec<&RawValue>>(text).ok()?.get(*index).copied(),
            Segment::Map { key } => serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok()?.remove(key),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        text = inner?.get();
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        count: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Choice {
        This,
        That,
    }

    /// The only validation error.
    fn one<T: DeserializeOwned + fmt::Debug>(text: &str) -> Mistake {
        let mut mistakes = parse_json::<T>(text.as_bytes()).unwrap_err().0;
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes.remove(0)
    }

    #[test]
    fn a_value_in_place_of_a_choice_is_named_with_the_choices() {
        for (text, path, found) in [
            (r#"{"a":["this",5]}"#, "a[1]", "the number `5`"),
            (r#"{"a":[true]}"#, "a[0]", "`true`"),
            (r#"{"a":["that",[1]]}"#, "a[1]", "a list"),
        ] {
            let mistake = one::<std::collections::BTreeMap<String, Vec<Choice>>>(text);
            assert_eq!(mistake.path, path, "{mistake}");
            assert_eq!(mistake.message, format!("invalid type: {found}, expected one of `this`, `that`"));
        }
    }

    #[test]
    fn a_long_name_or_value_is_abridged() {
        let long = "é".repeat(900_000);
        for text in [format!(r#"{{"inner":[],"{long}":1}}"#), format!(r#"{{"inner":"{long}"}}"#)] {
            let mistake = one::<Outer>(&text);
            assert!(mistake.message.contains("… (900000 characters)"), "{mistake}");
            assert!(mistake.message.contains(", expected "), "{mistake}");
            assert!(mistake.to_string().len() < 2000, "{mistake}");
        }
        for (message, shown) in [
            ("unknown field `a`, expected `b` or `c`", "unknown field `a`, expected `b` or `c`"),
            ("invalid type: null, expected a string", "invalid type: null, expected a string"),
            ("missing field `a`", "missing field `a`"),
        ] {
            assert_eq!(with_value_abridged(message), shown);
        }
    }

    #[test]
    fn a_mistake_names_the_path() {
        for (text, path, part) in [
            (r#"{"inner":[{"count":1},{"count":"x"}]}"#, "inner[1].count", "expected a whole number from 0 to"),
            (r#"{"inner":[],"extra":1}"#, "extra", "unknown field"),
            (r#"{"inner":5.0}"#, "inner", "invalid type: the number `5.0`, expected a list"),
            (r#"{"inner":[]} x"#, "", "follows"),
            ("{\"inner\":", "inner", "it ends where a value was expected"),
            ("[[]]", "", "invalid type: a list, expected an object"),
            (r#"{"inner":[[1]]}"#, "inner[0]", "invalid type: a list, expected an object"),
            (r#"{"inner":[],"inner":[]}"#, "inner", "is given twice"),
        ] {
            let mistake = one::<Outer>(text);
            assert_eq!(mistake.path, path, "{mistake}");
            assert!(mistake.message.contains(part), "{mistake}");
        }
        assert!(parse_json::<Outer>(b"\xef\xbb\xbf{\"inner\":[]}").is_ok());
        let deep = "[".repeat(10_000);
        assert!(one::<Outer>(&deep).message.contains("128 levels"));
    }
}
