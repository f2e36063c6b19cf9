//! Reading a JSONPath, and asking it.

use hookwright_sdk::{Failure, shorten};
use serde_json::Value;
use serde_json_path::JsonPath;

/// Filters and brackets inside of each other that are read, since reading recurses.
const DEEPEST: usize = 50;

/// A path, and which parameter it stands in.
pub(crate) struct Query {
    path: JsonPath,
    text: String,
    parameter: String,
}

impl Query {
    /// Reads a path.
    ///
    /// # Errors
    /// A permanent failure, code `path.invalid`, with the place at which the path stops making sense.
    pub(crate) fn read(text: &str, parameter: &str) -> Result<Self, Failure> {
        let invalid = |problem: &str| {
            Failure::permanent("path.invalid", format!("parameter `{parameter}` is {}: {problem}", shorten(text, 300)))
        };
        if is_too_deep(text) {
            return Err(invalid(&format!("it has more than {DEEPEST} brackets inside of each other")));
        }
        let path = JsonPath::parse(text).map_err(|error| {
            let before = text.get(..error.position()).unwrap_or(text);
            let column = before.chars().count() + 1;
            let remedy = if text.starts_with('$') { "" } else { ". A path begins with $, as in $.order.id" };
            invalid(&format!("at character {column}, {}{remedy}", error.message()))
        })?;
        Ok(Self { path, text: text.to_owned(), parameter: parameter.to_owned() })
    }

    /// The values that the path finds, in the order of the document where that has one.
    pub(crate) fn find<'v>(&self, json: &'v Value) -> Vec<&'v Value> {
        self.path.query(json).all()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn parameter(&self) -> &str {
        &self.parameter
    }
}

/// Whether brackets stand inside of each other too deeply, or negations one after the other do. Those inside of strings
/// count too, which no path that somebody writes comes near to.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    for character in text.chars() {
        match character {
            '(' | '[' | '!' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}
