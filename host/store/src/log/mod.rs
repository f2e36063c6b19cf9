//! The commit log: what a group of operations writes is appended here and made durable, and only then applied to the
//! database behind it, which may lag by a bounded amount. What the database lacks after a crash is replayed.
//!
//! A log has partitions, each of which is a sequence of entries at positions 1, 2, 3, .. An engine keeps this contract,
//! which one suite of tests checks for all of them (`conformance.rs`):
//!
//! - An entry is stored at its position exactly if nothing is stored there, and every entry before it is. Whoever
//!   comes second is told who holds the position.
//! - Once [`Log::append`] has returned [`Appended::Stored`], the entry survives a crash and a power failure.
//! - An append that failed is decided by [`Log::recover`]: after it the entry is either stored or never will be.
//! - Every entry has the hash of the entry before it, so two copies that agree at a position agree on all before it.
//! - Only a caller that knows that the entries are not needed any more trims them; no engine does so by itself.

#[cfg(test)]
mod conformance;
mod entry;
mod error;
mod file;
mod frame;
mod medium;
mod partition;
mod segment;

pub use entry::{Entry, EntryHash, EntryId, EntryKind, Partition, Position};
pub use error::LogError;
pub use file::{FileLog, FileLogOptions};
pub(crate) use frame::MAX_ENTRY;
pub(crate) use medium::Medium;

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The entry is durable, now or since an earlier append of it.
    Stored,
    /// Another entry is stored at this position.
    Taken(EntryId),
}

/// The extent of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first position that can still be read. With no entries left, the next one.
    pub first: Position,
    /// The last position; 0: nothing was ever appended.
    pub last: Position,
    /// The hash of the last entry, which the next one has to name.
    pub hash: EntryHash,
}

impl Extent {
    /// A partition without entries.
    pub const EMPTY: Self = Self { first: 1, last: 0, hash: EntryHash::NONE };
}

/// A log of entries, by partition.
pub trait Log: Send + Sync {
    /// The extent of a partition.
    ///
    /// # Errors
    /// The log cannot be read at present.
    fn extent(&self, partition: Partition) -> Result<Extent, LogError>;

    /// Appends an entry at its position, and returns when it is durable.
    ///
    /// # Errors
    /// The entry does not fit behind those that are stored ([`LogError::Gap`], [`LogError::Diverged`],
    /// [`LogError::TooLarge`]), and is not stored; or the medium failed, and [`Log::recover`] decides.
    fn append(&self, entry: &Entry) -> Result<Appended, LogError>;

    /// The entries from `from` on, in order: as many as fit in `bytes`, and at least one if there is one.
    ///
    /// # Errors
    /// The position was trimmed, or an entry cannot be read as it was written.
    fn read(&self, partition: Partition, from: Position, bytes: usize) -> Result<Vec<Entry>, LogError>;

    /// Allows the log to forget the entries up to and with `to`. The last entry is always kept.
    ///
    /// # Errors
    /// The medium failed. Entries that are not needed may still be there.
    fn trim(&self, partition: Partition, to: Position) -> Result<(), LogError>;

    /// Examines the medium after a failure. Afterwards every entry is stored or never will be, and appends are
    /// possible.
    ///
    /// # Errors
    /// The medium still fails, or what was acknowledged is not there any more.
    fn recover(&self) -> Result<(), LogError>;

    /// Does what would delay a later append, such as allocating space. Called from another thread than the appends.
    ///
    /// # Errors
    /// The medium failed. The next append may take longer, and nothing else is affected.
    fn prepare(&self) -> Result<(), LogError> {
        Ok(())
    }
}
