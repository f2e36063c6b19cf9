//! CloudEvents 1.0 over HTTP: structured, binary and batched mode (HTTP protocol binding 1.0.2, JSON format 1.0.2).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use axum::body::Bytes;
use base64::Engine as _;
use fluent_uri::UriRef;
use hookwright_model::{Data, EventDraft, Mistake, json};
use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use crate::body::span_of;
use crate::problem::Problem;

/// The maximum number of events in one batch.
const MAX_BATCH: usize = 1000;

const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
const ID: HeaderName = HeaderName::from_static("ce-id");
const TYPE: HeaderName = HeaderName::from_static("ce-type");

/// Whether the attributes are in headers.
pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
    [SPEC_VERSION, ID, TYPE].iter().any(|name| headers.contains_key(name))
}

/// The event in `body[range]`, which must be valid JSON.
pub(crate) fn structured(body: &Bytes, range: Range<usize>) -> Result<EventDraft, Mistake> {
    let payload = body.slice(range);
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(&payload)
        .map_err(|error| Mistake::new("", format!("a CloudEvent is a JSON object: {}", plain(&error))))?;
    let mut draft = AttributeReader::default();
    for (name, value) in members {
        match name.as_str() {
            "data" => draft.data = Some(span_of(&payload, value)),
            "data_base64" => {
                let text = text_of("data_base64", value)?.unwrap_or_default();
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .map_err(|error| Mistake::new("data_base64", format!("is not valid base64: {error}")))?;
                draft.base64 = Some(bytes);
            }
            _ => {
                if let Some(text) = text_of(&name, value)? {
                    draft.attribute(&name, text)?;
                }
            }
        }
    }
    if draft.data.is_some() && draft.base64.is_some() {
        return Err(Mistake::new("data_base64", "cannot be combined with data: give one of them"));
    }
    draft.finish(payload)
}

/// The events of a batch.
pub(crate) fn batched(body: &Bytes) -> Result<Vec<EventDraft>, Problem> {
    let parts: Vec<&RawValue> = serde_json::from_slice(json::without_mark(body))
        .map_err(|error| Mistake::new("", format!("a batch is a JSON array of CloudEvents: {}", plain(&error))))?;
    if parts.len() > MAX_BATCH {
        let message = format!("{} events: at most {MAX_BATCH} in one batch", parts.len());
        return Err(Mistake::new("", message).into());
    }
    let mut drafts = Vec::with_capacity(parts.len());
    for (place, part) in parts.into_iter().enumerate() {
        let Data::Span(start, end) = span_of(body, part) else { continue };
        drafts.push(structured(body, start..end).map_err(|mistake| within(place, mistake))?);
    }
    Ok(drafts)
}

fn plain(error: &serde_json::Error) -> String {
    json::plain(&error.to_string())
}

/// The validation error with the position of its event in the batch.
fn within(place: usize, mistake: Mistake) -> Mistake {
    let joint = if mistake.path.is_empty() { "" } else { "." };
    Mistake { path: format!("[{place}]{joint}{}", mistake.path), ..mistake }
}

/// The event whose attributes are in headers and whose payload is the body.
pub(crate) fn binary(headers: &HeaderMap, body: Bytes) -> Result<EventDraft, Problem> {
    let mut draft = AttributeReader::default();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let text = value
            .to_str()
            .ok()
            .and_then(|text| percent_decoded(&unquoted(text)))
            .ok_or_else(|| Mistake::new(name.as_str(), "is not printable ASCII with percent-encoding"))?;
        draft.attribute(attribute, text)?;
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    draft.content_type = content_type.map(str::to_owned);
    if body.is_empty() {
        draft.data = Some(Data::Json("null".to_owned()));
    } else {
        draft.is_payload = true;
    }
    Ok(draft.finish(body)?)
}

/// A CloudEvent that is being parsed.
#[derive(Default)]
struct AttributeReader {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    event_type: Option<String>,
    subject: Option<String>,
    time: Option<String>,
    content_type: Option<String>,
    extensions: Vec<(String, String)>,
    data: Option<Data>,
    base64: Option<Vec<u8>>,
    /// The payload is the data, whatever its content type.
    is_payload: bool,
}

impl AttributeReader {
    fn attribute(&mut self, name: &str, value: String) -> Result<(), Mistake> {
        match name {
            "specversion" => self.specversion = Some(value),
            "id" => self.id = Some(value),
            "source" => self.source = Some(value),
            "type" => self.event_type = Some(value),
            "subject" => self.subject = Some(value),
            "time" => self.time = Some(value),
            "datacontenttype" => self.content_type = Some(value),
            _ if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) => {
                return Err(Mistake::new(name, "attributes of CloudEvents have names of a-z and 0-9 only"));
            }
            _ => self.extensions.push((name.to_owned(), value)),
        }
        Ok(())
    }

    fn finish(self, payload: Bytes) -> Result<EventDraft, Mistake> {
        match self.specversion.as_deref() {
            Some("1.0") => {}
            Some(other) => {
                let shown = hookwright_model::abridged(other);
                return Err(Mistake::new("specversion", format!("`{shown}`: only 1.0 is supported")));
            }
            None => return Err(Mistake::new("specversion", "is missing: it must be 1.0")),
        }
        let needed = |name: &str, value: Option<String>| {
            value.ok_or_else(|| Mistake::new(name, "is missing: every CloudEvent has one"))
        };
        let source = needed("source", self.source)?;
        if let Err(error) = UriRef::parse(source.as_str()) {
            let shown = hookwright_model::abridged(&source);
            let message = format!(
                "`{shown}` is not a URI-reference (RFC 3986): {error}; percent-encode the characters that are not allowed in one"
            );
            return Err(Mistake::new("source", message));
        }
        let mut draft = EventDraft {
            id: Some(needed("id", self.id)?),
            source,
            event_type: needed("type", self.event_type)?,
            subject: self.subject,
            time: self.time,
            content_type: self.content_type,
            attributes: self.extensions,
            payload,
            data: self.data,
            cause: None,
            starts: None,
            ingress: None,
        };
        if let Some(bytes) = self.base64 {
            // The data is the decoded base64.
            draft.payload = Bytes::from(bytes);
            draft.content_type.get_or_insert_with(|| "application/octet-stream".to_owned());
        } else if draft.data.is_none() && !self.is_payload {
            draft.data = Some(Data::Json("null".to_owned()));
        }
        Ok(draft)
    }
}

