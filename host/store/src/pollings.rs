//! The times of sources that are polled, with when each is due next.

use hookwright_model::{Polling, SourceId, SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::config::insert;
use crate::tables::DUE_POLL;
use crate::writer::Batch;
use crate::{Store, StoreError, Stored, rows};

pub(crate) const POLLING: &str = "polling";

fn stored(batch: &mut Batch<'_>, space: u32, number: u64) -> Result<Option<Polling>, StoreError> {
    let row = batch.config()?.get((space, POLLING, number.to_string().as_str()))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// Moves the due row from where the old one has it to where the new one does.
fn due(batch: &mut Batch<'_>, space: u32, old: Option<&Polling>, new: Option<&Polling>) -> Result<(), StoreError> {
    let at = |polling: &Polling| Some((polling.status.next_at?.millis(), space, polling.number, 0, DUE_POLL));
    if let Some(row) = old.and_then(at) {
        batch.due()?.remove(row)?;
    }
    if let Some(row) = new.and_then(at) {
        batch.due()?.insert(row, ())?;
        batch.due_added = true;
    }
    Ok(())
}

/// Puts the times of a source in the place of others, or takes them away.
pub(crate) fn swap(
    batch: &mut Batch<'_>,
    space: u32,
    was: Option<&Polling>,
    is: Option<&Polling>,
) -> Result<(), StoreError> {
    due(batch, space, was, is)?;
    match (was, is) {
        (_, Some(is)) => {
            batch.count(space, POLLING, is.number)?;
            insert(batch, (space, POLLING, &is.number.to_string()), &rows::json(is)?)
        }
        (Some(was), None) => {
            batch.config()?.remove((space, POLLING, was.number.to_string().as_str()))?;
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

impl Store {
    /// Stores the times of a source and when it is due. `expected` is the stored one's revision; none: it is new.
    pub async fn put_polling(
        &self,
        space: &SpaceId,
        polling: &Polling,
        expected: Option<u32>,
    ) -> Result<Stored, StoreError> {
        let (space, polling) = (space.clone(), polling.clone());
        self.write(None, 1024, move |batch| {
            let number = batch.number(&space)?;
            let old = stored(batch, number, polling.number)?;
            if old.as_ref().map(|old| old.revision) != expected {
                return Ok(Stored::Conflict);
            }
            swap(batch, number, old.as_ref(), Some(&polling))?;
            Ok(Stored::Done)
        })
        .await
    }

    /// Writes down how it goes. Nothing happens but that it is no longer due at `due_was` if the times were changed or
    /// taken away meanwhile.
    pub async fn polled(
        &self,
        space: &SpaceId,
        polling: Polling,
        due_was: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let space = space.clone();
        self.write(None, 1024, move |batch| {
            let number = batch.number(&space)?;
            let old = stored(batch, number, polling.number)?;
            if let Some(at) = due_was {
                let still = old.as_ref().is_some_and(|old| old.status.next_at == Some(at));
                let ours = old.as_ref().is_some_and(|old| old.revision == polling.revision);
                if !still || ours {
                    batch.due()?.remove((at.millis(), number, polling.number, 0, DUE_POLL))?;
                }
            }
            let Some(old) = old.filter(|old| old.revision == polling.revision) else { return Ok(false) };
            due(batch, number, Some(&old), Some(&polling))?;
            insert(batch, (number, POLLING, &polling.number.to_string()), &rows::json(&polling)?)?;
            Ok(true)
        })
        .await
    }

    /// Takes the times of a source away.
    pub async fn delete_polling(&self, space: &SpaceId, number: u64) -> Result<bool, StoreError> {
        let space = space.clone();
        self.write(None, 64, move |batch| {
            let of = batch.number(&space)?;
            let Some(old) = stored(batch, of, number)? else { return Ok(false) };
            swap(batch, of, Some(&old), None)?;
            Ok(true)
        })
        .await
    }

    /// The times of this number.
    pub fn polling(&self, space: &SpaceId, number: u64) -> Result<Option<Polling>, StoreError> {
        self.get(space, POLLING, &number.to_string())
    }

    /// The times of all sources of a space that have some.
    pub fn pollings(&self, space: &SpaceId) -> Result<Vec<Polling>, StoreError> {
        self.list(space, POLLING)
    }

    /// The times of a source, if it has some.
    pub fn polling_of(&self, space: &SpaceId, source: &SourceId) -> Result<Option<Polling>, StoreError> {
        Ok(self.pollings(space)?.into_iter().find(|polling| polling.source == *source))
    }
}
