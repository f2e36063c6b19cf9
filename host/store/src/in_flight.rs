//! The events that were in flight when the process crashed, since one of them may be the cause. A file beside the store
//! contains the journal positions of the events in flight. It is written without fsync, because it only has to outlive
//! the process, not a power failure. Events in the file at a start were interrupted. The store counts how often that
//! happened to an event without any progress, so that an event that crashes the process each time is dead-lettered.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::disk::{private, write_at};

/// Bytes of an entry: a journal position, little endian; 0: empty.
const ENTRY: usize = 8;

/// The file.
pub(crate) struct InFlight {
    file: Option<File>,
    slots: Mutex<Slots>,
    /// The content of the file when it was opened.
    interrupted: Mutex<Vec<u64>>,
    /// The store is closed: the process shuts down in order, even if events are still in flight.
    closed: AtomicBool,
}

#[derive(Default)]
struct Slots {
    free: Vec<u64>,
    next: u64,
}

impl InFlight {
    /// Opens the file and empties it. Errors are logged, and the server continues without the file.
    pub(crate) fn open(path: &Path) -> Arc<Self> {
        let opened = open(path).inspect_err(|error| {
            tracing::warn!(%error, path = %path.display(), "events that crash the process cannot be recognized");
        });
        let (file, interrupted) = opened.map_or((None, Vec::new()), |(file, found)| (Some(file), found));
        Arc::new(Self {
            file,
            slots: Mutex::default(),
            interrupted: Mutex::new(interrupted),
            closed: AtomicBool::new(false),
        })
    }

    /// Marks an event as in flight.
    pub(crate) fn begin(self: &Arc<Self>, seq: u64) -> InFlightMark {
        let slot = {
            let mut slots = self.slots.lock();
            slots.free.pop().unwrap_or_else(|| {
                let slot = slots.next;
                slots.next = slots.next.saturating_add(1);
                slot
            })
        };
        self.put(slot, seq);
        InFlightMark { of: Arc::clone(self), slot }
    }

    /// The events in the file when it was opened, until they are counted.
    pub(crate) fn interrupted(&self) -> MutexGuard<'_, Vec<u64>> {
        self.interrupted.lock()
    }

    /// Empties the file: events that did not complete before an orderly shutdown did not cause it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.set_len(0)) {
            tracing::debug!(%error, "the events in flight could not be cleared");
        }
    }

    fn put(&self, slot: u64, seq: u64) {
        let Some(file) = self.file.as_ref().filter(|_| !self.closed.load(Ordering::Acquire)) else { return };
        let offset = slot.saturating_mul(u64::try_from(ENTRY).unwrap_or(8));
        if let Err(error) = write_at(file, &seq.to_le_bytes(), offset) {
            tracing::debug!(%error, "the events in flight could not be recorded");
        }
    }
}

/// Marks an event as in flight until it is dropped.
pub struct InFlightMark {
    of: Arc<InFlight>,
    slot: u64,
}

impl Drop for InFlightMark {
    fn drop(&mut self) {
        self.of.put(self.slot, 0);
        self.of.slots.lock().free.push(self.slot);
    }
}

fn open(path: &Path) -> io::Result<(File, Vec<u64>)> {
    let mut file = private(File::options().create(true).truncate(false).read(true).write(true)).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    file.set_len(0)?;
    let (entries, _) = bytes.as_chunks::<ENTRY>();
    let mut found: Vec<u64> = entries.iter().map(|entry| u64::from_le_bytes(*entry)).filter(|seq| *seq > 0).collect();
    found.sort_unstable();
    found.dedup();
    Ok((file, found))
}
