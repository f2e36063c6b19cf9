//! Records and their notes.

use hookwright_model::{RecordKey, SpaceId, StoredNote, StoredRecord};
use serde_json::Value;

use crate::db::Db;
use crate::page::SCANNED;
use crate::tables::{NOTES, RECORDS};
use crate::{StoreError, rows};

/// Records.
#[derive(Clone)]
pub struct Records {
    pub(crate) db: Db,
}

impl Records {
    /// Records of a kind for which `keep` returns true, the highest id first, and the id before which the next page
    /// begins.
    pub fn records(
        &self,
        space: &SpaceId,
        kind: &str,
        before: Option<u64>,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<(Vec<StoredRecord>, Option<u64>), StoreError> {
        let Some(number) = self.db.number(space) else { return Ok((Vec::new(), None)) };
        let read = self.db.begin_read()?;
        let table = read.open_table(RECORDS)?;
        let before = before.unwrap_or(u64::MAX);
        let mut records = Vec::new();
        let mut last = None;
        for (scanned, row) in table.range((number, kind, 0)..(number, kind, before))?.rev().enumerate() {
            let (key, row) = row?;
            if records.len() >= limit || scanned >= SCANNED {
                return Ok((records, last));
            }
            last = Some(key.value().2);
            let record = rows::read_record(row.value())?;
            if keep(&record.value) {
                records.push(record);
            }
        }
        Ok((records, None))
    }

    /// Notes on a record with ids above `after`, the first one first.
    pub fn all_notes(
        &self,
        space: &SpaceId,
        key: &RecordKey,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(NOTES)?;
        let first = (number, key.kind.as_str(), key.id, after.map_or(0, |id| id.saturating_add(1)));
        let last = (number, key.kind.as_str(), key.id, u64::MAX);
        table.range(first..=last)?.take(limit).map(|row| rows::read(row?.1.value())).collect()
    }

    pub(crate) fn read_record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(RECORDS)?.get((number, key.kind.as_str(), key.id))?;
        row.map(|row| rows::read_record(row.value())).transpose()
    }

    pub(crate) fn newest_notes(
        &self,
        space: &SpaceId,
        key: &RecordKey,
        limit: usize,
    ) -> Result<Vec<StoredNote>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(NOTES)?;
        let (first, last) = ((number, key.kind.as_str(), key.id, 0), (number, key.kind.as_str(), key.id, u64::MAX));
        let rows = table.range(first..=last)?.rev().take(limit);
        let mut notes = rows.map(|row| rows::read_note(row?.1.value())).collect::<Result<Vec<_>, StoreError>>()?;
        notes.reverse();
        Ok(notes)
    }
}
