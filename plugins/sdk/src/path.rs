//! Dotted paths into JSON: `data.items.0.id`, `data["a.b"].c`.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::seek::seek;
use crate::shorten;

/// The name of a path's root in messages.
const WHOLE: &str = "the event's data";

/// Bytes of a path that are read; a longer one is a mistake.
const LONGEST: usize = 1024;

/// Keys that a message about a missing one lists, and bytes of each.
const KEYS_TOLD: usize = 12;
const KEY_TOLD: usize = 40;

/// A dotted path: names of object members and positions in arrays.
///
/// A name with a dot, a bracket or a quote in it is written in brackets and quotes, as in `data["a.b"]`, where `\"` and
/// `\\` are a quote and a backslash. A position is written `items.0` or `items[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    name: String,
    /// Where the segment ends in the path's text, for messages about what precedes it.
    end: usize,
}

/// A path led to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    path: String,
    instead: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: {}", self.path, self.instead)
    }
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// A sentence that names the place at which the path stops making sense.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("the path is {} bytes long, at most {LONGEST} are read", text.len()));
        }
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            let at = text.len() - rest.len();
            let (name, after) = if let Some(inside) = rest.strip_prefix('[') {
                bracketed(inside).ok_or_else(|| {
                    format!("the bracket at byte {at} of the path `{text}` is not closed: write [\"name\"] or [0]")
                })?
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                if name.is_empty() {
                    return Err(format!(
                        "the path `{text}` has an empty name at byte {at}: write a name, or [\"\"] for an empty one"
                    ));
                }
                (name.to_owned(), after)
            };
            segments.push(Segment { name, end: text.len() - after.len() });
            rest = match after.strip_prefix('.') {
                Some(next) => next,
                None if after.is_empty() => break,
                None if after.starts_with('[') => after,
                None => {
                    return Err(format!(
                        "the path `{text}` continues after a bracket at byte {}: put a dot there",
                        text.len() - after.len()
                    ));
                }
            };
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Follows the path from `root`.
    ///
    /// # Errors
    /// [`Missing`], with the keys that exist instead.
    pub fn find<'a>(&self, root: &'a Value) -> Result<&'a Value, Missing> {
        self.find_from(0, root)
    }

    /// Follows the path into JSON text, of which only what is on the path is parsed. The value is the original text.
    /// `whole` is what a message calls the text.
    ///
    /// # Errors
    /// [`Missing`], with the keys that exist instead.
    pub fn seek<'j>(&self, json: &'j str, whole: &str) -> Result<&'j str, Missing> {
        if let Some(found) = self.seek_quietly(0, json) {
            return Ok(found);
        }
        // If it does not exist, the whole is parsed after all, for the error message.
        let root = serde_json::from_str(json).unwrap_or(Value::Null);
        match self.find(&root) {
            Err(missing) => Err(Missing { instead: missing.instead.replacen(WHOLE, whole, 1), ..missing }),
            Ok(_) => Err(self.missing(0, "cannot be read")),
        }
    }

    /// The same without a word on what is there instead, and from the name `done` on, counted from 0.
    #[must_use]
    pub fn seek_quietly<'j>(&self, done: usize, json: &'j str) -> Option<&'j str> {
        seek::<&RawValue>(json, &self.names_from(done)).map(RawValue::get)
    }

    /// Follows the path from `root`, the value of its first `done` segments.
    pub(crate) fn find_from<'a>(&self, done: usize, root: &'a Value) -> Result<&'a Value, Missing> {
        let mut value = root;
        for (index, segment) in self.segments.iter().enumerate().skip(done) {
            value = step(value, &segment.name).ok_or_else(|| self.missing(index, &contents(value)))?;
        }
        Ok(value)
    }

    /// The name at `index`, if the path is that long.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.segments.get(index).map(|segment| segment.name.as_str())
    }

    /// The names after the first `done`.
    pub(crate) fn names_from(&self, done: usize) -> Vec<&str> {
        self.segments.iter().skip(done).map(|segment| segment.name.as_str()).collect()
    }

    /// How many names the path has.
    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }

    /// The error that the segment at `index` has no value, because its parent has only `contents`.
    pub(crate) fn missing(&self, index: usize, contents: &str) -> Missing {
        let before =
            index.checked_sub(1).and_then(|before| self.text.get(..self.segments.get(before)?.end)).unwrap_or(WHOLE);
        Missing { path: shorten(&self.text, 200), instead: format!("{} {contents}", shorten(before, 200)) }
    }
}

