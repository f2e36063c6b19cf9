//! Sources that the server asks for news: at times of their own, or when somebody says so.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{
    EventDraft, Failure, Mistake, Mistakes, PollStatus, PollTimes, Polling, Source, SourceId, SpaceId, Timestamp,
};
use hookwright_plugin::{Reception, SourceRequest};

use crate::outlook::Outlook;
use crate::sources::{MAX_CONFLICTS, drafts};
use crate::timetable::Timetable;
use crate::{Pipeline, PipelineError};

/// The method of a request that the server itself makes to a source; none other can.
pub(crate) const POLL: &str = "POLL";
/// The hint of a source plugin that can be asked.
const HINT: (&str, &str) = ("poll", "true");
/// The header by which a source plugin knows which of the sources of its kind is asked.
const SOURCE_HEADER: &str = "hookwright-source";
/// The longest that a service's `Retry-After` is heeded.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of an error that the status shows.
const ERROR: usize = 1024;

/// Sources that are being asked, so that none is asked twice at a time.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<HashSet<(SpaceId, SourceId)>>);

/// Takes a source out of those under way when it is dropped.
struct Asked<'a>(&'a UnderWay, (SpaceId, SourceId));

impl UnderWay {
    fn begin(&self, source: &Source) -> Option<Asked<'_>> {
        let key = (source.space.clone(), source.id.clone());
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then_some(Asked(self, key))
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Pipeline {
    /// The times of a source, if it has some, and how it goes.
    pub fn polling(&self, source: &Source) -> Result<Option<Polling>, PipelineError> {
        Ok(self.store.polling_of(&source.space, &source.id)?)
    }

    /// The times of all sources of a space that have some, and how it goes.
    pub fn pollings(&self, space: &SpaceId) -> Result<HashMap<SourceId, Polling>, PipelineError> {
        let all = self.store.pollings(space)?.into_iter();
        Ok(all.map(|polling| (polling.source.clone(), polling)).collect())
    }

    /// Asks a source now. Its events are durable when this returns, together with how far it has read.
    ///
    /// # Errors
    /// The source cannot be asked, or is being asked already; what its plugin or the service said.
    pub async fn poll(&self, space: &SpaceId, id: &str) -> Result<Vec<String>, PipelineError> {
        let source = self.source(space, id)?;
        self.loaded(space, &[source.kind.as_str()].into()).await;
        self.check_pollable(space, &Outlook::default(), &source.kind, "kind")?;
        if !source.active {
            return Err(PipelineError::Conflict {
                code: "source.inactive",
                message: format!("the source `{}` is switched off: switch it on, {{\"active\": true}}", source.name),
            });
        }
        let under_way = self.polls.begin(&source).ok_or_else(|| PipelineError::Conflict {
            code: "poll.under_way",
            message: format!("the source `{}` is just being asked: wait for its answer in `status`", source.name),
        })?;
        let polling = self.polling(&source)?;
        let began = self.now();
        let result = self.ask(&source).await;
        if let Some(mut polling) = polling {
            note(&mut polling.status, began, &result);
            self.store.polled(space, polling, None).await?;
        }
        drop(under_way);
        result
    }

    /// Checks times before anything is saved.
    pub(crate) fn check_polling(
        &self,
        space: &SpaceId,
        outlook: &Outlook,
        kind: &str,
        times: &PollTimes,
    ) -> Result<(), PipelineError> {
        let mut mistakes = times.check();
        let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, self.now());
        match table {
            Ok(table) if mistakes.0.is_empty() && table.next(self.now()).is_none() => {
                mistakes.add("cron", "there is no such time any more: give another pattern");
            }
            Ok(_) => {}
            Err(wrong) => mistakes.0.extend(wrong.0),
        }
        let inside = |mistake: Mistake| Mistake::new(format!("poll.{}", mistake.path), mistake.message);
        Mistakes(mistakes.0.into_iter().map(inside).collect()).check()?;
        self.check_pollable(space, outlook, kind, "poll")
    }

