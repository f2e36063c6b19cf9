//! The condition `jsonschema`: whether a value of the event is valid by a JSON Schema.
//!
//! `{"schema": {"required": ["id"]}, "path": "data.order"}`. The value at the path, or the event's data, is held
//! against the schema: JSON Schema draft 2020-12 in full, and drafts 2019-09, 7 and 6 where `$schema` names them.
//!
//! - `$ref` and `$dynamicRef` lead to places inside of the schema; nothing is fetched.
//! - `format` and the `content` keywords describe and do not refuse, as draft 2020-12 has it by default.
//! - Regular expressions are those without look-around, back references and `\p{..}`.
//! - Where the path leads to nothing, the condition does not hold.

mod arrays;
mod check;
mod keyword;
mod load;
mod objects;
mod parts;
mod scalars;
mod uri;
mod value;
mod violation;

use hookwright_sdk::{Condition, Event, Failure, Manifest, Path, Plugin, Verdict};
use serde::Deserialize;
use serde_json::Value;

use crate::load::Schema;
use crate::violation::Report;

struct JsonSchema;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    schema: Value,
    /// Where the value is; the event's data if it is not given.
    path: Option<String>,
}

impl Plugin for JsonSchema {
    const MANIFEST: Manifest = Manifest {
        name: "jsonschema",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Validates a value of the event by a JSON Schema",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://json-schema.org/draft/2020-12")],
    };
    type Parameters = Parameters;
}

impl Condition for JsonSchema {
    fn evaluate(event: &Event, parameters: Parameters) -> Result<Verdict, Failure> {
        let path = Path::parse(parameters.path.as_deref().unwrap_or("data"))
            .map_err(|problem| Failure::permanent("parameters.invalid", format!("parameter `path`: {problem}")))?;
        let invalid = |problem| Failure::permanent("schema.invalid", format!("parameter `schema`: {problem}"));
        let schema = Schema::read(&parameters.schema).map_err(invalid)?;
        let value = match event.find(&path) {
            Ok(value) => value,
            Err(missing) => return Ok(Verdict::no(missing.to_string())),
        };
        let mut report = Report::new();
        let is_valid = check::check(&schema, &value, &mut report).map_err(invalid)?;
        let name = hookwright_sdk::shorten(path.as_str(), 200);
        Ok(if is_valid {
            Verdict::yes(format!("{name} is valid by the schema"))
        } else {
            Verdict::no(format!("{name} is not valid by the schema: {report}"))
        })
    }
}

hookwright_sdk::export_condition!(JsonSchema);

#[cfg(test)]
mod tests;
