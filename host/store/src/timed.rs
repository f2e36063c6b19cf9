//! Things of a space that are due at times of their own: schedules, and sources that are asked.

use hookwright_model::{Polling, Schedule, SpaceId, Timestamp};
use redb::ReadableTable as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::insert;
use crate::tables::{DUE_POLL, DUE_SCHEDULE};
use crate::writer::Batch;
use crate::{Store, StoreError, Stored, rows};

/// What is stored in the configuration of its space, and has a row among what is due.
pub(crate) trait Timed: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// What such things are called in the configuration, and in the counter of their numbers.
    const KIND: &'static str;
    /// What their rows among what is due are.
    const DUE: u8;

    /// Counted from 1 in each space.
    fn number(&self) -> u64;

    /// Under what it is stored.
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

/// The thing of this number.
pub(crate) fn stored<T: Timed>(batch: &mut Batch<'_>, space: u32, number: u64) -> Result<Option<T>, StoreError> {
    let row = batch.config()?.get((space, T::KIND, T::key(number).as_str()))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// Takes the row away that says that a thing is due at a time.
pub(crate) fn no_longer_due<T: Timed>(
    batch: &mut Batch<'_>,
    space: u32,
    number: u64,
    at: Timestamp,
) -> Result<(), StoreError> {
    batch.due()?.remove((at.millis(), space, number, 0, T::DUE))?;
    Ok(())
}

/// Writes a thing in place of the one that is stored, or takes that away, and moves its row among what is due.
pub(crate) fn swap<T: Timed>(
    batch: &mut Batch<'_>,
    space: u32,
    was: Option<&T>,
    is: Option<&T>,
) -> Result<(), StoreError> {
    if let Some((number, at)) = was.and_then(|was| Some((was.number(), was.next_at()?))) {
        no_longer_due::<T>(batch, space, number, at)?;
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

impl Store {
    /// Stores a thing and when it is due. `expected` is the stored one's revision; none: it is new.
    pub(crate) async fn put_timed<T: Timed>(
        &self,
        space: &SpaceId,
        thing: &T,
        expected: Option<u32>,
    ) -> Result<Stored, StoreError> {
        let (space, thing) = (space.clone(), thing.clone());
        self.write(None, 4096, move |batch| {
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

    /// Takes a thing away; says whether there was one.
    pub(crate) async fn delete_timed<T: Timed>(&self, space: &SpaceId, number: u64) -> Result<bool, StoreError> {
        let space = space.clone();
        self.write(None, 64, move |batch| {
            let of = batch.number(&space)?;
            let Some(old) = stored::<T>(batch, of, number)? else { return Ok(false) };
            swap(batch, of, Some(&old), None)?;
            Ok(true)
        })
        .await
    }
}
