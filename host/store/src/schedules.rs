//! Schedules, with the next due time of each.

use hookwright_model::{NewEvent, Schedule, ScheduleId, SpaceId, Timestamp};

use crate::StoreError;
use crate::config::{self, Stored};
use crate::db::Db;
use crate::journal::{self, Prepared};
use crate::timed::{self, Timed as _};

/// Schedules.
#[derive(Clone)]
pub struct Schedules {
    pub(crate) db: Db,
}

impl Schedules {
    /// Stores a schedule and its due time. `expected` is the stored revision; `None`: it is new.
    pub async fn put_schedule(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        expected: Option<u32>,
    ) -> Result<Stored, StoreError> {
        timed::put(&self.db, space, schedule, expected).await
    }

    /// A schedule.
    pub fn schedule(&self, space: &SpaceId, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        config::get(&self.db, space, Schedule::KIND, &id.to_string())
    }

    /// The schedules of a space, the newest first.
    pub fn schedules(&self, space: &SpaceId) -> Result<Vec<Schedule>, StoreError> {
        let mut all: Vec<Schedule> = config::list(&self.db, space, Schedule::KIND)?;
        all.sort_by_key(|schedule| std::cmp::Reverse(schedule.id));
        Ok(all)
    }

    /// Appends the events of a schedule that was due at `due_was`, and records its progress, all or nothing. Does
    /// nothing if it was changed or deleted in the meantime, or another task has done it.
    pub async fn fire_schedule(
        &self,
        space: &SpaceId,
        mut schedule: Schedule,
        due_was: Timestamp,
        events: Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let space = space.clone();
        let prepared = events.into_iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let bytes = prepared.iter().map(Prepared::bytes).fold(1024, usize::saturating_add);
        self.db
            .write(None, bytes, move |batch| {
                let number = batch.number(&space)?;
                let old: Option<Schedule> = timed::stored(batch, number, schedule.id.0)?;
                timed::forget_due(batch, number, schedule.id.0, old.as_ref(), due_was)?;
                let as_expected =
                    old.filter(|old| old.revision == schedule.revision && old.status.next_at == Some(due_was));
                let Some(old) = as_expected else { return Ok(false) };
                for event in prepared {
                    let appended = journal::append(batch, event)?;
                    if !appended.repeat {
                        schedule.status.events = schedule.status.events.saturating_add(1);
                        schedule.status.last_seq = Some(appended.seq);
                        schedule.status.last_event = Some(appended.id);
                    }
                }
                timed::swap(batch, number, Some(&old), Some(&schedule))?;
                Ok(true)
            })
            .await
    }
}
