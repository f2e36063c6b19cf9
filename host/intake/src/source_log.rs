//! The logs of sources. An entry for a request that became events is written in their commit; other entries wait in
//! memory for a moment and are written together, so that no answer waits for them. Refused requests to `/webhook` and
//! `/v1/events` are in a log of their space.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::sweep::sweep;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    API_REQUESTS, Event, RequestEntry, RequestNote, Source, SourceId, SpaceId, Timestamp, Told, proposed_automation,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{EventLookup, Store};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::arrival::Arrival;
use crate::gate::Gates;

/// How many entries may wait.
const MAX_WAITING: usize = 256;

/// How long entries wait.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// The interval at which requests without a valid key are logged in a space's log, so that they do not evict all other
/// entries.
const STRANGER_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The prefix of the id of an entry.
const ENTRY_ID_PREFIX: &str = "req_";

/// Entries that are not written yet.
#[derive(Default)]
pub(crate) struct RequestLog {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// When a request without a valid key was last logged, by the space that it named.
    strangers: Mutex<HashMap<SpaceId, Timestamp>>,
    /// Held while entries are written, so that readers see all earlier ones.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    notes: Vec<(SpaceId, RequestNote)>,
    lost: usize,
}

impl RequestLog {
    fn add(&self, space: &SpaceId, note: RequestNote) {
        let mut waiting = self.waiting.lock();
        if waiting.notes.len() < MAX_WAITING {
            waiting.notes.push((space.clone(), note));
        } else {
            waiting.lost = waiting.lost.saturating_add(1);
        }
        self.wake.notify_one();
    }
}

/// Writes waiting entries from time to time, until the pipeline stops.
pub async fn keep(source_log: Arc<SourceLog>) {
    let mut stopping = source_log.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        tokio::select! {
            () = source_log.requests.wake.notified() => {}
            _ = stopping.changed() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(FLUSH_INTERVAL) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        source_log.write_requests().await;
    }
    source_log.write_requests().await;
}

/// The log of requests to sources.
pub struct SourceLog {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) requests: Arc<RequestLog>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
}

impl SourceLog {
    /// The entry for a request in a source's log.
    pub fn note(&self, source: &Source, arrival: &Arrival, told: Told) -> RequestNote {
        let places = ["header", "query"].into_iter().filter_map(|name| source.with.get(name)?.as_str());
        let secret: Vec<&str> = places.collect();
        let Arrival { method, path, query, headers, body, remote, .. } = arrival;
        let now = self.clock.now();
        let entry = RequestEntry::new(now, method, path, query, headers, body, remote.to_string(), &secret);
        RequestNote {
            source: source.id.clone(),
            entry: RequestEntry { told, ..entry },
            most: self.settings.requests_kept,
        }
    }

    /// Logs a request that was accepted and did not become an event.
    pub fn log_accepted(&self, source: &Source, arrival: &Arrival, status: u16) {
        self.requests.add(&source.space, self.note(source, arrival, Told::taken(status, [])));
    }

    /// Logs a refused request.
    pub fn log_refused(&self, source: &Source, arrival: &Arrival, status: u16, code: &str, message: &str) {
        if self.gates.should_log(&source.id, code, self.clock.now()) {
            let told = Told::refused(status, code, message);
            self.requests.add(&source.space, self.note(source, arrival, told));
        }
    }

    /// Logs a refused request to `/webhook` or `/v1/events` in the log of the space that its key belongs to, or of the
    /// space that it named without a valid key (`stranger`): those at most once a second. A space that does not exist
    /// has no log.
    pub fn log_refused_push(&self, space: &SpaceId, arrival: &Arrival, stranger: bool, told: Told) {
        let now = self.clock.now();
        if stranger {
            if !self.store.spaces().contains(space) {
                return;
            }
            let mut seen = self.requests.strangers.lock();
            if seen.get(space).is_some_and(|at| now.since(*at) < STRANGER_LOG_INTERVAL) {
                return;
            }
            seen.insert(space.clone(), now);
        }
        let Arrival { method, path, query, headers, body, remote, .. } = arrival;
        let entry = RequestEntry::new(now, method, path, query, headers, body, remote.to_string(), &[]);
        let entry = RequestEntry { told, ..entry };
        let note = RequestNote { source: SourceId::from(API_REQUESTS), entry, most: self.settings.requests_kept };
        self.requests.add(space, note);
    }

