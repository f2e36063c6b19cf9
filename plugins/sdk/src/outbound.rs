//! What actions that call other systems over HTTP do alike: secrets in a request, the answer as a step's result, and
//! whether a failed call is worth another try.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::http::Response;
use crate::several::read;
use crate::{Failure, Text, clock, encoding, secrets, shorten, time};

/// Maximum number of bytes of a response body in a failure's message.
const EXCERPT: usize = 500;

/// A value that goes into a request: a string, or a secret by its name, which only an object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The text itself.
    Text(Text),
    /// The host puts the secret in its place.
    Secret(Secret),
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let part = match json.get().as_bytes().first() {
            Some(b'{') => read(json.get()).map(Self::Secret),
            Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f') => read(json.get()).map(Self::Text),
            Some(b'[') => Err("a list is not valid here: give a string, or an object that names a secret".into()),
            _ => Err("null is not valid here: give a string, or an object that names a secret".into()),
        };
        part.map_err(serde::de::Error::custom)
    }
}

/// A secret by name, with a prefix and a suffix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its name in the space.
    pub secret: String,
    /// The prefix, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// The suffix.
    #[serde(default)]
    pub suffix: String,
}

impl Part {
    /// What to put into a header.
    ///
    /// # Errors
    /// The secret does not exist, or was not granted to the plugin.
    pub fn value(&self) -> Result<String, Failure> {
        match self {
            Self::Text(text) => Ok(text.to_string()),
            Self::Secret(named) => {
                Ok(format!("{}{}{}", named.prefix, secrets::placeholder(&named.secret)?, named.suffix))
            }
        }
    }

    /// What to put into a query or a form: percent-encoded, but for the placeholder, which the host has to know again.
    ///
    /// # Errors
    /// The secret does not exist, or was not granted to the plugin.
    pub fn encoded(&self) -> Result<String, Failure> {
        match self {
            Self::Text(text) => Ok(encode(text.as_str())),
            Self::Secret(named) => {
                let placeholder = secrets::placeholder(&named.secret)?;
                Ok(format!("{}{placeholder}{}", encode(&named.prefix), encode(&named.suffix)))
            }
        }
    }
}

/// A header field: no value ends it, or begins another (RFC 9110, section 5.5).
///
/// # Errors
/// `parameters.invalid`, with the name of the field: the value has a line break or another control character.
pub fn header(name: &str, value: String) -> Result<(String, String), Failure> {
    match value.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
        None => Ok((name.to_owned(), value)),
        Some((at, control)) => Err(Failure::permanent(
            "parameters.invalid",
            format!(
                "parameter `headers.{}` has `{}` at byte {at}: a header is one line of text, so leave line breaks and \
                 other control characters out",
                shorten(name, 100),
                control.escape_debug()
            ),
        )),
    }
}

/// Encodes a string for a query or a form (the URL standard's `application/x-www-form-urlencoded`).
#[must_use]
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The part of a response that later steps can use.
#[derive(Debug, Serialize)]
pub struct Answered<'a> {
    /// The status.
    pub status: u16,
    /// Names in lower case; several values of one name are joined as RFC 9110 (section 5.3) allows.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON as it is, other text as a string, what is not text in base64, null where there is none.
    pub body: Body<'a>,
    /// Whether the body was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The body of a response, as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Body<'a> {
    /// JSON as it is.
    Json(&'a RawValue),
    /// Any other text as a JSON string; what is not text, in base64.
    Text(String),
    /// There was none.
    Nothing(()),
}

/// The result of a successful request. A body of more than `limit` bytes is truncated, as text.
#[must_use]
pub fn answered(response: &Response, limit: usize) -> Answered<'_> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &response.headers {
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    let truncated = response.body.len() > limit;
    Answered { status: response.status, headers, body: body(&response.body, limit), truncated }
}

fn body(bytes: &[u8], limit: usize) -> Body<'_> {
    if bytes.is_empty() {
        return Body::Nothing(());
    }
    let bytes = hookwright_json::without_mark(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Body::Text(encoding::base64_encode(bytes.get(..limit).unwrap_or(bytes)));
    };
    if text.len() > limit {
        return Body::Text(shorten(text, limit));
    }
    // What others would not read the same is a string to the later steps.
    match hookwright_json::check(text.as_bytes()).ok().and_then(|text| serde_json::from_str(text).ok()) {
        Some(json) => Body::Json(json),
        None => Body::Text(text.to_owned()),
    }
}

/// Whether a status counts as success: one of `expected`, by default any 2xx.
#[must_use]
pub fn is_expected(status: u16, expected: Option<&[u16]>) -> bool {
    match expected {
        None | Some([]) => (200..300).contains(&status),
        Some(list) => list.contains(&status),
    }
}

