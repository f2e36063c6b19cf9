//! The logged part of a request at a source's URL: enough to see what a provider sends, without secrets.

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::{SourceId, Timestamp};

/// How many bytes of a path, a query and a header's value are logged.
const KEPT_TEXT: usize = 2048;
/// How many header fields are logged, and how many bytes of them.
const KEPT_FIELDS: usize = 64;
const KEPT_HEADERS: usize = 16 * 1024;
/// How many bytes of a body are logged.
const KEPT_BODY: usize = 16 * 1024;
/// How many ids of events are logged.
const TOLD_EVENTS: usize = 100;

/// The name of the log of a space's refused requests to `/webhook` and `/v1/events`. It is not a source's id.
pub const API_REQUESTS: &str = "api";

/// A request at a source's URL, or one to the API that was refused, as its log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEntry {
    /// When it was received.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// What followed the URL, with its slash; the first 2 KiB.
    pub path: String,
    /// The query without the `?`; the first 2 KiB. Values whose names suggest secrets are omitted.
    pub query: String,
    /// Header fields in their order, names in lower case: at most 64 of at most 16 KiB. Values that contain secrets are
    /// omitted.
    pub headers: Vec<(String, String)>,
    /// The body's beginning.
    pub body: KeptBody,
    /// The address that sent it.
    pub remote_address: String,
    /// Its outcome.
    #[serde(flatten)]
    pub told: Told,
}

/// The beginning of a body: text, or base64 if it is not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBody {
    /// Its size in bytes.
    pub bytes: usize,
    /// The first 16 KiB, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The first 16 KiB in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Whether it is truncated. The whole body is the payload of its event.
    pub truncated: bool,
}

/// The outcome of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The status of the response.
    pub status: u16,
    /// The stable code of the refusal, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The message of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Ids of its events, at most 100.
    #[serde(default)]
    pub events: Vec<String>,
    /// How many of them were duplicates, for which nothing was executed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<String>,
    /// How many of the duplicates had another body than the first event, which stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

impl Told {
    /// An accepted request.
    pub fn taken(status: u16, events: impl IntoIterator<Item = String>) -> Self {
        Self { status, events: events.into_iter().take(TOLD_EVENTS).collect(), ..Self::default() }
    }

    /// Some of its events were duplicates, and some of those had another body.
    pub fn known(&mut self, repeats: impl Iterator<Item = String>, changed: impl Iterator<Item = String>) {
        self.repeats = repeats.take(TOLD_EVENTS).collect();
        self.changed = changed.take(TOLD_EVENTS).collect();
    }

    /// A refused request.
    pub fn refused(status: u16, code: &str, message: &str) -> Self {
        let message = begin(message, KEPT_TEXT).to_owned();
        Self { status, code: Some(begin(code, 128).to_owned()), message: Some(message), ..Self::default() }
    }
}

/// A log entry with its source.
#[derive(Clone, Debug)]
pub struct RequestNote {
    /// The source.
    pub source: SourceId,
    /// The entry.
    pub entry: RequestEntry,
    /// Maximum number of entries of the log.
    pub most: u64,
}

impl RequestEntry {
    /// The logged part of a request. `secret` are names of header fields and query parameters with secrets, besides
    /// those whose names suggest it.
    #[allow(clippy::too_many_arguments, reason = "the parts of a request")]
    pub fn new(
        at: Timestamp,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        body: &[u8],
        remote_address: String,
        secret: &[&str],
    ) -> Self {
        let mut room = KEPT_HEADERS;
        let headers = headers.iter().take(KEPT_FIELDS).map_while(|(name, value)| {
            let value = if bears_secret(name, secret) {
                format!("({} bytes, not kept)", value.len())
            } else {
                begin(value, KEPT_TEXT).to_owned()
            };
            room = room.checked_sub(name.len().saturating_add(value.len()))?;
            Some((name.clone(), value))
        });
        Self {
            at,
            method: begin(method, 32).to_owned(),
            path: begin(path, KEPT_TEXT).to_owned(),
            query: without_secrets(begin(query, KEPT_TEXT), secret),
            headers: headers.collect(),
            body: KeptBody::of(body),
            remote_address,
            told: Told::default(),
        }
    }
}

