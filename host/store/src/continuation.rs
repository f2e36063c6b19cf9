//! The rows by which a run that has not ended is found again, after a wait or a crash.
//!
//! Only this module writes those rows. They are derived from the run ([`rows_of`]) and are moved in the commit that
//! saves it ([`save`]), so every run that has not ended has one:
//!
//! ```text
//! running, decided with its event's work   WORK    until no run of the event is left there
//! running, after it waited before          DUE     at once: whoever executes it holds it in memory
//! waiting                                  DUE     at its time
//! parked                                   PARKED  under its plugin; DUE as well while an open step is retried
//! queued                                   LANES   behind earlier runs of its key
//! ```
//!
//! [`LIVE`](crate::tables::LIVE) lists the runs that have left their event's work and have not ended, so that each of
//! them can be checked at the start without reading all runs.

use hookwright_model::{Run, RunId, RunState, Timestamp};
use redb::{Database, ReadableDatabase as _};

use crate::batch::Batch;
use crate::rows::run::{self, Head};
use crate::shared::Shared;
use crate::tables::{DUE_RUN, LIVE, RUNS};
use crate::write_set::WriteSet;
use crate::{StoreError, lanes, rows, work};

/// The number of runs that one commit of a check reads.
const CHUNK: usize = 1000;

/// A row by which a run is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Row {
    /// The work of its event.
    Work,
    /// In DUE, at this time.
    Due(Timestamp),
    /// In PARKED, under this plugin.
    Parked(String),
    /// In LANES, behind earlier runs of its key.
    Lane,
}

/// The rows of a run; empty if it has ended.
fn rows_of(head: &Head) -> Vec<Row> {
    match &head.state {
        RunState::Queued => vec![Row::Lane],
        RunState::Parked { plugin } => {
            std::iter::once(Row::Parked(plugin.clone())).chain(head.due_at().map(Row::Due)).collect()
        }
        RunState::Running | RunState::Waiting { .. } => vec![head.due_at().map_or(Row::Work, Row::Due)],
        RunState::Skipped { .. } | RunState::Done { .. } | RunState::Failed { .. } | RunState::Cancelled { .. } => {
            Vec::new()
        }
    }
}

/// Replaces the stored run, and moves its rows. `json`: the run, before this has set what is in its head.
pub(crate) fn save(
    batch: &mut Batch<'_>,
    space: u32,
    stored: Option<&Head>,
    run: &mut Run,
    json: &[u8],
) -> Result<(), StoreError> {
    settle(batch, space, run, stored.is_none_or(Head::undecided))?;
    let waited = stored.is_some_and(|stored| stored.resumed || stored.state != RunState::Running);
    run.resumed = run.state.live() && (waited || run.state != RunState::Running);
    run.version = stored.map_or(0, |stored| stored.version.saturating_add(1));
    let RunId { seq, ordinal } = run.id;
    let head = Head::of(run);
    batch.runs()?.insert((space, seq, ordinal), head.row(json).as_slice())?;
    let (old, new) = (stored.map(rows_of).unwrap_or_default(), rows_of(&head));
    for row in old.iter().filter(|row| !new.contains(row)) {
        remove(batch, space, run, row)?;
    }
    for row in new.iter().filter(|row| !old.contains(row)) {
        insert(batch, space, run, row)?;
    }
    if run.state.live() && run.resumed {
        batch.live()?.insert((space, seq, ordinal), ())?;
    } else if waited {
        batch.live()?.remove((space, seq, ordinal))?;
    }
    Ok(())
}

/// Queues a run that is about to begin if it is not its turn. A run that has ended leaves its lane; the runs whose turn
/// it is then become due.
fn settle(batch: &mut Batch<'_>, space: u32, run: &mut Run, begins: bool) -> Result<(), StoreError> {
    let Some(ended_at) = run.state.finished_at() else {
        if begins && run.state == RunState::Running && !lanes::has_turn(batch, space, run)? {
            run.state = RunState::Queued;
        }
        return Ok(());
    };
    for next in lanes::leave(batch, space, run)? {
        // A run that is not stored yet has conditions that are still to be evaluated.
        if let Some(next) = load(batch, space, next)?.filter(|next| next.state == RunState::Queued) {
            go_on(batch, space, &next, ended_at)?;
        }
    }
    Ok(())
}

fn insert(batch: &mut Batch<'_>, space: u32, run: &Run, row: &Row) -> Result<(), StoreError> {
    let RunId { seq, ordinal } = run.id;
    match row {
        Row::Due(at) => {
            batch.due()?.insert((at.millis(), space, seq, ordinal, DUE_RUN), ())?;
            batch.due_added = true;
        }
        Row::Parked(plugin) => {
            batch.parked()?.insert((space, plugin.as_str(), seq, ordinal), ())?;
        }
        // The row exists since the event was accepted.
        Row::Work | Row::Lane => {}
    }
    Ok(())
}

fn remove(batch: &mut Batch<'_>, space: u32, run: &Run, row: &Row) -> Result<(), StoreError> {
    let RunId { seq, ordinal } = run.id;
    match row {
        Row::Due(at) => {
            batch.due()?.remove((at.millis(), space, seq, ordinal, DUE_RUN))?;
        }
        Row::Parked(plugin) => {
            batch.parked()?.remove((space, plugin.as_str(), seq, ordinal))?;
        }
        // The work is closed when it has no run left; the position in a lane is released at the end of the run.
        Row::Work | Row::Lane => {}
    }
    Ok(())
}

