//! The event that a plugin is called for, and finding values in it by path.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::bindings::imports::hookwright::plugin::types;
use crate::path::list;
use crate::seek::seek;
use crate::{Missing, Pairs, Path, first};

/// One fact that happened: an envelope (CloudEvents 1.0) and a payload.
#[derive(Debug, Clone)]
pub struct Event {
    /// Unique within the space.
    pub id: String,
    /// Its type, such as `ticket.created`.
    pub event_type: String,
    /// Its source.
    pub source: String,
    /// Its subject, if the source set one.
    pub subject: Option<String>,
    /// When it happened (RFC 3339, UTC).
    pub time: String,
    /// The payload as JSON text, as the host gave it. [`Event::data`] reads it.
    pub data_json: String,
    /// The payload's content type, extension attributes, and what the source kept of the request.
    pub attributes: Pairs,
    data: OnceCell<Value>,
}

/// The envelope's names in a path, `data` apart.
const ENVELOPE: [&str; 5] = ["id", "type", "source", "subject", "time"];

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Self {
        Self {
            id: event.id,
            event_type: event.event_type,
            source: event.source,
            subject: event.subject,
            time: event.time,
            data_json: event.data,
            attributes: event.attributes,
            data: OnceCell::new(),
        }
    }
}

impl Event {
    /// The payload. It is parsed once, on first use.
    pub fn data(&self) -> &Value {
        // The host promises JSON; should it ever not be, the text is still there for conditions to look at.
        self.data.get_or_init(|| {
            serde_json::from_str(&self.data_json).unwrap_or_else(|_| Value::String(self.data_json.clone()))
        })
    }

