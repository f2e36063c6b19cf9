//! Sources that the server polls: at their own times, or on request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookwright_foundation::conflicts::{MAX_CONFLICTS, TryOutcome, retry_on_conflict};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::turns::Turns;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{EventDraft, Failure, PollStatus, Polling, Source, SourceId, SpaceId, Timestamp};
use hookwright_plugin::{Reception, SourceRequest, Tries};
use hookwright_store::Store;
use parking_lot::Mutex;

use crate::accept::Intake;
use crate::inbound::{Inbound, POLL, drafts};
use crate::timetable::Timetable;

/// The hint of a source plugin that can be polled.
pub const HINT: (&str, &str) = ("poll", "true");

/// The header that tells a source plugin which of its sources is polled.
const SOURCE_HEADER: &str = "hookwright-source";

/// The maximum delay of the next poll because of a service's `Retry-After`.
pub const MAX_POLL_DELAY: Duration = Duration::from_secs(24 * 3600);

/// The maximum number of characters of an error that the status shows.
const MAX_ERROR_CHARS: usize = 1024;

/// Sources whose poll is in progress, so that none is polled twice at a time.
#[derive(Default)]
pub struct PollsInFlight(Mutex<HashSet<(SpaceId, SourceId)>>);

/// Ends the poll of a source when it is dropped.
pub struct PollGuard<'a>(&'a PollsInFlight, (SpaceId, SourceId));

impl PollsInFlight {
    /// Begins the poll of a source. `None`: one is in progress.
    pub fn begin(&self, source: &Source) -> Option<PollGuard<'_>> {
        let key = (source.space.clone(), source.id.clone());
        let new = self.0.lock().insert(key.clone());
        new.then_some(PollGuard(self, key))
    }
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

/// Polls sources.
pub struct Polls {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) polls: Arc<PollsInFlight>,
    pub(crate) store: Store,
    pub(crate) turns: Arc<Turns>,
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) intake: Arc<Intake>,
}

impl Polls {
    /// The polling times and status of a source. `None`: it has no times.
    pub fn polling(&self, source: &Source) -> Result<Option<Polling>, PipelineError> {
        Ok(self.store.pollings.polling_of(&source.space, &source.id)?)
    }

    /// The polling times and status of all sources of a space that have times.
    pub fn pollings(&self, space: &SpaceId) -> Result<HashMap<SourceId, Polling>, PipelineError> {
        let all = self.store.pollings.pollings(space)?.into_iter();
        Ok(all.map(|polling| (polling.source.clone(), polling)).collect())
    }

    /// Polls a source that is due.
    pub(crate) async fn poll_due(&self, space: &SpaceId, number: u64, due: Timestamp) -> Result<(), PipelineError> {
        let Some(mut polling) = self.store.pollings.polling(space, number)? else { return Ok(()) };
        let Some(source) = self.store.sources.source(space, polling.source.as_str())? else {
            self.store.pollings.delete_polling(space, number).await?;
            return Ok(());
        };
        let times = &polling.times;
        let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, polling.since);
        let Some(table) = table.ok().filter(|_| source.active) else {
            polling.status.next_at = None;
            self.store.pollings.polled(space, polling, Some(due)).await?;
            return Ok(());
        };
        let began = self.clock.now();
        // A source that is being polled on request is skipped: that poll counts for this time too.
        let mut wait = Duration::ZERO;
        if let Some(_under_way) = self.polls.begin(&source) {
            let result = self.ask(&source).await;
            if matches!(result, Err(PipelineError::Store(_))) {
                return result.map(|_| ());
            }
            if let Err(PipelineError::Failed(failure)) = &result {
                wait = Duration::from_millis(failure.retry_after_ms.unwrap_or_default().into()).min(MAX_POLL_DELAY);
            }
            note(&mut polling.status, began, &result);
        }
        polling.status.next_at = table.next(self.clock.now().after(wait));
        self.store.pollings.polled(space, polling, Some(due)).await?;
        Ok(())
    }

    /// Polls a source by a call of its plugin, and accepts the events.
    pub async fn ask(&self, source: &Source) -> Result<Vec<String>, PipelineError> {
        let tries = Arc::new(Tries::new(self.clock.now()));
        let asked = retry_on_conflict(&self.turns, &source.space, || async {
            let request = SourceRequest {
                method: POLL.to_owned(),
                headers: vec![(SOURCE_HEADER.to_owned(), source.id.to_string())],
                ..SourceRequest::default()
            };
            let (reception, workbench) = self.inbound.call_source(source, |_| request, &tries).await?;
            let intake = match reception {
                Reception::Refused { code, message, .. } => return Err(Failure::permanent(&code, message).into()),
                Reception::Accepted(intake) => intake,
            };
            let mut events: Vec<EventDraft> = Vec::with_capacity(intake.events.len());
            for event in intake.events {
                // There was no request body, so this is the payload.
                let payload = Bytes::from(event.data.clone());
                events.extend(drafts(source, &payload, Some("application/json"), vec![event])?);
            }
            match self.intake.accept_with(&source.space, events, workbench, None).await? {
                Ok(accepted) => {
                    let new = accepted.into_iter().filter(|appended| !appended.repeat);
                    Ok(TryOutcome::Done(new.map(|appended| appended.id).collect()))
                }
                Err(what) => {
                    tries.again();
                    Ok(TryOutcome::Conflict(what))
                }
            }
        });
        asked.await?.ok_or_else(|| {
            let message =
                format!("write conflict: the source's stored values were changed concurrently {MAX_CONFLICTS} times");
            Failure::transient("record.contended", message).into()
        })
    }
}

/// Records the result of a poll.
pub fn note(status: &mut PollStatus, began: Timestamp, result: &Result<Vec<String>, PipelineError>) {
    status.last_at = Some(began);
    match result {
        Ok(events) => {
            status.last_success_at = Some(began);
            status.last_error = None;
            status.failures = 0;
            status.events = status.events.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
            if let Some(last) = events.last() {
                status.last_event = Some(last.clone());
            }
        }
        Err(error) => {
            status.failures = status.failures.saturating_add(1);
            let text = match error {
                PipelineError::Failed(failure) => format!("{}: {}", failure.code, failure.message),
                other => format!("{}: {other}", other.code()),
            };
            status.last_error = Some(text.chars().take(MAX_ERROR_CHARS).collect());
        }
    }
}
