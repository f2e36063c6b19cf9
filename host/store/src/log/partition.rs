//! One partition of the log on disk: a folder with its segments.
//!
//! | file | content |
//! |---|---|
//! | `POSITION.log` | the segment that begins with this position |
//! | `acknowledged` | the position up to which appends have returned, written without a flush |
//! | `spare` | a file that becomes the next segment |
//! | `new`, `prepared` | a file that was being created |
//!
//! A torn last entry is cut off when the partition is opened, since nobody was told that it is stored. A last entry that
//! was damaged later looks the same, and is recognized by the position in `acknowledged`, which is never too high. It
//! may be too low after a power failure.
//!
//! Only the last entry can be in memory alone, since an entry is appended once the one before it is durable. So the last
//! one is written again when the partition is opened, before anything is built on it.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use twox_hash::XxHash3_64;

use super::entry::{Entry, Partition, Position, chunk};
use super::error::LogError;
use super::frame::MAX_ENTRY;
use super::medium::Medium;
use super::segment::Segment;
use super::{Appended, Extent};
use crate::fault_point;

/// The length of the first segment. Each one is twice as long as the one before it, up to the limit of the options.
const FIRST_SEGMENT: usize = 256 * 1024;

/// The memory for frames that is kept between two appends. Memory that is new has to be cleared first, which takes longer
/// than to write to it.
const MOST_KEPT: usize = 1024 * 1024;

/// A partition.
#[derive(Debug)]
pub(super) struct PartitionLog {
    number: Partition,
    folder: PathBuf,
    most: usize,
    medium: Medium,
    state: Mutex<State>,
    /// Locked while files of segments that are not in the state any more may be there.
    trimming: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// In order. The last one is written to.
    segments: VecDeque<Segment>,
    /// The length of the file that becomes the next segment.
    spare: Option<usize>,
    acknowledged: File,
    /// Memory for the frame of the next entry.
    frame: Vec<u8>,
    /// Why the last append failed.
    failed: Option<String>,
}

impl State {
    fn extent(&self) -> Extent {
        let (Some(first), Some(last)) = (self.segments.front(), self.segments.back()) else { return Extent::EMPTY };
        Extent { first: first.first, last: last.last, hash: last.hash }
    }
}

impl PartitionLog {
    /// Opens the partition in a folder, which is created if it does not exist.
    pub(super) fn open(
        number: Partition,
        folder: PathBuf,
        segment_bytes: usize,
        medium: Medium,
    ) -> Result<Self, LogError> {
        let failed = |error| LogError::io(&folder, "creating", &error);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        medium.flush_folder(&folder)?;
        for unfinished in ["new", "prepared"] {
            medium.remove(&folder.join(unfinished))?;
        }
        // A name that is read may be in memory only.
        medium.flush_folder(&folder.join("acknowledged"))?;
        let mut segments = VecDeque::new();
        let mut previous = None;
        for path in segment_files(&folder)? {
            let segment = Segment::open(&medium, &path, number, previous)?;
            previous = Some((segment.last, segment.hash));
            segments.push_back(segment);
        }
        if let Some(last) = segments.back() {
            last.write_last_again(&medium)?;
        }
        let spare = std::fs::metadata(folder.join("spare")).ok().and_then(|found| usize::try_from(found.len()).ok());
        let (acknowledged, position) = open_acknowledged(&folder)?;
        let state = State { segments, spare, acknowledged, frame: Vec::new(), failed: None };
        let last = state.extent().last;
        if last < position {
            let path = state.segments.back().map_or(folder.as_path(), |segment| &segment.path);
            let reason = format!("it ends with position {last}, and position {position} was acknowledged");
            return Err(LogError::damaged(path, 0, reason));
        }
        let most = segment_bytes.max(FIRST_SEGMENT);
        Ok(Self { number, folder, most, medium, state: Mutex::new(state), trimming: Mutex::default() })
    }

    pub(super) fn extent(&self) -> Extent {
        self.state.lock().extent()
    }

