//! The commit of a group of operations: it is written into a transaction, its write set is appended to the log, and only then
//! the transaction is committed, without a flush. What is in the log is stored, whatever becomes of the transaction.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redb::{Database, Durability, WriteTransaction};

use super::{Engine, MOST_BEHIND};
use crate::appender::Appender;
use crate::batch::Batch;
use crate::disk::DiskFailure;
use crate::guarded::guarded;
use crate::log::{Log as _, LogError};
use crate::write_set::{self, WriteSet};
use crate::{StorageHealth, StoreError, fault_point};

/// How often a commit that waits for the file to be reopened looks.
const RECHECK: Duration = Duration::from_millis(10);
/// How many times the bytes after which a checkpoint is due may be in the log before operations wait for one.
const LATE: u64 = 4;

/// What a group of operations has written.
pub(crate) struct Group<T> {
    pub(crate) writes: WriteSet,
    /// The transaction has other rows too, and is filled anew with these.
    pub(crate) anew: bool,
    pub(crate) next_seq: u64,
    pub(crate) value: T,
}

impl Engine {
    /// Runs a transaction of the writer, which gets the next seq and an empty write set, and returns what it wrote: appends that to the log, and
    /// then makes it visible. A panic counts as a failure of the disk: the database is not used any more until it is
    /// reopened.
    pub(crate) fn transact<T>(
        &self,
        fill: impl FnOnce(&WriteTransaction, u64, WriteSet) -> Result<Group<T>, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(refusal) = self.health.borrow().refuses_writes() {
            return Err(refusal);
        }
        let mut appender = self.appender.lock();
        if appender.is_due(self.checkpoint_bytes.saturating_mul(LATE), Duration::MAX)
            || self.disk.behind_bytes() >= MOST_BEHIND.saturating_mul(4)
        {
            // The disk cannot keep up.
            self.checkpoint_with(&mut appender, false)?;
        }
        let opened = self.opened.read();
        let Some(db) = &*opened else { return Err(self.refusal()) };
        if self.disk.failure().is_some() {
            // The health is told later. What a commit has failed to write is in the log only, so nothing may follow it.
            return Err(self.explained(self.refusal()));
        }
        let seq = self.next_seq.load(Ordering::Relaxed);
        let done = guarded(|| self.group(db, &mut appender, seq, fill));
        let (next_seq, bytes, value, committed) = match done {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(self.explained(error)),
            Err(reason) => {
                let reason = format!("a commit panicked: {reason}");
                self.disk.fail(DiskFailure::Io(reason.clone()));
                self.cut();
                return Err(StoreError::Unavailable(reason));
            }
        };
        if let Err(error) = &committed {
            // Before anything else can make a checkpoint, which would lack it.
            self.disk.fail(DiskFailure::Io(error.to_string()));
        }
        drop((opened, appender));
        if committed.is_err() {
            // The log has it, so it is written whatever happens. Nobody is told before it can be read.
            self.until_reopened()?;
        } else {
            self.next_seq.store(next_seq, Ordering::Relaxed);
        }
        self.spend(bytes);
        Ok(value)
    }

    /// Fills a transaction, appends what it wrote to the log, and commits it. Returns the result of the commit, which is
    /// not that of the group: the log has that.
    fn group<T>(
        &self,
        db: &Database,
        appender: &mut Appender,
        seq: u64,
        fill: impl FnOnce(&WriteTransaction, u64, WriteSet) -> Result<Group<T>, StoreError>,
    ) -> Result<(u64, usize, T, Result<(), StoreError>), StoreError> {
        let mut transaction = begin(db)?;
        let Group { writes, anew, next_seq, value } = fill(&transaction, seq, appender.take_writes())?;
        if anew || writes.is_empty() {
            transaction.abort()?;
            if writes.is_empty() {
                return Ok((next_seq, 0, value, Ok(())));
            }
            transaction = begin(db)?;
            let mut batch = Batch::open(&transaction, &self.shared, seq, WriteSet::default());
            write_set::rows(writes.as_bytes()).try_for_each(|row| batch.apply(row?))?;
        }
        let bytes = writes.len();
        fault_point("log.before-append");
        appender.append_writes(&self.log, writes).map_err(|error| self.log_failed(&error))?;
        fault_point("log.after-append");
        let committed = guarded(|| self.apply(transaction));
        fault_point("log.after-apply");
        let panicked = |reason| Err(StoreError::Unavailable(format!("a commit panicked: {reason}")));
        Ok((next_seq, bytes, value, committed.unwrap_or_else(panicked)))
    }

    /// Makes what the log has visible.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests make it fail"))]
    fn apply(&self, transaction: WriteTransaction) -> Result<(), StoreError> {
        #[cfg(test)]
        self.disk.trouble.commit().map_err(|error| StoreError::Storage(error.to_string()))?;
        Ok(transaction.commit()?)
    }

    /// Records a failure of the log, like one of the file.
    fn log_failed(&self, error: &LogError) -> StoreError {
        let failure = match error {
            LogError::Full(reason) => DiskFailure::Full(reason.clone()),
            LogError::Damaged { .. } => DiskFailure::Damaged(error.to_string()),
            // Nothing was written, and the next group can be.
            LogError::TooLarge { .. } => return StoreError::Storage(error.to_string()),
            _ => DiskFailure::Io(error.to_string()),
        };
        self.disk.fail(failure);
        self.cut();
        StoreError::Unavailable(error.to_string())
    }

    /// Cuts off what an append that did not end has left: what is refused must not come back, even if the process ends
    /// before the store is opened again.
    fn cut(&self) {
        let done = guarded(|| self.log.recover().map_err(|error| error.to_string()));
        if let Err(error) = done.flatten() {
            tracing::warn!(error, "the log cannot be recovered yet: a change that is refused now may be there later");
        }
    }

    /// Waits until the file was reopened after a failure. A store that is being closed is not reopened, and what is in its
    /// log is there at the next start.
    fn until_reopened(&self) -> Result<(), StoreError> {
        loop {
            if let StorageHealth::Damaged(reason) = &*self.health.borrow() {
                return Err(StoreError::Damaged(reason.clone()));
            }
            let closing = self.closing.load(Ordering::Acquire);
            if closing || (self.disk.failure().is_none() && self.opened.read().is_some()) {
                return Ok(());
            }
            std::thread::sleep(RECHECK);
        }
    }
}

/// Begins a transaction whose commit is not flushed.
fn begin(db: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = db.begin_write()?;
    let set = transaction.set_durability(Durability::None);
    set.map_err(|error| StoreError::Storage(format!("durability: {error}")))?;
    Ok(transaction)
}
