//! Takes down calls of plugins, so that another version can be called in their place later.
//!
//! A call pays for it with a copy of what the host answered; sealing and writing happen behind its back, and what there is
//! no room for is let go: a recording is no promise. Of a plugin that is called again and again, the first calls are taken
//! down up to as many as are kept, and from then on a bounded number a second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hookwright_model::{DeliveryId, Kind, RunId, SpaceId, Tape, TapeEntry, Timestamp};
use hookwright_plugin::{Message, Plugin};
use hookwright_store::NewRecording;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use crate::Pipeline;
use crate::access::Place;
use crate::calling::{By, Occasion};
use crate::parking::Callable;

/// How much of what the host answered is kept of one call, in bytes.
const TAPE: usize = 256 * 1024;
/// How many calls of one plugin are taken down each second once as many are kept as may be.
const EACH_SECOND: f64 = 50.0;
/// How many bytes may wait to be written.
const WAITING: usize = 16 * 1024 * 1024;
/// How many recordings one commit holds.
const AT_ONCE: usize = 256;
/// For how long recordings come together before they are written.
const PAUSE: Duration = Duration::from_millis(100);

/// One call of a plugin, with all that it saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recording {
    /// SHA-256 of the component that was called, in hex.
    pub(crate) digest: String,
    /// What it said its version was.
    pub(crate) version: String,
    pub(crate) kind: Kind,
    /// The event, and its place in the journal.
    pub(crate) event: String,
    pub(crate) seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<DeliveryId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) automation: Option<String>,
    /// Where it stands in the automation: `when.all[0]`, or the name of a step.
    pub(crate) place: String,
    /// The instant that it saw.
    pub(crate) now: Timestamp,
    /// `source` of what it emits.
    pub(crate) source: String,
    pub(crate) parameters: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<TakenMessage>,
    /// What the host answered; none: it was too much.
    pub(crate) tape: Option<Vec<TapeEntry>>,
    /// A digest of what came of it.
    pub(crate) came_to: String,
}

/// A message that a transform was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TakenMessage {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: String,
    /// In base64.
    pub(crate) body: String,
}

impl TakenMessage {
    pub(crate) fn of(message: &Message) -> Self {
        use base64::Engine as _;
        Self {
            headers: message.headers.clone(),
            content_type: message.content_type.clone(),
            body: base64::engine::general_purpose::STANDARD.encode(&message.body),
        }
    }

    pub(crate) fn message(&self) -> Message {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.decode(&self.body).unwrap_or_default();
        Message { headers: self.headers.clone(), content_type: self.content_type.clone(), body: body.into() }
    }
}

/// A call that is being taken down.
pub(crate) struct Taping {
    pub(crate) tape: Arc<Tape>,
    plugin: Arc<Plugin>,
    name: String,
    /// How many recordings of the plugin are kept; 0: this one is not.
    most: u64,
    shadow: Option<crate::rollout::Shadow>,
}

/// What is known of a call besides what the host answered.
pub(crate) struct About<'a> {
    pub(crate) kind: Kind,
    pub(crate) place: String,
    pub(crate) automation: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) source: &'a str,
    pub(crate) parameters: &'a Value,
    pub(crate) message: Option<TakenMessage>,
}

/// What waits to be written, and how much of each plugin may still be taken down.
#[derive(Default)]
pub(crate) struct Recorder {
    rooms: Mutex<HashMap<Place, (f64, Instant)>>,
    waiting: Mutex<Vec<(SpaceId, String, u64, Recording)>>,
    bytes: AtomicUsize,
    let_go: AtomicU64,
    more: Notify,
}

impl Recorder {
    /// Whether one more call of a plugin may be taken down now.
    fn takes(&self, place: Place, most: u64) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "there are 10,000 at most")]
        let most = most as f64;
        let now = Instant::now();
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let (room, since) = rooms.entry(place).or_insert((most, now));
        *room = (*room + now.duration_since(*since).as_secs_f64() * EACH_SECOND).min(most);
        *since = now;
        let takes = *room >= 1.0;
        if takes {
            *room -= 1.0;
        }
        takes
    }

    fn put(&self, space: SpaceId, name: String, most: u64, recording: Recording) {
        let size = recording.size();
        if self.bytes.load(Ordering::Relaxed).saturating_add(size) > WAITING {
            self.let_go.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((space, name, most, recording));
        self.more.notify_one();
    }

    fn take(&self) -> Vec<(SpaceId, String, u64, Recording)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(AT_ONCE);
        let taken: Vec<_> = waiting.drain(..count).collect();
        let size = taken.iter().map(|(_, _, _, recording)| recording.size()).fold(0, usize::saturating_add);
        self.bytes.fetch_sub(size.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
        taken
    }

    /// How many calls were not kept since the start because too many waited to be written.
    pub(crate) fn let_go(&self) -> u64 {
        self.let_go.load(Ordering::Relaxed)
    }
}

