//! Runs, mails, schedules and polls that are due at a certain time. Deliveries wait in the queues of their webhooks.

use hookwright_model::{RunId, ScheduleId, SpaceId, Timestamp};

use crate::tables::{DUE, DUE_MAIL, DUE_POLL, DUE_RUN, DUE_SCHEDULE};
use crate::{Store, StoreError};

/// Something that is to be done at a certain time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// In which space.
    pub space: SpaceId,
    /// What.
    pub item: DueItem,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DueItem {
    /// The next try of a run's step.
    Run(RunId),
    /// The next try of a mail.
    Mail(u64),
    /// The next time of a schedule.
    Schedule(ScheduleId),
    /// The next time of a source that is polled, by the number of its times.
    Poll(u64),
}

impl Store {
    /// What is due by `now`, the oldest first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(DUE)?;
        let mut due = Vec::new();
        for row in table.range(..(now.millis().saturating_add(1), 0, 0, 0, 0))?.take(limit) {
            let (at, space, seq, ordinal, what) = row?.0.value();
            let Some(space) = self.inner.shared.space(space) else { continue };
            let item = match what {
                DUE_RUN => DueItem::Run(RunId { seq, ordinal }),
                DUE_MAIL => DueItem::Mail(seq),
                DUE_SCHEDULE => DueItem::Schedule(ScheduleId(seq)),
                DUE_POLL => DueItem::Poll(seq),
                _ => continue,
            };
            due.push(Due { at: Timestamp::from_millis(at), space, item });
        }
        Ok(due)
    }

    /// The first instant after `after` at which something is due.
    pub fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(DUE)?;
        let first = table.range((after.millis().saturating_add(1), 0, 0, 0, 0)..)?.next();
        Ok(first.transpose()?.map(|(key, _)| Timestamp::from_millis(key.value().0)))
    }
}
