//! What actions that call other systems over HTTP do alike: secrets in a request, the answer as a step's result, and
//! whether a failed call is worth another try.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::http::Response;
use crate::{Failure, Text, clock, encoding, secrets, shorten, time};

/// Bytes of an answer's body that a failure's message shows.
const EXCERPT: usize = 500;

/// A value that goes into a request: a text, or a secret by its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// The text itself.
    Text(Text),
    /// The host puts the secret in its place.
    Secret(Secret),
}

/// A secret, named, with what stands around it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its name in the space.
    pub secret: String,
    /// What stands before it, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// What stands after it.
    #[serde(default)]
    pub suffix: String,
}

impl Part {
    /// What to put into a header.
    ///
    /// # Errors
    /// There is no such secret, or it was not granted to the plugin.
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
    /// There is no such secret, or it was not granted to the plugin.
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

/// A text as it stands in a query or a form (the URL standard's `application/x-www-form-urlencoded`).
#[must_use]
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What later steps can use of an answer.
#[derive(Debug, Serialize)]
pub struct Answered<'a> {
    /// The status.
    pub status: u16,
    /// Names in lower case; several values of one name are joined as RFC 9110 (section 5.3) allows.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON as it is, other text as a string, what is no text in base64, null where there is none.
    pub body: Body<'a>,
    /// Whether the body was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The body of an answer, as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Body<'a> {
    /// JSON as it is.
    Json(&'a RawValue),
    /// Any other text as a JSON string; what is no text, in base64.
    Text(String),
    /// There was none.
    Nothing(()),
}

/// The result of a call that went as hoped. Of a body with more than `limit` bytes the beginning is kept, as text.
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
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Body::Text(encoding::base64_encode(bytes.get(..limit).unwrap_or(bytes)));
    };
    if text.len() > limit {
        return Body::Text(shorten(text, limit));
    }
    match serde_json::from_str(text) {
        Ok(json) => Body::Json(json),
        Err(_) => Body::Text(text.to_owned()),
    }
}

/// Whether an answer with this status is what the automation hoped for: one of `expected`, by default any 2xx.
#[must_use]
pub fn is_expected(status: u16, expected: Option<&[u16]>) -> bool {
    match expected {
        None | Some([]) => (200..300).contains(&status),
        Some(list) => list.contains(&status),
    }
}

/// The failure of a call whose answer was not as hoped, code `http.status_NNN`.
///
/// A server's own trouble (5xx), 408, 425 and 429 pass, so they are worth another try, after the time that the server
/// asks for. Anything else would be answered the same way again.
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

/// Whether a status tells of trouble that passes.
#[must_use]
pub fn passes(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}

/// Milliseconds that the server asks to wait (RFC 9110, section 10.2.3: seconds or a date); 0 leaves it to the step's
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
    fn a_long_body_is_cut_and_says_so() {
        for (body, limit, shown) in [
            (br#"{"a":1}"#.as_slice(), 7, json!({"status": 200, "headers": {}, "body": {"a": 1}})),
            (br#"{"a":1}"#, 6, json!({"status": 200, "headers": {}, "body": "{\"a…", "truncated": true})),
            (b"", 0, json!({"status": 200, "headers": {}, "body": null})),
            (b"\xff\xfe\xfd", 2, json!({"status": 200, "headers": {}, "body": "//4=", "truncated": true})),
        ] {
            let response = response(200, &[], body);
            assert_eq!(serde_json::to_value(answered(&response, limit)).unwrap(), shown);
        }
    }

    #[test]
    fn what_passes_is_tried_again_when_the_server_says() {
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
    fn a_secret_is_named_and_what_is_around_it_is_encoded() {
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
        assert!(serde_json::from_value::<Part>(json!({"secrets": "key"})).is_err());
    }
}
