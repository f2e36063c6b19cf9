//! A recorded call of a plugin.

use hookwright_model::{DeliveryId, Kind, RunId, TapeEntry, Timestamp, json_size};
use hookwright_plugin::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call of a plugin, with all of its inputs. Stored, so its fields keep their names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// SHA-256 of the component that was called, in hex.
    pub digest: String,
    /// The version in its manifest.
    pub(crate) version: String,
    /// The kind of the plugin.
    pub kind: Kind,
    /// The event.
    pub(crate) event: String,
    /// The event's position in the journal.
    pub seq: u64,
    /// The run, if it was called for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<DeliveryId>,
    /// The automation, if it was called for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automation: Option<String>,
    /// Its place in the automation: `when.all[0]`, or the name of a step.
    pub(crate) place: String,
    /// The time that the plugin was given.
    pub now: Timestamp,
    /// The time of its changes, if that differs: in a re-run after a write conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// `source` of what it emits.
    pub source: String,
    /// Its parameters, with their variables filled in.
    pub parameters: Value,
    /// The message that it was given, if it is a transform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<RecordedMessage>,
    /// The host's answers. `None`: they were too large.
    pub tape: Option<Vec<TapeEntry>>,
    /// A digest of its result.
    #[serde(rename = "came_to")]
    pub result_digest: String,
}

/// The message that a transform was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedMessage {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: String,
    /// In base64.
    pub(crate) body: String,
}

impl RecordedMessage {
    pub(crate) fn of(message: &Message) -> Self {
        use base64::Engine as _;
        Self {
            headers: message.headers.clone(),
            content_type: message.content_type.clone(),
            body: base64::engine::general_purpose::STANDARD.encode(&message.body),
        }
    }

    /// The message, as a transform gets it.
    pub fn message(&self) -> Message {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.decode(&self.body).unwrap_or_default();
        Message { headers: self.headers.clone(), content_type: self.content_type.clone(), body: body.into() }
    }
}

/// The place of a call in an automation or webhook.
pub struct Site<'a> {
    /// The condition's path, the step's name or the webhook.
    pub place: String,
    /// The automation, if there is one.
    pub automation: Option<String>,
    /// The time of its changes.
    pub changed_at: Timestamp,
    /// `source` of what it emits.
    pub source: &'a str,
}

/// What a recording has besides the host's answers.
pub(crate) struct CallDetails<'a> {
    pub(crate) kind: Kind,
    pub(crate) site: Site<'a>,
    pub(crate) now: Timestamp,
    pub(crate) parameters: &'a Value,
    pub(crate) message: Option<RecordedMessage>,
}

impl Recording {
    /// Bytes in memory, approximately: they are only bounded.
    pub(crate) fn size(&self) -> usize {
        let tape = self.tape.iter().flatten();
        let tape = tape.map(|entry| entry.key.len().saturating_add(json_size(&entry.answer)).saturating_add(64));
        let message = self.message.as_ref().map_or(0, |message| message.body.len());
        tape.fold(512, usize::saturating_add).saturating_add(json_size(&self.parameters)).saturating_add(message)
    }
}
