//! Calls of plugins that were recorded, so that they can be repeated: bounded in number, bytes and age.

use hookwright_model::{SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::batch::Batch;
use crate::db::Db;
use crate::tables::{RECORDING_SIZES, RECORDINGS};
use crate::{StoreError, rows};

/// The maximum size of the retained recordings of one plugin in one space, in bytes.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A recording to store.
#[derive(Debug)]
pub struct NewRecording {
    /// The space of the call.
    pub space: SpaceId,
    /// The plugin's name there.
    pub plugin: String,
    /// When the call was made.
    pub at: Timestamp,
    /// The recording, sealed.
    pub sealed: Vec<u8>,
    /// The number of recordings of the plugin that are retained in the space.
    pub most: u64,
}

/// A stored recording.
#[derive(Debug)]
pub struct StoredRecording {
    /// Counts the recordings of the plugin in the space.
    pub number: u64,
    /// When the call was made.
    pub at: Timestamp,
    /// The recording, sealed.
    pub sealed: Vec<u8>,
}

fn read(number: u64, row: &[u8]) -> Result<StoredRecording, StoreError> {
    let (at, sealed) = row.split_first_chunk::<8>().ok_or_else(|| rows::corrupt("a truncated recording"))?;
    Ok(StoredRecording { number, at: Timestamp::from_millis(i64::from_le_bytes(*at)), sealed: sealed.to_vec() })
}

/// Recorded calls of plugins.
#[derive(Clone)]
pub struct Recordings {
    pub(crate) db: Db,
}

impl Recordings {
    /// Stores recordings, and evicts the oldest beyond the limits.
    pub async fn put_recordings(&self, recordings: Vec<NewRecording>) -> Result<(), StoreError> {
        let bytes = recordings.iter().map(|recording| recording.sealed.len()).fold(0, usize::saturating_add);
        self.db
            .write(None, bytes, move |batch| {
                for recording in recordings {
                    let space = batch.number(&recording.space)?;
                    put(batch, space, &recording)?;
                }
                Ok(())
            })
            .await
    }

    /// Recordings of a plugin with numbers below `before`, newest first.
    pub fn recordings(
        &self,
        space: &SpaceId,
        plugin: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read_transaction = self.db.begin_read()?;
        let table = read_transaction.open_table(RECORDINGS)?;
        let range = (number, plugin, 0)..(number, plugin, before.unwrap_or(u64::MAX));
        let mut found = Vec::new();
        for row in table.range(range)?.rev().take(limit) {
            let (key, row) = row?;
            found.push(read(key.value().2, row.value())?);
        }
        Ok(found)
    }

    /// The number of retained recordings of a plugin, and their bytes.
    pub fn recorded(&self, space: &SpaceId, plugin: &str) -> Result<(u64, u64), StoreError> {
        let Some(number) = self.db.number(space) else { return Ok((0, 0)) };
        let read_transaction = self.db.begin_read()?;
        let sizes = read_transaction.open_table(RECORDING_SIZES)?.get((number, plugin))?;
        Ok(sizes.map_or((0, 0), |sizes| sizes.value()))
    }

    /// Evicts recordings of calls that were made before `before`, at most `limit`; returns how many.
    pub async fn sweep_recordings(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut old: Vec<(u32, String, u64)> = Vec::new();
        {
            let read_transaction = self.db.begin_read()?;
            let table = read_transaction.open_table(RECORDINGS)?;
            for row in read_transaction.open_table(RECORDING_SIZES)?.iter()? {
                let (key, _) = row?;
                let (space, plugin) = key.value();
                for row in table.range((space, plugin, 0)..=(space, plugin, u64::MAX))? {
                    let (key, row) = row?;
                    if old.len() >= limit || read(0, row.value())?.at >= before {
                        break;
                    }
                    old.push((space, plugin.to_owned(), key.value().2));
                }
            }
        }
        if old.is_empty() {
            return Ok(0);
        }
        self.db
            .write(None, old.len().saturating_mul(64), move |batch| {
                for (space, plugin, number) in &old {
                    remove(batch, *space, plugin, *number)?;
                }
                Ok(old.len())
            })
            .await
    }
}

/// Deletes every recording of a plugin.
pub(crate) fn forget(batch: &mut Batch<'_>, space: u32, plugin: &str) -> Result<(), StoreError> {
    let mut numbers = Vec::new();
    for row in batch.recordings()?.range((space, plugin, 0)..=(space, plugin, u64::MAX))? {
        numbers.push(row?.0.value().2);
    }
    for number in numbers {
        batch.recordings()?.remove((space, plugin, number))?;
    }
    batch.recording_sizes()?.remove((space, plugin))?;
    Ok(())
}

fn put(batch: &mut Batch<'_>, space: u32, recording: &NewRecording) -> Result<(), StoreError> {
    let plugin = recording.plugin.as_str();
    let number = batch.next(space, &format!("recording/{plugin}"))?;
    let mut row = recording.at.millis().to_le_bytes().to_vec();
    row.extend_from_slice(&recording.sealed);
    batch.recordings()?.insert((space, plugin, number), row.as_slice())?;
    let size = u64::try_from(row.len()).unwrap_or(u64::MAX);
    let (count, bytes) = batch.recording_sizes()?.get((space, plugin))?.map_or((0, 0), |sizes| sizes.value());
    let (mut count, mut bytes) = (count.saturating_add(1), bytes.saturating_add(size));
    batch.recording_sizes()?.insert((space, plugin), (count, bytes))?;
    while count > 1 && (count > recording.most || bytes > MOST_BYTES) {
        let range = (space, plugin, 0)..=(space, plugin, u64::MAX);
        let oldest = batch.recordings()?.range(range)?.next().transpose()?.map(|(key, _)| key.value().2);
        let Some(oldest) = oldest else { break };
        (count, bytes) = remove(batch, space, plugin, oldest)?;
    }
    Ok(())
}

/// Deletes one; returns how many are left, and their bytes.
fn remove(batch: &mut Batch<'_>, space: u32, plugin: &str, number: u64) -> Result<(u64, u64), StoreError> {
    let size = batch.recordings()?.remove((space, plugin, number))?.map(|row| row.value().len());
    let (count, bytes) = batch.recording_sizes()?.get((space, plugin))?.map_or((0, 0), |sizes| sizes.value());
    let Some(size) = size else { return Ok((count, bytes)) };
    let left = (count.saturating_sub(1), bytes.saturating_sub(u64::try_from(size).unwrap_or(u64::MAX)));
    if left.0 == 0 {
        batch.recording_sizes()?.remove((space, plugin))?;
    } else {
        batch.recording_sizes()?.insert((space, plugin), left)?;
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, StoreOptions};

    fn recording(plugin: &str, at: i64, most: u64) -> NewRecording {
        NewRecording {
            space: SpaceId::main(),
            plugin: plugin.to_owned(),
            at: Timestamp::from_millis(at),
            sealed: vec![1; 100],
            most,
        }
    }

    #[tokio::test]
    async fn recordings_are_bounded_in_number_and_age_and_go_with_their_plugin() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(dir.path().join("store"))).unwrap();
        let main = SpaceId::main();
        store.recordings.put_recordings((0..5).map(|at| recording("a", at, 3)).collect()).await.unwrap();
        store.recordings.put_recordings(vec![recording("b", 9, 3)]).await.unwrap();
        let times = |plugin: &str| -> Vec<i64> {
            store.recordings.recordings(&main, plugin, None, 10).unwrap().iter().map(|one| one.at.millis()).collect()
        };
        assert_eq!(times("a"), [4, 3, 2]);
        assert_eq!(store.recordings.recorded(&main, "a").unwrap(), (3, 324));
        let last = store.recordings.recordings(&main, "a", None, 1).unwrap().remove(0);
        assert_eq!(store.recordings.recordings(&main, "a", Some(last.number), 1).unwrap()[0].at.millis(), 3);

        assert_eq!(store.recordings.sweep_recordings(Timestamp::from_millis(4), 1).await.unwrap(), 1);
        assert_eq!(store.recordings.sweep_recordings(Timestamp::from_millis(4), 10).await.unwrap(), 1);
        assert_eq!((times("a"), times("b")), (vec![4], vec![9]));
        assert_eq!(store.recordings.recorded(&main, "a").unwrap(), (1, 108));
        assert_eq!(store.recordings.sweep_recordings(Timestamp::from_millis(100), 10).await.unwrap(), 2);
        assert_eq!(store.recordings.recorded(&main, "a").unwrap(), (0, 0));
    }
}
