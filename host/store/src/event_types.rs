//! The event types that a space registered.

use hookwright_model::SpaceId;
use serde_json::Value;

use crate::db::Db;
use crate::tables::EVENT_TYPE;
use crate::{StoreError, config};

/// Registered event types.
#[derive(Clone)]
pub struct EventTypes {
    pub(crate) db: Db,
}

impl EventTypes {
    /// The declaration of an event type.
    pub fn event_type(&self, space: &SpaceId, name: &str) -> Result<Option<Value>, StoreError> {
        config::get(&self.db, space, EVENT_TYPE, name)
    }

    /// The event types that a space registered, by name.
    pub fn event_types(&self, space: &SpaceId) -> Result<Vec<(String, Value)>, StoreError> {
        config::list_by_id(&self.db, space, EVENT_TYPE)
    }
}
