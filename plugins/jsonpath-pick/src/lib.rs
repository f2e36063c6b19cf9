//! The transform `jsonpath-pick`: picks values out of a JSON body by JSONPath (RFC 9535).
//!
//! `{"path": "$.order.items[*].sku", "mode": "all"}` makes the body what one path finds;
//! `{"fields": {"id": "$.order.id", "total": "$.order.total"}}` makes it an object of what each path finds.
//!
//! | `mode` | a path stands for |
//! |---|---|
//! | `first` (default) | the first value that it finds |
//! | `all` | a list of all values that it finds |
//!
//! | `missing` | where a path finds nothing |
//! |---|---|
//! | `null` (default) | a null, or an empty list with mode `all` |
//! | `drop` | the field is left out; with `path`, the message is dropped |
//! | `fail` | the transform fails |
//!
//! Whole numbers of up to 64 bits keep their digits; others are read as doubles. Regular expressions of `match` and `search` are
//! without `\p{..}`.

mod function;
mod query;

use std::collections::BTreeMap;

use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed, shorten};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::query::Query;

struct JsonPathPick;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    path: Option<String>,
    fields: Option<BTreeMap<String, String>>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    missing: Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    First,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Missing {
    #[default]
    Null,
    Drop,
    Fail,
}

impl Plugin for JsonPathPick {
    const MANIFEST: Manifest = Manifest {
        name: "jsonpath-pick",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Picks values by JSONPath",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://www.rfc-editor.org/rfc/rfc9535")],
    };
    type Parameters = Parameters;
}

impl Transform for JsonPathPick {
    fn apply(_: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let Parameters { path, fields, mode, missing } = parameters;
        let body = match (path, fields) {
            (Some(path), None) => {
                let query = Query::read(&path, "path")?;
                match pick(&query, &message.json()?, mode, missing)? {
                    Some(value) => value,
                    None => {
                        return Ok(Transformed::Drop(format!(
                            "the path {} finds nothing in this message",
                            shorten(&path, 300)
                        )));
                    }
                }
            }
            (None, Some(fields)) if !fields.is_empty() => {
                // All paths are read before the body, so that a mistake in one is found whatever the body is.
                let queries = fields
                    .iter()
                    .map(|(name, path)| Ok((name, Query::read(path, &format!("fields.{}", shorten(name, 100)))?)))
                    .collect::<Result<Vec<_>, Failure>>()?;
                let json = message.json()?;
                let mut picked = Map::new();
                for (name, query) in queries {
                    if let Some(value) = pick(&query, &json, mode, missing)? {
                        picked.insert(name.clone(), value);
                    }
                }
                Value::Object(picked)
            }
            _ => {
                return Err(Failure::permanent(
                    "parameters.invalid",
                    "give either `path`, one JSONPath, or `fields`, an object of names with a JSONPath each",
                ));
            }
        };
        Ok(Transformed::Send(message.with_body("application/json", body.to_string())))
    }
}

/// What a path stands for in this body. None where it finds nothing and `missing` is drop.
fn pick(query: &Query, json: &Value, mode: Mode, missing: Missing) -> Result<Option<Value>, Failure> {
    let mut found = query.find(json).into_iter();
    Ok(match (mode, missing, found.next()) {
        (Mode::First, _, Some(first)) => Some(first.clone()),
        (Mode::All, _, Some(first)) => Some(std::iter::once(first).chain(found).cloned().collect()),
        (Mode::First, Missing::Null, None) => Some(Value::Null),
        (Mode::All, Missing::Null, None) => Some(Value::Array(Vec::new())),
        (_, Missing::Drop, None) => None,
        (_, Missing::Fail, None) => {
            return Err(Failure::permanent(
                "path.empty",
                format!(
                    "the path {} of parameter `{}` finds nothing in this message: correct it, or set `missing` to null or drop",
                    shorten(query.text(), 300),
                    query.parameter()
                ),
            ));
        }
    })
}

hookwright_sdk::export_transform!(JsonPathPick);

#[cfg(test)]
mod tests;
