//! One partition of the log on disk: a folder with its segments.
//!
//! | file | content |
//! |---|---|
//! | `POSITION.log` | the segment that begins with this position |
//! | `acknowledged` | the position up to which appends have returned, written without a flush |
//! | `spare-NUMBER` | a file that becomes a segment |
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

/// How many files that are not needed any more are kept for segments to be: about as many as there are between two
/// checkpoints. Each of the others would be removed and then written with zeros once more.
const MOST_SPARES: usize = 4;

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
    /// Locked while files of segments that are not in the state any more may be there. The number of the next spare file.
    trimming: Mutex<u64>,
}

/// A file that becomes a segment.
#[derive(Debug)]
struct Spare {
    path: PathBuf,
    length: usize,
}

#[derive(Debug)]
struct State {
    /// In order. The last one is written to.
    segments: VecDeque<Segment>,
    spares: Vec<Spare>,
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
        // Earlier versions had one spare file.
        for unfinished in ["new", "prepared", "spare"] {
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
        let mut spares = Vec::new();
        let mut next_spare = 0;
        for path in spare_files(&folder)? {
            next_spare = next_spare.max(number_of(&path).unwrap_or_default().saturating_add(1));
            let length = std::fs::metadata(&path).ok().and_then(|found| usize::try_from(found.len()).ok());
            match length.filter(|_| spares.len() < MOST_SPARES) {
                Some(length) => spares.push(Spare { path, length }),
                None => medium.remove(&path)?,
            }
        }
        let (acknowledged, position) = open_acknowledged(&folder)?;
        let state = State { segments, spares, acknowledged, frame: Vec::new(), failed: None };
        let last = state.extent().last;
        if last < position {
            let path = state.segments.back().map_or(folder.as_path(), |segment| &segment.path);
            let reason = format!("it ends with position {last}, and position {position} was acknowledged");
            return Err(LogError::damaged(path, 0, reason));
        }
        let most = segment_bytes.max(FIRST_SEGMENT);
        Ok(Self { number, folder, most, medium, state: Mutex::new(state), trimming: Mutex::new(next_spare) })
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
        let from = match state.spares.iter().position(|spare| spare.length >= least) {
            Some(place) => state.spares.swap_remove(place).path,
            None => {
                let new = self.folder.join("new");
                self.medium.create(&new, self.next_length(state).max(least))?;
                new
            }
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
        let mut next_spare = self.trimming.lock();
        let mut trimmed = Vec::new();
        let room = {
            let mut state = self.state.lock();
            while let Some(next) = state.segments.get(1)
                && next.first <= to.saturating_add(1)
                && next.last >= next.first
            {
                trimmed.extend(state.segments.pop_front());
            }
            MOST_SPARES.saturating_sub(state.spares.len())
        };
        // The longest ones are used again, since segments become longer up to their limit. One that is longer was for a
        // single entry.
        let lengths = trimmed.iter().map(|segment| segment.capacity);
        let mut lengths: Vec<usize> = lengths.filter(|length| *length <= self.most).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        let least = lengths.get(room.wrapping_sub(1)).or(lengths.last().filter(|_| room > 0)).copied();
        let mut spares = Vec::new();
        let mut trimmed = trimmed.into_iter();
        while let Some(segment) = trimmed.next() {
            let fits = least.is_some_and(|least| (least..=self.most).contains(&segment.capacity));
            let done = if fits && spares.len() < room {
                self.name_spare(&segment.path, segment.capacity, &mut next_spare).map(|spare| spares.push(spare))
            } else {
                self.medium.remove(&segment.path)
            };
            if let Err(error) = done {
                // Those that are left are still there, and there must be no gap behind them.
                let left: Vec<_> = std::iter::once(segment).chain(trimmed).collect();
                let mut state = self.state.lock();
                left.into_iter().rev().for_each(|segment| state.segments.push_front(segment));
                drop(state);
                let _ = self.add_spares(spares);
                return Err(error);
            }
        }
        self.add_spares(spares)
    }

    /// Gives a file the name of a spare one.
    fn name_spare(&self, from: &Path, length: usize, next: &mut u64) -> Result<Spare, LogError> {
        let path = self.folder.join(format!("{SPARE}{next}"));
        *next = next.saturating_add(1);
        self.medium.rename(from, &path)?;
        Ok(Spare { path, length })
    }

    /// Lets files become segments. Before one is written to, it must not get its old name back after a power failure.
    fn add_spares(&self, spares: Vec<Spare>) -> Result<(), LogError> {
        if let Some(spare) = spares.first() {
            self.medium.flush_folder(&spare.path).inspect_err(|_| {
                for spare in &spares {
                    let _ = self.medium.remove(&spare.path);
                }
            })?;
            self.state.lock().spares.extend(spares);
        }
        Ok(())
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
        // Their lengths are not known to be what they were.
        state.spares.clear();
        for path in spare_files(&self.folder)? {
            self.medium.remove(&path)?;
        }
        // Before anything is flushed, which may fail again: even then the next process does not read the entry.
        if let Some(segment) = state.segments.back_mut() {
            segment.cut(&self.medium, self.number)?;
        }
        self.medium.flush_folder(&self.folder.join("acknowledged"))?;
        state.failed = None;
        Ok(())
    }

    pub(super) fn prepare(&self) -> Result<(), LogError> {
        let mut next_spare = self.trimming.lock();
        let length = {
            let state = self.state.lock();
            let soon = state.segments.back().is_some_and(Segment::is_half_full);
            if !state.spares.is_empty() || state.failed.is_some() || !soon {
                return Ok(());
            }
            self.next_length(&state)
        };
        let prepared = self.folder.join("prepared");
        self.medium.create(&prepared, length)?;
        let spare = self.name_spare(&prepared, length, &mut next_spare)?;
        self.add_spares(vec![spare])
    }
}

/// How the names of spare files begin.
const SPARE: &str = "spare-";

/// The number of a spare file.
fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(SPARE)?.parse().ok()
}

/// The spare files in a folder.
fn spare_files(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    Ok(files(folder)?.into_iter().filter(|path| number_of(path).is_some()).collect())
}

/// The files of segments in a folder, in order.
fn segment_files(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let first = |path: &PathBuf| path.file_name().and_then(|name| Segment::first_of(name.to_str()?));
    let mut found: Vec<PathBuf> = files(folder)?.into_iter().filter(|path| first(path).is_some()).collect();
    found.sort_by_key(first);
    Ok(found)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let failed = |error| LogError::io(folder, "listing", &error);
    std::fs::read_dir(folder).map_err(failed)?.map(|file| Ok(file.map_err(failed)?.path())).collect()
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
