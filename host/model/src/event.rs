//! What happened: an event, what made it, and how long the chain behind it is.

mod draft;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Author, RunId, SourceId, SpaceId, Timestamp};

pub use draft::EventDraft;

/// How many events may cause one another before the chain is cut, requests between servers included.
pub const MAX_CHAIN: u32 = 16;
/// The header field in which requests that leave because of an event carry how long the chain behind it is. Who takes a
/// request with it counts one more, so that a loop over HTTP ends as one within the server does.
pub const HOPS_HEADER: &str = "hookwright-hops";

/// How long the chain behind a request is, by the values of its [`HOPS_HEADER`]; 0: it has none that is a number.
pub fn hops_of<'v>(values: impl Iterator<Item = &'v str>) -> u32 {
    let counted = |value: &str| {
        let digits = Some(value.trim()).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))?;
        // More digits than a number holds are many hops.
        Some(digits.parse::<u32>().unwrap_or(u32::MAX).saturating_add(1).min(MAX_CHAIN.saturating_add(1)))
    };
    values.flat_map(|value| value.split(',')).filter_map(counted).max().unwrap_or(0)
}

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
    /// How it came in, unless a caller of the API sent it. Ids are told apart by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// The space it belongs to. Kept in the key.
    #[serde(skip, default = "SpaceId::main")]
    pub space: SpaceId,
    /// What came in, byte for byte. Kept beside the envelope.
    #[serde(skip)]
    pub payload: Bytes,
}

/// How an event came in that no caller of the API sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ingress {
    /// The server made it.
    Internal,
    /// It came to the URL of this source, or the source asked for it.
    Source(SourceId),
}

/// What separates a source's name from how its event came in; no name has a control character.
const SCOPE_SEPARATOR: char = '\0';

/// The name of the source in an [`Event::id_scope`].
pub fn scoped_source(scope: &str) -> &str {
    scope.split_once(SCOPE_SEPARATOR).map_or(scope, |(source, _)| source)
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
    /// Id of the event that the chain began with; none: of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// How long the chain behind it was when it came in, by its `Hookwright-Hops`; 0 if it had none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub hops: u32,
    /// The event that this one repeats, if somebody had it replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replays: Option<Replay>,
    /// Who changed the record or emitted the event, if Hookwright made it: a key, or an automation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Author>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_none(hops: &u32) -> bool {
    *hops == 0
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

impl Cause {
    /// The cause of what a run for `event` makes.
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

    /// The cause of what Hookwright itself makes because of an event.
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

    /// The cause of what a person's API call makes.
    pub fn api() -> Self {
        Self { run: None, event: None, source: None, depth: 0, root: None, hops: 0, replays: None, by: None }
    }

    /// The same, by whom.
    #[must_use]
    pub fn by(self, author: &Author) -> Self {
        Self { by: Some(author.clone()).filter(|by| *by != Author::default()), ..self }
    }

    /// The same for what came in at the end of a chain of `hops`.
    #[must_use]
    pub fn after_hops(self, hops: u32) -> Self {
        Self { hops, depth: self.depth.max(hops), ..self }
    }

    /// The cause of what a request at a source's URL makes.
    pub fn source(name: &str) -> Self {
        Self { source: Some(name.to_owned()), ..Self::api() }
    }
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

    /// Within which ids are unique: the source, and how the event came in. So nobody who may send events can use up the ids
    /// of a provider before the provider does.
    pub fn id_scope(&self) -> Cow<'_, str> {
        match &self.ingress {
            None => Cow::Borrowed(&self.source),
            Some(Ingress::Internal) => Cow::Owned(format!("{}{SCOPE_SEPARATOR}", self.source)),
            Some(Ingress::Source(id)) => Cow::Owned(format!("{}{SCOPE_SEPARATOR}{id}", self.source)),
        }
    }

    /// How long the chain behind it is.
    pub fn depth(&self) -> u32 {
        self.cause.as_ref().map_or(0, |cause| cause.depth)
    }

    /// Id of the event that the chain behind it began with: its own, if there is none.
    pub fn root(&self) -> &str {
        self.cause.as_ref().and_then(|cause| cause.root.as_deref()).unwrap_or(&self.id)
    }

    /// Whether it came in through more requests between servers than a chain may have: nothing is done for it.
    pub fn is_looping(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.hops > MAX_CHAIN)
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
