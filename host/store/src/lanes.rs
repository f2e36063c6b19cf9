//! Lanes: runs of one automation with the same key, of which so many may be under way at a time. A run is in its lane from
//! the acceptance of its event until it has ended, so the order is that of the journal however fast conditions answer.

use hookwright_model::{AutomationId, Run, RunId, RunState, Timestamp};
use redb::ReadableTable as _;

use crate::tables::DUE_RUN;
use crate::writer::Batch;
use crate::{StoreError, rows};

/// The row's name of a lane. Ids have no NUL, nor have keys.
pub(crate) fn name(automation: &AutomationId, key: &str) -> String {
    format!("{automation}\0{key}")
}

fn of(run: &Run) -> Option<(String, usize)> {
    let lane = run.lane.as_ref()?;
    Some((name(&run.automation, &lane.key), usize::try_from(lane.most.max(1)).unwrap_or(usize::MAX)))
}

/// The first `most` runs of a lane.
fn head(batch: &mut Batch<'_>, space: u32, lane: &str, most: usize) -> Result<Vec<RunId>, StoreError> {
    let range = (space, lane, 0, 0)..=(space, lane, u64::MAX, u32::MAX);
    let mut head = Vec::new();
    for row in batch.lanes()?.range(range)?.take(most) {
        let (_, _, seq, ordinal) = row?.0.value();
        head.push(RunId { seq, ordinal });
    }
    Ok(head)
}

/// Lets a run that is to begin wait if it is not its turn; ends its place in the lane if it has ended.
pub(crate) fn settle(batch: &mut Batch<'_>, space: u32, run: &mut Run, begins: bool) -> Result<(), StoreError> {
    let Some((lane, most)) = of(run) else { return Ok(()) };
    if !run.state.live() {
        let now = run.finished_at.unwrap_or(run.created_at);
        return leave(batch, space, run.id, &lane, most, now);
    }
    if begins && run.state == RunState::Running && !head(batch, space, &lane, most)?.contains(&run.id) {
        run.state = RunState::Queued;
    }
    Ok(())
}

/// Takes a run out of its lane; those whose turn it is then become due.
fn leave(
    batch: &mut Batch<'_>,
    space: u32,
    id: RunId,
    lane: &str,
    most: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    batch.lanes()?.remove((space, lane, id.seq, id.ordinal))?;
    for next in head(batch, space, lane, most)? {
        let key = (space, next.seq, next.ordinal);
        let stored: Option<Run> = match batch.runs()?.get(key)? {
            Some(row) => Some(rows::read(row.value())?),
            // Its conditions are yet to be asked.
            None => None,
        };
        if let Some(mut run) = stored.filter(|run| run.state == RunState::Queued) {
            run.state = RunState::Waiting;
            run.retry_at = Some(now);
            batch.runs()?.insert(key, rows::json(&run)?.as_slice())?;
            batch.due()?.insert((now.millis(), space, next.seq, next.ordinal, DUE_RUN), ())?;
            batch.due_added = true;
        }
    }
    Ok(())
}
