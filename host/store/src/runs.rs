//! Runs: decisions, and steps that commit together with their effects.

use hookwright_model::{Effects, ItemRecord, Run, RunId, RunState, SpaceId, Timestamp};

use crate::batch::{Batch, Faults};
use crate::db::Db;
use crate::effects::{ReadyEffects, apply, conflict};
use crate::page::{Cursor, Listing, Page};
use crate::rows::run::{Head, read_run};
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

/// A run that is decided, perhaps with a first try of its first step.
#[derive(Debug)]
pub struct Decided {
    /// The run.
    pub run: Run,
    /// The try, which is committed with the decision. A run that may have to wait in a lane has none.
    pub first: Option<StepCommit>,
}

impl From<Run> for Decided {
    fn from(run: Run) -> Self {
        Self { run, first: None }
    }
}

/// A run after its decision was committed.
#[derive(Debug)]
pub struct Begun {
    /// The run as it is stored now.
    pub run: Run,
    /// What became of the first try that was given with it.
    pub first: FirstTry,
}

/// What became of a first try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstTry {
    /// None was given, or the run was decided before.
    None,
    /// It is committed.
    Done,
    /// This was changed after it was read: only the decision is committed.
    Conflict(String),
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

/// A run that the caller has encoded, so that the writer has little work.
struct ReadyRun {
    run: Run,
    /// `None`: it is seldom stored.
    json: Option<Vec<u8>>,
}

impl ReadyRun {
    fn new(run: Run) -> Result<Self, StoreError> {
        Ok(Self { json: Some(rows::json(&run)?), run })
    }

    fn bytes(&self) -> usize {
        self.json.as_ref().map_or(0, Vec::len)
    }

    fn store(self, batch: &mut Batch<'_>, space: u32, stored: Option<&Head>) -> Result<Run, StoreError> {
        let Self { mut run, json } = self;
        let json = json.map_or_else(|| rows::json(&run), Ok)?;
        continuation::save(batch, space, stored, &mut run, &json)?;
        Ok(run)
    }
}

/// A try of a step that the caller has prepared, so that the writer has little work.
struct ReadyStep {
    run: ReadyRun,
    /// Of an item: the step, the index, and the row.
    item: Option<(u32, u32, Vec<u8>)>,
    effects: ReadyEffects,
}

impl ReadyStep {
    fn new(step: StepCommit) -> Result<Self, StoreError> {
        let StepCommit { run, item, effects } = step;
        let item = item.map(|(step, item)| Ok::<_, StoreError>((step, item.index, rows::json(&item)?))).transpose()?;
        Ok(Self { run: ReadyRun::new(run)?, item, effects: ReadyEffects::new(effects)? })
    }

    fn bytes(&self) -> usize {
        let item = self.item.as_ref().map_or(0, |(_, _, row)| row.len());
        self.effects.bytes().saturating_add(self.run.bytes()).saturating_add(item)
    }

    /// Stores the run as it is after the try, and the effects, which conflict with nothing.
    fn store(self, batch: &mut Batch<'_>, space: u32, stored: Option<&Head>) -> Result<Run, StoreError> {
        let Self { run, item, effects } = self;
        apply(batch, space, effects)?;
        let run = run.store(batch, space, stored)?;
        if let Some((step, index, row)) = item {
            batch.items()?.insert((space, run.id.seq, run.id.ordinal, step, index), row.as_slice())?;
        }
        Ok(run)
    }
}

/// Stores the decision of a run, with the first try if it conflicts with nothing.
fn begin(batch: &mut Batch<'_>, space: u32, run: ReadyRun, first: Option<ReadyStep>) -> Result<Begun, StoreError> {
    if let Some(run) = continuation::load(batch, space, run.run.id)? {
        return Ok(Begun { run, first: FirstTry::None });
    }
    let mut outcome = FirstTry::None;
    if let Some(first) = first {
        match conflict(batch, space, &first.effects)? {
            Some(key) => outcome = FirstTry::Conflict(key),
            None => return Ok(Begun { run: first.store(batch, space, None)?, first: FirstTry::Done }),
        }
    }
    Ok(Begun { run: run.store(batch, space, None)?, first: outcome })
}

/// Runs.
#[derive(Clone)]
pub struct Runs {
    pub(crate) db: Db,
}

impl Runs {
    /// Saves the decisions of automations for an event, with the first tries that are given, and returns the resulting
    /// runs: a run whose turn it is not waits in its lane. An existing decision is not changed.
    pub async fn decide(&self, space: &SpaceId, seq: u64, runs: Vec<Decided>) -> Result<Vec<Begun>, StoreError> {
        let space = space.clone();
        let ready = |Decided { run, first }: Decided| {
            let first = first.filter(|_| run.lane.is_none()).map(ReadyStep::new).transpose()?;
            // With a first try, the decision alone is stored only after a write conflict.
            let run = if first.is_some() { ReadyRun { run, json: None } } else { ReadyRun::new(run)? };
            Ok((run, first))
        };
        let runs: Vec<(ReadyRun, Option<ReadyStep>)> =
            runs.into_iter().map(ready).collect::<Result<_, StoreError>>()?;
        let bytes = runs.iter().map(|(run, first)| first.as_ref().map_or(run.bytes(), ReadyStep::bytes)).sum();
        self.db
            .write(Some(DECIDE), bytes, move |batch| {
                let number = batch.number(&space)?;
                let mut begun = Vec::with_capacity(runs.len());
                for (run, first) in runs {
                    begun.push(begin(batch, number, run, first)?);
                }
                if !begun.iter().any(|begun| begun.run.in_work()) {
                    work::close_work(batch, seq)?;
                }
                Ok(begun)
            })
            .await
    }

    /// Commits a step together with its effects.
    pub async fn complete_step(&self, step: StepCommit) -> Result<StepCommitted, StoreError> {
        let ready = ReadyStep::new(step)?;
        self.db
            .write(Some(STEP), ready.bytes(), move |batch| {
                let number = batch.number(&ready.run.run.space)?;
                let stored = continuation::load_head(batch, number, ready.run.run.id)?;
                let as_expected = |stored: &Head| stored.state.live() && stored.version == ready.run.run.version;
                let Some(stored) = stored.filter(as_expected) else { return Ok(StepCommitted::Superseded) };
                if let Some(what) = conflict(batch, number, &ready.effects)? {
                    return Ok(StepCommitted::Conflict(what));
                }
                let run = ready.store(batch, number, Some(&stored))?;
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
                if continuation::load_head(batch, number, id)?.and_then(|head| head.due_at()) != Some(due) {
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
        row.map(|row| read_run(row.value())).transpose()
    }

    /// All runs for an event.
    pub fn runs_of(&self, space: &SpaceId, seq: u64) -> Result<Vec<Run>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(RUNS)?;
        table.range((number, seq, 0)..=(number, seq, u32::MAX))?.map(|row| read_run(row?.1.value())).collect()
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
            |(_, row)| Ok(Some(read_run(row.value())?).filter(|run| keep(run))),
        )
    }
}