/// An attribute's value as text; `null` counts as absent.
fn text_of(name: &str, value: &RawValue) -> Result<Option<String>, Mistake> {
    match serde_json::from_str::<serde_json::Value>(value.get()) {
        Ok(serde_json::Value::String(text)) => Ok(Some(text)),
        Ok(serde_json::Value::Bool(truth)) => Ok(Some(truth.to_string())),
        Ok(serde_json::Value::Number(number)) if number.is_i64() => Ok(Some(number.to_string())),
        Ok(serde_json::Value::Null) => Ok(None),
        _ => Err(Mistake::new(name, "attributes are strings, booleans or integers")),
    }
}

/// The content of a quoted string (RFC 9110, section 5.6.4), which the HTTP protocol binding requires to be read before
/// percent-decoding (section 3.1.3.2). Any other text is returned as it is.
fn unquoted(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return text.into() };
    let (mut content, mut letters) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(letter) = letters.next() {
        match letter {
            // It ended before: these are not the quotes of one string.
            '"' => return text.into(),
            '\\' => match letters.next() {
                Some(escaped) => content.push(escaped),
                // The last quote is part of the string, which does not end.
                None => return text.into(),
            },
            letter => content.push(letter),
        }
    }
    content.into()
}

/// Percent-decoding by the HTTP protocol binding, section 3.1.3.2. `None`: a percent sign without two digits, or bytes
/// that are not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    // The decoder leaves such a percent sign as it is.
    let has_digits =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(has_digits) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structured_event_borrows_its_data_from_the_body() {
        let body = Bytes::from_static(
            br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":true,"data":{"n": 1.50},"time":null}"#,
        );
        let draft = structured(&body, 0..body.len()).unwrap();
        assert_eq!(draft.attributes, vec![("ext".to_owned(), "true".to_owned())]);
        let event =
            draft.accept(&hookwright_model::SpaceId::main(), hookwright_model::Timestamp::from_millis(0)).unwrap();
        assert_eq!(event.data_json(), r#"{"n": 1.50}"#);
    }

    #[test]
    fn missing_attributes_of_a_cloud_event_are_reported() {
        for (text, part) in [
            (r#"{"id":"1","source":"/s","type":"t"}"#, "specversion"),
            (r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, "specversion"),
            (r#"{"specversion":"1.0","source":"/s","type":"t"}"#, "id"),
            (r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","Bad":1}"#, "Bad"),
            (r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","x":{}}"#, "x"),
            (r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"AA=="}"#, "data_base64"),
            (r#"{"specversion":"1.0","id":"1","source":"my shop","type":"t"}"#, "URI-reference"),
            (r#"{"specversion":"1.0","id":"1","source":"/caf\u00e9","type":"t"}"#, "URI-reference"),
            (r#"{"specversion":"1.0","id":"1","source":"/a%2","type":"t"}"#, "URI-reference"),
            (r#"{"specversion":"1.0","id":"1","source":"1:/a","type":"t"}"#, "URI-reference"),
            ("[]", "object"),
        ] {
            let mistake = structured(&Bytes::copy_from_slice(text.as_bytes()), 0..text.len()).unwrap_err();
            assert!(mistake.to_string().contains(part), "{text} {mistake}");
        }
    }

    #[test]
    fn a_source_may_be_any_uri_reference() {
        for source in [
            "/s",
            "urn:uuid:6e8bc430",
            "https://shop.example/a?b#c",
            "my-shop",
            "../a",
            "//host/a",
            "a%20b",
            "mailto:a@b",
        ] {
            let text = format!(r#"{{"specversion":"1.0","id":"1","source":"{source}","type":"t"}}"#);
            structured(&Bytes::from(text.clone()), 0..text.len()).unwrap();
        }
    }

    #[test]
    fn quoted_header_values_are_unquoted_before_they_are_decoded() {
        for (text, content) in [
            ("plain", "plain"),
            ("\"a b\"", "a b"),
            (r#""say \"hi\" \\ %22""#, r#"say "hi" \ %22"#),
            ("\"\"", ""),
            ("\"", "\""),
            ("\"a\" and \"b\"", "\"a\" and \"b\""),
            (r#""open\""#, r#""open\""#),
            ("%22a%22", "%22a%22"),
        ] {
            assert_eq!(unquoted(text), content, "{text}");
        }
    }

    #[test]
    fn header_values_are_percent_decoded() {
        for (text, decoded) in [
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("Euro%20%e2%82%ac", "Euro €"),
            ("%41%2F%7e", "A/~"),
            ("100%2525 of", "100%25 of"),
            ("a+b", "a+b"),
            ("", ""),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), Some(decoded), "{text}");
        }
        for wrong in ["bad%2", "bad%ff", "%", "%%41", "%+1", "%zz", "%C0%A0", "%ED%A0%80", "%E2%82"] {
            assert_eq!(percent_decoded(wrong), None, "{wrong}");
        }
    }
}
