//! The logs of sources: the last requests to each URL.

use hookwright_model::{API_REQUESTS, RequestEntry, RequestNote, SourceId, SpaceId, Timestamp};

use crate::batch::Batch;
use crate::db::Db;
use crate::tables::{REQUESTS, SOURCE};
use crate::{StoreError, rows};

/// An entry that the caller has prepared, so that the writer has little work.
pub(crate) struct ReadyNote {
    source: String,
    /// The time of the request (8 bytes, milliseconds, little endian), then the entry as JSON.
    row: Vec<u8>,
    most: u64,
}

impl ReadyNote {
    pub(crate) fn new(note: &RequestNote) -> Result<Self, StoreError> {
        let mut row = note.entry.at.millis().to_le_bytes().to_vec();
        row.extend(rows::json(&note.entry)?);
        Ok(Self { source: note.source.to_string(), row, most: note.most })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.row.len()
    }
}

fn read(row: &[u8]) -> Result<(i64, &[u8]), StoreError> {
    let (at, json) = row.split_first_chunk::<8>().ok_or_else(|| rows::corrupt("a truncated request row"))?;
    Ok((i64::from_le_bytes(*at), json))
}

/// The name under which the entries of a source's log are counted.
fn counter(source: &str) -> String {
    format!("request/{source}")
}

/// Writes an entry, and evicts the oldest beyond the limit. Nothing is written for a source that does not exist.
pub(crate) fn write(batch: &mut Batch<'_>, space: u32, note: ReadyNote) -> Result<(), StoreError> {
    let ReadyNote { source, row, most } = note;
    let exists = source == API_REQUESTS || batch.config()?.get((space, SOURCE, source.as_str()))?.is_some();
    if !exists {
        return Ok(());
    }
    let number = batch.next(space, &counter(&source))?;
    batch.requests()?.insert((space, source.as_str(), number), row.as_slice())?;
    if let Some(last) = number.checked_sub(most) {
        batch.requests()?.remove((space, source.as_str(), last))?;
    }
    Ok(())
}

/// Deletes a source's log.
pub(crate) fn forget(batch: &mut Batch<'_>, space: u32, source: &str) -> Result<(), StoreError> {
    batch.requests()?.remove_range((space, source, 0)..=(space, source, u64::MAX))?;
    batch.remove_counter(space, &counter(source))?;
    Ok(())
}

/// The logs of sources.
#[derive(Clone)]
pub struct Requests {
    pub(crate) db: Db,
}

impl Requests {
    /// Writes entries into the logs of sources, all in one commit.
    pub async fn note_requests(&self, notes: Vec<(SpaceId, RequestNote)>) -> Result<(), StoreError> {
        let ready = notes
            .iter()
            .map(|(space, note)| Ok((space.clone(), ReadyNote::new(note)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let bytes = ready.iter().map(|(_, note)| note.bytes()).sum();
        self.db
            .write(None, bytes, move |batch| {
                for (space, note) in ready {
                    let number = batch.number(&space)?;
                    write(batch, number, note)?;
                }
                Ok(())
            })
            .await
    }

    /// The entries of a source's log before a number, the newest first.
    pub fn requests(
        &self,
        space: &SpaceId,
        source: &SourceId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, RequestEntry)>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read_all = self.db.begin_read()?;
        let table = read_all.open_table(REQUESTS)?;
        let source = source.as_str();
        let range = table.range((number, source, 0)..(number, source, before.unwrap_or(u64::MAX)))?;
        range
            .rev()
            .take(limit)
            .map(|row| {
                let (key, row) = row?;
                Ok((key.value().2, rows::read(read(row.value())?.1)?))
            })
            .collect()
    }

    /// One entry of a source's log.
    pub fn request(&self, space: &SpaceId, source: &SourceId, number: u64) -> Result<Option<RequestEntry>, StoreError> {
        let Some(space) = self.db.number(space) else { return Ok(None) };
        let row = self.db.begin_read()?.open_table(REQUESTS)?.get((space, source.as_str(), number))?;
        row.map(|row| rows::read(read(row.value())?.1)).transpose()
    }

    /// Removes entries of a source's log from before `before`, and those beyond `most`, at most `limit` in one commit.
    /// Returns how many were removed; fewer than `limit`: none are left.
    pub async fn sweep_requests(
        &self,
        space: &SpaceId,
        source: &SourceId,
        before: Timestamp,
        most: u64,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(0) };
        let old = self.old_requests((number, source.as_str()), before, most, limit)?;
        if old.is_empty() {
            return Ok(0);
        }
        let source = source.to_string();
        self.db
            .write(None, old.len().saturating_mul(64), move |batch| {
                for entry in &old {
                    batch.requests()?.remove((number, source.as_str(), *entry))?;
                }
                Ok(old.len())
            })
            .await
    }

    fn old_requests(
        &self,
        (space, source): (u32, &str),
        before: Timestamp,
        most: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let read_all = self.db.begin_read()?;
        let table = read_all.open_table(REQUESTS)?;
        let all = || table.range((space, source, 0)..=(space, source, u64::MAX));
        let newest = all()?.next_back().transpose()?.map_or(0, |(key, _)| key.value().2);
        let mut old = Vec::new();
        for row in all()?.take(limit) {
            let (key, row) = row?;
            let number = key.value().2;
            if read(row.value())?.0 >= before.millis() && number > newest.saturating_sub(most) {
                break;
            }
            old.push(number);
        }
        Ok(old)
    }
}
