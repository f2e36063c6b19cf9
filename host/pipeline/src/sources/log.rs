//! The logs of sources. What became events is noted in their commit; everything else waits in memory for a moment and is
//! noted together, so that no answer waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookwright_model::{Event, RequestEntry, RequestNote, Source, SpaceId, Timestamp, Told, proposed_automation};
use hookwright_store::EventLookup;
use serde_json::Value;
use tokio::sync::Notify;

use super::Arrival;
use crate::{Pipeline, PipelineError};

/// How many notes may wait.
const MOST_WAITING: usize = 256;
/// How long they wait.
const WAIT: Duration = Duration::from_millis(250);
/// How many entries are removed in one commit.
const SWEPT: usize = 1000;
/// What the id of an entry begins with.
const PREFIX: &str = "req_";

/// Notes that are not written yet.
#[derive(Default)]
pub(crate) struct RequestLog {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Held while they are written, so that whoever reads sees what was before.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    notes: Vec<(SpaceId, RequestNote)>,
    lost: usize,
}

impl RequestLog {
    fn add(&self, space: &SpaceId, note: RequestNote) {
        let mut waiting = self.lock();
        if waiting.notes.len() < MOST_WAITING {
            waiting.notes.push((space.clone(), note));
        } else {
            waiting.lost = waiting.lost.saturating_add(1);
        }
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what waits from time to time, until the pipeline stops.
pub(crate) async fn keep(pipeline: Arc<Pipeline>) {
    let mut stopping = pipeline.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        tokio::select! {
            () = pipeline.requests.wake.notified() => {}
            _ = stopping.changed() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT) => {}
            _ = stopping.changed() => {}
        }
        pipeline.write_requests().await;
    }
    pipeline.write_requests().await;
}

impl Pipeline {
    /// What the log of a source says of a request.
    pub(crate) fn note(&self, source: &Source, arrival: &Arrival, told: Told) -> RequestNote {
        let places = ["header", "query"].into_iter().filter_map(|name| source.with.get(name)?.as_str());
        let secret: Vec<&str> = places.collect();
        let Arrival { method, path, query, headers, body, remote } = arrival;
        let now = self.now();
        let entry = RequestEntry::new(now, method, path, query, headers, body, remote.to_string(), &secret);
        RequestNote {
            source: source.id.clone(),
            entry: RequestEntry { told, ..entry },
            most: self.settings.requests_kept,
        }
    }

    /// Notes a request that was taken and became no event.
    pub fn note_taken(&self, source: &Source, arrival: &Arrival, status: u16) {
        self.requests.add(&source.space, self.note(source, arrival, Told::taken(status, [])));
    }

    /// Notes a request that was refused.
    pub fn note_refused(&self, source: &Source, arrival: &Arrival, status: u16, code: &str, message: &str) {
        if self.gates.is_noted(&source.id, code, self.now()) {
            let told = Told::refused(status, code, message);
            self.requests.add(&source.space, self.note(source, arrival, told));
        }
    }

    /// Writes the notes that wait.
    async fn write_requests(&self) {
        let _writing = self.requests.writing.lock().await;
        let Waiting { notes, lost } = std::mem::take(&mut *self.requests.lock());
        if lost > 0 {
            tracing::warn!(lost, "more requests were refused than the logs of sources could take");
        }
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.store.note_requests(notes).await {
            tracing::warn!(%error, "some requests are missing in the logs of sources");
        }
    }

    /// The log of a source before a number, the newest first.
    pub async fn requests(
        &self,
        source: &Source,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, RequestEntry)>, PipelineError> {
        self.write_requests().await;
        Ok(self.store.requests(&source.space, &source.id, before, limit)?)
    }

    /// An entry of a source's log.
    pub async fn request(&self, source: &Source, id: &str) -> Result<(u64, RequestEntry), PipelineError> {
        self.write_requests().await;
        let not_found = || PipelineError::not_found("request", id);
        let number: u64 = id.strip_prefix(PREFIX).unwrap_or(id).parse().map_err(|_| not_found())?;
        let entry = self.store.request(&source.space, &source.id, number)?.ok_or_else(not_found)?;
        Ok((number, entry))
    }

    /// An automation that takes requests such as this one.
    pub async fn propose_automation(&self, source: &Source, id: &str) -> Result<Value, PipelineError> {
        let (_, entry) = self.request(source, id).await?;
        let Some(event) = entry.told.events.first() else {
            return Err(PipelineError::Conflict {
                code: "request.no_event",
                message: format!(
                    "the request became no event ({}), so no automation can take it",
                    entry.told.code.as_deref().unwrap_or("it was answered, and nothing more")
                ),
            });
        };
        Ok(proposed_automation(&self.event_of(source, event)?))
    }

    /// The event that a request became, which may have been sent again by others.
    fn event_of(&self, source: &Source, id: &str) -> Result<Event, PipelineError> {
        let named = self.store.event(&source.space, id, Some(&source.name))?;
        let found = match named {
            EventLookup::None => self.store.event(&source.space, id, None)?,
            found => found,
        };
        match found {
            EventLookup::One(_, event) => Ok(*event),
            _ => Err(PipelineError::not_found("event", id)),
        }
    }

    /// Removes entries that are older than is wanted, or more than are.
    pub(crate) async fn sweep_requests(&self) {
        let retention = i64::try_from(self.settings.request_retention.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.now().millis().saturating_sub(retention));
        for source in self.catalogue.sources() {
            let (space, id, most) = (&source.space, &source.id, self.settings.requests_kept);
            if let Err(error) = self.store.sweep_requests(space, id, before, most, SWEPT).await {
                tracing::warn!(%error, "old entries of sources' logs stay for now");
                return;
            }
        }
    }
}