impl Recording {
    /// Bytes in memory, near enough to bound them.
    fn size(&self) -> usize {
        let tape = self.tape.iter().flatten();
        let tape = tape.map(|entry| entry.key.len().saturating_add(json_size(&entry.answer)).saturating_add(64));
        let message = self.message.as_ref().map_or(0, |message| message.body.len());
        tape.fold(512, usize::saturating_add).saturating_add(json_size(&self.parameters)).saturating_add(message)
    }
}

fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(json_size).fold(16, usize::saturating_add),
        Value::Object(fields) => {
            let sizes = fields.iter().map(|(name, value)| name.len().saturating_add(json_size(value)));
            sizes.fold(16, usize::saturating_add)
        }
    }
}

impl Pipeline {
    /// Begins to take a call down, if it is one that is.
    pub(crate) fn taping(&self, callable: &Callable, occasion: &Occasion<'_>) -> Option<Taping> {
        if occasion.by == By::Nobody {
            return None;
        }
        let (space, name) = (occasion.space, callable.access.plugin.as_str());
        let kept = u64::from(callable.access.recordings);
        let most = if kept > 0 && self.recorder.takes((space.clone(), name.to_owned()), kept) { kept } else { 0 };
        let shadow = self.shadow_of(callable, occasion);
        if most == 0 && shadow.is_none() {
            return None;
        }
        Some(Taping {
            tape: Arc::new(Tape::recording(TAPE)),
            plugin: Arc::clone(&callable.plugin),
            name: name.to_owned(),
            most,
            shadow,
        })
    }

    /// Keeps a call that was taken down, and has the version in the shadow called in its place.
    pub(crate) fn taken_down(&self, taping: Taping, occasion: &Occasion<'_>, about: About<'_>, came_to: Value) {
        let Taping { tape, plugin, name, most, shadow } = taping;
        let (run, delivery, seq) = match occasion.by {
            By::Run(run) => (Some(run), None, run.seq),
            By::Webhook(delivery) => (None, Some(delivery), delivery.seq),
            By::Nobody => return,
        };
        let recording = Recording {
            digest: plugin.digest().to_owned(),
            version: plugin.manifest().version.clone(),
            kind: about.kind,
            event: occasion.event.id.clone(),
            seq,
            run,
            delivery,
            automation: about.automation,
            place: about.place,
            now: about.now,
            source: about.source.to_owned(),
            parameters: about.parameters.clone(),
            message: about.message,
            tape: tape.entries(),
            came_to: super::rerun::digest_of(&came_to),
        };
        if let Some(shadow) = shadow {
            self.call_in_shadow(shadow, occasion, recording.clone(), came_to);
        }
        if most > 0 {
            self.recorder.put(occasion.space.clone(), name, most, recording);
        }
    }

    /// How many calls of a plugin are kept, and how many may be.
    pub fn recorded(&self, space: &SpaceId, name: &str) -> Result<Value, crate::PipelineError> {
        let (calls, bytes) = self.store.recorded(space, name)?;
        let policy = self.store.policy(space, name)?.unwrap_or_default();
        let most = policy.recordings.unwrap_or(self.settings.recordings_kept);
        Ok(serde_json::json!({"calls": calls, "bytes": bytes, "most": most, "let_go": self.recorder.let_go()}))
    }

    /// Writes what was taken down, until the pipeline stops.
    pub(crate) async fn keep_recordings(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let taken = self.recorder.take();
            if taken.is_empty() {
                if *stopping.borrow_and_update() {
                    return;
                }
                tokio::select! {
                    () = self.recorder.more.notified() => tokio::time::sleep(PAUSE).await,
                    _ = stopping.changed() => {}
                }
                continue;
            }
            if let Err(error) = self.write_recordings(taken).await {
                tracing::warn!(%error, "recorded calls of plugins could not be kept");
            }
        }
    }

    async fn write_recordings(
        &self,
        taken: Vec<(SpaceId, String, u64, Recording)>,
    ) -> Result<(), crate::PipelineError> {
        let mut sealed = Vec::with_capacity(taken.len());
        for (space, plugin, most, recording) in taken {
            let plain = serde_json::to_vec(&recording).map_err(hookwright_store::StoreError::from)?;
            let at = recording.now;
            sealed.push(NewRecording { space, plugin, at, sealed: self.vault.seal_bytes(&plain)?, most });
        }
        Ok(self.store.put_recordings(sealed).await?)
    }

    /// Opens a recording; none: it cannot be read.
    pub(crate) fn opened(&self, sealed: &[u8]) -> Option<Recording> {
        let plain = self.vault.open_bytes(sealed);
        let plain = plain.inspect_err(|error| tracing::warn!(%error, "a recording cannot be opened")).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_plugin_is_taken_down_up_to_its_bound_and_then_now_and_again() {
        let recorder = Recorder::default();
        let place = || (SpaceId::main(), "p".to_owned());
        let taken = (0..1000).filter(|_| recorder.takes(place(), 100)).count();
        // A thousand questions take well below a second.
        assert!((100..=150).contains(&taken), "{taken}");
        assert!(recorder.takes((SpaceId::main(), "q".to_owned()), 100), "another plugin has room of its own");
    }
}
