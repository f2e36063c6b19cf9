//! Idempotency keys, by which retries of a client's request are recognized (draft-ietf-httpapi-idempotency-key-header).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest key, in characters.
const MAX_KEY: usize = 256;

/// The value of an `Idempotency-Key` header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses a header field's value: a quoted string (RFC 9651, section 3.3.3), as the draft requires, or the bare key
    /// that most clients send. `"a"` and `a` are the same key.
    ///
    /// # Errors
    /// The reason and the remedy.
    pub fn parse(value: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(value).unwrap_or("\u{fffd}").trim();
        let key = match text.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => bare(text)?,
        };
        match key.len() {
            0 => Err("is empty: send a key that no other request has, such as a UUID".to_owned()),
            1..=MAX_KEY => Ok(Self(key)),
            length => Err(format!("has {length} characters: send at most {MAX_KEY}, such as a UUID")),
        }
    }

    /// The key itself, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of a quoted string whose opening quote is already consumed.
fn unquoted(text: &str) -> Result<String, String> {
    let mut key = String::with_capacity(text.len());
    let mut rest = text.chars();
    loop {
        match rest.next() {
            Some('"') if rest.as_str().is_empty() => return Ok(key),
            Some('"') => return Err("has something after the closing quote: send one key alone".to_owned()),
            Some('\\') => match rest.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err("has a backslash before something other than `\"` or `\\`".to_owned()),
            },
            Some(c) if c.is_ascii_graphic() || c == ' ' => key.push(c),
            Some(_) => return Err(unprintable()),
            None => return Err("has no closing quote".to_owned()),
        }
    }
}

/// A key without quotes. A comma would mean that a proxy has joined two header lines.
fn bare(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '"' | ',' | ';')) {
        None => Ok(text.to_owned()),
        Some(c @ (' ' | '"' | ',' | ';')) => Err(format!("has `{c}` outside of quotes: send one key, such as a UUID")),
        Some(_) => Err(unprintable()),
    }
}

fn unprintable() -> String {
    "has a character that is not printable ASCII: send a key such as a UUID".to_owned()
}

/// A request that is executed once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Its key, unique in its space.
    pub key: IdempotencyKey,
    /// SHA-256 in hex of what distinguishes it from other requests: route, content type and body.
    pub fingerprint: String,
}

/// What a request with a key created. A retry is answered with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Made {
    /// Events, by their sequence numbers in the journal.
    Events(Vec<u64>),
    /// A record.
    Record {
        /// Its kind.
        kind: String,
        /// Its id.
        id: u64,
    },
    /// A note on a record.
    Note {
        /// The record's kind.
        kind: String,
        /// The record's id.
        id: u64,
        /// The note's id.
        note: u64,
    },
}

impl Made {
    /// The record of a kind that a change created.
    pub fn record(kind: &str, record: &Value) -> Self {
        Self::Record { kind: kind.to_owned(), id: id_of(record) }
    }

    /// The note that a change added to a record.
    pub fn note(kind: &str, record: &str, note: &Value) -> Self {
        // The record was looked up by this id.
        Self::Note { kind: kind.to_owned(), id: record.trim().parse().unwrap_or_default(), note: id_of(note) }
    }
}

fn id_of(value: &Value) -> u64 {
    value.get("id").and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_with_and_without_quotes() {
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#, "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (" order:42/retry+1= ", "order:42/retry+1="),
            (r#""a b, \"c\" \\ d""#, r#"a b, "c" \ d"#),
        ] {
            assert_eq!(IdempotencyKey::parse(value.as_bytes()).unwrap().as_str(), key, "{value}");
        }
        assert!(IdempotencyKey::parse("x".repeat(256).as_bytes()).is_ok());
    }

    #[test]
    fn an_invalid_key_is_refused_with_the_reason() {
        let long = "x".repeat(257);
        for (value, part) in [
            ("", "is empty"),
            (r#""""#, "is empty"),
            ("  ", "is empty"),
            (long.as_str(), "257 characters"),
            ("a, b", "`,` outside of quotes"),
            ("a b", "` ` outside of quotes"),
            (r#""a", "b""#, "after the closing quote"),
            (r#""a";p=1"#, "after the closing quote"),
            (r#""a"#, "no closing quote"),
            (r#""a\n""#, "backslash"),
            ("sch\u{f6}n", "printable"),
            ("\"a\tb\"", "printable"),
        ] {
            let error = IdempotencyKey::parse(value.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{value}: {error}");
        }
        assert!(IdempotencyKey::parse(&[0xff, 0xfe]).unwrap_err().contains("printable"));
    }
}
