//! Sources: inbound endpoints.

use hookwright_model::{Source, SpaceId};

use crate::batch::Batch;
use crate::db::Db;
use crate::tables::SOURCE;
use crate::{StoreError, config, requests};

/// Sources.
#[derive(Clone)]
pub struct Sources {
    pub(crate) db: Db,
}

impl Sources {
    /// Stores a source.
    pub async fn put_source(&self, source: &Source) -> Result<(), StoreError> {
        config::put(&self.db, &source.space, SOURCE, source.id.as_str(), source).await
    }

    /// Deletes a source, and its log.
    pub async fn delete_source(&self, space: &SpaceId, id: &str) -> Result<bool, StoreError> {
        let (space, id) = (space.clone(), id.to_owned());
        self.db
            .write(None, 64, move |batch| {
                let number = batch.number(&space)?;
                remove_source(batch, number, &id)
            })
            .await
    }

    /// A source.
    pub fn source(&self, space: &SpaceId, id: &str) -> Result<Option<Source>, StoreError> {
        config::get(&self.db, space, SOURCE, id)
    }

    /// The sources of a space.
    pub fn sources(&self, space: &SpaceId) -> Result<Vec<Source>, StoreError> {
        config::list(&self.db, space, SOURCE)
    }

    /// The sources of all spaces.
    pub fn all_sources(&self) -> Result<Vec<Source>, StoreError> {
        Ok(config::all(&self.db, SOURCE)?.into_iter().map(|(_, source)| source).collect())
    }
}

/// Deletes a source, and its log.
pub(crate) fn remove_source(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<bool, StoreError> {
    let found = batch.config()?.remove((space, SOURCE, id))?.is_some();
    requests::forget(batch, space, id)?;
    Ok(found)
}
