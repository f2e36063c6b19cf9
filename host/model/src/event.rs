use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{MAX_DEPTH, Mistake, RunId, SpaceId, Timestamp, WORKFLOW_STARTED, WorkflowStart};

/// How many events may cause one another before the chain is cut.
pub const MAX_CHAIN: u32 = 16;

/// One fact that happened. Never changed once it is in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Unique together with `source` in its space.
    pub id: String,
    /// Dotted words, such as `jira.ticket_completed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Who says so (CloudEvents `source`).
    pub source: String,
    /// What it is about within the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, RFC 3339 in UTC.
    pub time: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Content type of `payload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Extension attributes and what the source kept of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// How `data` follows from the payload.
    pub data: Data,
    /// What made it, if Hookwright did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The space it belongs to. Kept in the key.
    #[serde(skip, default = "SpaceId::main")]
    pub space: SpaceId,
    /// What came in, byte for byte. Kept beside the envelope.
    #[serde(skip)]
    pub payload: Bytes,
}

/// How an event's data follows from its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// The bytes from the first number up to the second are JSON.
    Span(usize, usize),
    /// JSON that does not stand in the payload as such.
    Json(String),
    /// The payload is text: data is a JSON string of it.
    Text,
    /// The payload is neither: data is a JSON string of its base64.
    Binary,
}

/// Which run made an event, and how long the chain behind it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The run, unless a person's API call made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Id of the event that the run was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The name of the source whose URL was called, if that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// 0 for what came from outside, one more for each event that an automation made of another.
    pub depth: u32,
    /// The event that this one repeats, if somebody had it replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replays: Option<Replay>,
}

/// Which event is repeated, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Id of the event.
    pub event: String,
    /// Its place in the journal.
    pub seq: u64,
    /// The revision of the automation that is carried out, if not the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Plugins that are called in another version than the one in use: SHA-256 of the component in hex, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, String>,
}

/// What a new event is made from.
#[derive(Clone, Debug, Default)]
pub struct EventDraft {
    /// The sender's id of it, or none.
    pub id: Option<String>,
    /// See [`Event::event_type`].
    pub event_type: String,
    /// See [`Event::source`].
    pub source: String,
    /// See [`Event::subject`].
    pub subject: Option<String>,
    /// RFC 3339, or none for now.
    pub time: Option<String>,
    /// See [`Event::content_type`].
    pub content_type: Option<String>,
    /// See [`Event::attributes`].
    pub attributes: Vec<(String, String)>,
    /// See [`Event::payload`].
    pub payload: Bytes,
    /// None: found out from the content type and the payload.
    pub data: Option<Data>,
    /// See [`Event::cause`].
    pub cause: Option<Cause>,
    /// The workflow that it starts. Only Hookwright itself can say so, whatever the type.
    pub starts: Option<WorkflowStart>,
}

impl EventDraft {
    /// The event that starts a workflow with `input`.
    pub fn start(start: WorkflowStart, source: &str, input: &Value, cause: Option<Cause>) -> Self {
        let data = serde_json::json!({"workflow": start.name, "version": start.version, "input": input});
        let subject = Some(format!("workflow/{}", start.name));
        Self { starts: Some(start), ..Self::json(WORKFLOW_STARTED, source, subject, &data, cause) }
    }

    /// An event that Hookwright itself makes, with JSON as data.
    pub fn json(event_type: &str, source: &str, subject: Option<String>, data: &Value, cause: Option<Cause>) -> Self {
        let payload = Bytes::from(data.to_string());
        Self {
            event_type: event_type.to_owned(),
            source: source.to_owned(),
            subject,
            content_type: Some("application/json".to_owned()),
            data: Some(Data::Span(0, payload.len())),
            payload,
            cause,
            ..Self::default()
        }
    }

    /// The event, if every attribute is in its bounds.
    pub fn accept(self, space: &SpaceId, now: Timestamp) -> Result<Event, Mistake> {
        let id = match self.id {
            Some(id) => bounded("id", id, 256)?,
            None => crate::unique("evt"),
        };
        let event_type = bounded("type", self.event_type, 256)?;
        let source = bounded("source", self.source, 1024)?;
        let subject = self.subject.filter(|s| !s.is_empty()).map(|s| bounded("subject", s, 1024)).transpose()?;
        let time = match self.time {
            None => now.to_string(),
            Some(text) => utc(&text)?,
        };
        if self.attributes.len() > 64 {
            return Err(Mistake::new("attributes", format!("{} attributes: at most 64", self.attributes.len())));
        }
        let data = match self.data {
            Some(data) => data,
            None => found_out(self.content_type.as_deref(), &self.payload)?,
        };
        Ok(Event {
            id,
            event_type,
            source,
            subject,
            time,
            received_at: now,
            content_type: self.content_type,
            attributes: self.attributes,
            data,
            cause: self.cause,
            space: space.clone(),
            payload: self.payload,
        })
    }
}

fn bounded(name: &str, text: String, most: usize) -> Result<String, Mistake> {
    if text.trim().is_empty() {
        Err(Mistake::new(name, "is empty: give it at least one character"))
    } else if text.len() > most {
        Err(Mistake::new(name, format!("has {} bytes: at most {most}", text.len())))
    } else if text.chars().any(char::is_control) {
        Err(Mistake::new(name, "has a control character: leave it out"))
    } else {
        Ok(text)
    }
}

fn utc(text: &str) -> Result<String, Mistake> {
    use time::format_description::well_known::Rfc3339;
    let wrong = || Mistake::new("time", format!("`{text}` is no RFC 3339 time, such as 2026-01-31T12:00:00Z"));
    let at = time::OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).map_err(|_| wrong())
}

fn found_out(content_type: Option<&str>, payload: &[u8]) -> Result<Data, Mistake> {
    let media = content_type.unwrap_or("application/json").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if media == "application/json" || media.ends_with("+json") {
        json_span(payload, "data")?;
        Ok(Data::Span(0, payload.len()))
    } else if std::str::from_utf8(payload).is_ok() {
        Ok(Data::Text)
    } else {
        Ok(Data::Binary)
    }
}

/// Checks that `payload` is one JSON value that nests no deeper than [`MAX_DEPTH`].
pub fn json_span(payload: &[u8], path: &str) -> Result<(), Mistake> {
    if json_depth(payload) > MAX_DEPTH {
        return Err(Mistake::new(path, format!("nested more than {MAX_DEPTH} levels deep: flatten it")));
    }
    serde_json::from_slice::<&serde_json::value::RawValue>(payload)
        .map(|_| ())
        .map_err(|error| Mistake::new(path, format!("is not JSON: {error}")))
}

/// How deeply the JSON text nests; counts brackets outside of strings, so it is safe on any bytes.
pub fn json_depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => quoted = true,
                b'[' | b'{' => {
                    depth = depth.saturating_add(1);
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    deepest
}

impl Data {
    /// Whether it is JSON in itself, rather than a JSON text of something else.
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Span(..) | Self::Json(_))
    }
}

impl Event {
    /// The data as JSON text.
    pub fn data_json(&self) -> Cow<'_, str> {
        match &self.data {
            Data::Span(start, end) => match self.payload.get(*start..*end).map(std::str::from_utf8) {
                Some(Ok(text)) => Cow::Borrowed(text),
                _ => Cow::Borrowed("null"),
            },
            Data::Json(text) => Cow::Borrowed(text),
            Data::Text => Cow::Owned(Value::from(String::from_utf8_lossy(&self.payload)).to_string()),
            Data::Binary => {
                Cow::Owned(Value::from(base64::engine::general_purpose::STANDARD.encode(&self.payload)).to_string())
            }
        }
    }

    /// The data as a value.
    pub fn data_value(&self) -> Value {
        serde_json::from_str(&self.data_json()).unwrap_or(Value::Null)
    }

    /// How long the chain behind it is.
    pub fn depth(&self) -> u32 {
        self.cause.as_ref().map_or(0, |cause| cause.depth)
    }

    /// What it repeats, if somebody had it replayed.
    pub fn replays(&self) -> Option<&Replay> {
        self.cause.as_ref()?.replays.as_ref()
    }

    /// The envelope in the JSON format of CloudEvents 1.0, without `data`.
    pub fn envelope(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("specversion".to_owned(), "1.0".into());
        map.insert("id".to_owned(), self.id.as_str().into());
        map.insert("type".to_owned(), self.event_type.as_str().into());
        map.insert("source".to_owned(), self.source.as_str().into());
        if let Some(subject) = &self.subject {
            map.insert("subject".to_owned(), subject.as_str().into());
        }
        map.insert("time".to_owned(), self.time.as_str().into());
        if let Some(content_type) = &self.content_type {
            map.insert("datacontenttype".to_owned(), content_type.as_str().into());
        }
        for (name, value) in &self.attributes {
            map.entry(name.clone()).or_insert_with(|| value.as_str().into());
        }
        map
    }

    /// The envelope with `data`.
    pub fn to_value(&self) -> Value {
        let mut map = self.envelope();
        map.insert("data".to_owned(), self.data_value());
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(content_type: &str, payload: &'static [u8]) -> Result<Event, Mistake> {
        EventDraft {
            event_type: "a.b".to_owned(),
            source: "test".to_owned(),
            content_type: Some(content_type.to_owned()),
            payload: Bytes::from_static(payload),
            ..EventDraft::default()
        }
        .accept(&SpaceId::main(), Timestamp::from_millis(0))
    }

    #[test]
    fn data_follows_from_the_payload() {
        for (content_type, payload, data) in [
            ("application/json", &b"{\"a\": 1}"[..], "{\"a\": 1}"),
            ("application/x+json; charset=utf-8", b"[1]", "[1]"),
            ("text/plain", b"say \"hi\"", "\"say \\\"hi\\\"\""),
            ("application/octet-stream", b"\xff\x00", "\"/wA=\""),
        ] {
            assert_eq!(draft(content_type, payload).unwrap().data_json(), data);
        }
        assert!(draft("application/json", b"{\"a\":").unwrap_err().message.contains("not JSON"));
        assert!(draft("application/json", b"\"\xff\"").is_err());
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert_eq!(json_depth(br#"{"a":["[[[[\"[",{}]}"#), 3);
        assert_eq!(json_depth(&b"[".repeat(10_000)), 10_000);
        assert_eq!(json_depth(b"]]]]1"), 0);
    }

    #[test]
    fn attributes_have_bounds() {
        let base =
            || EventDraft { event_type: "t".into(), source: "s".into(), payload: "1".into(), ..EventDraft::default() };
        let accept = |draft: EventDraft| draft.accept(&SpaceId::main(), Timestamp::from_millis(0));
        assert!(accept(base()).is_ok());
        assert_eq!(accept(EventDraft { event_type: " ".into(), ..base() }).unwrap_err().path, "type");
        assert_eq!(accept(EventDraft { id: Some("x".repeat(257)), ..base() }).unwrap_err().path, "id");
        assert_eq!(accept(EventDraft { time: Some("noon".into()), ..base() }).unwrap_err().path, "time");
        let moved = accept(EventDraft { time: Some("2026-01-01T01:00:00+01:00".into()), ..base() }).unwrap();
        assert_eq!(moved.time, "2026-01-01T00:00:00Z");
    }
}
