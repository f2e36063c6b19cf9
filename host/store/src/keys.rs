//! API keys.

use hookwright_model::{ApiKey, SpaceId};

use crate::db::Db;
use crate::tables::KEY;
use crate::{StoreError, config, rows};

/// API keys.
#[derive(Clone)]
pub struct Keys {
    pub(crate) db: Db,
}

impl Keys {
    /// Stores a key.
    pub async fn put_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        config::put(&self.db, &key.space, KEY, key.id.as_str(), key).await
    }

    /// Deletes a key.
    pub async fn delete_key(&self, space: &SpaceId, id: &str) -> Result<bool, StoreError> {
        config::delete(&self.db, space, KEY, id).await
    }

    /// The keys of a space.
    pub fn keys(&self, space: &SpaceId) -> Result<Vec<ApiKey>, StoreError> {
        config::list(&self.db, space, KEY)
    }

    /// The keys of all spaces.
    pub fn all_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Ok(config::all(&self.db, KEY)?.into_iter().map(|(_, key)| key).collect())
    }

    /// Records when a key was last used, if it still exists.
    pub async fn note_key_use(&self, key: &ApiKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.db
            .write(None, 256, move |batch| {
                let space = batch.number(&key.space)?;
                let stored: Option<ApiKey> = config::stored(batch, (space, KEY, key.id.as_str()))?;
                let Some(mut stored) = stored else { return Ok(()) };
                stored.last_used_at = key.last_used_at;
                config::insert(batch, (space, KEY, key.id.as_str()), &rows::json(&stored)?)
            })
            .await
    }
}
