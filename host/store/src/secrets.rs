//! Secrets, sealed.

use hookwright_model::{Secret, SpaceId};

use crate::db::Db;
use crate::tables::SECRET;
use crate::{StoreError, config};

/// Secrets.
#[derive(Clone)]
pub struct Secrets {
    pub(crate) db: Db,
}

impl Secrets {
    /// Stores a secret.
    pub async fn put_secret(&self, space: &SpaceId, secret: &Secret) -> Result<(), StoreError> {
        config::put(&self.db, space, SECRET, &secret.name, secret).await
    }

    /// Deletes a secret.
    pub async fn delete_secret(&self, space: &SpaceId, name: &str) -> Result<bool, StoreError> {
        config::delete(&self.db, space, SECRET, name).await
    }

    /// A secret, sealed.
    pub fn secret(&self, space: &SpaceId, name: &str) -> Result<Option<Secret>, StoreError> {
        config::get(&self.db, space, SECRET, name)
    }

    /// The secrets of a space, sealed.
    pub fn secrets(&self, space: &SpaceId) -> Result<Vec<Secret>, StoreError> {
        config::list(&self.db, space, SECRET)
    }
}
