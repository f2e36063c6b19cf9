//! Corrections after a wrong clock: the latest time that was recorded, and times that were set while the clock was
//! wrong.

use std::time::Duration;

use hookwright_model::{DeliveryId, DeliveryState, Mail, MailState, Run, RunId, RunState, Timestamp};

use crate::batch::Batch;
use crate::due::Timetable;
use crate::rows::run::Head;
use crate::tables::{COUNTERS, DUE, DUE_MAIL, DUE_RUN, QUEUE};
use crate::{StoreError, continuation, idempotency, mails, queue, rows};

/// The latest recorded time, in milliseconds.
const CLOCK: (u32, &str) = (0, "clock");
/// The number of rows that one commit examines.
const CHUNK: usize = 1000;

type DueKey = (i64, u32, u64, u32, u8);
type QueueKey = (u32, u64, i64, u64, u32);

/// The numbers of objects whose due time was corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PulledBack {
    /// Runs with a wait or a retry.
    pub runs: usize,
    /// Mails that are retried.
    pub mails: usize,
    /// Deliveries that are retried.
    pub deliveries: usize,
}

/// The corrected time of something that is due `at` and was set at the time `set`, if that is in the future: as long
/// after `now` as `at` is after `set`. `None`: the clock was right, or the time was corrected already.
fn pulled_back(at: Timestamp, set: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (set > now && at >= set).then(|| now.after(at.since(set)))
}

impl Timetable {
    /// The latest time that [`Timetable::note_time`] recorded.
    pub fn latest_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = self.db.begin_read()?;
        let millis = read.open_table(COUNTERS)?.get(CLOCK)?;
        Ok(millis.and_then(|millis| i64::try_from(millis.value()).ok()).map(Timestamp::from_millis))
    }

    /// Records the present time.
    pub async fn note_time(&self, now: Timestamp) -> Result<(), StoreError> {
        self.db
            .write(None, 16, move |batch| {
                batch.counters()?.insert(CLOCK, u64::try_from(now.millis()).unwrap_or(0))?;
                Ok(())
            })
            .await
    }

    /// Corrects due times later than `now` that were set at a time later than `now`, when the clock was wrong. They
    /// become as long after `now` as they were after that time. Due times that were given explicitly do not change.
    /// Idempotency keys with a time later than `now` get the time `now`.
    pub async fn pull_back(&self, now: Timestamp) -> Result<PulledBack, StoreError> {
        let mut all = PulledBack::default();
        // A corrected row moves to an earlier position, so no row is visited twice.
        let mut from: Option<DueKey> = Some((now.millis().saturating_add(1), 0, 0, 0, 0));
        while let Some(first) = from {
            let keys = self.due_from(first)?;
            from = keys.last().filter(|_| keys.len() == CHUNK).map(|last| (last.0, last.1, last.2, last.3, u8::MAX));
            let (runs, mails) = self
                .db
                .write(None, keys.len().saturating_mul(1024), move |batch| {
                    let (mut runs, mut mails) = (0_usize, 0_usize);
                    for key in keys {
                        match key.4 {
                            DUE_RUN => runs = runs.saturating_add(usize::from(pull_back_run(batch, key, now)?)),
                            DUE_MAIL => mails = mails.saturating_add(usize::from(pull_back_mail(batch, key, now)?)),
                            _ => {}
                        }
                    }
                    Ok((runs, mails))
                })
                .await?;
            all.runs = all.runs.saturating_add(runs);
            all.mails = all.mails.saturating_add(mails);
        }
        let mut from: Option<QueueKey> = Some((0, 0, 0, 0, 0));
        while let Some(first) = from {
            let keys = self.queued_from(first)?;
            from = keys.last().filter(|_| keys.len() == CHUNK).map(|(space, queue, at, seq, ordinal)| {
                ordinal.checked_add(1).map_or((*space, *queue, *at, seq.saturating_add(1), 0), |ordinal| {
                    (*space, *queue, *at, *seq, ordinal)
                })
            });
            let late: Vec<QueueKey> = keys.into_iter().filter(|key| key.2 > now.millis()).collect();
            if late.is_empty() {
                continue;
            }
            let deliveries = self
                .db
                .write(None, late.len().saturating_mul(1024), move |batch| {
                    let mut deliveries = 0_usize;
                    for key in late {
                        deliveries = deliveries.saturating_add(usize::from(pull_back_delivery(batch, key, now)?));
                    }
                    Ok(deliveries)
                })
                .await?;
            all.deliveries = all.deliveries.saturating_add(deliveries);
        }
        idempotency::pull_back(&self.db, now).await?;
        Ok(all)
    }

    fn due_from(&self, first: DueKey) -> Result<Vec<DueKey>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(DUE)?;
        table.range(first..)?.take(CHUNK).map(|row| Ok(row?.0.value())).collect()
    }

    fn queued_from(&self, first: QueueKey) -> Result<Vec<QueueKey>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(QUEUE)?;
        table.range(first..)?.take(CHUNK).map(|row| Ok(row?.0.value())).collect()
    }
}

