//! The store's file under redb. What redb writes is written behind (`behind.rs`), so redb never waits for the disk. Every
//! block that is read is compared with the checksum that it was written with, so a bit that flipped on the disk is
//! refused instead of served. Disk failures are recorded, so that the store knows when to be reopened.
//!
//! redb itself compares checksums only when it repairs a file after a crash, not when it reads a page.

mod behind;
#[cfg(test)]
mod cached;
mod file;
mod overlay;
mod space;
mod sums;
#[cfg(test)]
pub(crate) mod trouble;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

use crate::fault_point;
use crate::guarded::guarded;
use behind::{Batch, Behind, block_len};
#[cfg(unix)]
use file::make_private;
use file::read_at;
pub(crate) use file::{private, write_at};
pub(crate) use overlay::Overlay;
pub(crate) use space::space;
use sums::checksum;
pub(crate) use sums::{BLOCK, Found, Sums};

/// How much is written to the file and flushed at a time, unless somebody waits for all of it. A flush of the commit log
/// waits for what the disk was given before it.
const RUN: usize = 512 * 1024;
/// The maximum pause between two of them.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

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
    failure: Mutex<Option<DiskFailure>>,
    /// The blocks whose write or flush has failed, or was not seen to end.
    unsure: Mutex<BTreeSet<u64>>,
    opening: Mutex<Option<Arc<Opening>>>,
    pub(crate) alarm: Arc<Alarm>,
    #[cfg(test)]
    pub(crate) trouble: Arc<trouble::Trouble>,
}

impl Disk {
    /// For the file at `path`, with its known checksums.
    pub(crate) fn new(path: &Path, sums: Sums) -> Self {
        let unsure = Mutex::new(sums.begun().into_iter().collect());
        Self {
            path: path.to_owned(),
            sums,
            failure: Mutex::new(None),
            unsure,
            opening: Mutex::new(None),
            alarm: Arc::default(),
            #[cfg(test)]
            trouble: Arc::default(),
        }
    }

    /// Opens the file for redb. `create`: it may be new. Nothing is written to it before [`Disk::start`].
    pub(crate) fn backend(self: &Arc<Self>, create: bool) -> Result<DiskBackend, DatabaseError> {
        let failed = |error| DatabaseError::Storage(redb::StorageError::Io(error));
        let file = private(File::options().read(true).write(true).create(create)).open(&self.path).map_err(failed)?;
        #[cfg(unix)]
        make_private(&file);
        self.end();
        *self.failure.lock() = None;
        let file = FileBackend::new(file)?;
        let length = Mutex::new(file.len().map_err(failed)?);
        let opening = Arc::new(Opening {
            disk: Arc::clone(self),
            file,
            length,
            behind: Behind::default(),
            writer: Mutex::new(None),
        });
        *self.opening.lock() = Some(Arc::clone(&opening));
        Ok(DiskBackend(opening))
    }

    /// Writes the blocks again whose write or flush has failed, or whose end an earlier process did not see: after a failed
    /// flush the system takes them for written, so they are read as if they were on the disk, and no later flush writes
    /// them.
    pub(crate) fn write_again(&self) -> io::Result<()> {
        let mut unsure = self.unsure.lock();
        if unsure.is_empty() {
            return Ok(());
        }
        let file = File::options().read(true).write(true).open(&self.path)?;
        let blocks = file.metadata()?.len() / BLOCK;
        let mut content = vec![0; block_len()];
        let mut sums = Vec::with_capacity(unsure.len());
        for block in unsure.iter().filter(|block| **block < blocks) {
            let offset = block.saturating_mul(BLOCK);
            read_at(&file, &mut content, offset)?;
            write_at(&file, &content, offset)?;
            sums.push((*block, checksum(&content)));
        }
        file.sync_all()?;
        self.sums.settle(sums.into_iter())?;
        unsure.clear();
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn has_unsure_blocks(&self) -> bool {
        !self.unsure.lock().is_empty()
    }

    /// Begins to write what the opened file lacks.
    pub(crate) fn start(&self) -> io::Result<()> {
        let Some(opening) = self.opening.lock().clone() else { return Ok(()) };
        let writing = Arc::clone(&opening);
        let writer = std::thread::Builder::new().name("store-disk".to_owned()).spawn(move || writing.write_behind())?;
        *opening.writer.lock() = Some(writer);
        Ok(())
    }

    /// Ends the opening of the file: nothing of it is written from now on.
    pub(crate) fn end(&self) {
        if let Some(opening) = self.opening.lock().take() {
            opening.stop();
        }
    }

    /// The number of flushes that redb has made since the file was opened.
    pub(crate) fn flushes(&self) -> u64 {
        self.opening.lock().as_ref().map_or(0, |opening| opening.behind.sealed())
    }

    /// The number of them that are done on the disk.
    pub(crate) fn flushed(&self) -> u64 {
        self.opening.lock().as_ref().map_or(0, |opening| opening.behind.durable())
    }

    /// The bytes that redb has written and not flushed yet.
    pub(crate) fn behind_bytes(&self) -> usize {
        self.opening.lock().as_ref().map_or(0, |opening| opening.behind.lock().open_bytes())
    }

    /// Waits until as many flushes as redb has made so far are done on the disk.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let opening = self.opening.lock().clone();
        opening.map_or(Ok(()), |opening| opening.behind.wait_for(opening.behind.sealed()))
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
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
}

/// Why a block is not used.
pub(crate) fn wrong_block(block: u64) -> String {
    format!("the block at byte {} is not what was written there", block.saturating_mul(BLOCK))
}

/// One opening of the file.
#[derive(Debug)]
struct Opening {
    disk: Arc<Disk>,
    file: FileBackend,
    /// The length that the file has for redb.
    length: Mutex<u64>,
    behind: Behind,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Opening {
    fn noted<T>(&self, result: io::Result<T>, doing: &str) -> io::Result<T> {
        result.inspect_err(|error| self.disk.fail(DiskFailure::of(error, doing)))
    }

    fn stop(&self) {
        self.behind.stop();
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join();
        }
    }

