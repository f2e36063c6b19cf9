//! One commit: its tables, and the operations that it consists of.

use std::collections::{HashMap, HashSet};

use hookwright_model::SpaceId;
use redb::{ReadableTable as _, Table, WriteTransaction};

use crate::StoreError;
use crate::shared::Shared;
use crate::tables::{self, SPACES};

/// Sends the caller its answer once the commit has succeeded or failed.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), &StoreError>) + Send>;
/// Checks before it writes: an operation that refuses has no effect. An error aborts the whole commit.
pub(crate) type Apply = Box<dyn FnOnce(&mut Batch<'_>) -> Result<Answer, StoreError> + Send>;

/// One operation. `fault` names the points at which crash tests end the process.
pub(crate) struct Write {
    pub(crate) apply: Apply,
    pub(crate) bytes: usize,
    pub(crate) fault: Option<Faults>,
}

/// The fault points around the commit of an operation.
#[derive(Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// What a commit changes besides the tables.
pub(crate) struct Changes {
    pub(crate) next_seq: u64,
    pub(crate) work_opened: Vec<(u32, u64)>,
    pub(crate) work_closed: HashMap<u32, usize>,
    pub(crate) due_added: bool,
    pub(crate) touched: HashSet<(u32, u64)>,
    pub(crate) new_spaces: HashMap<SpaceId, u32>,
}

macro_rules! batch {
    ($($name:ident: $key:ty => $value:ty, $definition:ident;)*) => {
        /// One commit with its open tables. Each is opened on first use, since most commits use only a few.
        pub(crate) struct Batch<'t> {
            pub(crate) transaction: &'t WriteTransaction,
            $($name: Option<Table<'t, $key, $value>>,)*
            /// The seq of the next event.
            pub(crate) next_seq: u64,
            /// New events to process, with the numbers of their spaces.
            pub(crate) work_opened: Vec<(u32, u64)>,
            /// The number of events that were finished, by space.
            pub(crate) work_closed: HashMap<u32, usize>,
            pub(crate) due_added: bool,
            /// Queues that received a row.
            pub(crate) touched: HashSet<(u32, u64)>,
            shared: &'t Shared,
            new_spaces: HashMap<SpaceId, u32>,
        }

        impl<'t> Batch<'t> {
            pub(crate) fn open(transaction: &'t WriteTransaction, shared: &'t Shared, next_seq: u64) -> Self {
                Self {
                    transaction,
                    $($name: None,)*
                    next_seq,
                    work_opened: Vec::new(),
                    work_closed: HashMap::new(),
                    due_added: false,
                    touched: HashSet::new(),
                    shared,
                    new_spaces: HashMap::new(),
                }
            }

            /// Closes the tables, and returns what the commit changes besides them.
            pub(crate) fn finish(self) -> Changes {
                Changes {
                    next_seq: self.next_seq,
                    work_opened: self.work_opened,
                    work_closed: self.work_closed,
                    due_added: self.due_added,
                    touched: self.touched,
                    new_spaces: self.new_spaces,
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
    idempotency_keys: (u32, &'static str) => &'static [u8], IDEMPOTENCY_KEYS;
    idempotency_times: (i64, u32, &'static str) => (), IDEMPOTENCY_TIMES;
    interrupted: u64 => u32, INTERRUPTED;
    descendants: (u32, &'static str) => u64, DESCENDANTS;
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
    live: (u32, u64, u32) => (), LIVE;
    items: (u32, u64, u32, u32, u32) => &'static [u8], ITEMS;
    recordings: (u32, &'static str, u64) => &'static [u8], RECORDINGS;
    recording_sizes: (u32, &'static str) => (u64, u64), RECORDING_SIZES;
    requests: (u32, &'static str, u64) => &'static [u8], REQUESTS;
}

impl Batch<'_> {
    /// The space's number; a new space gets the next one.
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

    /// Records that ids up to `id` were assigned.
    pub(crate) fn count(&mut self, space: u32, kind: &str, id: u64) -> Result<(), StoreError> {
        let counters = self.counters()?;
        let highest = counters.get((space, kind))?.map_or(0, |value| value.value());
        if id > highest {
            counters.insert((space, kind), id)?;
        }
        Ok(())
    }

    /// The next id of a kind whose ids are assigned in the commit itself.
    pub(crate) fn next(&mut self, space: u32, kind: &str) -> Result<u64, StoreError> {
        let counters = self.counters()?;
        let next = counters.get((space, kind))?.map_or(0, |value| value.value()).saturating_add(1);
        counters.insert((space, kind), next)?;
        Ok(next)
    }
}
