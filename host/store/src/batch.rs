//! One commit: its tables, and the operations that it consists of.

use std::collections::{HashMap, HashSet};

use hookwright_model::SpaceId;
use redb::{Table, Value, WriteTransaction};

use crate::StoreError;
use crate::recent::Newest;
use crate::shared::Shared;
use crate::tables;
use crate::write_set::{Logged, WriteSet, Written};

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

/// A counter, as a commit leaves it.
pub(crate) struct Counter {
    name: String,
    pub(crate) value: u64,
    stored: u64,
}

/// What a commit changes besides the tables.
pub(crate) struct Changes {
    pub(crate) next_seq: u64,
    pub(crate) work_opened: Vec<(u32, u64)>,
    pub(crate) work_closed: Vec<u32>,
    pub(crate) due_added: bool,
    pub(crate) touched: HashSet<(u32, u64)>,
    pub(crate) new_spaces: Vec<(SpaceId, u32)>,
    pub(crate) newest: Vec<Newest>,
    /// The rows that were written.
    pub(crate) writes: WriteSet,
}

/// A place between two operations of a commit.
pub(crate) struct Mark {
    pub(crate) rows: usize,
    next_seq: u64,
    work_opened: usize,
    work_closed: usize,
    new_spaces: usize,
    newest: usize,
    counter_uses: usize,
}

macro_rules! batch {
    ($($number:literal $name:ident: $key:ty => $value:ty, $definition:ident;)*) => {
        /// One commit with its open tables. Each is opened on first use, since most commits use only a few.
        pub(crate) struct Batch<'t> {
            transaction: &'t WriteTransaction,
            writes: WriteSet,
            $($name: Option<Table<'t, $key, $value>>,)*
            /// The seq of the next event.
            pub(crate) next_seq: u64,
            /// New events to process, with the numbers of their spaces.
            pub(crate) work_opened: Vec<(u32, u64)>,
            /// The space of each event that was finished.
            pub(crate) work_closed: Vec<u32>,
            pub(crate) due_added: bool,
            /// Queues that received a row. What an operation that was undone has added does no harm: they are looked at.
            pub(crate) touched: HashSet<(u32, u64)>,
            shared: &'t Shared,
            new_spaces: Vec<(SpaceId, u32)>,
            /// The counters that were read or changed, by space. Each is written once, at the end.
            counted: HashMap<u32, Vec<Counter>>,
            /// Their values before each use: the space, the place among its counters, and the value.
            counter_uses: Vec<(u32, usize, u64)>,
            /// New events to process or deliver.
            pub(crate) newest: Vec<Newest>,
        }

        impl<'t> Batch<'t> {
            /// `writes`: an empty write set, to be filled.
            pub(crate) fn open(
                transaction: &'t WriteTransaction,
                shared: &'t Shared,
                next_seq: u64,
                writes: WriteSet,
            ) -> Self {
                Self {
                    transaction,
                    writes,
                    $($name: None,)*
                    next_seq,
                    work_opened: Vec::new(),
                    work_closed: Vec::new(),
                    due_added: false,
                    touched: HashSet::new(),
                    shared,
                    new_spaces: Vec::new(),
                    counted: HashMap::new(),
                    counter_uses: Vec::new(),
                    newest: Vec::new(),
                }
            }

            /// The bytes of the rows that were written so far.
            pub(crate) fn bytes(&self) -> usize {
                self.writes.len()
            }

            /// What the operations so far have done.
            pub(crate) fn mark(&self) -> Mark {
                Mark {
                    rows: self.writes.len(),
                    next_seq: self.next_seq,
                    work_opened: self.work_opened.len(),
                    work_closed: self.work_closed.len(),
                    new_spaces: self.new_spaces.len(),
                    newest: self.newest.len(),
                    counter_uses: self.counter_uses.len(),
                }
            }

            /// Forgets what was done since. The rows are still in the transaction, which has to be filled anew.
            pub(crate) fn forget(&mut self, since: &Mark) {
                self.writes.truncate(since.rows);
                self.next_seq = since.next_seq;
                self.work_opened.truncate(since.work_opened);
                self.work_closed.truncate(since.work_closed);
                self.new_spaces.truncate(since.new_spaces);
                self.newest.truncate(since.newest);
                for (space, place, value) in self.counter_uses.drain(since.counter_uses..).rev() {
                    if let Some(counter) = self.counted.get_mut(&space).and_then(|all| all.get_mut(place)) {
                        counter.value = value;
                    }
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
                    newest: self.newest,
                    writes: self.writes,
                }
            }

            $(
                pub(crate) fn $name(&mut self) -> Result<Logged<'_, 't, $key, $value>, StoreError> {
                    if self.$name.is_none() {
                        self.$name = Some(self.transaction.open_table(tables::$definition)?);
                    }
                    let table = self.$name.as_mut();
                    let table = table.ok_or_else(|| StoreError::Storage("a table is not open".to_owned()))?;
                    Ok(Logged { table, number: $number, writes: &mut self.writes })
                }
            )*

            /// Writes a row of another commit's write set.
            pub(crate) fn apply(&mut self, written: Written<'_>) -> Result<(), StoreError> {
                let Written { table, key, value } = written;
                match table {
                    $($number => {
                        let table = self.$name()?;
                        let key = <$key as Value>::from_bytes(key);
                        match value {
                            Some(value) => table.insert(key, <$value as Value>::from_bytes(value))?.map(drop),
                            None => table.remove(key)?.map(drop),
                        };
                    })*
                    other => return Err(StoreError::Corrupt(format!("the log names a table {other}"))),
                }
                Ok(())
            }
        }
    };
}

