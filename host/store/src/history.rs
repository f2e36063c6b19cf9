//! The histories of records: their last changes.

use hookwright_model::{HistoryEntry, RecordKey, SpaceId};

use crate::batch::Batch;
use crate::records::Records;
use crate::tables::HISTORY;
use crate::{StoreError, rows};

/// The number of changes of a record that are retained.
const REMEMBERED: u64 = 100;

/// Records a change, and evicts the oldest beyond the limit.
pub(crate) fn remember(
    batch: &mut Batch<'_>,
    space: u32,
    key: &RecordKey,
    version: u64,
    row: &[u8],
) -> Result<(), StoreError> {
    let place = |version| (space, key.kind.as_str(), key.id, version);
    batch.history()?.insert(place(version), row)?;
    if let Some(old) = version.checked_sub(REMEMBERED) {
        batch.history()?.remove(place(old))?;
    }
    Ok(())
}

impl Records {
    /// The changes of a record before a version, newest first.
    pub fn history(
        &self,
        space: &SpaceId,
        key: &RecordKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(HISTORY)?;
        let place = |version| (number, key.kind.as_str(), key.id, version);
        let rows = table.range(place(0)..place(before.unwrap_or(u64::MAX)))?.rev().take(limit);
        rows.map(|row| rows::read(row?.1.value())).collect()
    }
}
