//! The one thread that writes. It takes every operation that waits, applies them in one transaction, commits once, and
//! answers them all: so an fsync is shared by everyone who came in time for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hookwright_model::SpaceId;
use redb::{Database, Durability, ReadableTable as _, Table, WriteTransaction};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::tables::{self, SEQ, SPACES};
use crate::{StoreError, fault_point};

/// The most operations in one commit.
const MAX_OPERATIONS: usize = 1024;
/// The most bytes in one commit, by what the operations say of themselves.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Sends the caller its answer once the commit has succeeded or failed.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), &StoreError>) + Send>;
/// Checks first and writes then: an operation that refuses leaves nothing behind. An error undoes the whole commit.
pub(crate) type Apply = Box<dyn FnOnce(&mut Batch<'_>) -> Result<Answer, StoreError> + Send>;

/// What the writer is told.
pub(crate) enum Order {
    /// Do this. `fault` names the points at which crash tests strike.
    Write { apply: Apply, bytes: usize, fault: Option<Faults> },
    /// Commit what waits and end.
    Close(oneshot::Sender<()>),
}

/// The fault points around the commit of an operation.
#[derive(Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// What the writer shares with the readers.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) spaces: RwLock<HashMap<SpaceId, u32>>,
    pub(crate) backlog: AtomicUsize,
    pub(crate) work: Arc<Notify>,
    pub(crate) due: Arc<Notify>,
    /// Queues, by space and webhook, that got a row since somebody asked.
    pub(crate) touched: Mutex<HashSet<(u32, u64)>>,
    pub(crate) queued: Arc<Notify>,
}

impl Shared {
    pub(crate) fn number(&self, space: &SpaceId) -> Option<u32> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(space).copied()
    }

    pub(crate) fn space(&self, number: u32) -> Option<SpaceId> {
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        spaces.iter().find(|(_, other)| **other == number).map(|(space, _)| space.clone())
    }

    /// Every space by its number, for who has many to look up.
    pub(crate) fn names(&self) -> HashMap<u32, SpaceId> {
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        spaces.iter().map(|(space, number)| (*number, space.clone())).collect()
    }
}

macro_rules! batch {
    ($($name:ident: $key:ty => $value:ty, $definition:ident;)*) => {
        /// One commit: the tables that it has come to, each opened when it is first asked for, since most commits touch few.
        pub(crate) struct Batch<'t> {
            pub(crate) transaction: &'t WriteTransaction,
            $($name: Option<Table<'t, $key, $value>>,)*
            /// The seq of the next event.
            pub(crate) next_seq: u64,
            pub(crate) work_opened: usize,
            pub(crate) work_closed: usize,
            pub(crate) due_added: bool,
            /// Queues that got a row.
            pub(crate) touched: HashSet<(u32, u64)>,
            shared: &'t Shared,
            new_spaces: HashMap<SpaceId, u32>,
        }

        impl<'t> Batch<'t> {
            fn open(transaction: &'t WriteTransaction, shared: &'t Shared, next_seq: u64) -> Self {
                Self {
                    transaction,
                    $($name: None,)*
                    next_seq,
                    work_opened: 0,
                    work_closed: 0,
                    due_added: false,
                    touched: HashSet::new(),
                    shared,
                    new_spaces: HashMap::new(),
                }
            }

            $(
                pub(crate) fn $name(&mut self) -> Result<&mut Table<'t, $key, $value>, StoreError> {
                    if self.$name.is_none() {
                        self.$name = Some(self.transaction.open_table(tables::$definition)?);
                    }
                    self.$name.as_mut().ok_or_else(|| StoreError::Storage("a table is not open".to_owned()))
                }
            )*
        }
    };
}

