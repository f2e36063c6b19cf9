//! The queues: one for each webhook, and in each the order of the deliveries that have a key.
//!
//! A delivery that can go out lies in QUEUE under the time when it is due, and stays there until what came of its attempt
//! is written down: whatever crashes, it is found again. Of those with the same key only one lies there at first, the head
//! that HEADS names; the others wait in BLOCKED. Once the head is done with, the next of its key takes its place. So the
//! dispatcher never reads a delivery that it may not send, however many wait.

use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use hookwright_model::{Delivery, DeliveryId, DeliveryState, SpaceId, Timestamp};
use redb::ReadableTable as _;
use tokio::sync::Notify;

use crate::tables::{BLOCKED, QUEUE};
use crate::writer::Batch;
use crate::{Store, StoreError, rows};

/// Writes a delivery's row.
pub(crate) fn store(batch: &mut Batch<'_>, space: u32, delivery: &Delivery) -> Result<(), StoreError> {
    let key = (space, delivery.id.seq, delivery.id.ordinal);
    batch.deliveries()?.insert(key, rows::json(delivery)?.as_slice())?;
    Ok(())
}

/// Reads a delivery's row.
pub(crate) fn load(batch: &mut Batch<'_>, space: u32, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let row = batch.deliveries()?.get((space, id.seq, id.ordinal))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// Notes in a queue when a delivery is due.
pub(crate) fn put(
    batch: &mut Batch<'_>,
    space: u32,
    queue: u64,
    at: Timestamp,
    id: DeliveryId,
) -> Result<(), StoreError> {
    batch.queue()?.insert((space, queue, at.millis(), id.seq, id.ordinal), ())?;
    batch.touched.insert((space, queue));
    Ok(())
}

/// Takes out of a queue what [`put`] noted.
pub(crate) fn take(
    batch: &mut Batch<'_>,
    space: u32,
    queue: u64,
    at: Timestamp,
    id: DeliveryId,
) -> Result<(), StoreError> {
    batch.queue()?.remove((space, queue, at.millis(), id.seq, id.ordinal))?;
    Ok(())
}

/// Puts a new delivery into its queue, or behind the head of its key, and sets when it is due. Its row is the caller's.
pub(crate) fn enqueue(
    batch: &mut Batch<'_>,
    space: u32,
    delivery: &mut Delivery,
    due: Timestamp,
) -> Result<(), StoreError> {
    let DeliveryId { seq, ordinal } = delivery.id;
    if let Some(key) = delivery.key.as_deref() {
        let place = (space, delivery.queue, key);
        let led = batch.heads()?.get(place)?.is_some();
        if led {
            batch.blocked()?.insert((space, delivery.queue, key, seq, ordinal), ())?;
            delivery.next_attempt_at = None;
            return Ok(());
        }
        batch.heads()?.insert(place, (seq, ordinal))?;
    }
    delivery.next_attempt_at = Some(due);
    put(batch, space, delivery.queue, due, delivery.id)
}

/// Whether a delivery waits for an earlier one of its key.
pub(crate) fn waits(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Pending && delivery.key.is_some() && delivery.next_attempt_at.is_none()
}

/// Lets the next of the delivery's key go out, if the delivery is the head of it.
pub(crate) fn release(
    batch: &mut Batch<'_>,
    space: u32,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(key) = delivery.key.as_deref() else { return Ok(()) };
    let queue = delivery.queue;
    let DeliveryId { seq, ordinal } = delivery.id;
    let head = batch.heads()?.get((space, queue, key))?.map(|head| head.value());
    if head != Some((seq, ordinal)) {
        // It had let the others go before, or waits itself.
        batch.blocked()?.remove((space, queue, key, seq, ordinal))?;
        return Ok(());
    }
    loop {
        let range = (space, queue, key, 0, 0)..=(space, queue, key, u64::MAX, u32::MAX);
        let next = batch.blocked()?.range(range)?.next().transpose()?;
        let next = next.map(|(row, _)| (row.value().3, row.value().4));
        let Some((seq, ordinal)) = next else {
            batch.heads()?.remove((space, queue, key))?;
            return Ok(());
        };
        batch.blocked()?.remove((space, queue, key, seq, ordinal))?;
        let id = DeliveryId { seq, ordinal };
        let Some(mut next) = load(batch, space, id)?.filter(waits) else { continue };
        batch.heads()?.insert((space, queue, key), (seq, ordinal))?;
        next.next_attempt_at = Some(now);
        store(batch, space, &next)?;
        return put(batch, space, queue, now, id);
    }
}

impl Store {
    /// Every queue in which something lies, with when the first of it is due. Costs one look into the table a queue,
    /// however much lies in each. A webhook that was deleted has a queue until that is empty.
    pub fn queues(&self) -> Result<Vec<(SpaceId, u64, Timestamp)>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(QUEUE)?;
        let names = self.inner.shared.names();
        let mut found = Vec::new();
        let mut after = Bound::Unbounded;
        loop {
            let Some(row) = table.range::<(u32, u64, i64, u64, u32)>((after, Bound::Unbounded))?.next() else {
                return Ok(found);
            };
            let (space, queue, at, _, _) = row?.0.value();
            if let Some(name) = names.get(&space) {
                found.push((name.clone(), queue, Timestamp::from_millis(at)));
            }
            after = Bound::Excluded((space, queue, i64::MAX, u64::MAX, u32::MAX));
        }
    }

    /// The deliveries of a queue that are due by `until`, at most `limit`, the oldest first. Those under way are among
    /// them until their attempt is written down.
    pub fn queued(
        &self,
        space: &SpaceId,
        queue: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, DeliveryId)>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(QUEUE)?;
        let last = (number, queue, until.millis(), u64::MAX, u32::MAX);
        let rows = table.range((number, queue, i64::MIN, 0, 0)..=last)?.take(limit);
        rows.map(|row| {
            let (_, _, at, seq, ordinal) = row?.0.value();
            Ok((Timestamp::from_millis(at), DeliveryId { seq, ordinal }))
        })
        .collect()
    }

    /// When the first of a queue is due; none: nothing lies in it.
    pub fn next_queued(&self, space: &SpaceId, queue: u64) -> Result<Option<Timestamp>, StoreError> {
        let first = self.queued(space, queue, Timestamp::from_millis(i64::MAX), 1)?;
        Ok(first.first().map(|(at, _)| *at))
    }

    /// How many deliveries wait for a webhook, those behind others of their key included, counted up to `most`.
    pub fn queue_length(&self, space: &SpaceId, queue: u64, most: usize) -> Result<usize, StoreError> {
        let Some(number) = self.number(space) else { return Ok(0) };
        let read = self.begin_read()?;
        let table = read.open_table(QUEUE)?;
        let last = (number, queue, i64::MAX, u64::MAX, u32::MAX);
        let ready = table.range((number, queue, i64::MIN, 0, 0)..=last)?.take(most).count();
        let table = read.open_table(BLOCKED)?;
        let mut waiting = 0_usize;
        for row in table.range((number, queue, "", 0, 0)..)?.take(most.saturating_sub(ready)) {
            let key = row?.0;
            if (key.value().0, key.value().1) != (number, queue) {
                break;
            }
            waiting = waiting.saturating_add(1);
        }
        Ok(ready.saturating_add(waiting))
    }

    /// Takes the queues into which something was put since this was asked last, each once: so there are at most as many
    /// as webhooks.
    pub fn touched(&self) -> Vec<(SpaceId, u64)> {
        let touched = std::mem::take(&mut *self.inner.shared.touched.lock().unwrap_or_else(PoisonError::into_inner));
        let names = self.inner.shared.names();
        touched.into_iter().filter_map(|(space, queue)| Some((names.get(&space)?.clone(), queue))).collect()
    }

    /// Notified after a commit that put something into a queue.
    pub fn touched_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.shared.queued)
    }

    /// Takes away a row of a queue whose delivery is finished or gone. A pending one keeps its row.
    pub async fn drop_queued(
        &self,
        space: &SpaceId,
        queue: u64,
        at: Timestamp,
        id: DeliveryId,
    ) -> Result<(), StoreError> {
        let space = space.clone();
        self.write(None, 64, move |batch| {
            let number = batch.number(&space)?;
            let stands = load(batch, number, id)?
                .is_some_and(|one| one.state == DeliveryState::Pending && one.next_attempt_at == Some(at));
            if stands { Ok(()) } else { take(batch, number, queue, at, id) }
        })
        .await
    }

    /// Puts the next attempt of a pending delivery at another time. False, and nothing is done, if it is finished (a
    /// redelivery makes a new one), waits for an earlier one of its key, or does not exist.
    pub async fn queue_again(&self, space: &SpaceId, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        let space = space.clone();
        self.write(None, 512, move |batch| {
            let number = batch.number(&space)?;
            let Some(mut delivery) = load(batch, number, id)? else { return Ok(false) };
            let Some(was) = delivery.next_attempt_at.filter(|_| delivery.state == DeliveryState::Pending) else {
                return Ok(false);
            };
            take(batch, number, delivery.queue, was, id)?;
            put(batch, number, delivery.queue, at, id)?;
            delivery.next_attempt_at = Some(at);
            store(batch, number, &delivery)?;
            Ok(true)
        })
        .await
    }
}
