//! Segments: the files that the entries of a partition are in, one after the other. The name of a segment is the position
//! of its first entry.
//!
//! ```text
//! magic 8 | format 4 | partition 2 | zero 2 | first position 8 | hash of the entry before it 16 | seed 8 | check 8
//! | zeros to 64 | frames | anything
//! ```
//!
//! The check is the XXH3 (64 bits) of what is before it. What follows the last frame is whatever the file contained
//! before: zeros, or frames with another seed.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use twox_hash::XxHash3_64;

use super::entry::{Entry, EntryHash, Partition, Position, chunk};
use super::error::LogError;
use super::frame::{frame_after, frame_at, frame_len, write_frame};
use super::medium::Medium;

const MAGIC: [u8; 8] = *b"hwlogseg";
/// The format of segments.
const FORMAT: u32 = 1;
/// The number of bytes before the first frame.
pub(super) const SEGMENT_HEAD: usize = 64;
/// The number of bytes of the head that its check is of.
const CHECKED: usize = 48;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: File,
    seed: u64,
    /// The position of its first entry, and the hash of the one before it.
    pub(super) first: Position,
    previous: EntryHash,
    /// The position of its last entry, and its hash. Without entries, those of the entry before the first one.
    pub(super) last: Position,
    pub(super) hash: EntryHash,
    /// Where its last frame begins, and the next one.
    last_frame: usize,
    end: usize,
    /// The length of the file.
    pub(super) capacity: usize,
}

impl Segment {
    /// The name of the segment that begins with a position.
    pub(super) fn name(first: Position) -> String {
        format!("{first:020}.log")
    }

    /// The first position, by the name of the segment.
    pub(super) fn first_of(name: &str) -> Option<Position> {
        let digits = name.strip_suffix(".log")?;
        let first: Position = digits.parse().ok()?;
        (Self::name(first) == name).then_some(first)
    }

    /// The size of the file that an entry needs which is the only one in it.
    pub(super) fn size_for(entry: &Entry) -> usize {
        SEGMENT_HEAD.saturating_add(frame_len(entry.encoded_len()))
    }

    /// Makes a file the segment that begins with this position. What it contains is of no interest.
    pub(super) fn begin(
        medium: &Medium,
        from: &Path,
        partition: Partition,
        first: Position,
        previous: EntryHash,
    ) -> Result<Self, LogError> {
        let file = medium.open(from)?;
        let capacity = length(&file, from)?;
        let seed = rand::random();
        let path = from.with_file_name(Self::name(first));
        medium.write_durably(&file, from, &head(partition, first, previous, seed), 0)?;
        medium.rename(from, &path)?;
        medium.flush_folder(&path)?;
        let last = first.saturating_sub(1);
        let (last_frame, end) = (SEGMENT_HEAD, SEGMENT_HEAD);
        Ok(Self { path, file, seed, first, previous, last, hash: previous, last_frame, end, capacity })
    }

    /// Opens a segment and verifies everything in it. `previous`: the entry that has to be before its first one, where
    /// that is known.
    pub(super) fn open(
        medium: &Medium,
        path: &Path,
        partition: Partition,
        previous: Option<(Position, EntryHash)>,
    ) -> Result<Self, LogError> {
        let file = medium.open(path)?;
        // What is read may be in memory only, after a process that ended within an append.
        medium.settle(&file, path)?;
        let content = Bytes::from(medium.read(path)?);
        let head = Head::of(path, &content)?;
        let named = path.file_name().and_then(|name| Self::first_of(name.to_str()?));
        if head.partition != partition || named != Some(head.first) {
            return Err(LogError::damaged(path, 0, "it is the segment of another place"));
        }
        if let Some((position, hash)) = previous
            && (head.first != position.saturating_add(1) || head.previous != hash)
        {
            let reason = format!("it does not follow position {position}, where the segment before it ends");
            return Err(LogError::damaged(path, 0, reason));
        }
        let Head { first, previous, seed, .. } = head;
        let mut segment = Self {
            path: path.to_owned(),
            file,
            seed,
            first,
            previous,
            last: first.saturating_sub(1),
            hash: previous,
            last_frame: SEGMENT_HEAD,
            end: SEGMENT_HEAD,
            capacity: content.len(),
        };
        segment.scan(&content)?;
        Ok(segment)
    }

    /// Finds the last entry.
    fn scan(&mut self, content: &Bytes) -> Result<(), LogError> {
        while let Some(frame) = frame_at(content, self.end, self.seed) {
            if frame.entry.position != self.last.saturating_add(1) || frame.entry.previous != self.hash {
                let reason = format!("position {} does not follow position {}", frame.entry.position, self.last);
                return Err(LogError::damaged(&self.path, self.end, reason));
            }
            (self.last, self.hash) = (frame.entry.position, frame.hash);
            (self.last_frame, self.end) = (self.end, frame.next);
        }
        // An entry is written only when the one before it is durable. So the last one may be torn, and no other.
        match frame_after(content, self.end, self.seed) {
            None => Ok(()),
            Some((at, later)) => {
                let (lost, later) = (self.last.saturating_add(1), later.entry.position);
                let reason =
                    format!("position {lost} is not what was written, and position {later} follows at byte {at}");
                Err(LogError::damaged(&self.path, self.end, reason))
            }
        }
    }

    /// Whether an entry fits in.
    pub(super) fn has_room_for(&self, entry: &Entry) -> bool {
        self.end.saturating_add(frame_len(entry.encoded_len())) <= self.capacity
    }

