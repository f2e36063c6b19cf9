//! The store's file under redb. Every block that is read is compared with the checksum that it was written with, so a
//! bit that flipped on the disk is refused instead of served. Disk failures are recorded, so that the store knows when
//! to be reopened. The header of the last acknowledged commit is retained, so that a commit that failed half-way is
//! never in the file after reopening.
//!
//! redb itself compares checksums only when it repairs a file after a crash, not when it reads a page.

mod file;
mod header;
mod overlay;
mod space;
mod sums;
#[cfg(test)]
pub(crate) mod trouble;

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

#[cfg(unix)]
use file::make_private;
pub(crate) use file::{private, write_at};
use header::Header;
pub(crate) use header::commit_of;
pub(crate) use overlay::Overlay;
pub(crate) use space::space;
pub(crate) use sums::{BLOCK, Found, Sums};

/// A disk failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiskFailure {
    /// No space is left, or a quota is exhausted.
    Full(String),
    /// An input/output error, a read-only file system, a missing file.
    Io(String),
    /// The data that was read is not the data that was written.
    Damaged(String),
}

impl DiskFailure {
    pub(crate) fn of(error: &io::Error, doing: &str) -> Self {
        let reason = format!("{doing}: {error}");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(reason)
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged(error.to_string()),
            _ => Self::Io(reason),
        }
    }
}

/// Wakes the thread that watches the store.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Alarm {
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.bell.notify_all();
    }

    /// Waits for the signal, for at most this long.
    pub(crate) fn wait(&self, longest: Duration) {
        let mut rung = self.rung.lock();
        self.bell.wait_while_for(&mut rung, |rung| !*rung, longest);
        *rung = false;
    }
}

/// State that outlives each opening of the file.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    sums: Sums,
    header: Mutex<Header>,
    failure: Mutex<Option<DiskFailure>>,
    /// The opening of the file that may write. Writes of earlier openings are refused.
    opening: AtomicU64,
    pub(crate) alarm: Arc<Alarm>,
    #[cfg(test)]
    pub(crate) trouble: Arc<trouble::Trouble>,
}

impl Disk {
    /// For the file at `path`, with its known checksums.
    pub(crate) fn new(path: &Path, sums: Sums) -> Self {
        Self {
            path: path.to_owned(),
            sums,
            header: Mutex::new(Header::default()),
            failure: Mutex::new(None),
            opening: AtomicU64::new(0),
            alarm: Arc::default(),
            #[cfg(test)]
            trouble: Arc::default(),
        }
    }

    /// Opens the file for redb. `create`: it may be new.
    pub(crate) fn backend(self: &Arc<Self>, create: bool) -> Result<DiskBackend, DatabaseError> {
        let file = private(File::options().read(true).write(true).create(create)).open(&self.path);
        let file = file.map_err(|error| DatabaseError::Storage(redb::StorageError::Io(error)))?;
        #[cfg(unix)]
        make_private(&file);
        self.header.lock().load(&file)?;
        *self.failure.lock() = None;
        let opening = self.opening.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        Ok(DiskBackend { disk: Arc::clone(self), opening, file: FileBackend::new(file)? })
    }

    /// Refuses all access until the file is opened again.
    pub(crate) fn seal(&self) {
        self.opening.fetch_add(1, Ordering::AcqRel);
    }

    /// The failure since the file was opened.
    pub(crate) fn failure(&self) -> Option<DiskFailure> {
        self.failure.lock().clone()
    }

