//! From a request's body to JSON.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use serde_json::value::RawValue;

use super::form::{charset, form_of, text};
use crate::{Refusal, Request, encoding, shorten};

/// A part of a payload that is read if it has the expected shape, and ignored if the provider uses its name for
/// something else.
#[derive(Debug, Clone, PartialEq)]
pub struct Perhaps<T>(pub Option<T>);

impl<T> Default for Perhaps<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Perhaps<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// The media type, in lower case and without parameters.
#[must_use]
pub fn media_type(request: &Request) -> String {
    let content_type = request.header("content-type").unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the content type is JSON.
#[must_use]
pub fn is_json(request: &Request) -> bool {
    let media_type = media_type(request);
    media_type == "application/json" || media_type.ends_with("+json")
}

/// The body of a provider that sends JSON objects, as text.
///
/// # Errors
/// The refusal, with status 400 and this code: the body is not UTF-8, no JSON object, or nests too deep.
pub fn json<'a>(request: &'a Request, code: &str) -> Result<&'a str, Refusal> {
    let refusal = |said: String| Refusal::new(400, code, said);
    let text =
        std::str::from_utf8(bytes(request)).map_err(|error| refusal(format!("the body is not UTF-8: {error}")))?;
    if !is_object(text) {
        let what = if text.trim().is_empty() { "the body is empty" } else { "the body is not a JSON object" };
        return Err(refusal(format!("{what}: the provider sends a JSON object with every event")));
    }
    well_formed(text).map_err(refusal)?;
    Ok(text)
}

/// Reads the parts of a JSON object that `T` names, and passes over the rest.
///
/// # Errors
/// A sentence: the text is not a JSON object.
pub fn head<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    if !is_object(text) {
        return Err("the payload is not a JSON object".into());
    }
    serde_json::from_str(text).map_err(|error| format!("the payload is not JSON: {error}"))
}

/// Any body as JSON text: JSON as it is, a form as an object of its fields (a list where one stands several times), other
/// text as a string, and what is not text as base64. Text is read in the charset that its content type names. Text that is a
/// JSON object or list counts as JSON, whatever its content type: not every provider names it.
///
/// # Errors
/// The refusal, with status 400 and this code: the content type says JSON and the body is none, or it nests too deep; a form
/// or a string is none in its charset.
pub fn payload<'a>(request: &'a Request, code: &str) -> Result<Cow<'a, str>, Refusal> {
    let refusal = |said: String| Refusal::new(400, code, said);
    let body = bytes(request);
    if media_type(request) == "application/x-www-form-urlencoded" {
        let fields = form_of(request).map_err(|said| refusal(format!("the form cannot be read: {said}")))?;
        return Ok(form(fields).to_string().into());
    }
    let Some(text) = written(request).map_err(|said| refusal(format!("the body {said}")))? else {
        if is_json(request) {
            return Err(refusal("the body is not UTF-8, though its content type says JSON".into()));
        }
        return Ok(Value::from(encoding::base64_encode(body)).to_string().into());
    };
    if is_json(request) {
        well_formed(&text).map_err(refusal)?;
        return Ok(text);
    }
    if text.trim_start().starts_with(['{', '[']) && well_formed(&text).is_ok() {
        return Ok(text);
    }
    Ok(Value::from(text).to_string().into())
}

/// The body as text: in the charset that its content type names, else in UTF-8. `None` if it is not UTF-8.
///
/// # Errors
/// It is not text in the charset that it names.
fn written(request: &Request) -> Result<Option<Cow<'_, str>>, String> {
    match charset(request.header("content-type").unwrap_or_default()) {
        Some(charset) => text(bytes(request), Some(&charset)).map(|text| Some(text.into())),
        None => Ok(std::str::from_utf8(bytes(request)).ok().map(Cow::Borrowed)),
    }
}

