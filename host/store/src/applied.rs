//! How much of the commit log the database has, which is in the database itself, and the replay of what it lacks.

use std::fmt;

use redb::{Database, Durability, ReadableDatabase as _, WriteTransaction};

use crate::StoreError;
use crate::batch::Batch;
use crate::log::{EntryHash, EntryKind, Extent, Log, LogError, Partition, Position};
use crate::shared::Shared;
use crate::tables::{self, META};
use crate::write_set::{self, WriteSet};

/// The partition that holds everything.
pub(crate) const PARTITION: Partition = 0;
/// The key in META.
const KEY: &str = "applied";
const CLOSED: &str = "closed";
/// The bytes of entries in memory at a time, and in one transaction.
const PART: usize = 4 * 1024 * 1024;

/// The last entry of the log that the database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) position: Position,
    pub(crate) hash: EntryHash,
    /// The epoch of the last claim.
    pub(crate) epoch: u64,
    /// The store was closed with it: nothing was appended since.
    pub(crate) closed: bool,
}

impl Applied {
    /// Of a database that was never behind a log.
    pub(crate) const NOTHING: Self = Self { position: 0, hash: EntryHash::NONE, epoch: 0, closed: false };

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

    /// A copy of a closed store needs no log, and begins another one.
    pub(crate) fn without_log(self) -> Result<Self, ReplayError> {
        match self {
            Self { position: 0, .. } | Self { closed: true, .. } => {
                Ok(Self { epoch: self.epoch, closed: self.closed, ..Self::NOTHING })
            }
            Self { position, .. } => Err(ReplayError::Missing { store: position }),
        }
    }

    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        transaction.open_table(META)?.insert(KEY, self.to_string().as_str())?;
        Ok(())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (position, epoch) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let hash = words.next()?.parse().ok()?;
        let closed = match words.next() {
            None => false,
            Some(CLOSED) => true,
            Some(_) => return None,
        };
        Some(Self { position, hash, epoch, closed }).filter(|_| words.next().is_none())
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.position, self.epoch, self.hash)?;
        if self.closed { write!(f, " {CLOSED}") } else { Ok(()) }
    }
}

/// Why the database and the log do not belong together, or the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("the log is missing, and the store, which was not closed, has everything up to position {store} only")]
    Missing { store: Position },
    #[error("the log ends with position {log}, and the store has everything up to {store}")]
    Short { log: Position, store: Position },
    #[error("the log begins with position {log}, and the store has everything up to {store} only")]
    Gap { log: Position, store: Position },
    #[error("the log has another entry at position {0} than the one that the store has")]
    Other(Position),
    #[error("the log is that of the store `{log}`, and this one is `{store}`")]
    Foreign { log: String, store: String },
    #[error("the store has format {0}, which has no log")]
    Unlogged(String),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes into the database what the log has and it lacks, in parts; `after` each of them may make it durable.
pub(crate) fn replay(
    db: &Database,
    log: &dyn Log,
    mut after: impl FnMut(&Applied) -> Result<(), StoreError>,
) -> Result<Applied, ReplayError> {
    let mut applied = Applied::read(db)?;
    let (store, Extent { first, last, .. }) = (applied.position, log.extent(PARTITION)?);
    if last == 0 {
        return applied.without_log();
    }
    if last < store {
        return Err(ReplayError::Short { log: last, store });
    }
    if first > store.saturating_add(1) {
        return Err(ReplayError::Gap { log: first, store });
    }
    if store >= first && log.read(PARTITION, store, 0)?.first().is_none_or(|entry| entry.hash() != applied.hash) {
        return Err(ReplayError::Other(store));
    }
    let format = tables::format(db).map_err(StoreError::from)?;
    if let Some(former) = format.filter(|format| format.parse::<u32>().is_ok_and(|format| format < tables::LOGGED)) {
        return Err(ReplayError::Unlogged(former));
    }
    while applied.position < last {
        let entries = log.read(PARTITION, applied.position.saturating_add(1), PART)?;
        if entries.is_empty() {
            return Err(ReplayError::Short { log: applied.position, store: last });
        }
        let (mut transaction, shared) = (db.begin_write().map_err(StoreError::from)?, Shared::default());
        transaction.set_durability(Durability::None).map_err(|error| StoreError::Storage(error.to_string()))?;
        {
            let mut batch = Batch::open(&transaction, &shared, 0, WriteSet::default());
            for entry in &entries {
                match entry.kind {
                    EntryKind::Claim => {
                        is_of_store(&entry.body, db)?;
                        applied.epoch = applied.epoch.max(entry.id.epoch);
                    }
                    // What the leader of an earlier epoch appended after a claim is void.
                    EntryKind::Writes if entry.id.epoch == applied.epoch => {
                        write_set::rows(&entry.body).try_for_each(|row| batch.apply(row?))?;
                    }
                    EntryKind::Writes | EntryKind::Checkpoint => {}
                }
                (applied.position, applied.hash, applied.closed) = (entry.position, entry.hash(), false);
            }
        }
        transaction.commit().map_err(StoreError::from)?;
        after(&applied)?;
    }
    if last > store {
        tracing::info!(from = store, to = last, "what the store lacked was replayed from its log");
    }
    Ok(applied)
}

/// A claim names the instance whose store the log belongs to.
fn is_of_store(claim: &[u8], db: &Database) -> Result<(), ReplayError> {
    let store = tables::instance(db).map_err(StoreError::from)?;
    if claim == store.as_bytes() {
        return Ok(());
    }
    Err(ReplayError::Foreign { log: String::from_utf8_lossy(claim).into_owned(), store })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_read_as_it_was_written() {
        let open = Applied { position: 7, epoch: 3, hash: "00ff".parse().unwrap(), closed: false };
        assert_eq!(open.hash.to_string(), "000000000000000000000000000000ff");
        for applied in [open, Applied { closed: true, ..open }] {
            assert_eq!(Applied::parse(&applied.to_string()), Some(applied));
        }
        for wrong in ["", "7", "7 3", "7 3 x", "7 3 ff 9", "7 3 ff closed 9", "-1 3 ff"] {
            assert_eq!(Applied::parse(wrong), None, "{wrong}");
        }
    }
}
