//! Notices that the clock was set back, and corrects the times that were set while it was ahead.
//!
//! Every time that the pipeline reads is remembered, and the latest is saved once a minute. A clock that shows an
//! earlier time than that was wrong before, even before the last start. What was set then stores when it was set.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::polling::MAX_POLL_DELAY;
use hookwright_intake::timetable::Timetable;
use hookwright_invoke::breaker::Breakers;
use hookwright_model::{Polling, Schedule, SpaceId, Timestamp};
use hookwright_store::{PulledBack, Store};

/// A clock may be corrected by this much without a warning.
const TOLERANCE: Duration = Duration::from_secs(5);

/// How much later the clock must be before its time is saved again.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// Notices that the clock was set back.
pub(crate) struct ClockWatch {
    pub(crate) store: Store,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) breakers: Arc<Breakers>,
}

impl ClockWatch {
    /// Compares the clock with the latest time that it showed.
    pub(crate) async fn watch_clock(&self) {
        let now = self.clock.now();
        if let Err(error) = self.compare_clock(now).await {
            tracing::warn!(%error, "the clock could not be checked; trying again");
        }
    }

    async fn compare_clock(&self, now: Timestamp) -> Result<(), PipelineError> {
        let saved = self.store.timetable.latest_time()?;
        let latest = saved.map_or(self.clock.latest(), |saved| saved.max(self.clock.latest()));
        if latest.since(now) <= TOLERANCE {
            if saved.is_none_or(|saved| now.since(saved) >= SAVE_INTERVAL) {
                self.store.timetable.note_time(now).await?;
            }
            return Ok(());
        }
        tracing::warn!(
            %now, %latest, behind_seconds = latest.since(now).as_secs(),
            "the clock shows an earlier time than before: it was wrong then, or is now. Times that it set are pulled back; \
             times in the journal stay as they were recorded"
        );
        let PulledBack { runs, mails, deliveries } = self.store.timetable.pull_back(now).await?;
        let (mut schedules, mut polls) = (0_usize, 0_usize);
        for space in self.store.spaces() {
            schedules = schedules.saturating_add(self.pull_back_schedules(&space, now).await?);
            polls = polls.saturating_add(self.pull_back_polls(&space, now).await?);
        }
        self.breakers.forget();
        self.clock.forget(now);
        self.store.timetable.note_time(now).await?;
        self.look_at_due();
        tracing::warn!(runs, mails, deliveries, schedules, polls, "pulled back to the time that the clock shows now");
        Ok(())
    }

    /// A schedule is due at its first time after now; a later time was set by a wrong clock.
    async fn pull_back_schedules(&self, space: &SpaceId, now: Timestamp) -> Result<usize, PipelineError> {
        let mut count = 0_usize;
        for stored in self.store.schedules.schedules(space)? {
            let Some(next) = stored.status.next_at.filter(|next| *next > now) else { continue };
            let revision = stored.revision;
            // An interval counts from the last change.
            let mut schedule = Schedule { updated_at: stored.updated_at.min(now), ..stored };
            let Some(right) = Timetable::of(&schedule).ok().and_then(|table| table.next(now)) else { continue };
            if right < next {
                schedule.status.next_at = Some(right);
                self.store.schedules.put_schedule(space, &schedule, Some(revision)).await?;
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// The same for sources that are polled, whose next poll a service may have delayed.
    async fn pull_back_polls(&self, space: &SpaceId, now: Timestamp) -> Result<usize, PipelineError> {
        let mut count = 0_usize;
        for stored in self.store.pollings.pollings(space)? {
            let Some(next) = stored.status.next_at.filter(|next| *next > now) else { continue };
            let mut polling = Polling { since: stored.since.min(now), ..stored };
            let times = &polling.times;
            let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, polling.since).ok();
            let at = |after: Timestamp| table.as_ref().and_then(|table| table.next(after));
            if at(now.after(MAX_POLL_DELAY)).is_some_and(|latest| latest < next) {
                polling.status.next_at = at(now);
                count = count.saturating_add(usize::from(self.store.pollings.polled(space, polling, None).await?));
            }
        }
        Ok(count)
    }

    /// Checks everything again that waits for a time.
    pub(crate) fn look_at_due(&self) {
        self.store.touched_signal().notify_one();
        self.store.due_signal().notify_one();
    }
}
