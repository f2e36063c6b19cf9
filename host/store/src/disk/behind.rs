//! Writing behind: what the database writes and flushes stays in memory at first, and a thread writes it to the file in
//! the same order, with the same flushes between. So the database never waits for the disk, and after a crash the file
//! is in a state in which the database itself could have left it, only earlier. What it lacks is in the commit log.
//!
//! ```text
//! write ──> open batch ──flush of the database: sealed──> sealed batches, in order ──> written, flushed: durable
//! read  <── the newest of these that has the block, else the file
//! ```

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::sums::BLOCK;

/// The bytes of sealed batches beyond which the database waits until one of them is written.
const MOST_SEALED: usize = 64 * 1024 * 1024;
/// A block that was never written.
static EMPTY: [u8; 4096] = [0; 4096];

/// How many blocks are allocated together.
const SLAB: usize = 256;
/// How many slabs are kept for the next batch while much is written: memory that is new has to be cleared first.
const MOST_SPARE: usize = 32;

/// What was written between two flushes. Commits wait while a flush hands over what the database has in memory, which is
/// thousands of blocks, so taking one costs little more than to copy it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Where the last content of each block is, by the number of the block.
    places: HashMap<u64, usize>,
    slabs: Vec<Vec<u8>>,
    /// Places whose blocks are gone.
    free: Vec<usize>,
    /// The length of the file afterwards, if it changed,
    pub(super) length: Option<u64>,
    /// and the shortest one that it had until then: what was behind that before is gone.
    pub(super) cut: Option<u64>,
}

impl Batch {
    fn bytes(&self) -> usize {
        self.places.len().saturating_mul(block_len())
    }

    fn put(&mut self, number: u64, content: &[u8], spare: &mut Vec<Vec<u8>>) {
        let place = self.places.get(&number).copied().unwrap_or_else(|| self.new_place(number, spare));
        let (slab, from) = (place / SLAB, (place % SLAB).saturating_mul(block_len()));
        let Some(slab) = self.slabs.get_mut(slab) else { return };
        if slab.len() == from {
            slab.extend_from_slice(content);
        } else if let Some(block) = slab.get_mut(from..from.saturating_add(block_len())) {
            block.copy_from_slice(content);
        }
    }

    fn new_place(&mut self, number: u64, spare: &mut Vec<Vec<u8>>) -> usize {
        let place = self.free.pop().unwrap_or(self.places.len());
        if place / SLAB >= self.slabs.len() {
            self.slabs.push(spare.pop().unwrap_or_else(|| Vec::with_capacity(SLAB.saturating_mul(block_len()))));
        }
        self.places.insert(number, place);
        place
    }

    fn at(&self, place: usize) -> Option<&[u8]> {
        let from = (place % SLAB).saturating_mul(block_len());
        self.slabs.get(place / SLAB)?.get(from..from.saturating_add(block_len()))
    }

    /// The content of a block.
    pub(super) fn block(&self, number: u64) -> Option<&[u8]> {
        self.places.get(&number).and_then(|place| self.at(*place))
    }

    /// Forgets what is behind this many blocks.
    fn forget_from(&mut self, blocks: u64) {
        let free = &mut self.free;
        self.places.retain(|number, place| {
            if *number >= blocks {
                free.push(*place);
            }
            *number < blocks
        });
    }

    /// The numbers of the blocks.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.places.keys().copied()
    }

    /// The blocks in order.
    pub(super) fn blocks(&self) -> Vec<(u64, &[u8])> {
        let mut places: Vec<(u64, usize)> = self.places.iter().map(|(number, place)| (*number, *place)).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|(number, place)| Some((number, self.at(place)?))).collect()
    }
}

/// The writes that are not in the file yet.
#[derive(Debug, Default)]
pub(super) struct Behind {
    state: Mutex<State>,
    /// A batch was sealed, or nothing more will be.
    sealed: Condvar,
    /// A batch was written, or none will be any more.
    written: Condvar,
    /// Somebody waits for that, or nothing more is written.
    awaited: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    open: Batch,
    waiting: VecDeque<Arc<Batch>>,
    /// Empty slabs.
    spare: Vec<Vec<u8>>,
    /// How many batches in a row were small.
    small: u32,
    /// How many batches were sealed, and how many of them are durable.
    sealed: u64,
    durable: u64,
    stopped: bool,
    /// How many wait until a batch is written.
    waiters: u32,
}

