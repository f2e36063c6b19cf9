//! A read-only file: writes stay in memory, so that a damaged file can be examined without being changed.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend, StorageError};

use super::sums::BLOCK;

/// The written data, by block.
type Blocks = HashMap<u64, Vec<u8>>;

/// Clones share the written data.
#[derive(Clone, Debug)]
pub(crate) struct Overlay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: FileBackend,
    blocks: RwLock<Blocks>,
    length: AtomicU64,
    /// The length up to which the file's content is valid.
    below: AtomicU64,
}

impl Overlay {
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let failed = |error| DatabaseError::Storage(StorageError::Io(error));
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self(Arc::new(Inner {
            file: FileBackend::new(file)?,
            blocks: RwLock::default(),
            length: AtomicU64::new(length),
            below: AtomicU64::new(length),
        })))
    }

    fn block(&self, blocks: &Blocks, block: u64) -> io::Result<Vec<u8>> {
        if let Some(bytes) = blocks.get(&block) {
            return Ok(bytes.clone());
        }
        let mut bytes = vec![0; usize::try_from(BLOCK).unwrap_or(4096)];
        let from = block.saturating_mul(BLOCK);
        let there = self.0.below.load(Ordering::Acquire).saturating_sub(from).min(BLOCK);
        if let Some(part) = bytes.get_mut(..usize::try_from(there).unwrap_or(0)).filter(|part| !part.is_empty()) {
            self.0.file.read(from, part)?;
        }
        Ok(bytes)
    }
}

/// The parts of a range of bytes by block: the block, the offset in the block, the offset in the range, and the length.
pub(super) fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let size = usize::try_from(BLOCK).unwrap_or(4096);
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = length.checked_sub(done).filter(|left| *left > 0)?;
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        let within = usize::try_from(at % BLOCK).unwrap_or(0);
        let part = left.min(size.saturating_sub(within));
        let found = (at / BLOCK, within, done, part);
        done = done.saturating_add(part);
        Some(found)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.length.load(Ordering::Acquire))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let blocks = self.0.blocks.read();
        for (block, within, from, length) in parts(offset, out.len()) {
            let bytes = self.block(&blocks, block)?;
            let part = bytes.get(within..within.saturating_add(length));
            if let (Some(out), Some(part)) = (out.get_mut(from..from.saturating_add(length)), part) {
                out.copy_from_slice(part);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.length.store(len, Ordering::Release);
        self.0.below.fetch_min(len, Ordering::AcqRel);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut blocks = self.0.blocks.write();
        for (block, within, from, length) in parts(offset, data.len()) {
            let mut bytes = self.block(&blocks, block)?;
            let part = data.get(from..from.saturating_add(length));
            if let (Some(bytes), Some(part)) = (bytes.get_mut(within..within.saturating_add(length)), part) {
                bytes.copy_from_slice(part);
            }
            blocks.insert(block, bytes);
        }
        Ok(())
    }

    fn close(&self) -> Result<(), io::Error> {
        self.0.file.close()
    }

    // A shared lock: several checks of one file can run concurrently, and a file that a server has open is refused.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }
}
