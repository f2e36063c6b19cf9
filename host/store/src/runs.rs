//! Runs: decisions, and steps that commit together with their effects.

use hookwright_model::{Effects, ItemRecord, Run, RunId, RunState, SpaceId, Timestamp};

use crate::batch::Faults;
use crate::db::Db;
use crate::effects::{ReadyEffects, apply, conflict};
use crate::page::{Cursor, Listing, Page};
use crate::tables::{DUE_RUN, ITEMS, PARKED, RUNS};
use crate::{StoreError, continuation, rows, work};

const DECIDE: Faults = Faults { before: "decide.before-commit", after: "decide.after-commit" };
const STEP: Faults = Faults { before: "step.before-commit", after: "step.after-commit" };

/// One try of a step, to be committed with its effects or not at all.
#[derive(Debug)]
pub struct StepCommit {
    /// The run as it is after the try. The stored run must have the version of the one that this was made from.
    pub run: Run,
    /// The outcome for an item, if the step has `for_each`: the step and the record.
    pub item: Option<(u32, ItemRecord)>,
    /// The step's changes.
    pub effects: Effects,
}

/// The result of committing a try of a step.
#[derive(Debug)]
pub enum StepCommitted {
    /// It is durable: the run as it is stored now.
    Done(Box<Run>),
    /// This was changed after it was read: nothing was written.
    Conflict(String),
    /// Another task was faster, or the run has ended: nothing was written.
    Superseded,
}

/// Runs.
#[derive(Clone)]
pub struct Runs {
    pub(crate) db: Db,
}

impl Runs {
    /// Saves the decisions of automations for an event, and returns the resulting runs: a run whose turn it is not
    /// waits in its lane. An existing decision is not changed.
    pub async fn decide(&self, space: &SpaceId, seq: u64, runs: Vec<Run>) -> Result<Vec<Run>, StoreError> {
        let space = space.clone();
        let bytes = runs.len().saturating_mul(1024);
        self.db
            .write(Some(DECIDE), bytes, move |batch| {
                let number = batch.number(&space)?;
                let mut decided = Vec::with_capacity(runs.len());
                for mut run in runs {
                    if let Some(known) = continuation::load(batch, number, run.id)? {
                        decided.push(known);
                        continue;
                    }
                    continuation::save(batch, number, None, &mut run)?;
                    decided.push(run);
                }
                if !decided.iter().any(Run::in_work) {
                    work::close_work(batch, seq)?;
                }
                Ok(decided)
            })
            .await
    }

    /// Commits a step together with its effects.
    pub async fn complete_step(&self, step: StepCommit) -> Result<StepCommitted, StoreError> {
        let StepCommit { mut run, item, effects } = step;
        let item = item.map(|(step, item)| Ok::<_, StoreError>((step, item.index, rows::json(&item)?))).transpose()?;
        let ready = ReadyEffects::new(effects)?;
        let bytes = ready.bytes().saturating_add(1024);
        self.db
            .write(Some(STEP), bytes, move |batch| {
                let number = batch.number(&run.space)?;
                let stored = continuation::load(batch, number, run.id)?;
                let as_expected = |stored: &Run| stored.state.live() && stored.version == run.version;
                let Some(stored) = stored.filter(as_expected) else { return Ok(StepCommitted::Superseded) };
                if let Some(what) = conflict(batch, number, &ready)? {
                    return Ok(StepCommitted::Conflict(what));
                }
                apply(batch, number, ready)?;
                continuation::save(batch, number, Some(&stored), &mut run)?;
                if let Some((step, index, row)) = item {
                    batch.items()?.insert((number, run.id.seq, run.id.ordinal, step, index), row.as_slice())?;
                }
                if stored.in_work() && !run.in_work() {
                    continuation::close_work_after(batch, number, run.id)?;
                }
                Ok(StepCommitted::Done(Box::new(run)))
            })
            .await
    }

    /// Removes a row by which a run was due, unless the run itself is due then.
    pub async fn forget_due(&self, space: &SpaceId, id: RunId, due: Timestamp) -> Result<(), StoreError> {
        let space = space.clone();
        self.db
            .write(None, 32, move |batch| {
                let number = batch.number(&space)?;
                if continuation::load(batch, number, id)?.and_then(|run| run.due_at()) != Some(due) {
                    batch.due()?.remove((due.millis(), number, id.seq, id.ordinal, DUE_RUN))?;
                }
                Ok(())
            })
            .await
    }

    /// The items' outcomes of a run's steps, with the step of each, in order.
    pub fn items(&self, space: &SpaceId, id: RunId) -> Result<Vec<(u32, ItemRecord)>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
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
        self.db
            .write(None, limit.saturating_mul(64), move |batch| {
                let number = batch.number(&space)?;
                let range = (number, plugin.as_str(), 0, 0)..=(number, plugin.as_str(), u64::MAX, u32::MAX);
                let mut released = Vec::new();
                for row in batch.parked()?.range(range)?.take(limit) {
                    let (_, _, seq, ordinal) = row?.0.value();
                    released.push((seq, ordinal));
                }
                for (seq, ordinal) in &released {
                    let waits =
                        |run: &Run| matches!(&run.state, RunState::Parked { plugin: awaited } if *awaited == plugin);
                    match continuation::load(batch, number, RunId { seq: *seq, ordinal: *ordinal })?.filter(waits) {
                        Some(run) => continuation::go_on(batch, number, &run, now)?,
                        None => {
                            batch.parked()?.remove((number, plugin.as_str(), *seq, *ordinal))?;
                        }
                    }
                }
                Ok(released.len())
            })
            .await
    }

    /// The number of runs that wait for a plugin, counted up to `most`.
    pub fn parked(&self, space: &SpaceId, plugin: &str, most: usize) -> Result<usize, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(0) };
        let read = self.db.begin_read()?;
        let table = read.open_table(PARKED)?;
        let range = (number, plugin, 0, 0)..=(number, plugin, u64::MAX, u32::MAX);
        Ok(table.range(range)?.take(most).count())
    }

    /// Every plugin that runs wait for.
    pub fn waited_for(&self) -> Result<Vec<(SpaceId, String)>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(PARKED)?;
        let mut found = Vec::new();
        let mut next: Option<(u32, String)> = None;
        loop {
            // Skip from one plugin directly to the next, whatever the number of runs that wait for it.
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
            if let Some(space) = self.db.shared().space(number) {
                found.push((space, plugin.clone()));
            }
            next = Some((number, plugin));
        }
    }

    /// A run.
    pub fn run(&self, space: &SpaceId, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(RUNS)?.get((number, id.seq, id.ordinal))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// All runs for an event.
    pub fn runs_of(&self, space: &SpaceId, seq: u64) -> Result<Vec<Run>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(RUNS)?;
        table.range((number, seq, 0)..=(number, seq, u32::MAX))?.map(|row| rows::read(row?.1.value())).collect()
    }

    /// Runs for which `keep` returns true, newest first.
    pub fn runs(&self, space: &SpaceId, page: Page, keep: &dyn Fn(&Run) -> bool) -> Result<Listing<Run>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Listing::empty()) };
        let read = self.db.begin_read()?;
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