batch! {
    events: (u32, u64) => &'static [u8], EVENTS;
    event_ids: (u32, &'static str, &'static str) => u64, EVENT_IDS;
    work: u64 => &'static [u8], WORK;
    runs: (u32, u64, u32) => &'static [u8], RUNS;
    deliveries: (u32, u64, u32) => &'static [u8], DELIVERIES;
    attempts: (u32, u64, u32, u32) => &'static [u8], ATTEMPTS;
    attempt_log: tables::LogKey => tables::LogSummary, ATTEMPT_LOG;
    finished: (i64, u32, u64, u32) => (), FINISHED;
    queue: (u32, u64, i64, u64, u32) => (), QUEUE;
    blocked: (u32, u64, &'static str, u64, u32) => (), BLOCKED;
    heads: (u32, u64, &'static str) => (u64, u32), HEADS;
    due: (i64, u32, u64, u32, u8) => (), DUE;
    config: (u32, &'static str, &'static str) => &'static [u8], CONFIG;
    records: (u32, &'static str, u64) => &'static [u8], RECORDS;
    notes: (u32, &'static str, u64, u64) => &'static [u8], NOTES;
    counters: (u32, &'static str) => u64, COUNTERS;
    kept: (u32, &'static str, &'static str) => &'static [u8], KEPT;
    kept_sizes: (u32, &'static str) => (u64, u64), KEPT_SIZES;
    kept_expiry: (i64, u32, &'static str, &'static str) => (), KEPT_EXPIRY;
    mails: (u32, u64) => &'static [u8], MAILS;
    parked: (u32, &'static str, u64, u32) => (), PARKED;
    record_index: (u32, &'static str, &'static str, &'static str, u64) => (), RECORD_INDEX;
    history: (u32, &'static str, u64, u64) => &'static [u8], HISTORY;
    lanes: (u32, &'static str, u64, u32) => (), LANES;
    items: (u32, u64, u32, u32, u32) => &'static [u8], ITEMS;
    recordings: (u32, &'static str, u64) => &'static [u8], RECORDINGS;
    recording_sizes: (u32, &'static str) => (u64, u64), RECORDING_SIZES;
    requests: (u32, &'static str, u64) => &'static [u8], REQUESTS;
}

impl Batch<'_> {
    /// The space's number; one is given to it if it has none.
    pub(crate) fn number(&mut self, space: &SpaceId) -> Result<u32, StoreError> {
        if let Some(number) = self.shared.number(space).or_else(|| self.new_spaces.get(space).copied()) {
            return Ok(number);
        }
        let mut spaces = self.transaction.open_table(SPACES)?;
        let mut highest = 0;
        for row in spaces.iter()? {
            highest = highest.max(row?.1.value());
        }
        let number = highest.saturating_add(1);
        spaces.insert(space.as_str(), number)?;
        self.new_spaces.insert(space.clone(), number);
        Ok(number)
    }

    /// Notes that ids up to `id` were given out.
    pub(crate) fn count(&mut self, space: u32, kind: &str, id: u64) -> Result<(), StoreError> {
        let counters = self.counters()?;
        let highest = counters.get((space, kind))?.map_or(0, |value| value.value());
        if id > highest {
            counters.insert((space, kind), id)?;
        }
        Ok(())
    }

    /// The next id of a kind whose ids are given out in the commit itself.
    pub(crate) fn next(&mut self, space: u32, kind: &str) -> Result<u64, StoreError> {
        let counters = self.counters()?;
        let next = counters.get((space, kind))?.map_or(0, |value| value.value()).saturating_add(1);
        counters.insert((space, kind), next)?;
        Ok(next)
    }
}

/// What a commit changed besides the tables.
struct Outcome {
    next_seq: u64,
    work_opened: usize,
    work_closed: usize,
    due_added: bool,
    touched: HashSet<(u32, u64)>,
    new_spaces: HashMap<SpaceId, u32>,
}

/// The writer's thread.
pub(crate) fn run(db: &Database, shared: &Shared, mut orders: mpsc::Receiver<Order>, mut next_seq: u64) {
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = orders.blocking_recv() else { return };
        let mut writes = Vec::new();
        let mut bytes = 0_usize;
        let mut order = Some(first);
        while let Some(next) = order {
            match next {
                Order::Close(done) => {
                    closing = Some(done);
                    break;
                }
                Order::Write { apply, bytes: size, fault } => {
                    bytes = bytes.saturating_add(size);
                    writes.push((apply, fault));
                }
            }
            let room = writes.len() < MAX_OPERATIONS && bytes < MAX_BYTES;
            order = if room { orders.try_recv().ok() } else { None };
        }
        if !writes.is_empty() {
            next_seq = commit(db, shared, writes, next_seq);
        }
    }
    // Whoever sends from now on is told that the store is closed.
    drop(orders);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

fn commit(db: &Database, shared: &Shared, writes: Vec<(Apply, Option<Faults>)>, next_seq: u64) -> u64 {
    let faults: Vec<Faults> = writes.iter().filter_map(|(_, fault)| *fault).collect();
    let mut answers = Vec::with_capacity(writes.len());
    match transact(db, shared, writes, next_seq, &faults, &mut answers) {
        Ok(outcome) => {
            for fault in &faults {
                fault_point(fault.after);
            }
            if !outcome.new_spaces.is_empty() {
                shared.spaces.write().unwrap_or_else(PoisonError::into_inner).extend(outcome.new_spaces);
            }
            shared.backlog.fetch_add(outcome.work_opened, Ordering::Relaxed);
            shared.backlog.fetch_sub(outcome.work_closed, Ordering::Relaxed);
            let touched = !outcome.touched.is_empty();
            if touched {
                shared.touched.lock().unwrap_or_else(PoisonError::into_inner).extend(outcome.touched);
            }
            for answer in answers {
                answer(Ok(()));
            }
            if touched {
                shared.queued.notify_one();
            }
            if outcome.work_opened > 0 {
                shared.work.notify_one();
            }
            if outcome.due_added {
                shared.due.notify_one();
            }
            outcome.next_seq
        }
        Err(error) => {
            tracing::error!(%error, "a commit failed; nothing of it was written");
            for answer in answers {
                answer(Err(&error));
            }
            next_seq
        }
    }
}

fn transact(
    db: &Database,
    shared: &Shared,
    writes: Vec<(Apply, Option<Faults>)>,
    next_seq: u64,
    faults: &[Faults],
    answers: &mut Vec<Answer>,
) -> Result<Outcome, StoreError> {
    let mut transaction = db.begin_write()?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|error| StoreError::Storage(format!("durability: {error}")))?;
    let outcome = {
        let mut batch = Batch::open(&transaction, shared, next_seq);
        for (apply, _) in writes {
            answers.push(apply(&mut batch)?);
        }
        if batch.next_seq != next_seq {
            let next_seq = batch.next_seq;
            batch.counters()?.insert(SEQ, next_seq)?;
        }
        Outcome {
            next_seq: batch.next_seq,
            work_opened: batch.work_opened,
            work_closed: batch.work_closed,
            due_added: batch.due_added,
            touched: batch.touched,
            new_spaces: batch.new_spaces,
        }
    };
    for fault in faults {
        fault_point(fault.before);
    }
    transaction.commit()?;
    Ok(outcome)
}
