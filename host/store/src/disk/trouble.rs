//! A disk that fails as configured, for tests.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::cached::Cached;

/// The kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every write fails because no space is left.
    Full,
    /// Every write is an input/output error.
    WriteFails,
    /// The file system is read-only.
    ReadOnly,
    /// Only the first half of every write is written, and then it fails.
    Torn,
    /// One write panics when everything is written.
    WritePanics,
    /// Everything is written, but a flush fails.
    FlushFails,
    /// Every read fails.
    ReadFails,
    /// Every flush takes this long, in milliseconds.
    Slow(u64),
    /// No file of the log can be removed.
    RemoveFails,
    /// The database refuses a commit that the log has,
    CommitFails,
    /// or panics.
    CommitPanics,
}

impl Kind {
    /// Whether it is about writes and flushes.
    fn of_writes(self) -> bool {
        !matches!(self, Self::RemoveFails | Self::CommitFails | Self::CommitPanics)
    }
}

/// The present failure.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    kind: Mutex<Option<Kind>>,
    /// The number of writes and flushes, or of what else fails, that still succeed before it begins.
    after: AtomicU32,
    /// Writes to the database's file wait. Those of the log do not.
    held: Mutex<bool>,
    released: Condvar,
    cached: Mutex<Option<Cached>>,
}

impl Trouble {
    pub(crate) fn begin(&self, kind: Kind, after: u32) {
        self.after.store(after, Ordering::SeqCst);
        *self.kind.lock() = Some(kind);
    }

    pub(crate) fn end(&self) {
        *self.kind.lock() = None;
    }

    /// Lets the writes to the database's file wait until [`Trouble::release`].
    pub(crate) fn hold(&self) {
        *self.held.lock() = true;
    }

    pub(crate) fn release(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }

    /// Waits while the database's file is held, but not forever: a test that fails must end.
    pub(crate) fn pass(&self) {
        self.released.wait_while_for(&mut self.held.lock(), |held| *held, Duration::from_mins(1));
    }

    /// From now on it is known which bytes of the log's files survive a power failure. Those in the folder now do.
    pub(crate) fn tell_apart(&self, folder: &Path) {
        *self.cached.lock() = Some(Cached::of(folder));
    }

    /// The power fails: only what is on the disk is left in the folder's files, none of which is open.
    pub(crate) fn lose_power(&self, folder: &Path) {
        if let Some(cached) = self.cached.lock().take() {
            cached.lose(folder);
        }
    }

    pub(crate) fn wrote(&self, file: &File, offset: u64, bytes: usize) {
        if let Some(cached) = &mut *self.cached.lock() {
            cached.wrote(file, offset, bytes);
        }
    }

    pub(crate) fn flushed(&self, file: &File, done: bool) {
        if let Some(cached) = &mut *self.cached.lock() {
            cached.flushed(file, done);
        }
    }

    /// Removes a file of the log, unless that fails.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self.kind_if(|kind| kind == Kind::RemoveFails) {
            Some(_) => Err(io::Error::from_raw_os_error(5)),
            None => Ok(()),
        }
    }

    /// Commits to the database, unless that fails.
    pub(crate) fn commit(&self) -> io::Result<()> {
        match self.kind_if(|kind| matches!(kind, Kind::CommitFails | Kind::CommitPanics)) {
            Some(Kind::CommitPanics) => panic!("as the test wants"),
            Some(_) => Err(io::Error::other("as the test wants")),
            None => Ok(()),
        }
    }

    fn kind(&self) -> Option<Kind> {
        self.kind_if(Kind::of_writes)
    }

    /// The present failure, if it is one of these.
    fn kind_if(&self, which: impl Fn(Kind) -> bool) -> Option<Kind> {
        let kind = self.kind.lock().filter(|kind| which(*kind))?;
        let spared = self.after.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |after| after.checked_sub(1)).is_ok();
        Some(kind).filter(|_| !spared)
    }

    /// Writes data, or a part of it, unless that fails.
    pub(crate) fn write(&self, data: &[u8], write: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self.kind() {
            Some(Kind::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Kind::WriteFails) => Err(io::Error::from_raw_os_error(5)),
            Some(Kind::ReadOnly) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Some(Kind::Torn) => {
                write(&data[..data.len() / 2])?;
                Err(io::Error::from_raw_os_error(5))
            }
            Some(Kind::WritePanics) => {
                self.end();
                write(data)?;
                panic!("as the test wants")
            }
            _ => write(data),
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        match self.kind() {
            Some(Kind::FlushFails) => Err(io::Error::from_raw_os_error(5)),
            Some(Kind::Slow(ms)) => {
                std::thread::sleep(Duration::from_millis(ms));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn read(&self) -> io::Result<()> {
        match *self.kind.lock() {
            Some(Kind::ReadFails) => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }
}
