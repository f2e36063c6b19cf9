//! Runs, mails, schedules and polls that are due at a certain time. Deliveries wait in the queues of their webhooks.

use hookwright_model::{RunId, ScheduleId, SpaceId, Timestamp};

use crate::StoreError;
use crate::db::Db;
use crate::tables::{DUE, DUE_MAIL, DUE_POLL, DUE_RUN, DUE_SCHEDULE};

/// A task that is due at a certain time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When it is due.
    pub at: Timestamp,
    /// The space.
    pub space: SpaceId,
    /// The task.
    pub item: DueItem,
}

/// The kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DueItem {
    /// The next step, or try of a step, of a run.
    Run(RunId),
    /// The next attempt to send a mail.
    Mail(u64),
    /// The next time of a schedule.
    Schedule(ScheduleId),
    /// The next time of a source that is polled, by the number of its polling schedule.
    Poll(u64),
}

/// What is due, and the latest recorded time.
#[derive(Clone)]
pub struct Timetable {
    pub(crate) db: Db,
}

impl Timetable {
    /// The tasks that are due by `now`, the oldest first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(DUE)?;
        let mut due = Vec::new();
        for row in table.range(..(now.millis().saturating_add(1), 0, 0, 0, 0))?.take(limit) {
            let (at, space, seq, ordinal, what) = row?.0.value();
            let Some(space) = self.db.shared().space(space) else { continue };
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
        let read = self.db.begin_read()?;
        let table = read.open_table(DUE)?;
        let first = table.range((after.millis().saturating_add(1), 0, 0, 0, 0)..)?.next();
        Ok(first.transpose()?.map(|(key, _)| Timestamp::from_millis(key.value().0)))
    }
}
