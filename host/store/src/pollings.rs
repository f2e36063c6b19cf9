//! The times of sources that are polled, with when each is due next.

use hookwright_model::{Polling, SourceId, SpaceId, Timestamp};

use crate::timed::{self, Timed as _};
use crate::{Store, StoreError};

impl Store {
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
            let of = batch.number(&space)?;
            let old: Option<Polling> = timed::stored(batch, of, polling.number)?;
            let ours = old.as_ref().is_some_and(|old| old.revision == polling.revision);
            if let Some(at) = due_was {
                let still = old.as_ref().is_some_and(|old| old.status.next_at == Some(at));
                if !still || ours {
                    timed::no_longer_due::<Polling>(batch, of, polling.number, at)?;
                }
            }
            if ours {
                timed::swap(batch, of, old.as_ref(), Some(&polling))?;
            }
            Ok(ours)
        })
        .await
    }

    /// Takes the times of a source away.
    pub async fn delete_polling(&self, space: &SpaceId, number: u64) -> Result<bool, StoreError> {
        self.delete_timed::<Polling>(space, number).await
    }

    /// The times of this number.
    pub fn polling(&self, space: &SpaceId, number: u64) -> Result<Option<Polling>, StoreError> {
        self.get(space, Polling::KIND, &Polling::key(number))
    }

    /// The times of all sources of a space that have some.
    pub fn pollings(&self, space: &SpaceId) -> Result<Vec<Polling>, StoreError> {
        self.list(space, Polling::KIND)
    }

    /// The times of a source, if it has some.
    pub fn polling_of(&self, space: &SpaceId, source: &SourceId) -> Result<Option<Polling>, StoreError> {
        Ok(self.pollings(space)?.into_iter().find(|polling| polling.source == *source))
    }
}
