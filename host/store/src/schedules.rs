//! Schedules, with when each is due next.

use hookwright_model::{NewEvent, Schedule, ScheduleId, SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::config::insert;
use crate::journal::{self, Prepared};
use crate::tables::DUE_SCHEDULE;
use crate::writer::Batch;
use crate::{Store, StoreError, Stored, rows};

pub(crate) const SCHEDULE: &str = "schedule";

fn stored(batch: &mut Batch<'_>, space: u32, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
    let row = batch.config()?.get((space, SCHEDULE, id.to_string().as_str()))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// Moves the due row from where the old schedule has it to where the new one does.
fn due(batch: &mut Batch<'_>, space: u32, old: Option<&Schedule>, new: Option<&Schedule>) -> Result<(), StoreError> {
    let at = |schedule: &Schedule| Some((schedule.status.next_at?.millis(), space, schedule.id.0, 0, DUE_SCHEDULE));
    if let Some(row) = old.and_then(at) {
        batch.due()?.remove(row)?;
    }
    if let Some(row) = new.and_then(at) {
        batch.due()?.insert(row, ())?;
        batch.due_added = true;
    }
    Ok(())
}

/// Writes a schedule in place of the one that is stored, or takes that away.
pub(crate) fn swap(
    batch: &mut Batch<'_>,
    space: u32,
    old: Option<&Schedule>,
    new: Option<&Schedule>,
) -> Result<(), StoreError> {
    due(batch, space, old, new)?;
    match (old, new) {
        (_, Some(new)) => {
            batch.count(space, SCHEDULE, new.id.0)?;
            insert(batch, (space, SCHEDULE, &new.id.to_string()), &rows::json(new)?)
        }
        (Some(old), None) => {
            batch.config()?.remove((space, SCHEDULE, old.id.to_string().as_str()))?;
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

impl Store {
    /// Stores a schedule and when it is due. `expected` is the stored one's revision; none: it is new.
    pub async fn put_schedule(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        expected: Option<u32>,
    ) -> Result<Stored, StoreError> {
        let (space, schedule) = (space.clone(), schedule.clone());
        self.write(None, 4096, move |batch| {
            let number = batch.number(&space)?;
            let old = stored(batch, number, schedule.id)?;
            if old.as_ref().map(|old| old.revision) != expected {
                return Ok(Stored::Conflict);
            }
            swap(batch, number, old.as_ref(), Some(&schedule))?;
            Ok(Stored::Done)
        })
        .await
    }

    /// Deletes a schedule.
    pub async fn delete_schedule(&self, space: &SpaceId, id: ScheduleId) -> Result<bool, StoreError> {
        let space = space.clone();
        self.write(None, 64, move |batch| {
            let number = batch.number(&space)?;
            let Some(old) = stored(batch, number, id)? else { return Ok(false) };
            swap(batch, number, Some(&old), None)?;
            Ok(true)
        })
        .await
    }

    /// A schedule.
    pub fn schedule(&self, space: &SpaceId, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        self.get(space, SCHEDULE, &id.to_string())
    }

    /// The schedules of a space, the newest first.
    pub fn schedules(&self, space: &SpaceId) -> Result<Vec<Schedule>, StoreError> {
        let mut all: Vec<Schedule> = self.list(space, SCHEDULE)?;
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
            batch.due()?.remove((due_was.millis(), number, schedule.id.0, 0, DUE_SCHEDULE))?;
            let old = stored(batch, number, schedule.id)?;
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
            due(batch, number, Some(&old), Some(&schedule))?;
            insert(batch, (number, SCHEDULE, &schedule.id.to_string()), &rows::json(&schedule)?)?;
            Ok(true)
        })
        .await
    }
}