    /// Writes batches until the opening ends or the disk fails.
    fn write_behind(&self) {
        while let Some(batch) = self.behind.next() {
            let written = guarded(|| self.write_batch(&batch));
            match self.noted(written.unwrap_or_else(|panic| Err(io::Error::other(panic))), "writing") {
                Ok(()) => self.behind.done(batch),
                Err(_) => {
                    self.disk.unsure.lock().extend(batch.numbers());
                    return self.behind.stop();
                }
            }
        }
    }

    fn write_batch(&self, batch: &Batch) -> io::Result<()> {
        fault_point("checkpoint.before-write");
        // What was cut off is gone even if the file has grown again since.
        if let Some(cut) = batch.cut
            && cut < self.file.len()?
        {
            // There are never checksums of more blocks than there are.
            self.disk.sums.set_len(cut)?;
            self.file.set_len(cut)?;
        }
        let blocks = batch.blocks();
        self.disk.sums.doubt(blocks.iter().map(|(number, _)| *number))?;
        let (mut unflushed, mut since) = (0_usize, Instant::now());
        for (offset, bytes) in behind::runs(&blocks, RUN) {
            if unflushed.saturating_add(bytes.len()) > RUN && !self.behind.is_awaited() {
                self.file_sync()?;
                // The disk is left to the commit log for as long as it was used.
                self.behind.pause(since.elapsed().min(LONGEST_PAUSE));
                (unflushed, since) = (0, Instant::now());
            }
            self.file_write(offset, &bytes)?;
            unflushed = unflushed.saturating_add(bytes.len());
        }
        if let Some(length) = batch.length {
            self.file.set_len(length)?;
            self.disk.sums.set_len(length)?;
        }
        fault_point("checkpoint.before-flush");
        self.file_sync()?;
        fault_point("checkpoint.after-flush");
        // Computed before, so that no reader waits for it.
        let sums: Vec<_> = blocks.iter().map(|(number, block)| (*number, checksum(block))).collect();
        self.disk.sums.settle(sums.into_iter())
    }

    fn file_write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let write = |data: &[u8]| self.file.write(offset, data);
        #[cfg(test)]
        self.disk.trouble.pass();
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

    /// Reads from the file. What is behind its end was not written yet, and is zero.
    fn file_read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        #[cfg(test)]
        self.disk.trouble.read()?;
        let there = usize::try_from(self.file.len()?.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (present, absent) = out.split_at_mut(there);
        absent.fill(0);
        if present.is_empty() { Ok(()) } else { self.file.read(offset, present) }
    }

    /// Reads blocks, the newest content of each.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        // The parts of the range that the file has, each as long as can be: where it begins and ends.
        let mut missing: Vec<(usize, usize)> = Vec::new();
        let state = self.behind.lock();
        for (block, within, from, length) in overlay::parts(offset, out.len()) {
            let to = from.saturating_add(length);
            let newest = state.block(block).and_then(|newest| newest.get(within..within.saturating_add(length)));
            match (newest, out.get_mut(from..to), missing.last_mut()) {
                (Some(newest), Some(out), _) => out.copy_from_slice(newest),
                (_, _, Some((_, end))) if *end == from => *end = to,
                _ => missing.push((from, to)),
            }
        }
        drop(state);
        let mut wrong = None;
        for (from, to) in missing {
            let Some(out) = out.get_mut(from..to) else { continue };
            let place = offset.saturating_add(u64::try_from(from).unwrap_or(u64::MAX));
            self.noted(self.file_read(place, out), "reading")?;
            wrong = wrong.or(self.disk.sums.wrong(place, out));
        }
        match wrong {
            None => Ok(()),
            Some(block) => {
                if let Err(error) = self.disk.sums.remember(block) {
                    tracing::warn!(%error, "the damaged block is not recorded");
                }
                self.noted(Err(io::Error::new(io::ErrorKind::InvalidData, wrong_block(block))), "reading")
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        for (block, within, from, length) in overlay::parts(offset, data.len()) {
            let Some(part) = data.get(from..from.saturating_add(length)) else { continue };
            if length == block_len() {
                self.behind.lock().put(block, part);
                continue;
            }
            let mut whole = vec![0; block_len()];
            self.read(block.saturating_mul(BLOCK), &mut whole)?;
            if let Some(place) = whole.get_mut(within..within.saturating_add(length)) {
                place.copy_from_slice(part);
            }
            self.behind.lock().put(block, &whole);
        }
        let mut length = self.length.lock();
        *length = (*length).max(offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX)));
        Ok(())
    }
}

/// One opening of the file, for redb.
#[derive(Debug)]
pub(crate) struct DiskBackend(Arc<Opening>);

impl StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(*self.0.length.lock())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        *self.0.length.lock() = len;
        self.0.behind.lock().set_length(len);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.behind.seal()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests;
