//! The work that an accepted event causes, until it is finished.

use std::collections::HashMap;

use hookwright_model::{AutomationId, NewLane, SpaceId};
use redb::{ReadTransaction, ReadableTable as _};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::tables::WORK;
use crate::{StoreError, rows};

/// Automations that are still to be considered or executed for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The event's position in the journal.
    pub seq: u64,
    /// Its space.
    pub space: SpaceId,
    /// The automations.
    pub automations: Vec<AutomationId>,
    /// The lanes of their runs.
    pub lanes: Vec<NewLane>,
    /// It has just been accepted: nothing is decided for it yet.
    pub fresh: bool,
}

impl Work {
    /// The key of the lane that a run of this ordinal is in.
    pub fn lane(&self, ordinal: u32) -> Option<&str> {
        self.lanes.iter().find(|lane| lane.ordinal == ordinal).map(|lane| lane.key.as_str())
    }
}

/// The stored form.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WorkRow {
    pub(crate) space: SpaceId,
    pub(crate) automations: Vec<AutomationId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lanes: Vec<NewLane>,
}

/// Removes the work of an event for which nothing is left to do.
pub(crate) fn close_work(batch: &mut Batch<'_>, seq: u64) -> Result<(), StoreError> {
    let closed = batch.work()?.remove(seq)?.map(|row| rows::read::<WorkRow>(row.value())).transpose()?;
    if let Some(WorkRow { space, .. }) = closed {
        let space = batch.number(&space)?;
        batch.work_closed.push(space);
    }
    Ok(())
}

/// Every event that is still to be processed, with the number of its space, in the order of the journal.
pub(crate) fn waiting(read: &ReadTransaction, spaces: &HashMap<SpaceId, u32>) -> Result<Vec<(u32, u64)>, StoreError> {
    let mut waiting = Vec::new();
    for row in read.open_table(WORK)?.iter()? {
        let (seq, row) = row?;
        let WorkRow { space, .. } = rows::read(row.value())?;
        if let Some(number) = spaces.get(&space) {
            waiting.push((*number, seq.value()));
        }
    }
    Ok(waiting)
}