batch! {
    // The numbers are in the log: they stay as they are, and that of a table that is gone is not used again.
    1 events: (u32, u64) => &'static [u8], EVENTS;
    2 event_ids: (u32, &'static str, &'static str) => u64, EVENT_IDS;
    3 idempotency_keys: (u32, &'static str) => &'static [u8], IDEMPOTENCY_KEYS;
    4 idempotency_times: (i64, u32, &'static str) => (), IDEMPOTENCY_TIMES;
    5 interrupted: u64 => u32, INTERRUPTED;
    6 descendants: (u32, &'static str) => u64, DESCENDANTS;
    7 work: u64 => &'static [u8], WORK;
    8 runs: (u32, u64, u32) => &'static [u8], RUNS;
    9 deliveries: (u32, u64, u32) => &'static [u8], DELIVERIES;
    10 attempts: (u32, u64, u32, u32) => &'static [u8], ATTEMPTS;
    11 attempt_log: tables::LogKey => tables::LogSummary, ATTEMPT_LOG;
    12 finished: (i64, u32, u64, u32) => (), FINISHED;
    13 queue: (u32, u64, i64, u64, u32) => (), QUEUE;
    14 blocked: (u32, u64, &'static str, u64, u32) => (), BLOCKED;
    15 heads: (u32, u64, &'static str) => (u64, u32), HEADS;
    16 due: (i64, u32, u64, u32, u8) => (), DUE;
    17 config: (u32, &'static str, &'static str) => &'static [u8], CONFIG;
    18 records: (u32, &'static str, u64) => &'static [u8], RECORDS;
    19 notes: (u32, &'static str, u64, u64) => &'static [u8], NOTES;
    20 counters: (u32, &'static str) => u64, COUNTERS;
    21 kept: (u32, &'static str, &'static str) => &'static [u8], KEPT;
    22 kept_sizes: (u32, &'static str) => (u64, u64), KEPT_SIZES;
    23 kept_expiry: (i64, u32, &'static str, &'static str) => (), KEPT_EXPIRY;
    24 mails: (u32, u64) => &'static [u8], MAILS;
    25 parked: (u32, &'static str, u64, u32) => (), PARKED;
    26 record_index: (u32, &'static str, &'static str, &'static str, u64) => (), RECORD_INDEX;
    27 history: (u32, &'static str, u64, u64) => &'static [u8], HISTORY;
    28 lanes: (u32, &'static str, u64, u32) => (), LANES;
    29 live: (u32, u64, u32) => (), LIVE;
    30 items: (u32, u64, u32, u32, u32) => &'static [u8], ITEMS;
    31 recordings: (u32, &'static str, u64) => &'static [u8], RECORDINGS;
    32 recording_sizes: (u32, &'static str) => (u64, u64), RECORDING_SIZES;
    33 requests: (u32, &'static str, u64) => &'static [u8], REQUESTS;
    34 spaces: &'static str => u32, SPACES;
    35 revisions: (u32, &'static str, u32) => &'static [u8], REVISIONS;
    36 components: &'static str => &'static [u8], COMPONENTS;
    37 meta: &'static str => &'static str, META;
}

impl Batch<'_> {
    /// The space's number; a new space gets the next one.
    pub(crate) fn number(&mut self, space: &SpaceId) -> Result<u32, StoreError> {
        let new = || self.new_spaces.iter().find(|(new, _)| new == space).map(|(_, number)| *number);
        if let Some(number) = self.shared.number(space).or_else(new) {
            return Ok(number);
        }
        let mut highest = 0;
        for row in self.spaces()?.iter()? {
            highest = highest.max(row?.1.value());
        }
        let number = highest.saturating_add(1);
        self.spaces()?.insert(space.as_str(), number)?;
        self.new_spaces.push((space.clone(), number));
        Ok(number)
    }

    /// A counter, which is 0 at first.
    pub(crate) fn counter(&mut self, space: u32, name: &str) -> Result<&mut Counter, StoreError> {
        let known = self.counted.get(&space).and_then(|counters| counters.iter().position(|one| one.name == name));
        let value = match known {
            Some(_) => 0,
            None => self.counters()?.get((space, name))?.map_or(0, |value| value.value()),
        };
        let counters = self.counted.entry(space).or_default();
        let place = known.unwrap_or_else(|| {
            counters.push(Counter { name: name.to_owned(), value, stored: value });
            counters.len().saturating_sub(1)
        });
        let counter = counters.get_mut(place);
        let counter = counter.ok_or_else(|| StoreError::Storage("a counter is not there".to_owned()))?;
        self.counter_uses.push((space, place, counter.value));
        Ok(counter)
    }

    /// Removes a counter, which begins at 0 again.
    pub(crate) fn remove_counter(&mut self, space: u32, name: &str) -> Result<(), StoreError> {
        self.counters()?.remove((space, name))?;
        let counter = self.counter(space, name)?;
        (counter.value, counter.stored) = (0, 0);
        Ok(())
    }

    /// Writes the counters that were changed.
    pub(crate) fn write_counters(&mut self) -> Result<(), StoreError> {
        for (space, counters) in std::mem::take(&mut self.counted) {
            for Counter { name, value, .. } in counters.iter().filter(|counter| counter.value != counter.stored) {
                self.counters()?.insert((space, name.as_str()), *value)?;
            }
        }
        Ok(())
    }

    /// Records that ids up to `id` were assigned.
    pub(crate) fn count(&mut self, space: u32, kind: &str, id: u64) -> Result<(), StoreError> {
        let counter = self.counter(space, kind)?;
        counter.value = counter.value.max(id);
        Ok(())
    }

    /// The next id of a kind whose ids are assigned in the commit itself.
    pub(crate) fn next(&mut self, space: u32, kind: &str) -> Result<u64, StoreError> {
        let counter = self.counter(space, kind)?;
        counter.value = counter.value.saturating_add(1);
        Ok(counter.value)
    }
}