fn pull_back_run(batch: &mut Batch<'_>, key: DueKey, now: Timestamp) -> Result<bool, StoreError> {
    let (millis, space, seq, ordinal, _) = key;
    let at = Timestamp::from_millis(millis);
    let waits = |run: &Run| run.state.live() && run.due_at() == Some(at);
    let Some(stored) = continuation::load(batch, space, RunId { seq, ordinal })?.filter(waits) else {
        return Ok(false);
    };
    let mut run = stored.clone();
    for open in &mut run.open_steps {
        if let Some(sooner) = open.retry_at.and_then(|at| pulled_back(at, open.since, now)) {
            (open.retry_at, open.since) = (Some(sooner), now);
        }
    }
    let sooner = |at: Timestamp, since: Timestamp| pulled_back(at, since, now).unwrap_or(at);
    if let Some(wait) = &mut run.wait {
        wait.until = wait.since.map_or(wait.until, |since| sooner(wait.until, since));
        wait.since = wait.since.map(|since| since.min(now));
    }
    let first_retry = run.first_retry();
    if let RunState::Waiting { until, since, .. } = &mut run.state {
        if let Some(set) = since.or(stored.wait.and_then(|wait| wait.since)) {
            *until = sooner(*until, set);
        }
        // It continues with whatever is due first.
        *until = first_retry.map_or(*until, |retry| retry.min(*until));
        *since = since.map(|since| since.min(now));
    }
    if run.due_at() == Some(at) {
        return Ok(false);
    }
    let json = rows::json(&run)?;
    continuation::save(batch, space, Some(&Head::of(&stored)), &mut run, &json)?;
    Ok(true)
}

fn pull_back_mail(batch: &mut Batch<'_>, key: DueKey, now: Timestamp) -> Result<bool, StoreError> {
    let (millis, space, id, ..) = key;
    let at = Timestamp::from_millis(millis);
    let stored: Option<Mail> = {
        let row = batch.mails()?.get((space, id))?;
        row.map(|row| rows::read(row.value())).transpose()?
    };
    let Some(mut mail) = stored.filter(|mail| mail.state == MailState::Queued && mails::due(mail) == Some(at)) else {
        return Ok(false);
    };
    let Some(sooner) = pulled_back(at, mail.tried_at.unwrap_or(mail.created_at), now) else { return Ok(false) };
    batch.due()?.remove(key)?;
    (mail.next_attempt_at, mail.tried_at) = (Some(sooner), Some(now));
    mails::write(batch, space, id, Some(sooner), &rows::json(&mail)?)?;
    Ok(true)
}

fn pull_back_delivery(batch: &mut Batch<'_>, key: QueueKey, now: Timestamp) -> Result<bool, StoreError> {
    let (space, number, millis, seq, ordinal) = key;
    let (at, id) = (Timestamp::from_millis(millis), DeliveryId { seq, ordinal });
    let Some(mut delivery) = queue::load(batch, space, id)? else { return Ok(false) };
    if delivery.state != DeliveryState::Pending || delivery.next_attempt_at != Some(at) {
        return Ok(false);
    }
    let last: Option<hookwright_model::Attempt> = {
        let range = (space, seq, ordinal, 0)..=(space, seq, ordinal, u32::MAX);
        let row = batch.attempts()?.range(range)?.next_back().transpose()?;
        row.map(|(_, row)| rows::read(row.value())).transpose()?
    };
    let set = last
        .map_or(delivery.created_at, |attempt| attempt.started_at.after(Duration::from_millis(attempt.duration_ms)));
    let Some(sooner) = pulled_back(at, set, now) else { return Ok(false) };
    queue::take(batch, space, number, at, id)?;
    delivery.next_attempt_at = Some(sooner);
    queue::put(batch, space, number, sooner, id)?;
    queue::store(batch, space, &delivery)?;
    Ok(true)
}
