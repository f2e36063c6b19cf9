//! Objects of a space that have due times: schedules, and the polling schedules of sources.

use hookwright_model::{Polling, Schedule, SpaceId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::config::{self, Stored, insert};
use crate::db::Db;
use crate::tables::{DUE_POLL, DUE_SCHEDULE};
use crate::{StoreError, rows};

/// An object that is stored in the configuration of its space, and has a row in DUE.
pub(crate) trait Timed: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// The name of the kind of object in the configuration, and in the counter of its numbers.
    const KIND: &'static str;
    /// The marker of their rows in DUE.
    const DUE: u8;

    /// Counted from 1 in each space.
    fn number(&self) -> u64;

    /// The key under which it is stored.
    fn key(number: u64) -> String;

    /// Counts its changes.
    fn revision(&self) -> u32;

    /// When it is due.
    fn next_at(&self) -> Option<Timestamp>;
}

impl Timed for Schedule {
    const KIND: &'static str = "schedule";
    const DUE: u8 = DUE_SCHEDULE;

    fn number(&self) -> u64 {
        self.id.0
    }

    fn key(number: u64) -> String {
        hookwright_model::ScheduleId(number).to_string()
    }

    fn revision(&self) -> u32 {
        self.revision
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.status.next_at
    }
}

impl Timed for Polling {
    const KIND: &'static str = "polling";
    const DUE: u8 = DUE_POLL;

    fn number(&self) -> u64 {
        self.number
    }

    fn key(number: u64) -> String {
        number.to_string()
    }

    fn revision(&self) -> u32 {
        self.revision
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.status.next_at
    }
}

/// The object with this number.
pub(crate) fn stored<T: Timed>(batch: &mut Batch<'_>, space: u32, number: u64) -> Result<Option<T>, StoreError> {
    config::stored(batch, (space, T::KIND, T::key(number).as_str()))
}

/// Removes a row in DUE, unless the stored object is due at that time. An object's row always follows its stored due
/// time, so it has no unknown row and cannot lose its row.
pub(crate) fn forget_due<T: Timed>(
    batch: &mut Batch<'_>,
    space: u32,
    number: u64,
    stored: Option<&T>,
    at: Timestamp,
) -> Result<(), StoreError> {
    if stored.and_then(T::next_at) != Some(at) {
        batch.due()?.remove((at.millis(), space, number, 0, T::DUE))?;
    }
    Ok(())
}

/// Replaces or deletes the stored object, and moves its row in DUE.
pub(crate) fn swap<T: Timed>(
    batch: &mut Batch<'_>,
    space: u32,
    was: Option<&T>,
    is: Option<&T>,
) -> Result<(), StoreError> {
    if let Some((number, at)) = was.and_then(|was| Some((was.number(), was.next_at()?))) {
        batch.due()?.remove((at.millis(), space, number, 0, T::DUE))?;
    }
    if let Some((number, at)) = is.and_then(|is| Some((is.number(), is.next_at()?))) {
        batch.due()?.insert((at.millis(), space, number, 0, T::DUE), ())?;
        batch.due_added = true;
    }
    match (was, is) {
        (_, Some(is)) => {
            batch.count(space, T::KIND, is.number())?;
            insert(batch, (space, T::KIND, &T::key(is.number())), &rows::json(is)?)
        }
        (Some(was), None) => {
            batch.config()?.remove((space, T::KIND, T::key(was.number()).as_str()))?;
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Stores an object and its due time. `expected` is the stored revision; `None`: it is new.
pub(crate) async fn put<T: Timed>(
    db: &Db,
    space: &SpaceId,
    thing: &T,
    expected: Option<u32>,
) -> Result<Stored, StoreError> {
    let (space, thing) = (space.clone(), thing.clone());
    db.write(None, 4096, move |batch| {
        let of = batch.number(&space)?;
        let old: Option<T> = stored(batch, of, thing.number())?;
        if old.as_ref().map(T::revision) != expected {
            return Ok(Stored::Conflict);
        }
        swap(batch, of, old.as_ref(), Some(&thing))?;
        Ok(Stored::Done)
    })
    .await
}

/// Deletes an object; returns whether it existed.
pub(crate) async fn delete<T: Timed>(db: &Db, space: &SpaceId, number: u64) -> Result<bool, StoreError> {
    let space = space.clone();
    db.write(None, 64, move |batch| {
        let of = batch.number(&space)?;
        let Some(old) = stored::<T>(batch, of, number)? else { return Ok(false) };
        swap(batch, of, Some(&old), None)?;
        Ok(true)
    })
    .await
}
