//! Custom header fields of a webhook's requests, besides those of the message and of its signature.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{HOPS_HEADER, Mistakes, abridged, has_variables};

/// Maximum number of custom header fields of a webhook.
const MAX_HEADERS: usize = 50;
/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 128;
/// Maximum length of a value in bytes, both as configured and with its variables filled in.
pub const MAX_HEADER_VALUE: usize = 8192;

/// Header fields of the connection (RFC 9110, sections 7.6.1 and 10.1.1; RFC 9112, section 6; RFC 9113, section 8.2.2).
pub const CONNECTION_FIELDS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A custom header field of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomHeader {
    /// Its name.
    pub name: String,
    /// Its value, with variables. `{{secrets.NAME}}` stands for a secret of the space.
    pub value: String,
}

impl CustomHeader {
    /// The field that is wrong, and how.
    fn mistake(&self) -> Option<(&'static str, String)> {
        let shown = abridged(&self.name);
        if self.name.len() > MAX_NAME || !is_token(&self.name) {
            return Some((
                "name",
                format!(
                    "`{shown}` is not a valid name of a header field (RFC 9110 section 5.1): write letters, digits and \
                     -, at most {MAX_NAME}"
                ),
            ));
        }
        let name = self.name.to_ascii_lowercase();
        let why = match name.as_str() {
            "expect" => "waits for the receiver before the body is sent, which is not supported",
            name if CONNECTION_FIELDS.contains(&name) => "is set by the connection itself",
            "content-encoding" => "says that the body is compressed, but it is sent as it is",
            "trailer" => "announces fields after the body, but none are sent",
            name if name.eq_ignore_ascii_case(HOPS_HEADER) => "is set by the server",
            "content-type" if !has_variables(&Value::from(self.value.as_str())) && !is_media_type(&self.value) => {
                let value = abridged(&self.value);
                let message = format!("`{value}` is not a media type: write one such as `text/csv; charset=utf-8`");
                return Some(("value", message));
            }
            _ if self.value.len() > MAX_HEADER_VALUE => {
                return Some(("value", format!("has {} bytes: give it at most {MAX_HEADER_VALUE}", self.value.len())));
            }
            _ if self.value.chars().any(char::is_control) => {
                return Some(("value", "has a control character, such as a line break: leave it out".to_owned()));
            }
            _ => return None,
        };
        Some(("name", format!("`{shown}` {why}: leave it out")))
    }
}

/// Adds validation errors of header fields. `has_token`: the webhook's `oauth` sets `Authorization`.
pub(super) fn check(headers: &[CustomHeader], has_token: bool, mistakes: &mut Mistakes) {
    if headers.len() > MAX_HEADERS {
        mistakes.add("headers", format!("{} header fields: at most {MAX_HEADERS}", headers.len()));
    }
    let mut given: HashMap<String, usize> = HashMap::new();
    for (place, header) in headers.iter().enumerate() {
        if let Some((field, message)) = header.mistake() {
            mistakes.add(format!("headers[{place}].{field}"), message);
            continue;
        }
        let path = format!("headers[{place}].name");
        if has_token && header.name.eq_ignore_ascii_case("authorization") {
            let message = format!("`{}` is set by the token of this webhook's `oauth`: leave it out", header.name);
            mistakes.add(path.as_str(), message);
        }
        // Of two fields with the same name, in any letter case, only one would be sent.
        let first = *given.entry(header.name.to_ascii_lowercase()).or_insert(place);
        if first != place {
            let message = format!(
                "`{}` is the name of headers[{first}] too, since the case of letters makes no difference: give it once",
                header.name
            );
            mistakes.add(path, message);
        }
    }
}

/// Whether a string is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether a string is a media type (RFC 9110, section 8.3.1).
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_type = essence.trim().split_once('/').is_some_and(|(major, minor)| is_token(major) && is_token(minor));
    is_type && are_parameters(parameters).is_some()
}

/// Whether a string is the parameters of a media type. There may be no parameters.
fn are_parameters(text: &str) -> Option<()> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        if !is_token(name) {
            return None;
        }
        let after = match value.strip_prefix('"') {
            Some(quoted) => after_quotes(quoted)?,
            None => {
                let (token, after) = value.split_at(value.find(';').unwrap_or(value.len()));
                if !is_token(token.trim_end()) {
                    return None;
                }
                after
            }
        };
        let after = after.trim_start();
        rest = if after.is_empty() { after } else { after.strip_prefix(';')?.trim_start() };
    }
    Some(())
}

/// The remainder after a quoted string whose opening quote is already consumed. `None` if the string is not closed.
fn after_quotes(text: &str) -> Option<&str> {
    let mut is_escaped = false;
    for (place, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return text.get(place.saturating_add(1)..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> CustomHeader {
        CustomHeader { name: name.to_owned(), value: value.to_owned() }
    }

    fn paths(headers: &[CustomHeader]) -> Vec<String> {
        let mut mistakes = Mistakes::default();
        check(headers, false, &mut mistakes);
        mistakes.0.into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn a_field_that_no_receiver_can_take_is_refused() {
        for name in [
            "Content-Encoding",
            "Expect",
            "Transfer-Encoding",
            "Content-Length",
            "Connection",
            "Upgrade",
            "TE",
            "Host",
            "Keep-Alive",
            "Proxy-Connection",
            "Trailer",
            "Hookwright-Hops",
            "X Y",
            "",
        ] {
            assert_eq!(paths(&[header(name, "1")]), ["headers[0].name"], "{name}");
        }
        for (name, value) in [("X-A", "1"), ("accept", "*/*"), ("Accept-Encoding", "gzip"), ("Content-Language", "de")]
        {
            assert_eq!(paths(&[header(name, value)]), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn names_that_differ_in_case_only_are_the_same_name() {
        let list = [header("X-A", "1"), header("x-b", "1"), header("x-a", "2"), header("X-B", "{{event.id}}")];
        assert_eq!(paths(&list), ["headers[2].name", "headers[3].name"]);
    }

    #[test]
    fn a_content_type_is_a_media_type() {
        for value in [
            "text/csv",
            "application/vnd.x+json;charset=utf-8",
            "multipart/form-data; boundary=\"a;\\\"b\" ; x=y",
            "text/plain;",
            "{{event.data.type}}",
            "text/{{event.data.type}}; x",
        ] {
            assert_eq!(paths(&[header("content-type", value)]), Vec::<String>::new(), "{value}");
        }
        for value in [
            "",
            "json",
            "text/",
            "/csv",
            "text/c sv",
            "text/csv; charset",
            "text/csv; charset=",
            "text/csv; charset=\"utf-8",
            "text/csv, text/plain",
            "text/csv; a=b c=d",
        ] {
            assert_eq!(paths(&[header("Content-Type", value)]), ["headers[0].value"], "{value}");
        }
    }
}
