//! The checksum of each block of the store's file: in memory while the file is open, and in a file beside it
//! (`hookwright.redb.sums`) while it is not. That file is not flushed with each commit: after a crash redb reads the
//! whole file and verifies its own checksums, and these checksums are computed again from those reads.
//!
//! ```text
//! sums file: magic (8 bytes), state (8), commit (8), checksum of these three (4), zeros to 64 bytes,
//!            then, if the state is CLOSED: blocks (8), checksum of each (4), checksum of all that (4)
//! ```
//!
//! The commit is the number of the last acknowledged one. It is written without a flush, so it may be too low after a
//! power failure, but never too high: if the store's file has only an earlier one, it is damaged.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};

#[cfg(unix)]
use super::file::make_private;
use super::file::{private, read_at, write_at};

/// The number of bytes that one checksum covers: a page of redb.
pub(crate) const BLOCK: u64 = 4096;

const MAGIC: &[u8; 8] = b"hwsums1\n";
const OPEN: u64 = 1;
const CLOSED: u64 = 2;
const HEAD: usize = 28;
const BODY: u64 = 64;
/// Represents an unknown checksum.
const UNKNOWN: u32 = 0;

/// The content of the sums file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none.
    Nothing,
    /// The store was not closed; has the last commit that is known to be acknowledged.
    Open(u64),
    /// The store was closed after this commit, and the file has the checksums of all blocks.
    Closed(u64),
    /// It does not contain what was written.
    Unreadable,
}

/// The checksums.
#[derive(Debug)]
pub(crate) struct Sums {
    path: PathBuf,
    known: RwLock<Vec<AtomicU32>>,
    file: Mutex<Option<File>>,
    writing: Mutex<()>,
}

impl Sums {
    /// The sums file of a store's file.
    pub(crate) fn beside(store: &Path) -> PathBuf {
        let mut name = store.as_os_str().to_owned();
        name.push(".sums");
        PathBuf::from(name)
    }

    /// Reads the checksums of a store's file, if it was closed cleanly.
    ///
    /// # Errors
    /// They cannot be read, so whether the store was closed is unknown.
    pub(crate) fn load(store: &Path) -> io::Result<(Self, Found)> {
        let path = Self::beside(store);
        let (known, found) = match std::fs::read(&path) {
            Ok(bytes) => parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), Found::Nothing),
            Err(error) => return Err(error),
        };
        let known = known.into_iter().map(AtomicU32::new).collect();
        Ok((Self { path, known: RwLock::new(known), file: Mutex::new(None), writing: Mutex::new(()) }, found))
    }

    /// Records on the disk that the store is open, which makes the checksums there invalid. Does nothing if that is
    /// recorded already.
    pub(super) fn open(&self) -> io::Result<()> {
        let mut opened = self.file.lock();
        if opened.is_none() {
            let mut file =
                private(File::options().read(true).write(true).create(true).truncate(false)).open(&self.path)?;
            #[cfg(unix)]
            make_private(&file);
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let commit = read_head(&bytes).map_or(0, |(_, commit)| commit);
            write_at(&file, &head(OPEN, commit), 0)?;
            file.sync_data()?;
            *opened = Some(file);
        }
        Ok(())
    }

    /// Records the last acknowledged commit.
    pub(crate) fn mark(&self, commit: u64) {
        if let Some(file) = self.file.lock().as_ref()
            && let Err(error) = write_at(file, &head(OPEN, commit), 0)
        {
            tracing::debug!(%error, "the number of the last commit was not saved next to the store");
        }
    }

    /// Saves the checksums of all blocks after redb has closed the file. Blocks with unknown checksums are read.
    pub(crate) fn save(&self, store: &Path, commit: u64) -> io::Result<()> {
        let Some(file) = self.file.lock().take() else { return Ok(()) };
        let mut source = File::open(store)?;
        let blocks = source.metadata()?.len().div_ceil(BLOCK);
        self.set_len(blocks.saturating_mul(BLOCK));
        let mut body = Vec::new();
        body.extend_from_slice(&blocks.to_le_bytes());
        let known = self.known.read();
        for (block, sum) in (0_u64..).zip(known.iter()) {
            let mut sum = sum.load(Ordering::Acquire);
            if sum == UNKNOWN {
                sum = read_sum(&mut source, block)?;
            }
            body.extend_from_slice(&sum.to_le_bytes());
        }
        let all = crc32fast::hash(&body);
        body.extend_from_slice(&all.to_le_bytes());
        write_at(&file, &body, BODY)?;
        file.sync_data()?;
        write_at(&file, &head(CLOSED, commit), 0)?;
        file.sync_all()
    }

    /// While this guard is held, nothing is written.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    pub(super) fn set_len(&self, len: u64) {
        let blocks = usize::try_from(len.div_ceil(BLOCK)).unwrap_or(usize::MAX);
        let mut known = self.known.write();
        known.resize_with(blocks, || AtomicU32::new(UNKNOWN));
    }

    /// Updates the checksums after a write. Those of partially written blocks become unknown.
    pub(super) fn written(&self, offset: u64, data: &[u8]) {
        if !offset.is_multiple_of(BLOCK) {
            return self.forget(offset, data.len());
        }
        self.grow(offset, data.len());
        let known = self.known.read();
        let first = usize::try_from(offset / BLOCK).unwrap_or(usize::MAX);
        for (sum, block) in known.iter().skip(first).zip(blocks(data)) {
            sum.store(if block.len() == blocks_len() { checksum(block) } else { UNKNOWN }, Ordering::Release);
        }
    }

    /// Marks the checksums of these bytes as unknown.
    pub(super) fn forget(&self, offset: u64, length: usize) {
        let known = self.known.read();
        let end = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let first = usize::try_from(offset / BLOCK).unwrap_or(usize::MAX);
        let last = usize::try_from(end.div_ceil(BLOCK)).unwrap_or(usize::MAX);
        for sum in known.iter().take(last).skip(first) {
            sum.store(UNKNOWN, Ordering::Release);
        }
    }

    /// The first block of a read that does not match its checksum. The checksum of a block for which it is unknown is
    /// stored.
    pub(super) fn wrong(&self, offset: u64, data: &[u8]) -> Option<u64> {
        if !offset.is_multiple_of(BLOCK) {
            return None;
        }
        let known = self.known.read();
        let first = usize::try_from(offset / BLOCK).unwrap_or(usize::MAX);
        for (place, (sum, block)) in (offset / BLOCK..).zip(known.iter().skip(first).zip(blocks(data))) {
            if block.len() < blocks_len() {
                continue;
            }
            let found = checksum(block);
            if let Err(wanted) = sum.compare_exchange(UNKNOWN, found, Ordering::AcqRel, Ordering::Acquire)
                && wanted != found
            {
                return Some(place);
            }
        }
        None
    }

    /// Whether the file's length and first block match the saved ones.
    pub(crate) fn fits(&self, store: &Path) -> io::Result<bool> {
        let mut source = File::open(store)?;
        let length = source.metadata()?.len();
        let known = self.known.read();
        let first = known.first().map(|sum| sum.load(Ordering::Acquire));
        let long = length.div_ceil(BLOCK) == u64::try_from(known.len()).unwrap_or(u64::MAX);
        Ok(long && first == Some(read_sum(&mut source, 0)?))
    }

    /// Compares the whole file with its checksums; returns the blocks that differ.
    pub(crate) fn compare(&self, store: &Path) -> io::Result<Vec<u64>> {
        let mut source = File::open(store)?;
        let length = source.metadata()?.len();
        let known = self.known.read();
        let mut wrong = Vec::new();
        if length.div_ceil(BLOCK) != u64::try_from(known.len()).unwrap_or(u64::MAX) {
            wrong.push(length / BLOCK);
        }
        for (block, sum) in (0_u64..length.div_ceil(BLOCK)).zip(known.iter()) {
            let sum = sum.load(Ordering::Acquire);
            if sum != UNKNOWN && read_sum(&mut source, block)? != sum {
                wrong.push(block);
            }
        }
        Ok(wrong)
    }

    fn grow(&self, offset: u64, length: usize) {
        let end = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX)).div_ceil(BLOCK);
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        if self.known.read().len() < end {
            let mut known = self.known.write();
            let end = end.max(known.len());
            known.resize_with(end, || AtomicU32::new(UNKNOWN));
        }
    }
}

