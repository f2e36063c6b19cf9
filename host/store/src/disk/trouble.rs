//! A disk that fails as configured, for tests.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

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
    /// Everything is written, but a flush fails.
    FlushFails,
    /// Every read fails.
    ReadFails,
    /// Every flush takes this long, in milliseconds.
    Slow(u64),
}

/// The present failure.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    kind: Mutex<Option<Kind>>,
    /// The number of writes and flushes that still succeed before it begins.
    after: AtomicU32,
}

impl Trouble {
    pub(crate) fn begin(&self, kind: Kind, after: u32) {
        self.after.store(after, Ordering::SeqCst);
        *self.kind.lock() = Some(kind);
    }

    pub(crate) fn end(&self) {
        *self.kind.lock() = None;
    }

    fn kind(&self) -> Option<Kind> {
        let kind = *self.kind.lock();
        let spared = self.after.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |after| after.checked_sub(1)).is_ok();
        kind.filter(|_| !spared)
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

    pub(super) fn put_back(&self) -> io::Result<()> {
        match *self.kind.lock() {
            Some(Kind::Full | Kind::WriteFails | Kind::ReadOnly | Kind::Torn) => {
                Err(io::ErrorKind::ReadOnlyFilesystem.into())
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