    /// Whether so little room is left that the next segment should be ready.
    pub(super) fn is_half_full(&self) -> bool {
        self.end > self.capacity / 2
    }

    /// Writes the next entry, and returns when it is durable. `frame`: memory for its frame.
    pub(super) fn append(&mut self, medium: &Medium, entry: &Entry, frame: &mut Vec<u8>) -> Result<(), LogError> {
        let hash = write_frame(entry, self.seed, frame);
        medium.write_durably(&self.file, &self.path, frame, self.end)?;
        (self.last_frame, self.end) = (self.end, self.end.saturating_add(frame.len()));
        (self.last, self.hash) = (entry.position, hash);
        Ok(())
    }

    /// Writes the last frame once more: if the flush of its append failed, and the process ended, the system takes it for
    /// written, so it is read, but no later flush writes it.
    pub(super) fn write_last_again(&self, medium: &Medium) -> Result<(), LogError> {
        let content = medium.read(&self.path)?;
        match content.get(self.last_frame..self.end.min(content.len())) {
            Some(frame) if !frame.is_empty() => medium.write_durably(&self.file, &self.path, frame, self.last_frame),
            _ => Ok(()),
        }
    }

    /// Makes sure that nothing follows the last entry, whatever an append that failed has written, and that everything
    /// up to it is there.
    pub(super) fn cut(&mut self, medium: &Medium, partition: Partition) -> Result<(), LogError> {
        // A new descriptor: the old one may not tell of blocks that were not written.
        self.file = medium.open(&self.path)?;
        if self.end < self.capacity {
            let left = self.capacity.saturating_sub(self.end).min(super::frame::FRAME_HEAD);
            medium.write_durably(&self.file, &self.path, &vec![0; left], self.end)?;
        }
        let found = Self::open(medium, &self.path, partition, Some((self.first.saturating_sub(1), self.previous)))?;
        if (found.last, found.hash) != (self.last, self.hash) {
            let reason = format!("it ends with position {}, and {} was acknowledged", found.last, self.last);
            return Err(LogError::damaged(&self.path, found.end, reason));
        }
        Ok(())
    }

    /// What a reader of the entries needs.
    pub(super) fn reader(&self) -> SegmentReader {
        SegmentReader { path: self.path.clone(), seed: self.seed, last: self.last }
    }
}

/// Reads entries of a segment up to the one that was the last when it was made.
pub(super) struct SegmentReader {
    path: PathBuf,
    seed: u64,
    last: Position,
}

impl SegmentReader {
    /// The entries from a position on, as many as fit in `bytes`, at least one.
    pub(super) fn entries(&self, medium: &Medium, from: Position, bytes: usize) -> Result<Vec<Entry>, LogError> {
        let content = Bytes::from(medium.read(&self.path)?);
        let mut entries = Vec::new();
        let (mut at, mut left) = (SEGMENT_HEAD, bytes);
        loop {
            let Some(frame) = frame_at(&content, at, self.seed) else {
                return Err(LogError::damaged(&self.path, at, "an entry is not what was written"));
            };
            let (position, size) = (frame.entry.position, frame.entry.encoded_len());
            if position >= from {
                if size > left && !entries.is_empty() {
                    return Ok(entries);
                }
                left = left.saturating_sub(size);
                entries.push(frame.entry);
            }
            if position >= self.last {
                return Ok(entries);
            }
            at = frame.next;
        }
    }
}

fn length(file: &File, path: &Path) -> Result<usize, LogError> {
    let length = file.metadata().map_err(|error| LogError::io(path, "opening", &error))?.len();
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

/// The head of a segment.
struct Head {
    partition: Partition,
    first: Position,
    previous: EntryHash,
    seed: u64,
}

impl Head {
    fn of(path: &Path, content: &[u8]) -> Result<Self, LogError> {
        let read = || {
            let checked = content.get(..CHECKED)?;
            let check = chunk(content, CHECKED).map(u64::from_le_bytes)?;
            let known = checked.starts_with(&MAGIC) && XxHash3_64::oneshot(checked) == check;
            let format = chunk(checked, 8).map(u32::from_le_bytes).filter(|_| known)?;
            let head = Self {
                partition: chunk(checked, 12).map(u16::from_le_bytes)?,
                first: chunk(checked, 16).map(u64::from_le_bytes)?,
                previous: EntryHash::from_bytes(chunk(checked, 24)?),
                seed: chunk(checked, 40).map(u64::from_le_bytes)?,
            };
            Some((format, head))
        };
        match read() {
            Some((FORMAT, head)) => Ok(head),
            Some((found, _)) => Err(LogError::Newer { path: path.display().to_string(), found, known: FORMAT }),
            None => Err(LogError::damaged(path, 0, "its head is not what was written")),
        }
    }
}

fn head(partition: Partition, first: Position, previous: EntryHash, seed: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(SEGMENT_HEAD);
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&partition.to_le_bytes());
    head.extend_from_slice(&[0, 0]);
    head.extend_from_slice(&first.to_le_bytes());
    head.extend_from_slice(&previous.to_bytes());
    head.extend_from_slice(&seed.to_le_bytes());
    let check = XxHash3_64::oneshot(&head);
    head.extend_from_slice(&check.to_le_bytes());
    head.resize(SEGMENT_HEAD, 0);
    head
}
