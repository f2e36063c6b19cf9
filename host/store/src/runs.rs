//! Runs: decisions, and steps that commit together with their effects.

use std::collections::HashMap;

use hookwright_model::{Effects, Run, RunId, RunState, SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::page::{Cursor, Listing, Page};
use crate::records::{Ready, apply, conflict};
use crate::tables::{DUE_RUN, PARKED, RUNS};
use crate::writer::Faults;
use crate::{Store, StoreError, journal, rows};

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
    /// Writes down what automations decided about an event. A decision that stands already is left as it is.
    pub async fn decide(&self, space: &SpaceId, seq: u64, runs: Vec<Run>, close: bool) -> Result<(), StoreError> {
        let space = space.clone();
        let rows = runs
            .iter()
            .map(|run| Ok((run.id.ordinal, rows::json(run)?)))
            .collect::<Result<Vec<(u32, Vec<u8>)>, StoreError>>()?;
        let waits: HashMap<u32, Wait> = runs.iter().filter_map(|run| Some((run.id.ordinal, Wait::of(run)?))).collect();
        let bytes = rows.iter().map(|(_, row)| row.len()).sum();
        self.write(Some(DECIDE), bytes, move |batch| {
            let number = batch.number(&space)?;
            for (ordinal, row) in rows {
                let key = (number, seq, ordinal);
                if batch.runs()?.get(key)?.is_none() {
                    batch.runs()?.insert(key, row.as_slice())?;
                    match waits.get(&ordinal) {
                        Some(Wait::For(plugin)) => {
                            batch.parked()?.insert((number, plugin.as_str(), seq, ordinal), ())?;
                        }
                        Some(Wait::Until(at)) => {
                            batch.due()?.insert((at.millis(), number, seq, ordinal, DUE_RUN), ())?;
                            batch.due_added = true;
                        }
                        None => {}
                    }
                }
            }
            if close { journal::close_work(batch, seq) } else { Ok(()) }
        })
        .await
    }

    /// Commits a step together with its effects.
    pub async fn complete_step(&self, step: StepCommit) -> Result<Committed, StoreError> {
        let StepCommit { run, expected_step, expected_tries, effects, close, due_was } = step;
        let row = rows::json(&run)?;
        let ready = Ready::new(effects)?;
        let bytes = row.len().saturating_add(ready.bytes());
        self.write(Some(STEP), bytes, move |batch| {
            let number = batch.number(&run.space)?;
            let key = (number, run.id.seq, run.id.ordinal);
            let stored: Option<Run> = match batch.runs()?.get(key)? {
                Some(row) => Some(rows::read(row.value())?),
                None => None,
            };
            let as_expected = stored.is_some_and(|stored| {
                stored.state.live() && stored.next_step == expected_step && stored.tries == expected_tries
            });
            if !as_expected {
                return Ok(Committed::Superseded);
            }
            if let Some(what) = conflict(batch, number, &ready)? {
                return Ok(Committed::Conflict(what));
            }
            apply(batch, number, ready)?;
            batch.runs()?.insert(key, row.as_slice())?;
            if let Some(due) = due_was {
                batch.due()?.remove((due.millis(), number, run.id.seq, run.id.ordinal, DUE_RUN))?;
            }
            if let (RunState::Waiting, Some(at)) = (run.state, run.retry_at) {
                batch.due()?.insert((at.millis(), number, run.id.seq, run.id.ordinal, DUE_RUN), ())?;
                batch.due_added = true;
            }
            if let Some(plugin) = run.waits_for.as_deref().filter(|_| run.state == RunState::Parked) {
                batch.parked()?.insert((number, plugin, run.id.seq, run.id.ordinal), ())?;
            }
            if close {
                journal::close_work(batch, run.id.seq)?;
            }
            Ok(Committed::Done)
        })
        .await
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
