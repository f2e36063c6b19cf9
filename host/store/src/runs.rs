//! Runs: decisions, and steps that commit together with their effects.

use hookwright_model::{Effects, ItemRecord, Run, RunId, RunState, SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::page::{Cursor, Listing, Page};
use crate::records::{Ready, apply, conflict};
use crate::tables::{DUE_RUN, ITEMS, PARKED, RUNS};
use crate::writer::{Batch, Faults};
use crate::{Store, StoreError, journal, lanes, rows};

const DECIDE: Faults = Faults { before: "decide.before-commit", after: "decide.after-commit" };
const STEP: Faults = Faults { before: "step.before-commit", after: "step.after-commit" };

/// One try of a step, to be committed with its effects or not at all.
#[derive(Debug)]
pub struct StepCommit {
    /// The run as it is after the try.
    pub run: Run,
    /// The step that the stored run must be at.
    pub expected_step: u32,
    /// How often the stored run must have tried it.
    pub expected_tries: u32,
    /// The item of that step that the stored run must be at; 0 if it has none.
    pub expected_item: u32,
    /// What the step did for an item, if it has `for_each`: the step and the record.
    pub item: Option<(u32, ItemRecord)>,
    /// What the step changes.
    pub effects: Effects,
    /// Whether nothing is left to be done for the event.
    pub close: bool,
    /// When this try was due, if it was a later one.
    pub due_was: Option<Timestamp>,
}

/// What a run waits for.
enum Wait {
    /// A plugin.
    For(String),
    /// An instant.
    Until(Timestamp),
}

impl Wait {
    fn of(run: &Run) -> Option<Self> {
        match run.state {
            RunState::Parked => run.waits_for.clone().map(Self::For),
            RunState::Waiting => run.retry_at.map(Self::Until),
            _ => None,
        }
    }
}

/// Writes down what a run waits for.
fn wait(batch: &mut Batch<'_>, space: u32, run: &Run) -> Result<(), StoreError> {
    let RunId { seq, ordinal } = run.id;
    match Wait::of(run) {
        Some(Wait::For(plugin)) => {
            batch.parked()?.insert((space, plugin.as_str(), seq, ordinal), ())?;
        }
        Some(Wait::Until(at)) => {
            batch.due()?.insert((at.millis(), space, seq, ordinal, DUE_RUN), ())?;
            batch.due_added = true;
        }
        None => {}
    }
    Ok(())
}

/// Forgets what a run waited for.
fn unwait(batch: &mut Batch<'_>, space: u32, run: &Run) -> Result<(), StoreError> {
    let RunId { seq, ordinal } = run.id;
    match Wait::of(run) {
        Some(Wait::For(plugin)) => {
            batch.parked()?.remove((space, plugin.as_str(), seq, ordinal))?;
        }
        Some(Wait::Until(at)) => {
            batch.due()?.remove((at.millis(), space, seq, ordinal, DUE_RUN))?;
        }
        None => {}
    }
    Ok(())
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Done,
    /// This was changed after it was read: nothing was written.
    Conflict(String),
    /// Somebody else was here before: nothing was written.
    Superseded,
}

impl Store {
    /// Writes down what automations decided about an event, and returns the runs as they stand then: one whose turn it is
    /// not waits in its lane. A decision that stands already is left as it is.
    pub async fn decide(&self, space: &SpaceId, seq: u64, runs: Vec<Run>, close: bool) -> Result<Vec<Run>, StoreError> {
        let space = space.clone();
        let rows = runs
            .into_iter()
            .map(|run| Ok((rows::json(&run)?, run)))
            .collect::<Result<Vec<(Vec<u8>, Run)>, StoreError>>()?;
        let bytes = rows.iter().map(|(row, _)| row.len()).sum();
        self.write(Some(DECIDE), bytes, move |batch| {
            let number = batch.number(&space)?;
            let mut decided = Vec::with_capacity(rows.len());
            for (mut row, mut run) in rows {
                let key = (number, seq, run.id.ordinal);
                let known = batch.runs()?.get(key)?.map(|row| rows::read(row.value())).transpose()?;
                if let Some(known) = known {
                    decided.push(known);
                    continue;
                }
                if run.lane.is_some() {
                    lanes::settle(batch, number, &mut run, true)?;
                    row = rows::json(&run)?;
                }
                batch.runs()?.insert(key, row.as_slice())?;
                wait(batch, number, &run)?;
                decided.push(run);
            }
            if close || !decided.iter().any(|run| run.state == RunState::Running) {
                journal::close_work(batch, seq)?;
            }
            Ok(decided)
        })
        .await
    }

    /// Commits a step together with its effects.
    pub async fn complete_step(&self, step: StepCommit) -> Result<Committed, StoreError> {
        let StepCommit { mut run, expected_step, expected_tries, expected_item, item, effects, close, due_was } = step;
        let mut row = rows::json(&run)?;
        let item = item.map(|(step, item)| Ok::<_, StoreError>((step, item.index, rows::json(&item)?))).transpose()?;
        let ready = Ready::new(effects)?;
        let bytes = row.len().saturating_add(ready.bytes());
        self.write(Some(STEP), bytes, move |batch| {
            let number = batch.number(&run.space)?;
            let key = (number, run.id.seq, run.id.ordinal);
            let stored: Option<Run> = match batch.runs()?.get(key)? {
                Some(row) => Some(rows::read(row.value())?),
                None => None,
            };
            let as_expected = |stored: &Run| {
                stored.state.live()
                    && stored.next_step == expected_step
                    && stored.tries == expected_tries
                    && stored.progress.item == expected_item
            };
            let Some(stored) = stored.filter(as_expected) else { return Ok(Committed::Superseded) };
            if let Some(what) = conflict(batch, number, &ready)? {
                return Ok(Committed::Conflict(what));
            }
            apply(batch, number, ready)?;
            unwait(batch, number, &stored)?;
            if let Some(due) = due_was {
                batch.due()?.remove((due.millis(), number, run.id.seq, run.id.ordinal, DUE_RUN))?;
            }
            if run.lane.is_some() {
                lanes::settle(batch, number, &mut run, stored.undecided())?;
                row = rows::json(&run)?;
            }
            batch.runs()?.insert(key, row.as_slice())?;
            wait(batch, number, &run)?;
            if let Some((step, index, row)) = item {
                batch.items()?.insert((number, run.id.seq, run.id.ordinal, step, index), row.as_slice())?;
            }
            if close {
                journal::close_work(batch, run.id.seq)?;
            }
            Ok(Committed::Done)
        })
        .await
    }

    /// Forgets that a run was due, because it has ended.
    pub async fn forget_due(&self, space: &SpaceId, id: RunId, due: Timestamp) -> Result<(), StoreError> {
        let space = space.clone();
        self.write(None, 32, move |batch| {
            let number = batch.number(&space)?;
            batch.due()?.remove((due.millis(), number, id.seq, id.ordinal, DUE_RUN))?;
            Ok(())
        })
        .await
    }

    /// What steps of a run did for their items, with the step that each belongs to, in order.
    pub fn items(&self, space: &SpaceId, id: RunId) -> Result<Vec<(u32, ItemRecord)>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(ITEMS)?;
        let RunId { seq, ordinal } = id;
        let range = (number, seq, ordinal, 0, 0)..=(number, seq, ordinal, u32::MAX, u32::MAX);
        let mut items = Vec::new();
        for row in table.range(range)? {
            let (key, row) = row?;
            items.push((key.value().3, rows::read(row.value())?));
        }
        Ok(items)
    }

    /// Makes runs due that wait for a plugin, at most `limit` of them, the oldest first; returns how many there were.
    pub async fn release(
        &self,
        space: &SpaceId,
        plugin: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let (space, plugin) = (space.clone(), plugin.to_owned());
        self.write(None, limit.saturating_mul(64), move |batch| {
            let number = batch.number(&space)?;
            let range = (number, plugin.as_str(), 0, 0)..=(number, plugin.as_str(), u64::MAX, u32::MAX);
            let mut released = Vec::new();
            for row in batch.parked()?.range(range)?.take(limit) {
                let (_, _, seq, ordinal) = row?.0.value();
                released.push((seq, ordinal));
            }
            for (seq, ordinal) in &released {
                batch.parked()?.remove((number, plugin.as_str(), *seq, *ordinal))?;
                batch.due()?.insert((now.millis(), number, *seq, *ordinal, DUE_RUN), ())?;
                batch.due_added = true;
            }
            Ok(released.len())
        })
        .await
    }

    /// How many runs wait for a plugin, counted up to `most`.
    pub fn parked(&self, space: &SpaceId, plugin: &str, most: usize) -> Result<usize, StoreError> {
        let Some(number) = self.number(space) else { return Ok(0) };
        let read = self.begin_read()?;
        let table = read.open_table(PARKED)?;
        let range = (number, plugin, 0, 0)..=(number, plugin, u64::MAX, u32::MAX);
        Ok(table.range(range)?.take(most).count())
    }

    /// Every plugin that runs wait for.
    pub fn waited_for(&self) -> Result<Vec<(SpaceId, String)>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(PARKED)?;
        let mut found = Vec::new();
        let mut next: Option<(u32, String)> = None;
        loop {
            // From one plugin straight to the next, however many runs wait for it.
            let row = match &next {
                None => table.range((0, "", 0, 0)..)?.next(),
                Some((space, plugin)) => table.range((*space, plugin.as_str(), u64::MAX, u32::MAX)..)?.next(),
            };
            let Some(row) = row else { return Ok(found) };
            let (number, plugin) = {
                let (key, _) = row?;
                let (number, plugin, _, _) = key.value();
                (number, plugin.to_owned())
            };
            if let Some(space) = self.inner.shared.space(number) {
                found.push((space, plugin.clone()));
            }
            next = Some((number, plugin));
        }
    }

    /// A run.
    pub fn run(&self, space: &SpaceId, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(RUNS)?.get((number, id.seq, id.ordinal))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// All runs for an event.
    pub fn runs_of(&self, space: &SpaceId, seq: u64) -> Result<Vec<Run>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(RUNS)?;
        table.range((number, seq, 0)..=(number, seq, u32::MAX))?.map(|row| rows::read(row?.1.value())).collect()
    }

    /// Runs for which `keep` says yes, newest first.
    pub fn runs(&self, space: &SpaceId, page: Page, keep: &dyn Fn(&Run) -> bool) -> Result<Listing<Run>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Listing::empty()) };
        let read = self.begin_read()?;
        let table = read.open_table(RUNS)?;
        let before = page.before.map_or((number, u64::MAX, u32::MAX), |cursor| (number, cursor.seq, cursor.ordinal));
        let rows = table.range((number, 0, 0)..before)?.rev().map(|row| row.map_err(StoreError::from));
        Listing::fill(
            page.limit,
            rows,
            |(key, _)| Cursor { seq: key.value().1, ordinal: key.value().2 },
            |(_, row)| Ok(Some(rows::read::<Run>(row.value())?).filter(|run| keep(run))),
        )
    }
}
