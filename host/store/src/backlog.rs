//! The accepted events that wait to be processed, and those in flight.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::SpaceId;
use redb::ReadableTable as _;

use crate::db::Db;
use crate::in_flight::{InFlight, InFlightMark};
use crate::tables::{INTERRUPTED, WORK};
use crate::work::{Work, WorkRow, close_work};
use crate::{StoreError, rows};

/// The turn of an event that is being processed. It ends when this is dropped.
pub struct Turn {
    db: Db,
    space: u32,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.db.shared().ready.ended(self.space) {
            self.db.shared().work.notify_one();
        }
    }
}

/// The accepted events that wait to be processed.
#[derive(Clone)]
pub struct Backlog {
    pub(crate) db: Db,
    pub(crate) in_flight: Arc<InFlight>,
    /// The maximum number of accepted events of each space that wait; more are refused.
    pub(crate) most: usize,
}

impl Backlog {
    /// The number of accepted events that wait to be processed.
    pub fn count(&self) -> usize {
        self.db.shared().ready.backlog()
    }

    /// The number of them in one space.
    pub fn count_of(&self, space: &SpaceId) -> usize {
        self.db.number(space).map_or(0, |number| self.db.shared().ready.backlog_of(number))
    }

    /// An error if the space has the maximum number of waiting events (back-pressure).
    pub fn takes_events(&self, space: &SpaceId) -> Result<(), StoreError> {
        let backlog = self.count_of(space);
        if backlog >= self.most { Err(StoreError::Backlog(backlog)) } else { Ok(()) }
    }

    /// An error if `made` more events from automations would leave too little of the space's backlog for events from
    /// outside.
    pub fn room_for(&self, space: &SpaceId, made: usize) -> Result<(), StoreError> {
        let backlog = self.count_of(space);
        if made > 0 && backlog.saturating_add(made) > (self.most / 2).max(1) {
            return Err(StoreError::Backlog(backlog));
        }
        Ok(())
    }

    /// The next event to process, if one waits: spaces take turns, and none has more than `most` in flight.
    pub fn next_work(&self, most: usize) -> Result<Option<(Work, Turn)>, StoreError> {
        while let Some((space, seq)) = self.db.shared().ready.next(most.max(1)) {
            let turn = Turn { db: self.db.clone(), space };
            let new = self.db.shared().recent.take_work((space, seq));
            let found = match new {
                Some(WorkRow { space, automations, lanes }) => {
                    Ok(Some(Work { seq, space, automations, lanes, fresh: true }))
                }
                None => self.work_of(seq),
            };
            match found {
                Ok(Some(work)) => return Ok(Some((work, turn))),
                // It was closed by another task in the meantime.
                Ok(None) => {}
                Err(error) => {
                    // The event is not lost: it is the first one of the next call.
                    self.db.shared().ready.put_back(space, seq);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Work of events after `after`, in the order of the journal.
    pub fn work(&self, after: u64, limit: usize) -> Result<Vec<Work>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(WORK)?;
        let mut work = Vec::new();
        for row in table.range(after.saturating_add(1)..)?.take(limit) {
            let (seq, row) = row?;
            let WorkRow { space, automations, lanes } = rows::read(row.value())?;
            work.push(Work { seq: seq.value(), space, automations, lanes, fresh: false });
        }
        Ok(work)
    }

    /// The work of one event, if something is still to be done for it.
    pub fn work_of(&self, seq: u64) -> Result<Option<Work>, StoreError> {
        Ok(self.work(seq.saturating_sub(1), 1)?.into_iter().next().filter(|work| work.seq == seq))
    }

    /// Records that nothing is left to do for an event.
    pub async fn close_work(&self, seq: u64) -> Result<(), StoreError> {
        self.db.write(None, 16, move |batch| close_work(batch, seq)).await
    }

    /// Marks an event as in flight.
    pub fn in_flight(&self, seq: u64) -> InFlightMark {
        self.in_flight.begin(seq)
    }

    /// Counts the events that were in flight when the process last crashed, and returns every event that was
    /// interrupted since its last commit, with the number of interruptions.
    pub async fn interrupted(&self) -> Result<HashMap<u64, u32>, StoreError> {
        let found = self.in_flight.interrupted().clone();
        if !found.is_empty() {
            self.db
                .write(None, found.len().saturating_mul(16), move |batch| {
                    for seq in found {
                        let times = batch.interrupted()?.get(seq)?.map_or(0, |times| times.value()).saturating_add(1);
                        batch.interrupted()?.insert(seq, times)?;
                    }
                    Ok(())
                })
                .await?;
            self.in_flight.interrupted().clear();
        }
        let read = self.db.begin_read()?;
        let table = read.open_table(INTERRUPTED)?;
        table
            .iter()?
            .map(|row| row.map(|(seq, times)| (seq.value(), times.value())).map_err(StoreError::from))
            .collect()
    }

    /// Resets an event's interruptions: it has made progress since.
    pub async fn progressed(&self, seq: u64) -> Result<(), StoreError> {
        self.db
            .write(None, 16, move |batch| {
                batch.interrupted()?.remove(seq)?;
                Ok(())
            })
            .await
    }
}
