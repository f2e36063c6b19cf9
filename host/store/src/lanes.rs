//! Lanes (concurrency groups): runs of one automation with the same key, of which a limited number may be in progress
//! at a time. A run is in its lane from the acceptance of its event until it has ended, so the order is that of the
//! journal, whatever the duration of conditions.

use hookwright_model::{AutomationId, Run, RunId};

use crate::StoreError;
use crate::batch::Batch;

/// The name of a lane in its rows. Neither ids nor keys contain NUL.
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

/// Whether it is the turn of a run. Always true for a run that is in no lane.
pub(crate) fn has_turn(batch: &mut Batch<'_>, space: u32, run: &Run) -> Result<bool, StoreError> {
    let Some((lane, most)) = of(run) else { return Ok(true) };
    Ok(head(batch, space, &lane, most)?.contains(&run.id))
}

/// Whether a queued run may begin. Also true if it has no position in its lane, because nothing would ever continue it
/// then.
pub(crate) fn may_begin(batch: &mut Batch<'_>, space: u32, run: &Run) -> Result<bool, StoreError> {
    let Some((lane, most)) = of(run) else { return Ok(true) };
    if batch.lanes()?.get((space, lane.as_str(), run.id.seq, run.id.ordinal))?.is_none() {
        return Ok(true);
    }
    Ok(head(batch, space, &lane, most)?.contains(&run.id))
}

/// Removes a run that has ended from its lane, and returns the runs whose turn it is then.
pub(crate) fn leave(batch: &mut Batch<'_>, space: u32, run: &Run) -> Result<Vec<RunId>, StoreError> {
    let Some((lane, most)) = of(run) else { return Ok(Vec::new()) };
    batch.lanes()?.remove((space, lane.as_str(), run.id.seq, run.id.ordinal))?;
    head(batch, space, &lane, most)
}