impl State {
    /// The block, if it is not in the file yet, or not there any more.
    pub(super) fn block(&self, number: u64) -> Option<&[u8]> {
        let mut newest_first = std::iter::once(&self.open).chain(self.waiting.iter().rev().map(Arc::as_ref));
        newest_first.find_map(|batch| {
            let gone = || batch.cut.is_some_and(|cut| number >= cut.div_ceil(BLOCK));
            batch.block(number).or_else(|| gone().then_some(EMPTY.as_slice()))
        })
    }

    pub(super) fn put(&mut self, number: u64, content: &[u8]) {
        self.open.put(number, content, &mut self.spare);
    }

    pub(super) fn set_length(&mut self, length: u64) {
        self.open.length = Some(length);
        self.open.cut = Some(self.open.cut.map_or(length, |cut| cut.min(length)));
        // What was written behind the end is gone with it.
        self.open.forget_from(length.div_ceil(BLOCK));
    }

    /// The bytes of the open batch.
    pub(super) fn open_bytes(&self) -> usize {
        self.open.bytes()
    }
}

impl Behind {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Seals the open batch: everything in it is written after everything before. Waits only if much is sealed already.
    pub(super) fn seal(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        while !state.stopped && state.waiting.iter().map(|batch| batch.bytes()).sum::<usize>() > MOST_SEALED {
            self.await_written(&mut state);
        }
        if state.stopped {
            return Err(stopped());
        }
        let batch = std::mem::take(&mut state.open);
        state.waiting.push_back(Arc::new(batch));
        state.sealed = state.sealed.saturating_add(1);
        self.sealed.notify_all();
        Ok(())
    }

    /// How many batches were sealed so far.
    pub(super) fn sealed(&self) -> u64 {
        self.state.lock().sealed
    }

    /// How many of them are durable.
    pub(super) fn durable(&self) -> u64 {
        self.state.lock().durable
    }

    /// Waits until this many batches are durable.
    pub(super) fn wait_for(&self, batches: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        while !state.stopped && state.durable < batches {
            self.await_written(&mut state);
        }
        if state.durable < batches { Err(stopped()) } else { Ok(()) }
    }

    fn await_written(&self, state: &mut MutexGuard<'_, State>) {
        state.waiters = state.waiters.saturating_add(1);
        self.awaited.notify_all();
        self.written.wait(state);
        state.waiters = state.waiters.saturating_sub(1);
    }

    /// Whether somebody waits until a batch is written, or nothing more is written.
    pub(super) fn is_awaited(&self) -> bool {
        let state = self.state.lock();
        state.waiters > 0 || state.stopped
    }

    /// Waits for this long, or until somebody waits.
    pub(super) fn pause(&self, longest: Duration) {
        let mut state = self.state.lock();
        self.awaited.wait_while_for(&mut state, |state| state.waiters == 0 && !state.stopped, longest);
    }

    /// The next batch to write, once there is one. It stays readable until [`Behind::done`]. `None`: stopped.
    pub(super) fn next(&self) -> Option<Arc<Batch>> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(batch) = state.waiting.front() {
                return Some(Arc::clone(batch));
            }
            self.sealed.wait(&mut state);
        }
    }

    /// Records that the batch, the first one, is in the file.
    pub(super) fn done(&self, batch: Arc<Batch>) {
        let mut state = self.state.lock();
        state.waiting.pop_front();
        let mut unused = Vec::new();
        let slabs = Arc::try_unwrap(batch).map(|batch| batch.slabs).unwrap_or_default();
        if slabs.len() > 1 {
            let room = MOST_SPARE.saturating_sub(state.spare.len());
            state.spare.extend(slabs.into_iter().take(room).map(|mut slab| {
                slab.clear();
                slab
            }));
            state.small = 0;
        } else {
            // A flush of the database is two, of which the second is small.
            state.small = state.small.saturating_add(1);
            if state.small > 4 {
                unused = std::mem::take(&mut state.spare);
            }
        }
        state.durable = state.durable.saturating_add(1);
        self.written.notify_all();
        // Readers do not wait for that.
        drop(state);
        drop(unused);
    }

    /// Nothing more is written. Who waits gets an error.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.sealed.notify_all();
        self.written.notify_all();
        self.awaited.notify_all();
    }
}

fn stopped() -> io::Error {
    io::Error::other("this opening of the store's file is over")
}

pub(super) fn block_len() -> usize {
    usize::try_from(BLOCK).unwrap_or(4096)
}

