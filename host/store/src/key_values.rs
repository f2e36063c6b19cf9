//! The key-value store of plugins (`kv`).

use bytes::Bytes;
use hookwright_model::{Kept, KvKey, KvSize, KvWrite, SpaceId, Timestamp, Version};

use crate::batch::Batch;
use crate::db::Db;
use crate::tables::{KEPT, KEPT_EXPIRY, KEPT_SIZES};
use crate::{StoreError, rows};

/// The expiry of a value that never expires.
const NEVER: i64 = i64::MAX;
/// Version and expiry, before the value.
const HEAD: usize = 16;

fn row(version: Version, expires_at: Option<Timestamp>, value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(value.len().saturating_add(HEAD));
    row.extend_from_slice(&version.to_le_bytes());
    row.extend_from_slice(&expires_at.map_or(NEVER, Timestamp::millis).to_le_bytes());
    row.extend_from_slice(value);
    row
}

fn read(row: &[u8]) -> Result<(Version, i64, &[u8]), StoreError> {
    let short = || rows::corrupt("a truncated value");
    let (version, rest) = row.split_first_chunk::<8>().ok_or_else(short)?;
    let (expires_at, value) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    Ok((Version::from_le_bytes(*version), i64::from_le_bytes(*expires_at), value))
}

fn expiry(millis: i64) -> Option<Timestamp> {
    (millis != NEVER).then(|| Timestamp::from_millis(millis))
}

/// Whether a value still has the version that was read.
pub(crate) fn is_current(
    batch: &mut Batch<'_>,
    space: u32,
    key: &KvKey,
    seen: Option<Version>,
) -> Result<bool, StoreError> {
    let found = batch.kept()?.get((space, key.plugin.as_str(), key.key.as_str()))?;
    let version = found.map(|row| read(row.value()).map(|(version, _, _)| version)).transpose()?;
    Ok(version == seen)
}

/// Writes or removes a value, and counts it.
pub(crate) fn write(batch: &mut Batch<'_>, space: u32, write: KvWrite) -> Result<(), StoreError> {
    let KvWrite { key, value } = write;
    let place = (space, key.plugin.as_str(), key.key.as_str());
    let former = {
        let found = batch.kept()?.get(place)?;
        found.map(|row| read(row.value()).map(|(_, at, value)| (at, value.len()))).transpose()?
    };
    let (mut bytes, mut keys) =
        batch.kept_sizes()?.get((space, key.plugin.as_str()))?.map_or((0, 0), |sizes| sizes.value());
    if let Some((at, length)) = former {
        bytes = bytes.saturating_sub(size(&key.key, length));
        keys = keys.saturating_sub(1);
        if at != NEVER {
            batch.kept_expiry()?.remove((at, space, key.plugin.as_str(), key.key.as_str()))?;
        }
    }
    match value {
        Some((value, expires_at)) => {
            bytes = bytes.saturating_add(size(&key.key, value.len()));
            keys = keys.saturating_add(1);
            // A random version: a value that was removed and set again must not be mistaken for the previous one.
            let row = row(rand::random(), expires_at, &value);
            batch.kept()?.insert(place, row.as_slice())?;
            if let Some(at) = expires_at {
                batch.kept_expiry()?.insert((at.millis(), space, key.plugin.as_str(), key.key.as_str()), ())?;
            }
        }
        None => {
            batch.kept()?.remove(place)?;
        }
    }
    batch.kept_sizes()?.insert((space, key.plugin.as_str()), (bytes, keys))?;
    Ok(())
}

fn size(key: &str, length: usize) -> u64 {
    u64::try_from(key.len().saturating_add(length)).unwrap_or(u64::MAX)
}

/// The key-value store of plugins.
#[derive(Clone)]
pub struct KeyValues {
    pub(crate) db: Db,
}

impl KeyValues {
    pub(crate) fn read_kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let transaction = self.db.begin_read()?;
        let found = transaction.open_table(KEPT)?.get((number, key.plugin.as_str(), key.key.as_str()))?;
        let Some(row) = found else { return Ok(None) };
        let (version, expires_at, value) = read(row.value())?;
        Ok(Some(Kept { version, expires_at: expiry(expires_at), value: Bytes::copy_from_slice(value) }))
    }

    pub(crate) fn read_kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let transaction = self.db.begin_read()?;
        let table = transaction.open_table(KEPT)?;
        let mut keys = Vec::new();
        for found in table.range((number, plugin, prefix)..)?.take(limit) {
            let (key, row) = found?;
            let (other, other_plugin, key) = key.value();
            if other != number || other_plugin != plugin || !key.starts_with(prefix) {
                break;
            }
            keys.push((key.to_owned(), expiry(read(row.value())?.1)));
        }
        Ok(keys)
    }

    /// The size of a plugin's values in a space.
    pub fn kept_by(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(KvSize::default()) };
        let transaction = self.db.begin_read()?;
        let found = transaction.open_table(KEPT_SIZES)?.get((number, plugin))?;
        Ok(found.map(|sizes| sizes.value()).map_or_else(KvSize::default, |(bytes, keys)| KvSize { bytes, keys }))
    }

    /// Removes at most `limit` values that have expired; returns how many there were.
    pub async fn sweep_kept(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let due = {
            let transaction = self.db.begin_read()?;
            let table = transaction.open_table(KEPT_EXPIRY)?;
            let mut due = Vec::new();
            for found in table.range(..(now.millis().saturating_add(1), 0, "", ""))?.take(limit) {
                let (at, space, plugin, key) = {
                    let (key, _) = found?;
                    let (a, b, c, d) = key.value();
                    (a, b, c.to_owned(), d.to_owned())
                };
                due.push((at, space, KvKey { plugin, key }));
            }
            due
        };
        let count = due.len();
        if count > 0 {
            self.db
                .write(None, count.saturating_mul(64), move |batch| {
                    for (at, space, key) in due {
                        let row = (at, space, key.plugin.as_str(), key.key.as_str());
                        // The value was set again in the meantime, and has another row.
                        if batch.kept_expiry()?.get(row)?.is_some() {
                            write(batch, space, KvWrite { key, value: None })?;
                        }
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(count)
    }
}