    fn check_pollable(&self, space: &SpaceId, outlook: &Outlook, kind: &str, path: &str) -> Result<(), PipelineError> {
        let plugin = self.plugin_ahead(space, outlook, kind);
        let hints = plugin.map(|plugin| plugin.manifest().hints.clone()).unwrap_or_default();
        if hints.iter().any(|(name, value)| (name.as_str(), value.as_str()) == HINT) {
            return Ok(());
        }
        let message = format!("`{kind}` waits for requests and cannot be asked: use a source such as `poll`");
        Err(Mistake::new(path, message).into())
    }

    /// The times of a source as they are to be. They begin anew where they, or whether it is on, changed: the old ones if nothing changes, and without a number if they are its first.
    pub(crate) fn polling_with(
        &self,
        source: &Source,
        old: Option<&Polling>,
        times: Option<PollTimes>,
    ) -> Result<Option<Polling>, PipelineError> {
        let Some(times) = times else { return Ok(None) };
        if let Some(old) = old.filter(|old| old.times == times && old.status.next_at.is_some() == source.active) {
            return Ok(Some(old.clone()));
        }
        let now = self.now();
        let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, now)?;
        let next_at = if source.active { table.next(now) } else { None };
        Ok(Some(Polling {
            number: old.map_or(0, |old| old.number),
            source: source.id.clone(),
            times,
            revision: old.map_or(0, |old| old.revision).saturating_add(1),
            since: now,
            status: PollStatus { next_at, ..old.map(|old| old.status.clone()).unwrap_or_default() },
        }))
    }

    /// A source's time has come.
    pub(crate) async fn poll_due(&self, space: &SpaceId, number: u64, due: Timestamp) -> Result<(), PipelineError> {
        let Some(mut polling) = self.store.polling(space, number)? else { return Ok(()) };
        let Some(source) = self.store.source(space, polling.source.as_str())? else {
            self.store.delete_polling(space, number).await?;
            return Ok(());
        };
        let times = &polling.times;
        let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, polling.since);
        let Some(table) = table.ok().filter(|_| source.active) else {
            polling.status.next_at = None;
            self.store.polled(space, polling, Some(due)).await?;
            return Ok(());
        };
        let began = self.now();
        // One that is being asked because somebody said so is left alone: this time is past with it.
        let mut wait = Duration::ZERO;
        if let Some(_under_way) = self.polls.begin(&source) {
            let result = self.ask(&source).await;
            if matches!(result, Err(PipelineError::Store(_))) {
                return result.map(|_| ());
            }
            if let Err(PipelineError::Failed(failure)) = &result {
                wait = Duration::from_millis(failure.retry_after_ms.unwrap_or_default().into()).min(LONGEST_WAIT);
            }
            note(&mut polling.status, began, &result);
        }
        polling.status.next_at = table.next(self.now().after(wait));
        self.store.polled(space, polling, Some(due)).await?;
        Ok(())
    }

    /// Lets the plugin of a source ask for news, and accepts what there is.
    async fn ask(&self, source: &Source) -> Result<Vec<String>, PipelineError> {
        for conflicts in 0..MAX_CONFLICTS {
            let request = SourceRequest {
                method: POLL.to_owned(),
                headers: vec![(SOURCE_HEADER.to_owned(), source.id.to_string())],
                ..SourceRequest::default()
            };
            let (reception, workbench) = self.ask_source(source, request).await?;
            let intake = match reception {
                Reception::Refused { code, message, .. } => return Err(Failure::permanent(&code, message).into()),
                Reception::Accepted(intake) => intake,
            };
            let mut events: Vec<EventDraft> = Vec::with_capacity(intake.events.len());
            for event in intake.events {
                // Nothing came in but this, so it is the payload.
                let payload = Bytes::from(event.data.clone());
                events.extend(drafts(source, &payload, Some("application/json"), vec![event])?);
            }
            if let Some(accepted) = self.accept_with(&source.space, events, workbench, None).await? {
                let new = accepted.into_iter().filter(|appended| !appended.repeat);
                return Ok(new.map(|appended| appended.id).collect());
            }
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..100) * u64::from(conflicts))).await;
        }
        let message = format!("others changed what the source keeps {MAX_CONFLICTS} times meanwhile");
        Err(Failure::transient("record.contended", message).into())
    }
}

/// Writes down how it went.
fn note(status: &mut PollStatus, began: Timestamp, result: &Result<Vec<String>, PipelineError>) {
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
            status.last_error = Some(text.chars().take(ERROR).collect());
        }
    }
}
