//! Compiles schemas, of parameters and of data, and reports a limited number of validation errors with their paths.

use std::fmt::Write as _;

use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Maximum number of reported validation errors.
pub(super) const MISTAKES: usize = 50;
/// Maximum memory of one regular expression of a schema, in bytes.
const PATTERN: usize = 512 * 1024;

/// Compiles a schema. No references are fetched, and expressions are matched in linear time.
///
/// # Errors
/// The end of a sentence: where the schema is wrong, if known, and how.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    let options = jsonschema::options().offline().with_pattern_options(PatternOptions::regex().size_limit(PATTERN));
    options.build(schema).map_err(|error| {
        let place = dotted(schema, error.instance_path());
        let place = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
        format!("{place}: {}", crate::cut::cut(&error.to_string(), 300))
    })
}

/// A path in the form of messages: `items[0].x`.
pub(super) fn dotted(value: &Value, path: &Location) -> String {
    dotted_from(&Location::new(), value, path)
}

/// The same, relative to `enclosing`, which is the path of `value` and a prefix of `path`.
pub(super) fn dotted_from(enclosing: &Location, value: &Value, path: &Location) -> String {
    let mut text = String::new();
    let mut at = Some(value);
    for segment in path.segments().skip(enclosing.segments().count()) {
        match (&segment, at) {
            (LocationSegment::Index(place), _) => {
                let _ = write!(text, "[{place}]");
                at = at.and_then(|value| value.get(place));
            }
            (LocationSegment::Property(name), Some(Value::Array(list))) => {
                let _ = write!(text, "[{name}]");
                at = name.parse::<usize>().ok().and_then(|place| list.get(place));
            }
            (LocationSegment::Property(name), _) => {
                let _ = write!(text, "{}{name}", if text.is_empty() { "" } else { "." });
                at = at.and_then(|value| value.get(name.as_ref()));
            }
        }
    }
    text
}