impl KeptBody {
    /// The beginning of a body.
    pub fn of(body: &[u8]) -> Self {
        let kept = body.get(..KEPT_BODY).unwrap_or(body);
        let truncated = kept.len() < body.len();
        let text = match std::str::from_utf8(kept) {
            Ok(text) => Some(text),
            // Truncated in the middle of a character.
            Err(error) if truncated && error.error_len().is_none() => {
                kept.get(..error.valid_up_to()).and_then(|kept| std::str::from_utf8(kept).ok())
            }
            Err(_) => None,
        };
        let base64 = text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(kept));
        Self { bytes: body.len(), text: text.map(str::to_owned), base64, truncated }
    }
}

/// Whether a value with this name must not be logged.
fn bears_secret(name: &str, secret: &[&str]) -> bool {
    const WORDS: [&str; 9] =
        ["auth", "cookie", "token", "secret", "password", "signature", "credential", "hmac", "api-key"];
    let name = name.to_ascii_lowercase().replace('_', "-");
    let by_itself = name == "key" || name == "sig" || name == "code" || name.ends_with("apikey");
    let is_key = name.ends_with("-key") && name != "idempotency-key";
    by_itself
        || is_key
        || WORDS.iter().any(|word| name.contains(word))
        || secret.iter().any(|other| other.replace('_', "-").eq_ignore_ascii_case(&name))
}

/// A query without the values that contain secrets.
fn without_secrets(query: &str, secret: &[&str]) -> String {
    let part = |part: &str| match part.split_once('=') {
        // A percent-encoded name might be any.
        Some((name, _)) if name.contains('%') || bears_secret(name, secret) => format!("{name}=(not kept)"),
        _ => part.to_owned(),
    };
    query.split('&').map(part).collect::<Vec<_>>().join("&")
}

/// The beginning of a string with at most this number of bytes, up to the end of a character.
pub(crate) fn begin(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(query: &str, headers: &[(&str, &str)], body: &[u8]) -> RequestEntry {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = Timestamp::from_millis(0);
        RequestEntry::new(at, "POST", "/x", query, &headers, body, "192.0.2.1".to_owned(), &["X-Mine", "mine"])
    }

    #[test]
    fn values_with_secrets_are_omitted() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-gitlab-token",
            "x-hub-signature-256",
            "x-api-key",
            "x-apikey",
            "webhook-signature",
            "x-mine",
            "x-line-hmac",
        ] {
            let kept = entry("", &[(name, "s3cret")], b"").headers;
            assert_eq!(kept, [(name.to_owned(), "(6 bytes, not kept)".to_owned())]);
        }
        for name in ["content-type", "x-github-event", "idempotency-key", "webhook-id", "user-agent"] {
            assert_eq!(entry("", &[(name, "v")], b"").headers, [(name.to_owned(), "v".to_owned())]);
        }
        for (query, kept) in [
            ("", ""),
            ("a=1&b", "a=1&b"),
            (
                "token=x&a=1&hub.verify_token=y&hub.challenge=7",
                "token=(not kept)&a=1&hub.verify_token=(not kept)&hub.challenge=7",
            ),
            ("mine=x&MINE=y", "mine=(not kept)&MINE=(not kept)"),
            ("tok%65n=x", "tok%65n=(not kept)"),
        ] {
            assert_eq!(entry(query, &[], b"").query, kept);
        }
    }

    #[test]
    fn everything_has_a_bound() {
        let long = "ü".repeat(20_000);
        let fields: Vec<_> = (0..100).map(|_| ("x-a", long.as_str())).collect();
        let kept = entry(&long, &fields, long.as_bytes());
        assert!(kept.query.len() <= KEPT_TEXT);
        assert!(kept.headers.len() <= KEPT_FIELDS);
        let size: usize = kept.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(size <= KEPT_HEADERS, "{size}");
        let body = kept.body;
        assert_eq!((body.bytes, body.truncated, body.text.unwrap().len()), (40_000, true, KEPT_BODY));
        let odd = format!("x{long}");
        let text = KeptBody::of(odd.as_bytes()).text.unwrap();
        assert_eq!(text.len(), KEPT_BODY - 1, "it ends with a whole character");
    }

    #[test]
    fn a_body_is_shown_as_text_or_as_base64() {
        let shown = |body: &[u8]| serde_json::to_value(KeptBody::of(body)).unwrap();
        assert_eq!(shown(b"{}"), json!({"bytes": 2, "text": "{}", "truncated": false}));
        assert_eq!(shown(b"\xff\x00"), json!({"bytes": 2, "base64": "/wA=", "truncated": false}));
    }
}
