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
pub(crate) fn remove_source(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<(), StoreError> {
    batch.config()?.remove((space, SOURCE, id))?;
    requests::forget(batch, space, id)
}
