//! The transform `xml-to-json`: turns an XML body (XML 1.0) into JSON.
//!
//! The mapping is that of [`hookwright_formats::xml`].

use hookwright_formats::xml::{self, Options, encoding_problem, is_utf_8};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed, shorten};
use serde::Deserialize;
use serde_json::Value;

struct XmlToJson;

/// How a document is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Elements that are always lists.
    #[serde(default)]
    arrays: Vec<String>,
    #[serde(default = "yes")]
    trim: bool,
}

fn yes() -> bool {
    true
}

impl Plugin for XmlToJson {
    const MANIFEST: Manifest = Manifest {
        name: "xml-to-json",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Turns XML into JSON",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://www.w3.org/TR/xml/")],
    };
    type Parameters = Parameters;
}

impl Transform for XmlToJson {
    fn apply(_: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let text = text(&message)?;
        let json = xml::read(&text, &Options { arrays: parameters.arrays, trim: parameters.trim })?;
        Ok(Transformed::Send(message.with_body("application/json", json.to_string())))
    }
}

/// The document's text. A body that is a JSON text holds the document in that text, as the payload of an event that is
/// not JSON does.
fn text(message: &Message) -> Result<String, Failure> {
    let refused = |code: &str, problem: String| {
        Failure::permanent(
            code,
            format!("the body ({}, {} bytes) {problem}", shorten(&message.content_type, 100), message.body.len()),
        )
    };
    if let Some(charset) = charset(&message.content_type)
        && !is_utf_8(charset)
    {
        return Err(refused("xml.encoding", encoding_problem(charset)));
    }
    if message.body.starts_with(&[0xFE, 0xFF]) || message.body.starts_with(&[0xFF, 0xFE]) {
        return Err(refused("xml.encoding", encoding_problem("UTF-16")));
    }
    let text = std::str::from_utf8(&message.body).map_err(|error| {
        refused(
            "xml.encoding",
            format!("is not UTF-8 at byte {}: have the sender encode it as UTF-8", error.valid_up_to()),
        )
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.starts_with('"')
        && let Ok(Value::String(inner)) = serde_json::from_str(text)
    {
        return Ok(inner.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(inner));
    }
    if text.trim().is_empty() {
        return Err(refused("xml.empty", "has no XML in it: send a document with one root element".into()));
    }
    Ok(text.to_owned())
}

/// The parameter `charset` of a media type (RFC 9110, section 8.3.2).
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

hookwright_sdk::export_transform!(XmlToJson);

#[cfg(test)]
mod tests;
