//! The checksum of each block of the store's file, in memory and in a file beside it (`hookwright.redb.sums`), so that
//! every block that is read can be compared with what was written there, after a crash too.
//!
//! ```text
//! sums file: magic (8 bytes), 1 + the number of a block that was found damaged, or 0 (8 bytes), zeros to 64 bytes, then
//!            the checksum of each block (4 bytes); 0: unknown, 1: unknown since a write of the block began
//! ```
//!
//! Before blocks are changed, their checksums become unknown on the disk; once the blocks are on the disk, the new ones
//! are written. So after a crash a checksum is right or unknown, whenever it came, and the blocks are known that may be
//! in the system's cache only.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock};

#[cfg(unix)]
use super::file::make_private;
use super::file::{private, read_at, write_at};

/// The number of bytes that one checksum covers: a page of redb.
pub(crate) const BLOCK: u64 = 4096;

const MAGIC: &[u8; 8] = b"hwsums3\n";
/// The magic of files of the same form that do not distinguish why a checksum is unknown.
const WITHOUT_BEGUN: &[u8; 8] = b"hwsums2\n";
/// The magic of files in which the checksums followed a head that said whether they were valid.
const FORMER: &[u8; 8] = b"hwsums1\n";
/// What that head said if they were.
const FORMER_CLOSED: u64 = 2;
/// Where the damaged block stands.
const DAMAGED: u64 = 8;
const BODY: u64 = 64;
/// The number of checksums that are written together.
const PART: usize = 1024;
/// The checksum of a block that is not known.
const UNKNOWN: u32 = 0;
/// The checksum of a block whose write has begun, and is not known to have ended.
const BEGUN: u32 = 1;

const fn is_known(sum: u32) -> bool {
    sum > BEGUN
}

/// The content of the sums file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none.
    Nothing,
    /// Checksums.
    Checksums,
    /// It was written by an earlier version that was not shut down, or is something else.
    Unreadable,
}

/// The checksums.
#[derive(Debug)]
pub(crate) struct Sums {
    path: PathBuf,
    known: RwLock<Vec<AtomicU32>>,
    /// The block that an earlier opening found damaged, if any.
    damaged: Option<u64>,
    file: Mutex<Option<File>>,
}

impl Sums {
    /// The sums file of a store's file.
    pub(crate) fn beside(store: &Path) -> PathBuf {
        let mut name = store.as_os_str().to_owned();
        name.push(".sums");
        PathBuf::from(name)
    }

