//! The retention of attempts and finished deliveries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

use hookwright_model::{DeliveryId, DeliveryState, Timestamp};

use crate::attempts::Attempts;
use crate::batch::Batch;
use crate::tables::{ATTEMPT_COUNT, ATTEMPT_LOG, COUNTERS, FINISHED, LogKey};
use crate::{StoreError, queue};

/// The position of an attempt: its start, then its key. In this order the oldest comes first.
type Place = (i64, u32, u64, u32, u32);

impl Attempts {
    /// Removes rows beyond their retention, in one commit of at most `limit` rows, the oldest first: attempts that
    /// began before `before`, attempts beyond `most` of them in the whole store, and deliveries that were finished
    /// before `before` and have no attempt left. Returns the number of processed rows; fewer than `limit`: none are
    /// left.
    pub async fn sweep_attempts(&self, before: Timestamp, most: u64, limit: usize) -> Result<usize, StoreError> {
        let attempts = self.old_attempts(before, most, limit)?;
        let deliveries = self.old_deliveries(before, limit.saturating_sub(attempts.len()))?;
        if attempts.is_empty() && deliveries.is_empty() {
            return Ok(0);
        }
        let bytes = attempts.len().saturating_add(deliveries.len()).saturating_mul(64);
        self.db
            .write(None, bytes, move |batch| {
                let removed = remove_attempts(batch, &attempts)?;
                let mut count = removed;
                for (at, space, seq, ordinal) in deliveries {
                    count =
                        count.saturating_add(usize::from(remove_delivery(batch, (at, space, seq, ordinal), before)?));
                }
                Ok(count)
            })
            .await
    }

    /// The number of retained attempts, in all spaces.
    pub fn attempt_count(&self) -> Result<u64, StoreError> {
        let read = self.db.begin_read()?;
        let count = read.open_table(COUNTERS)?.get(ATTEMPT_COUNT)?;
        Ok(count.map_or(0, |count| count.value()))
    }

    fn old_attempts(&self, before: Timestamp, most: u64, limit: usize) -> Result<Vec<Place>, StoreError> {
        let excess = usize::try_from(self.attempt_count()?.saturating_sub(most)).unwrap_or(usize::MAX);
        let read = self.db.begin_read()?;
        let log = read.open_table(ATTEMPT_LOG)?;
        let after = |(at, space, seq, ordinal, number): Place| -> Result<Option<Place>, StoreError> {
            let from = Bound::Excluded((space, at, seq, ordinal, number));
            let to = Bound::Included((space, i64::MAX, u64::MAX, u32::MAX, u32::MAX));
            let row = log.range::<LogKey>((from, to))?.next();
            Ok(row
                .transpose()?
                .map(|(key, _)| key.value())
                .map(|(space, at, seq, ordinal, number)| (at, space, seq, ordinal, number)))
        };
        // A merge of the spaces: the heap has the oldest attempt of each space, and the one that is taken is replaced
        // by the next of its space.
        let mut heads = BinaryHeap::new();
        for space in self.db.shared().names().into_keys() {
            heads.extend(after((i64::MIN, space, 0, 0, 0))?.map(Reverse));
        }
        let mut old: Vec<Place> = Vec::new();
        while let Some(Reverse(place)) = heads.pop() {
            if old.len() >= limit || (place.0 >= before.millis() && old.len() >= excess) {
                break;
            }
            old.push(place);
            heads.extend(after(place)?.map(Reverse));
        }
        Ok(old)
    }

    fn old_deliveries(&self, before: Timestamp, limit: usize) -> Result<Vec<(i64, u32, u64, u32)>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(FINISHED)?;
        table.range(..(before.millis(), 0, 0, 0))?.take(limit).map(|row| Ok(row?.0.value())).collect()
    }
}

fn remove_attempts(batch: &mut Batch<'_>, places: &[Place]) -> Result<usize, StoreError> {
    let mut removed = 0_usize;
    for (at, space, seq, ordinal, number) in places {
        if batch.attempt_log()?.remove((*space, *at, *seq, *ordinal, *number))?.is_some() {
            batch.attempts()?.remove((*space, *seq, *ordinal, *number))?;
            removed = removed.saturating_add(1);
        }
    }
    let (everywhere, name) = ATTEMPT_COUNT;
    let count = batch.counter(everywhere, name)?;
    count.value = count.value.saturating_sub(u64::try_from(removed).unwrap_or(u64::MAX));
    Ok(removed)
}

/// Removes a finished delivery. One that still has attempts, because they are younger than it, is checked again later.
/// False: another task has removed it.
fn remove_delivery(batch: &mut Batch<'_>, place: (i64, u32, u64, u32), before: Timestamp) -> Result<bool, StoreError> {
    let (_, space, seq, ordinal) = place;
    if batch.finished()?.remove(place)?.is_none() {
        return Ok(false);
    }
    let range = (space, seq, ordinal, 0)..=(space, seq, ordinal, u32::MAX);
    let has_attempts = batch.attempts()?.range(range)?.next().transpose()?.is_some();
    if has_attempts {
        batch.finished()?.insert((before.millis(), space, seq, ordinal), ())?;
        return Ok(true);
    }
    let delivery = queue::load(batch, space, DeliveryId { seq, ordinal })?;
    if delivery.is_some_and(|delivery| delivery.state != DeliveryState::Pending) {
        batch.deliveries()?.remove((space, seq, ordinal))?;
    }
    Ok(true)
}
