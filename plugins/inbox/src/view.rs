//! Any request as JSON.

use std::borrow::Cow;

use hookwright_formats::MediaType;
use hookwright_formats::multipart::{self, Part};
use hookwright_formats::xml::{self, Options};
use hookwright_sdk::{Request, encoding, inbound};
use serde_json::{Map, Value, json};

/// Bytes of JSON that is not the body itself. The host takes no more than a MiB, and the payload has it all.
const LARGEST: usize = 512 * 1024;

/// What a request says, as JSON text. It never fails: what cannot be read as what it claims to be is a string.
pub(crate) fn data(request: &Request, arrays: Vec<String>) -> Cow<'_, str> {
    if request.body.is_empty() {
        return fields(request.query.as_bytes()).to_string().into();
    }
    let written = MediaType::read(request.header("content-type").unwrap_or_default());
    let read = match written.name.as_str() {
        "multipart/form-data" => written.parameter("boundary").and_then(|boundary| parts(&request.body, boundary)),
        name if name.ends_with("/xml") || name.ends_with("+xml") => document(&written, &request.body, arrays),
        "" | "text/plain" if request.body.trim_ascii_start().starts_with(b"<?xml") => {
            document(&written, &request.body, arrays)
        }
        _ => None,
    };
    let text: Cow<'_, str> = match read {
        Some(value) => value.to_string().into(),
        None => inbound::payload(request, "").unwrap_or_else(|_| plain(&request.body).to_string().into()),
    };
    match text {
        Cow::Owned(text) if text.len() > LARGEST => {
            Cow::Owned(json!({"omitted_bytes": request.body.len()}).to_string())
        }
        text => text,
    }
}

fn plain(body: &[u8]) -> Value {
    match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => encoding::base64_encode(body).into(),
    }
}

fn fields(query: &[u8]) -> Value {
    let mut members: Map<String, Value> = Map::new();
    for (name, value) in inbound::fields(query) {
        match members.get_mut(&name) {
            None => {
                members.insert(name, value.into());
            }
            Some(Value::Array(values)) => values.push(value.into()),
            Some(one) => *one = Value::Array(vec![one.take(), value.into()]),
        }
    }
    members.into()
}

fn parts(body: &[u8], boundary: &str) -> Option<Value> {
    let part = |part: &Part<'_>| {
        let mut shown = Map::new();
        shown.insert("name".into(), part.name.as_str().into());
        if let Some(filename) = &part.filename {
            shown.insert("filename".into(), filename.as_str().into());
        }
        if let Some(content_type) = &part.content_type {
            shown.insert("content_type".into(), content_type.as_str().into());
        }
        match part.text() {
            Ok(text) => shown.insert("text".into(), text.into()),
            Err(_) => shown.insert("base64".into(), encoding::base64_encode(part.content).into()),
        };
        Value::Object(shown)
    };
    let parts = multipart::read(body, boundary).ok()?;
    Some(json!({"parts": parts.iter().map(part).collect::<Vec<_>>()}))
}

fn document(written: &MediaType, body: &[u8], arrays: Vec<String>) -> Option<Value> {
    let charset = written.parameter("charset").filter(|charset| !xml::is_utf_8(charset));
    let text = inbound::text(body, charset).ok()?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    xml::read(text, &Options { arrays, trim: true }).ok()
}
