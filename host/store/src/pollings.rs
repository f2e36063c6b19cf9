//! The polling schedules of sources, with the next due time of each.

use hookwright_model::{Polling, SourceId, SpaceId, Timestamp};

use crate::db::Db;
use crate::timed::{self, Timed as _};
use crate::{StoreError, config};

/// Polling schedules.
#[derive(Clone)]
pub struct Pollings {
    pub(crate) db: Db,
}

impl Pollings {
    /// Records the outcome of a poll. Does nothing if the schedule was changed or deleted in the meantime.
    pub async fn polled(
        &self,
        space: &SpaceId,
        polling: Polling,
        due_was: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let space = space.clone();
        self.db
            .write(None, 1024, move |batch| {
                let of = batch.number(&space)?;
                let old: Option<Polling> = timed::stored(batch, of, polling.number)?;
                let ours = old.as_ref().is_some_and(|old| old.revision == polling.revision);
                if let Some(at) = due_was {
                    timed::forget_due(batch, of, polling.number, old.as_ref(), at)?;
                }
                if ours {
                    timed::swap(batch, of, old.as_ref(), Some(&polling))?;
                }
                Ok(ours)
            })
            .await
    }

    /// Deletes a source's polling schedule.
    pub async fn delete_polling(&self, space: &SpaceId, number: u64) -> Result<bool, StoreError> {
        timed::delete::<Polling>(&self.db, space, number).await
    }

    /// The polling schedule with this number.
    pub fn polling(&self, space: &SpaceId, number: u64) -> Result<Option<Polling>, StoreError> {
        config::get(&self.db, space, Polling::KIND, &Polling::key(number))
    }

    /// The polling schedules of all sources of a space.
    pub fn pollings(&self, space: &SpaceId) -> Result<Vec<Polling>, StoreError> {
        config::list(&self.db, space, Polling::KIND)
    }

    /// A source's polling schedule, if it has one.
    pub fn polling_of(&self, space: &SpaceId, source: &SourceId) -> Result<Option<Polling>, StoreError> {
        Ok(self.pollings(space)?.into_iter().find(|polling| polling.source == *source))
    }
}