    /// Reads the checksums of a store's file.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn load(store: &Path) -> io::Result<(Self, Found)> {
        let path = Self::beside(store);
        let mut damaged = None;
        let (known, found) = match std::fs::read(&path) {
            Ok(bytes) => {
                damaged = damaged_in(&bytes);
                parse(&bytes).map_or((Vec::new(), Found::Unreadable), |known| (known, Found::Checksums))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), Found::Nothing),
            Err(error) => return Err(error),
        };
        let known = RwLock::new(known.into_iter().map(AtomicU32::new).collect());
        Ok((Self { path, known, damaged, file: Mutex::new(None) }, found))
    }

    /// Records that a block is damaged, so that the next opening looks at it first.
    pub(super) fn remember(&self, damaged: u64) -> io::Result<()> {
        self.with_file(|file| {
            write_at(file, &damaged.saturating_add(1).to_le_bytes(), DAMAGED)?;
            file.sync_data()
        })
    }

    /// The block that an earlier opening found damaged, if it still is.
    pub(crate) fn still_damaged(&self, store: &Path) -> io::Result<Option<u64>> {
        let Some(block) = self.damaged else { return Ok(None) };
        let known = self.known.read();
        let sum = usize::try_from(block)
            .ok()
            .and_then(|block| known.get(block))
            .map_or(UNKNOWN, |sum| sum.load(Ordering::Acquire));
        let mut source = File::open(store)?;
        if is_known(sum) && block < source.metadata()?.len() / BLOCK && read_sum(&mut source, block)? != sum {
            return Ok(Some(block));
        }
        drop(known);
        self.with_file(|file| write_at(file, &0_u64.to_le_bytes(), DAMAGED))?;
        Ok(None)
    }

    /// Makes the checksums of blocks that are about to change unknown, durably.
    pub(super) fn doubt(&self, blocks: impl Iterator<Item = u64>) -> io::Result<()> {
        let parts = self.set(blocks.map(|block| (block, BEGUN)));
        self.with_file(|file| {
            self.write(file, &parts)?;
            file.sync_data()
        })
    }

    /// The blocks whose write has begun, and is not known to have ended.
    pub(super) fn begun(&self) -> Vec<u64> {
        let known = self.known.read();
        (0..)
            .zip(known.iter())
            .filter(|(_, sum)| sum.load(Ordering::Acquire) == BEGUN)
            .map(|(block, _)| block)
            .collect()
    }

    /// Stores the checksums of blocks that are on the disk now.
    pub(super) fn settle(&self, blocks: impl Iterator<Item = (u64, u32)>) -> io::Result<()> {
        let parts = self.set(blocks);
        self.with_file(|file| self.write(file, &parts))
    }

    /// Changes checksums in memory; returns which parts of the file that is.
    fn set(&self, blocks: impl Iterator<Item = (u64, u32)>) -> BTreeSet<usize> {
        let mut known = self.known.write();
        let mut parts = BTreeSet::new();
        for (block, sum) in blocks {
            let Ok(block) = usize::try_from(block) else { continue };
            if known.len() <= block {
                known.resize_with(block.saturating_add(1), || AtomicU32::new(UNKNOWN));
            }
            if let Some(known) = known.get(block) {
                known.store(sum, Ordering::Release);
            }
            parts.insert(block / PART);
        }
        parts
    }

    fn write(&self, file: &File, parts: &BTreeSet<usize>) -> io::Result<()> {
        for part in parts {
            let known = self.known.read();
            let first = part.saturating_mul(PART);
            let sums = known.iter().skip(first).take(PART);
            let bytes: Vec<u8> = sums.flat_map(|sum| sum.load(Ordering::Acquire).to_le_bytes()).collect();
            drop(known);
            let offset = u64::try_from(first.saturating_mul(4)).unwrap_or(u64::MAX).saturating_add(BODY);
            write_at(file, &bytes, offset)?;
        }
        Ok(())
    }

    /// Uses the file, which is created if it does not exist and rewritten if it has another form.
    fn with_file(&self, run: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let mut opened = self.file.lock();
        if let Some(file) = opened.as_ref() {
            return run(file);
        }
        let mut file = private(File::options().read(true).write(true).create(true).truncate(false)).open(&self.path)?;
        #[cfg(unix)]
        make_private(&file);
        let mut magic = [0; 8];
        if file.read_exact(&mut magic).is_err() || magic != *MAGIC {
            // First what it says, then that it says it.
            file.set_len(0)?;
            let parts = (0..self.known.read().len().div_ceil(PART)).collect();
            self.write(&file, &parts)?;
            file.sync_all()?;
            write_at(&file, MAGIC, 0)?;
            file.sync_all()?;
        }
        let done = run(&file);
        *opened = Some(file);
        done
    }

    /// Follows a change of the length of the store's file.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        let blocks = len.div_ceil(BLOCK);
        let (mut known, most) = (self.known.write(), usize::try_from(blocks).unwrap_or(usize::MAX));
        let shorter = most < known.len();
        known.resize_with(most, || AtomicU32::new(UNKNOWN));
        drop(known);
        self.with_file(|file| {
            file.set_len(blocks.saturating_mul(4).saturating_add(BODY))?;
            // Before the store's file is: after a power failure too there are none of blocks that are gone.
            if shorter { file.sync_data() } else { Ok(()) }
        })
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
            let first = |sum: u32| (!is_known(sum)).then_some(found);
            if let Err(wanted) = sum.fetch_update(Ordering::AcqRel, Ordering::Acquire, first)
                && wanted != found
            {
                return Some(place);
            }
        }
        None
    }

    /// Whether the file is as long as the one of the checksums, and begins as it does.
    pub(crate) fn fits(&self, store: &Path) -> io::Result<bool> {
        let mut source = File::open(store)?;
        let length = source.metadata()?.len();
        let known = self.known.read();
        let first = known.first().map_or(UNKNOWN, |sum| sum.load(Ordering::Acquire));
        let long = length.div_ceil(BLOCK) >= u64::try_from(known.len()).unwrap_or(u64::MAX);
        Ok(long && (!is_known(first) || first == read_sum(&mut source, 0)?))
    }

    /// Compares the whole file with its checksums; returns the blocks that differ.
    pub(crate) fn compare(&self, store: &Path) -> io::Result<Vec<u64>> {
        let mut source = File::open(store)?;
        let length = source.metadata()?.len();
        let known = self.known.read();
        let mut wrong = Vec::new();
        if length.div_ceil(BLOCK) < u64::try_from(known.len()).unwrap_or(u64::MAX) {
            wrong.push(length / BLOCK);
        }
        for (block, sum) in (0_u64..length.div_ceil(BLOCK)).zip(known.iter()) {
            let sum = sum.load(Ordering::Acquire);
            if is_known(sum) && read_sum(&mut source, block)? != sum {
                wrong.push(block);
            }
        }
        Ok(wrong)
    }
}

fn blocks_len() -> usize {
    usize::try_from(BLOCK).unwrap_or(usize::MAX)
}

