//! Drafts of events, and the validation of their attributes and data.

use bytes::Bytes;
use serde_json::Value;

use super::{Cause, Data, Event, Ingress};
use crate::input::refused_at;
use crate::{Instant, Mistake, SpaceId, Timestamp, WORKFLOW_STARTED, WorkflowStart, json, json_span};

/// A draft of an event.
#[derive(Clone, Debug, Default)]
pub struct EventDraft {
    /// The id from the sender, if there is one.
    pub id: Option<String>,
    /// See [`Event::event_type`].
    pub event_type: String,
    /// See [`Event::source`].
    pub source: String,
    /// See [`Event::subject`].
    pub subject: Option<String>,
    /// In any form that [`Instant`] reads. `None`: now.
    pub time: Option<String>,
    /// See [`Event::content_type`].
    pub content_type: Option<String>,
    /// See [`Event::attributes`].
    pub attributes: Vec<(String, String)>,
    /// See [`Event::payload`].
    pub payload: Bytes,
    /// `None`: detected from the content type and the payload.
    pub data: Option<Data>,
    /// See [`Event::cause`].
    pub cause: Option<Cause>,
    /// See [`Event::ingress`].
    pub ingress: Option<Ingress>,
    /// The workflow that it starts. Only Hookwright itself sets it, whatever the type.
    pub starts: Option<WorkflowStart>,
}

impl EventDraft {
    /// The event that starts a workflow with `input`.
    pub fn start(start: WorkflowStart, source: &str, input: &Value, cause: Option<Cause>) -> Self {
        let data = serde_json::json!({"workflow": start.name, "version": start.version, "input": input});
        let subject = Some(format!("workflow/{}", start.name));
        Self { starts: Some(start), ..Self::json(WORKFLOW_STARTED, source, subject, &data, cause) }
    }

    /// An event that Hookwright itself emits, with JSON as data.
    pub fn json(event_type: &str, source: &str, subject: Option<String>, data: &Value, cause: Option<Cause>) -> Self {
        Self::json_text(event_type, source, subject, data.to_string(), cause)
    }

    /// The same with data that is serialized already.
    pub fn json_text(
        event_type: &str,
        source: &str,
        subject: Option<String>,
        data: String,
        cause: Option<Cause>,
    ) -> Self {
        let payload = Bytes::from(data);
        Self {
            event_type: event_type.to_owned(),
            source: source.to_owned(),
            subject,
            content_type: Some("application/json".to_owned()),
            data: Some(Data::Span(0, payload.len())),
            payload,
            cause,
            ingress: Some(Ingress::Internal),
            ..Self::default()
        }
    }

    /// Validates the attributes and makes the event.
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
            ingress: self.ingress,
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
    let at = Instant::parse(text).ok_or_else(|| {
        let shown = crate::abridged(text);
        Mistake::new("time", format!("`{shown}` is not a time with an offset, such as 2026-01-31T12:00:00Z"))
    })?;
    Ok(at.to_string())
}

fn found_out(content_type: Option<&str>, payload: &[u8]) -> Result<Data, Mistake> {
    let json = json::without_mark(payload);
    let span = || Data::Span(payload.len().saturating_sub(json.len()), payload.len());
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || media.ends_with("+json") {
        json_span(json, "data")?;
        return Ok(span());
    }
    if content_type.is_none() {
        // Its type is unknown: it is JSON if it parses, otherwise text if it is UTF-8, otherwise bytes.
        match json::check(json) {
            Ok(_) => return Ok(span()),
            Err(refused) if matches!(refused.rule, json::Rule::Syntax | json::Rule::Utf8) => {}
            Err(refused) => return Err(refused_at("data", refused)),
        }
    }
    Ok(if std::str::from_utf8(payload).is_ok() { Data::Text } else { Data::Binary })
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
    fn the_type_of_a_payload_is_detected() {
        let accept = |payload: &'static [u8]| {
            let base = EventDraft { event_type: "t".into(), source: "s".into(), ..EventDraft::default() };
            EventDraft { payload: Bytes::from_static(payload), ..base }
                .accept(&SpaceId::main(), Timestamp::from_millis(0))
        };
        for (payload, data) in [
            (&b"{\"a\": 1.10}"[..], "{\"a\": 1.10}"),
            (b"\xef\xbb\xbf[1]", "[1]"),
            (b"hello", "\"hello\""),
            (b"\xff", "\"/w==\""),
        ] {
            assert_eq!(accept(payload).unwrap().data_json(), data);
        }
        assert_eq!(accept(b"{\"a\":{\"b\":1,\"b\":2}}").unwrap_err().path, "data.a.b");
    }

    #[test]
    fn a_payload_that_readers_would_differ_about_is_refused_with_its_place() {
        for (payload, path) in [
            (&b"{\"a\":\"x\",\"e\":1e400}"[..], "data.e"),
            (b"{\"a\":\"x\",\"s\":[\"\\ud83d\"]}", "data.s[0]"),
            (b"{\"a\":1,\"a\":2}", "data.a"),
            (b"[1e-400]", "data[0]"),
        ] {
            assert_eq!(draft("application/json", payload).unwrap_err().path, path);
        }
        let kept = draft("application/json", b"\xef\xbb\xbf{\"n\":12345678901234567890123.10}").unwrap();
        assert_eq!(kept.data_json(), "{\"n\":12345678901234567890123.10}");
        assert_eq!(kept.data_value().to_string(), "{\"n\":12345678901234567890123.10}");
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

    #[test]
    fn the_time_of_an_event_is_read_as_everywhere_else() {
        let table: Value = serde_json::from_str(include_str!("../../../../plugins/sdk/dates.json")).unwrap();
        let accept = |time: &Value| {
            EventDraft {
                event_type: "t".into(),
                source: "s".into(),
                payload: "1".into(),
                time: time.as_str().map(str::to_owned),
                ..EventDraft::default()
            }
            .accept(&SpaceId::main(), Timestamp::from_millis(0))
        };
        for row in table["read"].as_array().unwrap() {
            assert_eq!(accept(&row[0]).unwrap().time, row[1].as_str().unwrap(), "{row}");
        }
        for row in table["refused"].as_array().unwrap() {
            assert_eq!(accept(row).unwrap_err().path, "time", "{row}");
        }
    }
}
