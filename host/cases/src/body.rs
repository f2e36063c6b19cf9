//! Bodies of requests and messages as case files write them, and as they are shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookwright_model::Mistake;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A body as text, as base64 (RFC 4648 section 4), or as JSON, which is sent without whitespace. Empty if it is none of
/// them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenBody {
    text: Option<String>,
    base64: Option<String>,
    json: Option<Box<RawValue>>,
}

impl GivenBody {
    /// Its bytes. `path` is its path in the file.
    pub(crate) fn bytes(&self, path: &str) -> Result<Bytes, Mistake> {
        match (&self.text, &self.base64, &self.json) {
            (None, None, None) => Ok(Bytes::new()),
            (Some(text), None, None) => Ok(Bytes::from(text.clone())),
            (None, Some(text), None) => STANDARD
                .decode(text.trim())
                .map(Bytes::from)
                .map_err(|error| Mistake::new(format!("{path}.base64"), format!("`{text}` is not base64: {error}"))),
            (None, None, Some(json)) => Ok(Bytes::from(compact(json.get()))),
            _ => Err(Mistake::new(path, "has more than one of `text`, `base64` and `json`: give one")),
        }
    }
}

/// Whether a media type is that of JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || media.ends_with("+json")
}

/// JSON without the whitespace between its parts. Digits of numbers and the order of fields are preserved.
pub(crate) fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        if quoted {
            quoted = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        quoted = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// A body in every form that it has, so that a case may expect any of them.
pub(crate) fn shown(body: &[u8]) -> Value {
    let mut forms = Map::new();
    if let Ok(text) = std::str::from_utf8(body) {
        forms.insert("text".to_owned(), text.into());
    }
    if let Ok(json) = serde_json::from_slice(body) {
        forms.insert("json".to_owned(), json);
    }
    forms.insert("base64".to_owned(), STANDARD.encode(body).into());
    Value::Object(forms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(given: &str) -> Result<Bytes, Mistake> {
        serde_json::from_str::<GivenBody>(given).unwrap().bytes("request.body")
    }

    #[test]
    fn a_body_is_text_or_base64_or_compact_json() {
        for (given, body) in [
            ("{}", &b""[..]),
            (r#"{"text":"a\nä"}"#, "a\nä".as_bytes()),
            (r#"{"base64":"/wA="}"#, b"\xff\0"),
            (
                r#"{"json": {"b": [1, 12345678901234567890123], "a": " \" x\\" } }"#,
                br#"{"b":[1,12345678901234567890123],"a":" \" x\\"}"#,
            ),
            (r#"{"json": ""}"#, b"\"\""),
        ] {
            assert_eq!(bytes(given).unwrap(), body, "{given}");
        }
        assert_eq!(bytes(r#"{"base64":"!"}"#).unwrap_err().path, "request.body.base64");
        assert!(bytes(r#"{"base64":"","text":""}"#).unwrap_err().message.contains("give one"));
    }

    #[test]
    fn a_body_is_shown_in_every_form_that_it_has() {
        assert_eq!(shown(b"[1]"), json!({"text": "[1]", "json": [1], "base64": "WzFd"}));
        assert_eq!(shown(b"x"), json!({"text": "x", "base64": "eA=="}));
        assert_eq!(shown(b"\xff"), json!({"base64": "/w=="}));
    }

    #[test]
    fn json_is_recognized_by_its_media_type() {
        for (content_type, is) in [
            ("application/json; charset=utf-8", true),
            ("application/a+JSON", true),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(content_type), is, "{content_type}");
        }
    }
}
