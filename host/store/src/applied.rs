//! How much of the commit log the database has, which is in the database itself, and the replay of what it lacks.

use redb::{Database, Durability, ReadableDatabase as _, WriteTransaction};

use crate::StoreError;
use crate::batch::Batch;
use crate::log::{EntryHash, EntryKind, Extent, Log, LogError, Partition, Position};
use crate::shared::Shared;
use crate::tables::META;
use crate::write_set;

/// The partition that holds everything.
pub(crate) const PARTITION: Partition = 0;
/// The key in META.
const KEY: &str = "applied";
/// The bytes of entries in memory at a time, and in one transaction.
const PART: usize = 4 * 1024 * 1024;

/// The last entry of the log that the database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) position: Position,
    pub(crate) hash: EntryHash,
    /// The epoch of the last claim.
    pub(crate) epoch: u64,
}

impl Applied {
    /// Of a database that was never behind a log.
    pub(crate) const NOTHING: Self = Self { position: 0, hash: EntryHash::NONE, epoch: 0 };

    pub(crate) fn read(db: &Database) -> Result<Self, StoreError> {
        let read = db.begin_read()?;
        let table = match read.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Self::NOTHING),
            Err(error) => return Err(error.into()),
        };
        let Some(row) = table.get(KEY)? else { return Ok(Self::NOTHING) };
        Self::parse(row.value())
            .ok_or_else(|| StoreError::Corrupt(format!("`{}` is no position of the log", row.value())))
    }

    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let text = format!("{} {} {}", self.position, self.epoch, self.hash);
        transaction.open_table(META)?.insert(KEY, text.as_str())?;
        Ok(())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (position, epoch) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { position, epoch, hash: words.next()?.parse().ok()? }).filter(|_| words.next().is_none())
    }
}

/// Why the database and the log do not belong together, or the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("the log ends with position {log}, and the store has everything up to {store}")]
    Short { log: Position, store: Position },
    #[error("the log begins with position {log}, and the store has everything up to {store} only")]
    Gap { log: Position, store: Position },
    #[error("the log has another entry at position {0} than the one that the store has")]
    Other(Position),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes into the database what the log has and it lacks. Durable at the next checkpoint.
pub(crate) fn replay(db: &Database, log: &dyn Log) -> Result<Applied, ReplayError> {
    let mut applied = Applied::read(db)?;
    let (store, Extent { first, last, .. }) = (applied.position, log.extent(PARTITION)?);
    if last < store {
        return Err(ReplayError::Short { log: last, store });
    }
    if first > store.saturating_add(1) {
        return Err(ReplayError::Gap { log: first, store });
    }
    if store >= first && log.read(PARTITION, store, 0)?.first().is_none_or(|entry| entry.hash() != applied.hash) {
        return Err(ReplayError::Other(store));
    }
    while applied.position < last {
        let entries = log.read(PARTITION, applied.position.saturating_add(1), PART)?;
        if entries.is_empty() {
            return Err(ReplayError::Short { log: applied.position, store: last });
        }
        let (mut transaction, shared) = (db.begin_write().map_err(StoreError::from)?, Shared::default());
        transaction.set_durability(Durability::None).map_err(|error| StoreError::Storage(error.to_string()))?;
        {
            let mut batch = Batch::open(&transaction, &shared, 0);
            for entry in &entries {
                match entry.kind {
                    EntryKind::Claim => applied.epoch = applied.epoch.max(entry.id.epoch),
                    // What the leader of an earlier epoch appended after a claim is void.
                    EntryKind::Writes if entry.id.epoch == applied.epoch => {
                        write_set::rows(&entry.body).try_for_each(|row| batch.apply(row?))?;
                    }
                    EntryKind::Writes | EntryKind::Checkpoint => {}
                }
                (applied.position, applied.hash) = (entry.position, entry.hash());
            }
        }
        transaction.commit().map_err(StoreError::from)?;
    }
    if last > store {
        tracing::info!(from = store, to = last, "what the store lacked was replayed from its log");
    }
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_read_as_it_was_written() {
        let applied = Applied { position: 7, epoch: 3, hash: "00ff".parse().unwrap() };
        assert_eq!(applied.hash.to_string(), "000000000000000000000000000000ff");
        let text = format!("{} {} {}", applied.position, applied.epoch, applied.hash);
        assert_eq!(Applied::parse(&text), Some(applied));
        for wrong in ["", "7", "7 3", "7 3 x", "7 3 ff 9", "-1 3 ff"] {
            assert_eq!(Applied::parse(wrong), None, "{wrong}");
        }
    }
}