    /// Records a failure, and wakes the thread that reopens the file. Damage takes precedence over other failures.
    pub(crate) fn fail(&self, failure: DiskFailure) {
        let mut known = self.failure.lock();
        if known.is_none() || matches!(failure, DiskFailure::Damaged(_)) {
            *known = Some(failure);
        }
        drop(known);
        self.alarm.ring();
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Marks the present content of the file as acknowledged: a later failure rolls back to it.
    pub(crate) fn acknowledge(&self) {
        let commit = self.header.lock().acknowledge();
        if let Some(commit) = commit {
            self.sums.mark(commit);
        }
    }

    /// The number of the commit that the file's header names as the present one.
    pub(crate) fn commit(&self) -> Option<u64> {
        self.header.lock().commit()
    }

    /// Whether redb has recorded that the file is complete.
    pub(crate) fn closed_well(&self) -> bool {
        self.header.lock().closed_well()
    }

    /// The first block of the file.
    pub(crate) fn header(&self) -> Vec<u8> {
        self.header.lock().block().to_vec()
    }

    /// Restores the header of the last acknowledged commit. All its pages still exist: redb reuses the pages of a
    /// commit only after the next one is durable.
    pub(crate) fn roll_back(&self) -> io::Result<()> {
        let acknowledged = self.header.lock().acknowledged();
        acknowledged.map_or(Ok(()), |bytes| self.put_back(&bytes))
    }

    /// Restores a header that was changed by an opening that is refused, so that the next one is refused as well.
    pub(crate) fn restore(&self, block: &[u8]) {
        self.seal();
        if self.header.lock().block() != block
            && let Err(error) = self.put_back(block)
        {
            tracing::warn!(%error, "the header of the damaged file was not restored");
        }
    }

    fn put_back(&self, bytes: &[u8]) -> io::Result<()> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let mut header = self.header.lock();
        #[cfg(test)]
        self.trouble.put_back()?;
        write_at(&file, bytes, 0)?;
        file.sync_data()?;
        header.written(0, bytes);
        self.sums.written(0, header.block());
        Ok(())
    }
}

/// One opening of the file.
#[derive(Debug)]
pub(crate) struct DiskBackend {
    disk: Arc<Disk>,
    opening: u64,
    file: FileBackend,
}

impl DiskBackend {
    fn noted<T>(&self, result: io::Result<T>, doing: &str) -> io::Result<T> {
        result.inspect_err(|error| self.disk.fail(DiskFailure::of(error, doing)))
    }

    /// Called before each change: only the latest opening may write, and the checksums saved beside the file become
    /// invalid.
    fn changing(&self) -> io::Result<()> {
        if self.opening != self.disk.opening.load(Ordering::Acquire) {
            return Err(io::Error::other("this opening of the store's file is over"));
        }
        self.noted(self.disk.sums.open(), "the file of checksums")
    }

    fn file_write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let write = |data: &[u8]| self.file.write(offset, data);
        #[cfg(test)]
        return self.disk.trouble.write(data, write);
        #[cfg(not(test))]
        write(data)
    }

    fn file_sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.disk.trouble.sync()?;
        self.file.sync_data()
    }

    fn file_read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        #[cfg(test)]
        self.disk.trouble.read()?;
        self.file.read(offset, out)
    }
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.noted(self.file.len(), "its length")
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.noted(self.file_read(offset, out), "reading")?;
        let Some(block) = self.disk.sums.wrong(offset, out) else { return Ok(()) };
        // redb never reads a page while it is written. If it ever does, this distinguishes that from damage.
        let _writing = self.disk.sums.hold();
        self.noted(self.file_read(offset, out), "reading")?;
        match self.disk.sums.wrong(offset, out) {
            None => Ok(()),
            Some(_) => {
                let reason = format!("the block at byte {} is not what was written there", block.saturating_mul(BLOCK));
                self.noted(Err(io::Error::new(io::ErrorKind::InvalidData, reason)), "reading")
            }
        }
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.changing()?;
        self.noted(self.file.set_len(len), "its length")?;
        self.disk.sums.set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.noted(self.file_sync(), "flushing")
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.changing()?;
        let _writing = self.disk.sums.hold();
        if let Err(error) = self.file_write(offset, data) {
            // A part of it may have been written.
            self.disk.sums.forget(offset, data.len());
            return self.noted(Err(error), "writing");
        }
        if offset < BLOCK {
            let mut header = self.disk.header.lock();
            header.written(offset, data);
            self.disk.sums.written(0, header.block());
            if let Some(rest) = usize::try_from(BLOCK - offset).ok().and_then(|head| data.get(head..)) {
                self.disk.sums.written(BLOCK, rest);
            }
        } else {
            self.disk.sums.written(offset, data);
        }
        Ok(())
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