fn form(fields: Vec<(String, String)>) -> Value {
    let mut members = serde_json::Map::new();
    for (name, value) in fields {
        let value = Value::from(value);
        match members.get_mut(&name) {
            None => {
                members.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    Value::Object(members)
}

fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{')
}

fn well_formed(text: &str) -> Result<(), String> {
    hookwright_json::check(text.as_bytes()).map(|_| ()).map_err(|refused| match refused.path.as_str() {
        "" => format!("the body {}", refused.message),
        path => format!("`{}` in the body {}", shorten(path, 200), refused.message),
    })
}

/// The body without a byte order mark.
fn bytes(request: &Request) -> &[u8] {
    hookwright_json::without_mark(&request.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &[u8]) -> Request {
        Request {
            method: "POST".into(),
            path: String::new(),
            query: String::new(),
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
            remote_address: "192.0.2.1".into(),
        }
    }

    #[test]
    fn every_body_has_a_form_in_json() {
        for (content_type, body, expected) in [
            ("application/json", br#"{"n": 1.10}"#.as_slice(), r#"{"n": 1.10}"#),
            ("application/vnd.x+json; charset=utf-8", b"[1]", "[1]"),
            ("application/json", b"7", "7"),
            ("application/x-www-form-urlencoded", b"a=1&b=x+y&a=%C3%BC", r#"{"a":["1","\u00fc"],"b":"x y"}"#),
            ("application/x-www-form-urlencoded; charset=ISO-8859-1", b"s=caf%E9", r#"{"s":"caf\u00e9"}"#),
            ("application/json; charset=ISO-8859-1", b"{\"s\":\"caf\xe9\"}", r#"{"s":"caf\u00e9"}"#),
            ("text/plain; charset=windows-1252", b"caf\xe9", r#""caf\u00e9""#),
            ("text/plain", br#" {"a": 1}"#, r#" {"a": 1}"#),
            ("text/plain", b"{oops", r#""{oops""#),
            ("text/plain", b"say \"hi\"", r#""say \"hi\"""#),
            ("", b"", r#""""#),
            ("application/octet-stream", b"\xff\xfe", r#""//4=""#),
            ("application/json", b"\xef\xbb\xbf{\"a\":1}", r#"{"a":1}"#),
            ("application/x-www-form-urlencoded", b"\xef\xbb\xbfa=1", r#"{"a":"1"}"#),
            ("text/plain", br#"{"a":1,"a":2}"#, r#""{\"a\":1,\"a\":2}""#),
        ] {
            let request = request(content_type, body);
            let text = payload(&request, "x.payload_invalid").unwrap();
            let (found, wanted): (Value, Value) =
                (serde_json::from_str(&text).unwrap(), serde_json::from_str(expected).unwrap());
            assert_eq!(found, wanted, "{content_type}");
        }
    }

    #[test]
    fn a_body_that_claims_to_be_json_must_be_valid() {
        let deep = "[".repeat(129) + &"]".repeat(129);
        for (body, said) in [
            (b"".as_slice(), "not JSON"),
            (b"{", "not JSON"),
            (b"{} x", "not JSON"),
            (b"{\"a\":\"\xff\"}", "UTF-8"),
            (deep.as_bytes(), "128 levels"),
            (br#"{"a":{"b":1e400}}"#, "`a.b` in the body is `1e400`"),
            (br#"{"s":"\ud83d"}"#, "`s` in the body has `\\ud83d`"),
            (br#"{"a":1,"a":2}"#, "`a` in the body is given twice"),
        ] {
            let refusal = payload(&request("application/json", body), "x.payload_invalid").unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_str()), (400, "x.payload_invalid"));
            assert!(refusal.message.contains(said), "{}", refusal.message);
        }
        for (content_type, body, said) in [
            ("application/x-www-form-urlencoded", b"subject=caf%E9".as_slice(), "subject is not UTF-8"),
            ("application/x-www-form-urlencoded; charset=klingon", b"s=caf%E9", "read as klingon"),
            ("text/plain; charset=shift_jis", b"\x82", "read as shift_jis"),
        ] {
            let refusal = payload(&request(content_type, body), "x.payload_invalid").unwrap_err();
            assert!(refusal.message.contains(said), "{}", refusal.message);
        }
        for body in [b"".as_slice(), b" ", b"[]", b"7", b"{\"a\":}"] {
            assert!(json(&request("application/json", body), "x.y").is_err(), "{body:?}");
        }
        assert_eq!(json(&request("", b"\xef\xbb\xbf{}"), "x.y").unwrap(), "{}");
        assert_eq!(json(&request("", b" {\"a\":\"[[[\\\"{\"}"), "x.y").unwrap(), " {\"a\":\"[[[\\\"{\"}");
    }

    #[test]
    fn a_part_of_another_shape_is_left_alone() {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            action: Perhaps<String>,
            #[serde(default)]
            id: Perhaps<u64>,
        }
        for (text, action, id) in [
            (r#"{"action":"cre\u0061ted","id":7}"#, Some("created"), Some(7)),
            (r#"{"action":{"x":1},"id":"7"}"#, None, None),
            (r#"{"other":[1]}"#, None, None),
        ] {
            let head: Head = head(text).unwrap();
            assert_eq!((head.action.0.as_deref(), head.id.0), (action, id), "{text}");
        }
        assert!(head::<Head>("[]").is_err() && head::<Head>("{").is_err());
    }
}