fn blocks(data: &[u8]) -> std::slice::Chunks<'_, u8> {
    data.chunks(blocks_len())
}

/// The damaged block that a file names.
fn damaged_in(bytes: &[u8]) -> Option<u64> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (number, _) = rest.split_first_chunk::<8>()?;
    if [MAGIC, WITHOUT_BEGUN].contains(&magic) { u64::from_le_bytes(*number).checked_sub(1) } else { None }
}

/// The checksum of a block. Never [`UNKNOWN`] or [`BEGUN`].
pub(super) fn checksum(block: &[u8]) -> u32 {
    crc32fast::hash(block).max(BEGUN.saturating_add(1))
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

fn parse(bytes: &[u8]) -> Option<Vec<u32>> {
    if bytes.starts_with(FORMER) {
        return parse_former(bytes);
    }
    if !bytes.starts_with(MAGIC) && !bytes.starts_with(WITHOUT_BEGUN) {
        return None;
    }
    let (sums, _) = bytes.get(usize::try_from(BODY).ok()?..).unwrap_or_default().as_chunks::<4>();
    Some(sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect())
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

/// The former form: magic (8), state (8), commit (8), checksum of these (4), zeros to 64 bytes, blocks (8), checksum of
/// each (4), checksum of all that (4).
fn parse_former(bytes: &[u8]) -> Option<Vec<u32>> {
    let head = bytes.get(..24)?;
    let valid = u32::from_le_bytes(*bytes.get(24..)?.first_chunk::<4>()?) == crc32fast::hash(head);
    if !valid || number(head, 8)? != FORMER_CLOSED {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> Vec<u8> {
        vec![byte; blocks_len()]
    }

    /// Whether a block is what the checksums say, by number of block and content.
    fn right(sums: &Sums, number: u64, byte: u8) -> bool {
        sums.wrong(number * BLOCK, &block(byte)).is_none()
    }

    #[test]
    fn a_checksum_is_right_or_unknown_whenever_the_process_ends() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let (sums, found) = Sums::load(&store).unwrap();
        assert_eq!(found, Found::Nothing);
        let settled = [(0, 1), (2000, 2)].map(|(number, byte)| (number, checksum(&block(byte))));
        sums.doubt(settled.iter().map(|(number, _)| *number)).unwrap();
        sums.settle(settled.into_iter()).unwrap();
        let again = || Sums::load(&store).unwrap();
        let (sums, found) = again();
        assert_eq!(found, Found::Checksums);
        assert!(right(&sums, 0, 1) && right(&sums, 2000, 2) && !right(&sums, 0, 2) && !right(&sums, 2000, 1));
        sums.doubt([2000].into_iter()).unwrap();
        let (doubted, _) = again();
        assert_eq!(doubted.begun(), [2000]);
        assert!(right(&doubted, 2000, 9), "it is not known whether it was written");
        assert!(!right(&doubted, 0, 9));
        sums.settle([(2000, checksum(&block(3)))].into_iter()).unwrap();
        let (sums, _) = again();
        assert!(right(&sums, 2000, 3) && !right(&sums, 2000, 2));
    }

    #[test]
    fn checksums_of_an_earlier_version_are_used() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let head = [FORMER.as_slice(), &FORMER_CLOSED.to_le_bytes(), &7_u64.to_le_bytes()].concat();
        let mut body = 2_u64.to_le_bytes().to_vec();
        for byte in [1, 2] {
            body.extend_from_slice(&checksum(&block(byte)).to_le_bytes());
        }
        let mut bytes = [head.as_slice(), &crc32fast::hash(&head).to_le_bytes()].concat();
        bytes.resize(64, 0);
        bytes.extend_from_slice(&[body.as_slice(), &crc32fast::hash(&body).to_le_bytes()].concat());
        std::fs::write(Sums::beside(&store), &bytes).unwrap();
        let (sums, found) = Sums::load(&store).unwrap();
        assert_eq!(found, Found::Checksums);
        assert!(right(&sums, 0, 1) && right(&sums, 1, 2) && !right(&sums, 1, 1));
        // Its file has the present form from the first write on.
        sums.doubt([1].into_iter()).unwrap();
        let (sums, _) = Sums::load(&store).unwrap();
        assert!(right(&sums, 0, 1) && !right(&sums, 0, 2) && right(&sums, 1, 7));
        // Those of one that was not shut down are of no use.
        bytes[8] = 1;
        let sum = crc32fast::hash(&bytes[..24]).to_le_bytes();
        bytes[24..28].copy_from_slice(&sum);
        std::fs::write(Sums::beside(&store), &bytes).unwrap();
        assert_eq!(Sums::load(&store).unwrap().1, Found::Unreadable);
    }
}