/// The failure of a request with an unexpected status, code `http.status_NNN`.
///
/// A server's own trouble (5xx), 408, 425 and 429 pass, so they are worth another try, after the time that the server
/// asks for. Other responses would be the same again.
#[must_use]
pub fn failure(method: &str, url: &str, response: &Response) -> Failure {
    let status = response.status;
    let url = shorten(url, 200);
    let mut message = format!("{method} {url} was answered {status}");
    if let Some(location) = response.header("location").filter(|_| (300..400).contains(&status)) {
        message = format!(
            "{message}, which leads to {}: redirects are not followed, call that address",
            shorten(location, 200)
        );
    }
    let text = String::from_utf8_lossy(&response.body);
    if !text.trim().is_empty() {
        message = format!("{message}: {}", shorten(text.trim(), EXCERPT));
    }
    let failure = Failure::permanent(format!("http.status_{status}"), message);
    if passes(status) { failure.retry_after(retry_after_ms(response)) } else { failure }
}

/// Whether a status means a temporary failure.
#[must_use]
pub fn passes(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}

/// Milliseconds of `Retry-After` (RFC 9110, section 10.2.3: seconds or a date); 0 leaves the delay to the step's
/// policy.
#[must_use]
pub fn retry_after_ms(response: &Response) -> u32 {
    let Some(text) = response.header("retry-after").map(str::trim) else { return 0 };
    if let Ok(seconds) = text.parse::<u32>() {
        return seconds.saturating_mul(1000);
    }
    let wait = time::http_date_ms(text).map_or(0.0, |at| at - clock::now_ms());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let ms = wait.clamp(0.0, f64::from(u32::MAX)) as u32;
    ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use serde_json::json;

    fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: body.to_vec() }
    }

    #[test]
    fn a_long_body_is_truncated_and_says_so() {
        for (body, limit, shown) in [
            (br#"{"a":1}"#.as_slice(), 7, json!({"status": 200, "headers": {}, "body": {"a": 1}})),
            (br#"{"a":1}"#, 6, json!({"status": 200, "headers": {}, "body": "{\"a…", "truncated": true})),
            (b"", 0, json!({"status": 200, "headers": {}, "body": null})),
            (b"\xef\xbb\xbf{\"a\":1}", 10, json!({"status": 200, "headers": {}, "body": {"a": 1}})),
            (br#"{"a":1,"a":2}"#, 20, json!({"status": 200, "headers": {}, "body": "{\"a\":1,\"a\":2}"})),
            (br#""\ud83d""#, 20, json!({"status": 200, "headers": {}, "body": "\"\\ud83d\""})),
            (b"\xff\xfe\xfd", 2, json!({"status": 200, "headers": {}, "body": "//4=", "truncated": true})),
        ] {
            let response = response(200, &[], body);
            assert_eq!(serde_json::to_value(answered(&response, limit)).unwrap(), shown);
        }
    }

    #[test]
    fn temporary_failures_are_retried_after_the_requested_delay() {
        Host::default().with_now(784_111_770_000.0, "1994-11-06T08:49:30.000Z").install();
        for (status, retry_after, wait) in [
            (500, None, Some(0)),
            (503, Some("7"), Some(7000)),
            (429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7000)),
            (429, Some("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0)),
            (425, Some("soon"), Some(0)),
            (408, Some("4294967295"), Some(u32::MAX)),
            (404, Some("7"), None),
            (302, None, None),
        ] {
            let headers: Vec<(&str, &str)> = retry_after.map(|value| ("Retry-After", value)).into_iter().collect();
            let failure = failure("GET", "https://a.example", &response(status, &headers, b""));
            assert_eq!(failure.retry_after_ms, wait, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn a_secret_is_named_and_the_text_around_it_is_encoded() {
        Host::default().with_secret("key", b"x").install();
        let part = |json| serde_json::from_value::<Part>(json).unwrap();
        for (given, value, encoded) in [
            (json!("a b&ü"), "a b&ü", "a+b%26%C3%BC"),
            (json!(7), "7", "7"),
            (json!({"secret": "key", "prefix": "Bearer "}), "Bearer placeholder-of-key", "Bearer+placeholder-of-key"),
            (json!({"secret": "key", "suffix": "&"}), "placeholder-of-key&", "placeholder-of-key%26"),
        ] {
            let part = part(given);
            assert_eq!((part.value().unwrap().as_str(), part.encoded().unwrap().as_str()), (value, encoded));
        }
        assert_eq!(part(json!({"secret": "other"})).value().unwrap_err().code, "secret.unknown");
        for json in [
            json!({"secrets": "key"}),
            json!({"secret": "key", "prefix": ["a"]}),
            json!({"secret": ["key"]}),
            json!(["key"]),
            json!(["key", "leak: "]),
            json!([]),
            json!(null),
        ] {
            assert!(serde_json::from_value::<Part>(json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_header_is_one_line() {
        for value in ["plain", "", "tab\there", "größe"] {
            assert_eq!(header("x-a", value.into()), Ok(("x-a".into(), value.into())));
        }
        for (value, shown) in
            [("a\r\nx-b: 1", "`\\r` at byte 1"), ("\n", "`\\n`"), ("a\0", "`\\0`"), ("\u{7f}", "`\\u{7f}`")]
        {
            let failure = header("x-a", value.into()).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(
                failure.message.contains("`headers.x-a`") && failure.message.contains(shown),
                "{}",
                failure.message
            );
        }
    }
}