    /// The refused requests of a space before a number, the newest first.
    pub async fn refused_pushes(
        &self,
        space: &SpaceId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, RequestEntry)>, PipelineError> {
        self.write_requests().await;
        Ok(self.store.requests.requests(space, &SourceId::from(API_REQUESTS), before, limit)?)
    }

    /// One refused request.
    pub async fn refused_push(&self, space: &SpaceId, id: &str) -> Result<(u64, RequestEntry), PipelineError> {
        self.write_requests().await;
        let not_found = || PipelineError::not_found("request", id);
        let number: u64 = id.strip_prefix(ENTRY_ID_PREFIX).unwrap_or(id).parse().map_err(|_| not_found())?;
        let found = self.store.requests.request(space, &SourceId::from(API_REQUESTS), number)?;
        Ok((number, found.ok_or_else(not_found)?))
    }

    /// Writes the waiting entries.
    async fn write_requests(&self) {
        let _writing = self.requests.writing.lock().await;
        let Waiting { notes, lost } = std::mem::take(&mut *self.requests.waiting.lock());
        if lost > 0 {
            tracing::warn!(lost, "too many refused requests: some are missing in the logs of sources");
        }
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.store.requests.note_requests(notes).await {
            tracing::warn!(%error, "entries for the logs of sources could not be written");
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
        Ok(self.store.requests.requests(&source.space, &source.id, before, limit)?)
    }

    /// An entry of a source's log.
    pub async fn request(&self, source: &Source, id: &str) -> Result<(u64, RequestEntry), PipelineError> {
        self.write_requests().await;
        let not_found = || PipelineError::not_found("request", id);
        let number: u64 = id.strip_prefix(ENTRY_ID_PREFIX).unwrap_or(id).parse().map_err(|_| not_found())?;
        let entry = self.store.requests.request(&source.space, &source.id, number)?.ok_or_else(not_found)?;
        Ok((number, entry))
    }

    /// Proposes an automation that matches requests such as this one.
    pub async fn propose_automation(&self, source: &Source, id: &str) -> Result<Value, PipelineError> {
        let (_, entry) = self.request(source, id).await?;
        let Some(event) = entry.told.events.first() else {
            return Err(PipelineError::Conflict {
                code: "request.no_event",
                message: format!(
                    "the request did not become an event ({}), so no automation can match it",
                    entry.told.code.as_deref().unwrap_or("it was only answered")
                ),
            });
        };
        Ok(proposed_automation(&self.event_of(source, event)?))
    }

    /// The event that a request became, which others may have sent again.
    fn event_of(&self, source: &Source, id: &str) -> Result<Event, PipelineError> {
        let named = self.store.events.event(&source.space, id, Some(&source.name))?;
        let found = match named {
            EventLookup::None => self.store.events.event(&source.space, id, None)?,
            found => found,
        };
        match found {
            EventLookup::One(_, event) => Ok(*event),
            _ => Err(PipelineError::not_found("event", id)),
        }
    }

    /// Removes entries that are older than the retention, or beyond the number that is retained.
    pub async fn sweep_requests(&self) {
        let before = self.clock.retained_since(self.settings.request_retention);
        let most = self.settings.requests_kept;
        let sources = self.catalogue.sources();
        let of_sources = sources.iter().map(|source| (source.space.clone(), source.id.clone()));
        let of_spaces = self.store.spaces().into_iter().map(|space| (space, SourceId::from(API_REQUESTS)));
        for (space, id) in of_sources.chain(of_spaces) {
            let commit = |limit| self.store.requests.sweep_requests(&space, &id, before, most, limit);
            if !sweep("old entries of sources' logs", commit).await {
                return;
            }
        }
    }
}
