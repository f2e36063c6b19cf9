//! Schedules, with when each is due next.

use hookwright_model::{NewEvent, Schedule, ScheduleId, SpaceId, Timestamp};

use crate::journal::{self, Prepared};
use crate::timed::{self, Timed as _};
use crate::{Store, StoreError, Stored};

impl Store {
    /// Stores a schedule and when it is due. `expected` is the stored one's revision; none: it is new.
    pub async fn put_schedule(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        expected: Option<u32>,
    ) -> Result<Stored, StoreError> {
        self.put_timed(space, schedule, expected).await
    }

    /// Deletes a schedule.
    pub async fn delete_schedule(&self, space: &SpaceId, id: ScheduleId) -> Result<bool, StoreError> {
        self.delete_timed::<Schedule>(space, id.0).await
    }

    /// A schedule.
    pub fn schedule(&self, space: &SpaceId, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        self.get(space, Schedule::KIND, &id.to_string())
    }

    /// The schedules of a space, the newest first.
    pub fn schedules(&self, space: &SpaceId) -> Result<Vec<Schedule>, StoreError> {
        let mut all: Vec<Schedule> = self.list(space, Schedule::KIND)?;
        all.sort_by_key(|schedule| std::cmp::Reverse(schedule.id));
        Ok(all)
    }

    /// Appends the events of a schedule that was due at `due_was`, and writes down how it goes, all or nothing. Nothing
    /// happens if it was changed or deleted meanwhile, or somebody else did it: it is only no longer due then.
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
        self.write(None, bytes, move |batch| {
            let number = batch.number(&space)?;
            timed::no_longer_due::<Schedule>(batch, number, schedule.id.0, due_was)?;
            let old: Option<Schedule> = timed::stored(batch, number, schedule.id.0)?;
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
