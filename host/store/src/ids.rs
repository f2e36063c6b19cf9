//! Ids that are assigned before the commit of what they belong to.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::SpaceId;
use parking_lot::Mutex;

use crate::StoreError;
use crate::db::Db;
use crate::tables::COUNTERS;

/// The ids that were assigned.
#[derive(Clone)]
pub(crate) struct Ids {
    pub(crate) db: Db,
    /// The highest one by space and kind, including ids that are not committed yet.
    pub(crate) highest: Arc<Mutex<HashMap<(SpaceId, String), u64>>>,
}

impl Ids {
    /// An id that was never assigned to this kind in this space, not even to an object that was not committed.
    pub(crate) fn give_id(&self, space: &SpaceId, kind: &str) -> Result<u64, StoreError> {
        let mut ids = self.highest.lock();
        let slot = (space.clone(), kind.to_owned());
        let highest = match ids.get(&slot) {
            Some(highest) => *highest,
            None => self.counted(space, kind)?,
        };
        let next = highest.saturating_add(1);
        ids.insert(slot, next);
        Ok(next)
    }

    fn counted(&self, space: &SpaceId, kind: &str) -> Result<u64, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(0) };
        let read = self.db.begin_read()?;
        let highest = read.open_table(COUNTERS)?.get((number, kind))?;
        Ok(highest.map_or(0, |value| value.value()))
    }
}