fn blocks_len() -> usize {
    usize::try_from(BLOCK).unwrap_or(usize::MAX)
}

fn blocks(data: &[u8]) -> std::slice::Chunks<'_, u8> {
    data.chunks(blocks_len())
}

/// Never [`UNKNOWN`].
fn checksum(block: &[u8]) -> u32 {
    crc32fast::hash(block).max(1)
}

fn read_sum(source: &mut File, block: u64) -> io::Result<u32> {
    let mut bytes = vec![0; blocks_len()];
    let offset = block.saturating_mul(BLOCK);
    if source.metadata()?.len() >= offset.saturating_add(BLOCK) {
        read_at(source, &mut bytes, offset)?;
    } else {
        bytes.clear();
        io::Seek::seek(source, io::SeekFrom::Start(offset))?;
        source.read_to_end(&mut bytes)?;
    }
    Ok(checksum(&bytes))
}

fn head(state: u64, commit: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&state.to_le_bytes());
    head.extend_from_slice(&commit.to_le_bytes());
    let sum = crc32fast::hash(&head);
    head.extend_from_slice(&sum.to_le_bytes());
    head
}

fn parse(bytes: &[u8]) -> (Vec<u32>, Found) {
    read_head(bytes)
        .and_then(|(state, commit)| match state {
            OPEN => Some((Vec::new(), Found::Open(commit))),
            _ => Some((read_body(bytes)?, Found::Closed(commit))),
        })
        .unwrap_or((Vec::new(), Found::Unreadable))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

fn read_head(bytes: &[u8]) -> Option<(u64, u64)> {
    let (state, commit) = (number(bytes, 8)?, number(bytes, 16)?);
    let known = bytes.get(..HEAD)? == head(state, commit).as_slice() && matches!(state, OPEN | CLOSED);
    known.then_some((state, commit))
}

fn read_body(bytes: &[u8]) -> Option<Vec<u32>> {
    let body = bytes.get(usize::try_from(BODY).ok()?..)?;
    let count = usize::try_from(number(body, 0)?).ok()?;
    let end = count.checked_mul(4)?.checked_add(8)?;
    let sum = u32::from_le_bytes(*body.get(end..)?.first_chunk::<4>()?);
    let content = body.get(..end)?;
    (crc32fast::hash(content) == sum).then(|| {
        let (sums, _) = content.get(8..).unwrap_or_default().as_chunks::<4>();
        sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect()
    })
}
