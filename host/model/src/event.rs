//! Events, their causes, and the length of the chain of events behind them.

mod draft;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Author, RunId, SourceId, SpaceId, Timestamp};

pub use draft::EventDraft;

/// Maximum length of a chain of events that cause one another, including requests between servers.
pub const MAX_CHAIN: u32 = 16;
/// The header field with the length of the chain behind the event that caused a request. Whoever receives such a
/// request counts one more, so that a loop over HTTP ends as one within the server does.
pub const HOPS_HEADER: &str = "hookwright-hops";

/// The length of the chain behind a request, from the values of its [`HOPS_HEADER`]. 0: it has none that is a number.
pub fn hops_of<'v>(values: impl Iterator<Item = &'v str>) -> u32 {
    let counted = |value: &str| {
        let digits = Some(value.trim()).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))?;
        // A number that overflows counts as the maximum.
        Some(digits.parse::<u32>().unwrap_or(u32::MAX).saturating_add(1).min(MAX_CHAIN.saturating_add(1)))
    };
    values.flat_map(|value| value.split(',')).filter_map(counted).max().unwrap_or(0)
}

/// One fact that happened. Immutable once it is in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Unique together with `source` in its space.
    pub id: String,
    /// Dotted words, such as `jira.ticket_completed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its origin (CloudEvents `source`).
    pub source: String,
    /// Its subject within the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, RFC 3339 in UTC.
    pub time: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Content type of `payload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Extension attributes, and attributes that the source took from the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// How `data` is derived from the payload.
    pub data: Data,
    /// Its cause, if Hookwright emitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Its ingress, unless a caller of the API sent it. Ids are unique within an ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Its space. Stored in the key.
    #[serde(skip, default = "SpaceId::main")]
    pub space: SpaceId,
    /// The received bytes, unchanged. Stored beside the envelope.
    #[serde(skip)]
    pub payload: Bytes,
}

/// The ingress of an event that no caller of the API sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ingress {
    /// The server emitted it.
    Internal,
    /// It was received at the URL of this source, or polled by the source.
    Source(SourceId),
}

/// The separator between a source's name and the ingress. No name contains a control character.
const SCOPE_SEPARATOR: char = '\0';

/// The name of the source in an [`Event::id_scope`].
pub fn scoped_source(scope: &str) -> &str {
    scope.split_once(SCOPE_SEPARATOR).map_or(scope, |(source, _)| source)
}

/// How an event's data is derived from its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// The bytes in this range are JSON.
    Span(usize, usize),
    /// JSON that is not contained in the payload.
    Json(String),
    /// The payload is text: data is a JSON string of it.
    Text,
    /// The payload is neither: data is a JSON string of its base64.
    Binary,
}

/// The cause of an event: the run that emitted it, and the length of the chain behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The run, unless a call of the API caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Id of the run's event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The name of the source whose URL was called, if that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// 0 for an external event, one more for each event that an automation emitted for another.
    pub depth: u32,
    /// Id of the first event of the chain. `None`: this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The length of the chain behind it when it was received, from its `Hookwright-Hops`; 0 if it had none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u32,
    /// The event that this one repeats, if it is a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replays: Option<Replay>,
    /// The author of the change or of the event: a key, or an automation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Author>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde requires the signature")]
fn is_none(hops: &u32) -> bool {
    *hops == 0
}

/// A replay: the repeated event, and the versions that are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Id of the event.
    pub event: String,
    /// Its sequence number in the journal.
    pub seq: u64,
    /// The revision of the automation that is executed, if not the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Plugins that are called in another version than the live one: SHA-256 of the component in hex, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, String>,
}

impl Cause {
    /// The cause of what a run for `event` emits.
    pub fn of(event: &Event, run: RunId) -> Self {
        Self {
            run: Some(run),
            event: Some(event.id.clone()),
            source: None,
            depth: event.depth().saturating_add(1).min(MAX_CHAIN.saturating_add(1)),
            root: Some(event.root().to_owned()),
            hops: 0,
            replays: None,
            by: None,
        }
    }

    /// The cause of what Hookwright itself emits because of an event.
    pub fn after(event: &Event) -> Self {
        let depth = event.depth().saturating_add(1).min(MAX_CHAIN.saturating_add(1));
        Self {
            run: None,
            event: Some(event.id.clone()),
            source: None,
            depth,
            root: Some(event.root().to_owned()),
            hops: 0,
            replays: None,
            by: None,
        }
    }

    /// The cause of what a call of the API emits.
    pub fn api() -> Self {
        Self { run: None, event: None, source: None, depth: 0, root: None, hops: 0, replays: None, by: None }
    }

    /// The same, with its author.
    #[must_use]
    pub fn by(self, author: &Author) -> Self {
        Self { by: Some(author.clone()).filter(|by| *by != Author::default()), ..self }
    }

    /// The same at the end of a chain of `hops`.
    #[must_use]
    pub fn after_hops(self, hops: u32) -> Self {
        Self { hops, depth: self.depth.max(hops), ..self }
    }

    /// The cause of what a request at a source's URL emits.
    pub fn source(name: &str) -> Self {
        Self { source: Some(name.to_owned()), ..Self::api() }
    }
}

impl Data {
    /// Whether the payload itself is JSON, rather than represented as JSON.
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Span(..) | Self::Json(_))
    }
}

impl Event {
    /// The data as serialized JSON.
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

    /// The scope within which ids are unique: the source and the ingress. So a sender of events cannot occupy the ids
    /// of a provider.
    pub fn id_scope(&self) -> Cow<'_, str> {
        match &self.ingress {
            None => Cow::Borrowed(&self.source),
            Some(Ingress::Internal) => Cow::Owned(format!("{}{SCOPE_SEPARATOR}", self.source)),
            Some(Ingress::Source(id)) => Cow::Owned(format!("{}{SCOPE_SEPARATOR}{id}", self.source)),
        }
    }

    /// The length of the chain behind it.
    pub fn depth(&self) -> u32 {
        self.cause.as_ref().map_or(0, |cause| cause.depth)
    }

    /// Id of the first event of the chain; its own if there is no chain.
    pub fn root(&self) -> &str {
        self.cause.as_ref().and_then(|cause| cause.root.as_deref()).unwrap_or(&self.id)
    }

    /// Whether the chain of requests between servers is too long. Then nothing is executed for it.
    pub fn is_looping(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.hops > MAX_CHAIN)
    }

    /// What it repeats, if it is a replay.
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

    #[test]
    fn hops_are_counted_from_the_header_field() {
        for (values, hops) in [
            (&[][..], 0),
            (&["0"], 1),
            (&[" 7 "], 8),
            (&["16"], 17),
            (&["99999999999999999999"], 17),
            (&["2", "4"], 5),
            (&["2, 4"], 5),
            (&["-1"], 0),
            (&["+3"], 0),
            (&["many"], 0),
            (&[""], 0),
        ] {
            assert_eq!(hops_of(values.iter().copied()), hops, "{values:?}");
        }
    }
}