    pub(super) fn append(&self, entry: &Entry) -> Result<Appended, LogError> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.failed {
            return Err(LogError::Failed(reason.clone()));
        }
        let Extent { first, last, hash } = state.extent();
        if entry.position <= last {
            drop(state);
            return self.holder(entry, first);
        }
        if entry.position != last.saturating_add(1) {
            return Err(LogError::Gap { position: entry.position, last });
        }
        if entry.previous != hash {
            return Err(LogError::Diverged(entry.position));
        }
        if entry.encoded_len() > MAX_ENTRY {
            return Err(LogError::TooLarge { bytes: entry.encoded_len(), most: MAX_ENTRY });
        }
        // Unless it returns: it may panic.
        state.failed = Some("an append did not end".to_owned());
        let done = self.write(&mut state, entry);
        state.failed = done.as_ref().err().map(ToString::to_string);
        done.map(|()| Appended::Stored)
    }

    /// Who holds the position of an entry that comes too late.
    fn holder(&self, entry: &Entry, first: Position) -> Result<Appended, LogError> {
        if entry.position < first {
            return Err(LogError::Trimmed { position: entry.position, first });
        }
        let found = self.read(entry.position, 0)?;
        match found.first() {
            Some(found) if found == entry => Ok(Appended::Stored),
            Some(found) => Ok(Appended::Taken(found.id)),
            None => Err(LogError::Trimmed { position: entry.position, first }),
        }
    }

    fn write(&self, state: &mut State, entry: &Entry) -> Result<(), LogError> {
        if !state.segments.back().is_some_and(|segment| segment.has_room_for(entry)) {
            fault_point("log.before-rotate");
            let segment = self.next_segment(state, Segment::size_for(entry))?;
            state.segments.push_back(segment);
            fault_point("log.after-rotate");
        }
        let State { segments, frame, .. } = state;
        if let Some(segment) = segments.back_mut() {
            let appended = segment.append(&self.medium, entry, frame);
            if frame.capacity() > MOST_KEPT {
                *frame = Vec::new();
            }
            appended?;
        }
        if let Err(error) = acknowledge(&self.medium, &state.acknowledged, entry.position) {
            tracing::warn!(%error, "what was acknowledged is not recorded: damage to the end of the log may not be noticed");
        }
        Ok(())
    }

    /// The segment behind the last one, with room for this many bytes.
    fn next_segment(&self, state: &mut State, least: usize) -> Result<Segment, LogError> {
        let (spare, new) = (self.folder.join("spare"), self.folder.join("new"));
        let from = if state.spare.take().is_some_and(|length| length >= least) {
            spare
        } else {
            self.medium.create(&new, self.next_length(state).max(least))?;
            new
        };
        let Extent { last, hash, .. } = state.extent();
        Segment::begin(&self.medium, &from, self.number, last.saturating_add(1), hash)
    }

    fn next_length(&self, state: &State) -> usize {
        let doubled = state.segments.back().map_or(0, |segment| segment.capacity.saturating_mul(2));
        doubled.clamp(FIRST_SEGMENT, self.most)
    }

    pub(super) fn read(&self, from: Position, bytes: usize) -> Result<Vec<Entry>, LogError> {
        let reader = {
            let state = self.state.lock();
            let Extent { first, last, .. } = state.extent();
            if from < first {
                return Err(LogError::Trimmed { position: from, first });
            }
            if from > last {
                return Ok(Vec::new());
            }
            state.segments.iter().find(|segment| segment.last >= from).map(Segment::reader)
        };
        let Some(reader) = reader else { return Ok(Vec::new()) };
        reader.entries(&self.medium, from, bytes).map_err(|error| {
            // The segment may have been trimmed and used again meanwhile.
            let first = self.extent().first;
            if from < first { LogError::Trimmed { position: from, first } } else { error }
        })
    }

    pub(super) fn trim(&self, to: Position) -> Result<(), LogError> {
        let _one_at_a_time = self.trimming.lock();
        let mut trimmed = Vec::new();
        let keeps_spare = {
            let mut state = self.state.lock();
            while let Some(next) = state.segments.get(1)
                && next.first <= to.saturating_add(1)
                && next.last >= next.first
            {
                trimmed.extend(state.segments.pop_front());
            }
            state.spare.is_some()
        };
        // The longest one is used again.
        let reused = if keeps_spare { None } else { trimmed.iter().map(|segment| segment.capacity).max() };
        let mut trimmed = trimmed.into_iter();
        while let Some(segment) = trimmed.next() {
            if let Err(error) = self.discard(&segment, reused) {
                // Those that are left are still there, and there must be no gap behind them. This one is not if it got
                // another name, and only the flush of the names failed.
                let there = segment.path.try_exists().unwrap_or(true);
                let left: Vec<_> = std::iter::once(segment).filter(|_| there).chain(trimmed).collect();
                let mut state = self.state.lock();
                left.into_iter().rev().for_each(|segment| state.segments.push_front(segment));
                return Err(error);
            }
        }
        Ok(())
    }

    fn discard(&self, segment: &Segment, reused: Option<usize>) -> Result<(), LogError> {
        if reused == Some(segment.capacity) && self.keep_as_spare(&segment.path, segment.capacity)? {
            return Ok(());
        }
        self.medium.remove(&segment.path)
    }

    /// Makes a file the next segment to be, unless there is one already.
    fn keep_as_spare(&self, path: &Path, length: usize) -> Result<bool, LogError> {
        let mut state = self.state.lock();
        if state.spare.is_some() {
            return Ok(false);
        }
        self.medium.rename(path, &self.folder.join("spare"))?;
        state.spare = Some(length);
        Ok(true)
    }

    pub(super) fn recover(&self) -> Result<(), LogError> {
        let _no_trim = self.trimming.lock();
        let mut state = self.state.lock();
        if state.failed.is_none() {
            return Ok(());
        }
        self.medium.remove(&self.folder.join("new"))?;
        for path in segment_files(&self.folder)? {
            if !state.segments.iter().any(|segment| segment.path == path) {
                self.medium.remove(&path)?;
            }
        }
        // Its length is not known to be what it was.
        self.medium.remove(&self.folder.join("spare"))?;
        state.spare = None;
        // Before anything is flushed, which may fail again: even then the next process does not read the entry.
        if let Some(segment) = state.segments.back_mut() {
            segment.cut(&self.medium, self.number)?;
        }
        self.medium.flush_folder(&self.folder.join("acknowledged"))?;
        state.failed = None;
        Ok(())
    }

    pub(super) fn prepare(&self) -> Result<(), LogError> {
        let length = {
            let state = self.state.lock();
            let soon = state.segments.back().is_some_and(Segment::is_half_full);
            if state.spare.is_some() || state.failed.is_some() || !soon {
                return Ok(());
            }
            self.next_length(&state)
        };
        let prepared = self.folder.join("prepared");
        self.medium.create(&prepared, length)?;
        if !self.keep_as_spare(&prepared, length)? {
            self.medium.remove(&prepared)?;
        }
        Ok(())
    }
}

/// The files of segments in a folder, in order.
fn segment_files(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let failed = |error| LogError::io(folder, "listing", &error);
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(failed)? {
        let file = file.map_err(failed)?;
        if let Some(first) = file.file_name().to_str().and_then(Segment::first_of) {
            found.push((first, file.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The file with the acknowledged position, and the position; 0 if it is not known.
fn open_acknowledged(folder: &Path) -> Result<(File, Position), LogError> {
    let path = folder.join("acknowledged");
    let failed = |error| LogError::io(&path, "opening", &error);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut options = File::options();
    let file = crate::disk::private(options.write(true).create(true).truncate(false)).open(&path).map_err(failed)?;
    let position = chunk::<8>(&content, 0)
        .filter(|position| chunk(&content, 8).map(u64::from_le_bytes) == Some(XxHash3_64::oneshot(position)));
    Ok((file, position.map_or(0, u64::from_le_bytes)))
}

/// Records an acknowledged position, without a flush.
fn acknowledge(medium: &Medium, file: &File, position: Position) -> std::io::Result<()> {
    let bytes = position.to_le_bytes();
    let check = XxHash3_64::oneshot(&bytes).to_le_bytes();
    medium.note(file, &[bytes, check].concat())
}