/// Neighbouring blocks, joined to runs of at most this many bytes: the offset, and the content.
pub(super) fn runs(blocks: &[(u64, &[u8])], most: usize) -> impl Iterator<Item = (u64, Vec<u8>)> {
    let mut blocks = blocks.iter().peekable();
    std::iter::from_fn(move || {
        let (first, block) = blocks.next()?;
        let mut content = block.to_vec();
        let mut next = first.saturating_add(1);
        while let Some((_, block)) =
            blocks.next_if(|(number, block)| *number == next && content.len().saturating_add(block.len()) <= most)
        {
            content.extend_from_slice(block);
            next = next.saturating_add(1);
        }
        Some((first.saturating_mul(BLOCK), content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> Vec<u8> {
        vec![byte; block_len()]
    }

    fn first(behind: &Behind, number: u64) -> Option<u8> {
        behind.lock().block(number).map(|block| block[0])
    }

    #[test]
    fn the_newest_block_is_read_until_it_is_in_the_file() {
        let behind = Behind::default();
        behind.lock().put(1, &block(1));
        behind.lock().put(2, &block(2));
        behind.seal().unwrap();
        behind.lock().put(1, &block(3));
        assert_eq!([1, 2, 3].map(|number| first(&behind, number)), [Some(3), Some(2), None]);
        behind.seal().unwrap();
        let batch = behind.next().unwrap();
        assert_eq!(batch.blocks().iter().map(|(_, block)| block[0]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(first(&behind, 2), Some(2), "while it is written");
        behind.done(batch);
        assert_eq!([1, 2].map(|number| first(&behind, number)), [Some(3), None]);
        assert_eq!((behind.sealed(), behind.durable()), (2, 1));
        behind.done(behind.next().unwrap());
        assert_eq!(first(&behind, 1), None);
        assert!(behind.wait_for(2).is_ok());
    }

    #[test]
    fn nobody_waits_for_what_will_not_be_written() {
        let behind = Arc::new(Behind::default());
        behind.lock().put(1, &block(1));
        behind.seal().unwrap();
        let waits = {
            let behind = Arc::clone(&behind);
            std::thread::spawn(move || behind.wait_for(1))
        };
        behind.stop();
        assert!(waits.join().unwrap().is_err());
        assert!(behind.seal().is_err() && behind.next().is_none());
    }

    #[test]
    fn a_pause_ends_once_somebody_waits_for_a_batch() {
        let behind = Arc::new(Behind::default());
        behind.lock().put(1, &block(1));
        behind.seal().unwrap();
        assert!(!behind.is_awaited());
        let waits = {
            let behind = Arc::clone(&behind);
            std::thread::spawn(move || behind.wait_for(1))
        };
        behind.pause(Duration::from_secs(3600));
        assert!(behind.is_awaited());
        behind.done(behind.next().unwrap());
        waits.join().unwrap().unwrap();
        assert!(!behind.is_awaited());
        behind.stop();
        behind.pause(Duration::from_secs(3600));
    }

    #[test]
    fn the_database_waits_while_much_is_sealed() {
        let behind = Arc::new(Behind::default());
        let many = u64::try_from(MOST_SEALED / block_len()).unwrap() + 1;
        (0..many).for_each(|number| behind.lock().put(number, &block(1)));
        behind.seal().unwrap();
        let seals = {
            let behind = Arc::clone(&behind);
            std::thread::spawn(move || behind.seal())
        };
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(behind.sealed(), 1);
        behind.done(behind.next().unwrap());
        seals.join().unwrap().unwrap();
        assert_eq!(behind.sealed(), 2);
    }

    #[test]
    fn neighbouring_blocks_are_written_together_up_to_a_bound() {
        let mut batch = Batch::default();
        for number in [1, 2, 3, 4, 9] {
            batch.put(number, &block(u8::try_from(number).unwrap()), &mut Vec::new());
        }
        let found: Vec<(u64, usize)> = runs(&batch.blocks(), 3 * block_len())
            .map(|(offset, bytes)| (offset / BLOCK, bytes.len() / block_len()))
            .collect();
        assert_eq!(found, [(1, 3), (4, 1), (9, 1)]);
    }

    #[test]
    fn places_of_blocks_behind_the_end_are_used_again() {
        let behind = Behind::default();
        let many = 3 * u64::try_from(SLAB).unwrap();
        (0..many).for_each(|number| behind.lock().put(number, &block(1)));
        behind.lock().set_length(10 * BLOCK);
        assert_eq!((first(&behind, 9), first(&behind, 10)), (Some(1), Some(0)));
        (10..many).for_each(|number| behind.lock().put(number, &block(2)));
        behind.lock().put(9, &block(3));
        assert_eq!([8, 9, 10, many - 1].map(|number| first(&behind, number)), [Some(1), Some(3), Some(2), Some(2)]);
        let state = behind.lock();
        assert_eq!((state.open.slabs.len(), state.open_bytes()), (3, 3 * SLAB * block_len()));
    }
}