    /// The first attribute with this name, in any letter case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        first(&self.attributes, name)
    }

    /// The envelope as one JSON object: `id`, `type`, `source`, `subject` (or null), `time`, `data` and `attributes`.
    #[must_use]
    pub fn envelope(&self) -> Value {
        let mut members: serde_json::Map<String, Value> = ENVELOPE
            .iter()
            .map(|name| ((*name).to_owned(), self.envelope_text(name).map_or(Value::Null, Value::from)))
            .collect();
        members.insert("data".into(), self.data().clone());
        members.insert("attributes".into(), self.attributes_object());
        members.into()
    }

    /// The same event in the words of an analytics event: `service`, `trigger_event_type` and `attributes`.
    #[must_use]
    pub fn analytics_event(&self) -> Value {
        serde_json::json!({
            "service": self.source,
            "trigger_event_type": self.event_type,
            "attributes": self.data(),
        })
    }

    /// Follows a path into the event.
    ///
    /// | a path that starts with | refers to |
    /// |---|---|
    /// | `event.` | the envelope: `id`, `type`, `source`, `subject`, `time`, `data`, then attributes by name |
    /// | `analytics_event.` | the same event in other words: `service`, `trigger_event_type`, `attributes` (the payload) |
    /// | `data` | the payload |
    /// | `id`, `type`, `source`, `subject`, `time` | the envelope |
    /// | `attributes.` | the payload's member `attributes` if it has one, else the payload |
    /// | anything else | the payload |
    ///
    /// # Errors
    /// [`Missing`], with what exists instead.
    pub fn find(&self, path: &Path) -> Result<Cow<'_, Value>, Missing> {
        let first = path.name(0).unwrap_or_default();
        match first {
            "event" => match path.name(1) {
                None => Ok(Cow::Owned(self.envelope())),
                Some("data") => self.data_value(path, 2),
                Some(name) if ENVELOPE.contains(&name) => self.envelope_value(path, 1, name),
                Some(name) => self.attribute_value(path, name),
            },
            "analytics_event" => match path.name(1) {
                None => Ok(Cow::Owned(self.analytics_event())),
                Some("service") => self.envelope_value(path, 1, "source"),
                Some("trigger_event_type") => self.envelope_value(path, 1, "type"),
                Some("attributes") => self.data_value(path, 2),
                Some(_) => Err(path.missing(1, "has service, trigger_event_type, attributes")),
            },
            "data" => self.data_value(path, 1),
            "attributes" if self.data().get("attributes").is_none() => self.data_value(path, 1),
            name if ENVELOPE.contains(&name) => self.envelope_value(path, 0, name),
            _ => self.data_value(path, 0),
        }
    }

    /// Follows a path into the event as [`Event::find`] does, to the JSON text of the value. What lies in the payload is
    /// found without reading the rest, and stays as it was written: no digit is lost.
    ///
    /// # Errors
    /// [`Missing`], with what exists instead.
    pub fn find_json(&self, path: &Path) -> Result<Cow<'_, str>, Missing> {
        let done = match (path.name(0), path.name(1)) {
            (Some("event"), Some("data")) | (Some("analytics_event"), Some("attributes")) => Some(2),
            (Some("data"), _) => Some(1),
            (Some("event" | "analytics_event" | "attributes"), _) => None,
            (Some(name), _) if ENVELOPE.contains(&name) => None,
            _ => Some(0),
        };
        if let Some(done) = done
            && let Some(found) = seek::<&RawValue>(&self.data_json, &path.names_from(done))
        {
            return Ok(Cow::Borrowed(found.get()));
        }
        self.find(path).map(|value| Cow::Owned(value.to_string()))
    }

    /// Follows the path into the payload, from its name `done` on.
    fn data_value(&self, path: &Path, done: usize) -> Result<Cow<'_, Value>, Missing> {
        // A payload that was not read yet need not be read whole for one value. Where the value is not there, it is read
        // after all, for the error message.
        if self.data.get().is_none()
            && let Some(value) = seek(&self.data_json, &path.names_from(done))
        {
            return Ok(Cow::Owned(value));
        }
        path.find_from(done, self.data()).map(Cow::Borrowed)
    }

    fn envelope_text(&self, name: &str) -> Option<&str> {
        match name {
            "id" => Some(&self.id),
            "type" => Some(&self.event_type),
            "source" => Some(&self.source),
            "subject" => self.subject.as_deref(),
            "time" => Some(&self.time),
            _ => None,
        }
    }

    fn envelope_value(&self, path: &Path, index: usize, name: &str) -> Result<Cow<'_, Value>, Missing> {
        let Some(text) = self.envelope_text(name) else {
            return Err(path.missing(index, &format!("has no {name}")));
        };
        if path.len() > index + 1 {
            return Err(path.missing(index + 1, "is a string, not an object"));
        }
        Ok(Cow::Owned(Value::from(text)))
    }

    fn attribute_value(&self, path: &Path, name: &str) -> Result<Cow<'_, Value>, Missing> {
        if let Some(text) = self.attribute(name) {
            if path.len() > 2 {
                return Err(path.missing(2, "is a string, not an object"));
            }
            return Ok(Cow::Owned(Value::from(text)));
        }
        if name == "attributes" {
            let all = self.attributes_object();
            return path.find_from(2, &all).cloned().map(Cow::Owned);
        }
        let names = ENVELOPE.into_iter().chain(["data"]).chain(self.attributes.iter().map(|(name, _)| name.as_str()));
        Err(path.missing(1, &format!("has {}", list(names, ENVELOPE.len() + 1 + self.attributes.len()))))
    }

    /// Attributes as an object. Of a repeated name, the first counts.
    fn attributes_object(&self) -> Value {
        let mut members = serde_json::Map::new();
        for (name, value) in &self.attributes {
            members.entry(name.clone()).or_insert_with(|| Value::from(value.as_str()));
        }
        members.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(data: Value) -> Event {
        let mut event = crate::testing::event("ticket.closed", data);
        event.source = "jira".into();
        event.subject = Some("T-1".into());
        event.attributes = vec![("Content-Type".into(), "application/json".into())];
        event
    }

    #[test]
    fn every_way_to_name_a_value_leads_to_it() {
        let plain = event(json!({"status": "Closed", "id": 5, "list": [{"n": 1}]}));
        for (path, value) in [
            ("event.type", json!("ticket.closed")),
            ("event.source", json!("jira")),
            ("event.subject", json!("T-1")),
            ("event.data.status", json!("Closed")),
            ("event.content-type", json!("application/json")),
            ("event.attributes.Content-Type", json!("application/json")),
            ("analytics_event.service", json!("jira")),
            ("analytics_event.trigger_event_type", json!("ticket.closed")),
            ("analytics_event.attributes.status", json!("Closed")),
            ("analytics_event.attributes.list.0.n", json!(1)),
            ("data.status", json!("Closed")),
            ("attributes.status", json!("Closed")),
            ("status", json!("Closed")),
            ("list[0].n", json!(1)),
            ("type", json!("ticket.closed")),
            ("subject", json!("T-1")),
            ("data.id", json!(5)),
        ] {
            let found = plain.find(&Path::parse(path).unwrap());
            assert_eq!(found.as_deref(), Ok(&value), "{path}");
            let json = event(plain.data().clone()).find_json(&Path::parse(path).unwrap()).map(|json| json.to_string());
            assert_eq!(json.map(|json| serde_json::from_str(&json).unwrap()), Ok(value), "{path}");
        }
        let nested = event(json!({"attributes": {"status": "Open"}}));
        assert_eq!(nested.find(&Path::parse("attributes.status").unwrap()).as_deref(), Ok(&json!("Open")));
    }

    #[test]
    fn a_missing_value_is_reported_with_what_exists() {
        let mut event = event(json!({"title": "x"}));
        event.subject = None;
        for (path, said) in [
            ("subject", "the event's data has no subject"),
            ("event.subject", "event has no subject"),
            ("event.nothing", "event has id, type, source, subject, time, data, Content-Type"),
            ("analytics_event.kind", "analytics_event has service, trigger_event_type, attributes"),
            ("analytics_event.attributes.status", "analytics_event.attributes has title"),
            ("type.x", "type is a string, not an object"),
            ("event.content-type.x", "event.content-type is a string"),
        ] {
            let missing = event.find(&Path::parse(path).unwrap()).unwrap_err().to_string();
            assert!(missing.contains(said), "{path}: {missing}");
        }
    }
}
