//! The transform `form-to-json`: turns a form into JSON.
//!
//! It takes `application/x-www-form-urlencoded` (WHATWG URL standard, section 5) and `multipart/form-data` (RFC 7578).
//!
//! | in the form | in the JSON |
//! |---|---|
//! | a field | its member, a string |
//! | a name that is repeated, or that `arrays` names | a list |
//! | a file | `{"name", "filename", "content_type", "base64"}` |
//! | with `"brackets": true`: `a[b]=1`, `a[0]=1`, `a[]=1` | `{"a": {"b": "1"}}`, `{"a": ["1"]}`, `{"a": ["1"]}` |
//!
//! A form has at most 1000 fields, a name at most 1024 bytes and 16 brackets. Values are strings: nothing is guessed.

mod brackets;
mod field;
mod urlencoded;

use std::borrow::Cow;

use hookwright_formats::MediaType;
use hookwright_formats::multipart::{self, Part};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed, encoding, inbound, shorten};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::field::{Field, one_or_list};

struct FormToJson;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    brackets: bool,
    /// Names that are always lists.
    #[serde(default)]
    arrays: Vec<String>,
    content_type: Option<String>,
}

impl Plugin for FormToJson {
    const MANIFEST: Manifest = Manifest {
        name: "form-to-json",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Turns a form into JSON",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://url.spec.whatwg.org/#application/x-www-form-urlencoded")],
    };
    type Parameters = Parameters;
}

impl Transform for FormToJson {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let (body, carried) = body(&message, event);
        let written = parameters.content_type.as_deref().unwrap_or(carried);
        let media_type = MediaType::read(written);
        let fields = match media_type.name.as_str() {
            "application/x-www-form-urlencoded" => urlencoded::read(&body, inbound::charset(written).as_deref())?,
            "multipart/form-data" => {
                let boundary = media_type.parameter("boundary").ok_or_else(|| {
                    Failure::permanent(
                        "form.invalid",
                        format!("the media type {} has no boundary: the sender must name it", shorten(written, 200)),
                    )
                })?;
                let body = unpacked(body, boundary);
                multipart::read(&body, boundary)?.iter().map(field).collect::<Result<_, _>>()?
            }
            _ => {
                return Err(Failure::permanent(
                    "form.content_type",
                    format!(
                        "the media type is {}: it must be application/x-www-form-urlencoded or multipart/form-data. \
                         Give it as `content_type` if the message says it wrongly",
                        Value::from(shorten(written, 200))
                    ),
                ));
            }
        };
        let object = if parameters.brackets {
            brackets::object(fields, &parameters.arrays)?
        } else {
            plain(fields, &parameters.arrays)
        };
        Ok(Transformed::Send(message.with_body("application/json", Value::Object(object).to_string())))
    }
}

/// A part as a field: a file as an object, everything else as a string.
fn field(part: &Part<'_>) -> Result<Field, Failure> {
    let value = match &part.filename {
        Some(filename) => json!({
            "name": part.name,
            "filename": filename,
            "content_type": part.content_type.as_deref().unwrap_or("application/octet-stream"),
            "base64": encoding::base64_encode(part.content),
        }),
        None => part.text()?.into(),
    };
    Ok((part.name.clone(), value))
}

/// The form's bytes and its media type. The payload of an event that is not JSON arrives as a JSON text, and the media
/// type that it came with is the event's.
fn body<'m>(message: &'m Message, event: &'m Event) -> (Cow<'m, [u8]>, &'m str) {
    if MediaType::read(&message.content_type).name == "application/json"
        && let Ok(Value::String(text)) = serde_json::from_slice(&message.body)
    {
        let carried = event.attribute("content-type").unwrap_or(&message.content_type);
        return (Cow::Owned(text.into_bytes()), carried);
    }
    (Cow::Borrowed(&message.body), &message.content_type)
}

/// The bytes of a form that came as base64, since a payload that is not text does.
fn unpacked<'b>(body: Cow<'b, [u8]>, boundary: &str) -> Cow<'b, [u8]> {
    let has_boundary = multipart::find(&body, boundary.as_bytes()).is_some();
    match std::str::from_utf8(&body).ok().filter(|_| !has_boundary).map(encoding::base64_decode) {
        Some(Ok(bytes)) => Cow::Owned(bytes),
        _ => body,
    }
}

/// Names with their values, in lists where they are repeated.
fn plain(fields: Vec<Field>, arrays: &[String]) -> Map<String, Value> {
    let mut lists: Vec<(String, Vec<Value>)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for (name, value) in fields {
        let place = *places.entry(name.clone()).or_insert_with(|| {
            lists.push((name, Vec::new()));
            lists.len() - 1
        });
        if let Some((_, values)) = lists.get_mut(place) {
            values.push(value);
        }
    }
    lists
        .into_iter()
        .map(|(name, values)| {
            let is_list = arrays.contains(&name);
            (name, one_or_list(values, is_list))
        })
        .collect()
}

hookwright_sdk::export_transform!(FormToJson);

#[cfg(test)]
mod tests;
