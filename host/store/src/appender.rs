//! Appends groups of operations to the commit log, and knows when a checkpoint is due.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{Clock as _, SystemClock};

use crate::applied::{Applied, PARTITION};
use crate::log::{Appended, Entry, EntryId, EntryKind, Log, LogError};
use crate::write_set::WriteSet;

/// The end of the log, to which one group at a time is appended.
pub(crate) struct Appender {
    applied: Applied,
    counter: u64,
    time_ms: i64,
    /// The bytes that were appended since the last checkpoint, and when that was.
    bytes: u64,
    checkpointed: Instant,
    /// The memory of the last group's write set.
    writes: WriteSet,
}

impl Appender {
    /// Behind what the database has.
    pub(crate) fn new(applied: Applied) -> Self {
        Self { applied, counter: 0, time_ms: 0, bytes: 0, checkpointed: Instant::now(), writes: WriteSet::default() }
    }

    pub(crate) fn applied(&self) -> Applied {
        self.applied
    }

    /// Begins the next epoch, for the store of this instance.
    pub(crate) fn claim(&mut self, log: &dyn Log, instance: &str) -> Result<(), LogError> {
        self.applied.epoch = self.applied.epoch.saturating_add(1);
        self.append(log, EntryKind::Claim, instance.into()).map(drop)
    }

    /// A write set for the next group, to be filled.
    pub(crate) fn take_writes(&mut self) -> WriteSet {
        std::mem::take(&mut self.writes)
    }

    /// Appends the write set of a group, and returns when it is durable. Its memory is used again for the next one.
    pub(crate) fn append_writes(&mut self, log: &dyn Log, writes: WriteSet) -> Result<(), LogError> {
        let written = self.append(log, EntryKind::Writes, writes.into_bytes())?;
        // Cleared before, so that it is not copied to the beginning of its memory.
        let memory = written.try_into_mut().map(|mut memory| {
            memory.clear();
            memory.into()
        });
        self.writes = WriteSet::in_memory_of(memory.unwrap_or_default());
        Ok(())
    }

    /// Appends an entry, and returns its body when it is durable.
    fn append(&mut self, log: &dyn Log, kind: EntryKind, body: Vec<u8>) -> Result<Bytes, LogError> {
        self.counter = self.counter.saturating_add(1);
        self.time_ms = self.time_ms.max(SystemClock.now().millis());
        let Applied { position, hash, epoch, .. } = self.applied;
        let entry = Entry {
            partition: PARTITION,
            position: position.saturating_add(1),
            id: EntryId { epoch, counter: self.counter },
            time_ms: self.time_ms,
            kind,
            previous: hash,
            body: body.into(),
        };
        match log.append(&entry)? {
            Appended::Stored => {}
            // Nobody else appends to a log in files, which is locked.
            Appended::Taken(_) => return Err(LogError::Diverged(entry.position)),
        }
        self.applied = Applied { position: entry.position, hash: log.extent(PARTITION)?.hash, epoch, closed: false };
        self.bytes = self.bytes.saturating_add(u64::try_from(entry.encoded_len()).unwrap_or(u64::MAX));
        Ok(entry.body)
    }

    /// Whether something was appended since the last checkpoint, and so much or so long ago that the next one is due.
    pub(crate) fn is_due(&self, bytes: u64, every: Duration) -> bool {
        self.bytes >= bytes || (self.bytes > 0 && self.checkpointed.elapsed() >= every)
    }

    /// Records that the database is about to be as durable as the log.
    pub(crate) fn checkpointed(&mut self) {
        (self.bytes, self.checkpointed) = (0, Instant::now());
    }
}