/// One step down. A name of digits is a position where there is an array.
fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Parses after an opening bracket: a quoted name or a position, and the rest of the path.
fn bracketed(inside: &str) -> Option<(String, &str)> {
    let Some(quoted) = inside.strip_prefix('"') else {
        let (digits, rest) = inside.split_once(']')?;
        return (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| (digits.to_owned(), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((name, characters.as_str().strip_prefix(']')?)),
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
}

/// What a value has, for a message about what it has not.
fn contents(value: &Value) -> String {
    match value {
        Value::Object(members) if members.is_empty() => "is empty".into(),
        Value::Object(members) => format!("has {}", list(members.keys().map(String::as_str), members.len())),
        Value::Array(items) => format!("is a list of {}", items.len()),
        Value::Null => "is null".into(),
        Value::Bool(_) => "is true or false, not an object".into(),
        Value::Number(_) => "is a number, not an object".into(),
        Value::String(_) => "is a string, not an object".into(),
    }
}

/// The first names of many, and how many more there are.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let told: Vec<String> = names.take(KEYS_TOLD).map(|name| shorten(name, KEY_TOLD)).collect();
    let more = count.saturating_sub(told.len());
    if more > 0 { format!("{} and {more} more", told.join(", ")) } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let root = json!({"items": [{"id": 7}, {"id": 8}], "a.b": {"c": 1}, "0": "zero", "q\"": 2, "": 3});
        for (path, value) in [
            ("items.1.id", json!(8)),
            ("items[0].id", json!(7)),
            (r#"["a.b"].c"#, json!(1)),
            ("0", json!("zero")),
            (r#"["q\""]"#, json!(2)),
            (r#"[""]"#, json!(3)),
        ] {
            assert_eq!(Path::parse(path).unwrap().find(&root), Ok(&value), "{path}");
        }
    }

    #[test]
    fn a_path_that_makes_no_sense_is_refused_with_the_place() {
        for (path, said) in [
            ("", "empty name at byte 0"),
            ("a..b", "empty name at byte 2"),
            ("a.", "empty name at byte 2"),
            ("a[\"b", "not closed"),
            ("a[b]", "not closed"),
            ("a[]", "not closed"),
            ("a[0]b", "put a dot there"),
        ] {
            let error = Path::parse(path).unwrap_err();
            assert!(error.contains(said), "{path}: {error}");
        }
        assert!(Path::parse(&"a".repeat(2000)).unwrap_err().contains("at most"));
    }

    #[test]
    fn a_missing_name_is_reported_with_the_existing_ones() {
        let root = json!({"fields": {"title": "x", "priority": 1}, "list": [1, 2], "text": "t", "none": {}});
        for (path, said) in [
            ("fields.status", "fields.status is missing: fields has priority, title"),
            ("list.2", "list.2 is missing: list is a list of 2"),
            ("text.x", "text.x is missing: text is a string, not an object"),
            ("none.x", "none.x is missing: none is empty"),
            ("other", "other is missing: the event's data has fields, list, none, text"),
        ] {
            assert_eq!(Path::parse(path).unwrap().find(&root).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_message_about_a_missing_name_is_bounded() {
        let root: Value = (0..1000).map(|n| (format!("{n:0>100}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
        let said = Path::parse("x").unwrap().find(&root).unwrap_err().to_string();
        assert!(said.len() < 1024, "{}", said.len());
        assert!(said.ends_with("and 988 more"), "{said}");
    }
}