/// Closes the work of an event that `left` has left, if no other run is part of it.
pub(crate) fn close_work_after(batch: &mut Batch<'_>, space: u32, left: RunId) -> Result<(), StoreError> {
    for row in batch.runs()?.range((space, left.seq, 0)..=(space, left.seq, u32::MAX))? {
        let (key, row) = row?;
        if key.value().2 != left.ordinal && run::read_head(row.value())?.in_work() {
            return Ok(());
        }
    }
    work::close_work(batch, left.seq)
}

/// The stored run.
pub(crate) fn load(batch: &mut Batch<'_>, space: u32, id: RunId) -> Result<Option<Run>, StoreError> {
    let row = batch.runs()?.get((space, id.seq, id.ordinal))?;
    row.map(|row| run::read_run(row.value())).transpose()
}

/// The head of the stored run.
pub(crate) fn load_head(batch: &mut Batch<'_>, space: u32, id: RunId) -> Result<Option<Head>, StoreError> {
    let row = batch.runs()?.get((space, id.seq, id.ordinal))?;
    row.map(|row| run::read_head(row.value())).transpose()
}

/// Makes a parked or queued run due `now`.
pub(crate) fn go_on(batch: &mut Batch<'_>, space: u32, stored: &Run, now: Timestamp) -> Result<(), StoreError> {
    let released = RunState::Waiting { until: now, since: Some(now), plugin: None };
    let mut run = Run { state: released, ..stored.clone() };
    let json = rows::json(&run)?;
    save(batch, space, Some(&Head::of(stored)), &mut run, &json)
}

/// The result of a check of the runs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Runs that have not ended and are not part of their event's work.
    pub(crate) live: usize,
    /// Runs among them that nothing would have continued. They are due now.
    pub(crate) repaired: usize,
}

/// Checks that every run in [`LIVE`] has its rows, and repairs those that lack one.
pub(crate) fn check(db: &Database) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    let mut from = Some((0, 0, 0));
    while let Some(first) = from {
        let chunk: Vec<(u32, u64, u32)> = {
            let table = db.begin_read()?.open_table(LIVE)?;
            table.range(first..)?.take(CHUNK).map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?
        };
        from = chunk.last().map(|(space, seq, ordinal)| following(*space, *seq, *ordinal));
        check_runs(db, &chunk, &mut checked)?;
    }
    Ok(checked)
}

/// Fills [`LIVE`] in a file without that table, and repairs the runs that nothing continues.
pub(crate) fn adopt(db: &Database) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    let mut from = Some((0, 0, 0));
    while let Some(first) = from {
        let mut live = Vec::new();
        let mut last = None;
        {
            let table = db.begin_read()?.open_table(RUNS)?;
            for row in table.range(first..)?.take(CHUNK) {
                let (key, row) = row?;
                last = Some(key.value());
                if run::read_head(row.value())?.state.live() {
                    live.push(key.value());
                }
            }
        }
        from = last.map(|(space, seq, ordinal)| following(space, seq, ordinal));
        check_runs(db, &live, &mut checked)?;
    }
    Ok(checked)
}

/// The key after one of a run.
fn following(space: u32, seq: u64, ordinal: u32) -> (u32, u64, u32) {
    match ordinal.checked_add(1) {
        Some(ordinal) => (space, seq, ordinal),
        None => (space, seq.saturating_add(1), 0),
    }
}

fn check_runs(db: &Database, runs: &[(u32, u64, u32)], checked: &mut Checked) -> Result<(), StoreError> {
    if runs.is_empty() {
        return Ok(());
    }
    let (transaction, shared) = (db.begin_write()?, Shared::default());
    {
        let mut batch = Batch::open(&transaction, &shared, 0, WriteSet::default());
        for (space, seq, ordinal) in runs {
            let id = RunId { seq: *seq, ordinal: *ordinal };
            match load(&mut batch, *space, id)?.filter(|run| run.state.live()) {
                Some(run) => check_run(&mut batch, *space, run, checked)?,
                None => {
                    batch.live()?.remove((*space, *seq, *ordinal))?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Ensures that a live run is found again.
fn check_run(batch: &mut Batch<'_>, space: u32, mut run: Run, checked: &mut Checked) -> Result<(), StoreError> {
    let RunId { seq, ordinal } = run.id;
    if run.in_work() {
        if batch.work()?.get(seq)?.is_some() {
            return Ok(());
        }
        run.resumed = true;
        let row = Head::of(&run).row(&rows::json(&run)?);
        batch.runs()?.insert((space, seq, ordinal), row.as_slice())?;
    }
    checked.live = checked.live.saturating_add(1);
    batch.live()?.insert((space, seq, ordinal), ())?;
    let mut complete = true;
    for row in rows_of(&Head::of(&run)) {
        complete &= match &row {
            Row::Work => true,
            Row::Due(at) => batch.due()?.get((at.millis(), space, seq, ordinal, DUE_RUN))?.is_some(),
            Row::Parked(plugin) => batch.parked()?.get((space, plugin.as_str(), seq, ordinal))?.is_some(),
            Row::Lane if lanes::may_begin(batch, space, &run)? => {
                let now = run.created_at;
                go_on(batch, space, &run, now)?;
                false
            }
            Row::Lane => true,
        };
        insert(batch, space, &run, &row)?;
    }
    if !complete {
        checked.repaired = checked.repaired.saturating_add(1);
    }
    Ok(())
}
