//! The delivery queues: one for each webhook, and in each the order of the deliveries that have a key.
//!
//! A delivery that may be sent is in QUEUE under its due time, and stays there until the outcome of its attempt is
//! recorded, so it is found again after a crash. Of several deliveries with the same key only the head, which HEADS
//! names, is in QUEUE; the others wait in BLOCKED. When the head is finished, the next of its key replaces it. So the
//! dispatcher never reads a delivery that it may not send, whatever the number of waiting ones.

use std::ops::Bound;

use hookwright_model::{Delivery, DeliveryId, DeliveryState, SpaceId, Timestamp};

use crate::batch::{Batch, Faults};
use crate::db::Db;
use crate::tables::{BLOCKED, QUEUE};
use crate::{StoreError, rows};

const MOVE_UP: Faults = Faults { before: "move-up.before-commit", after: "move-up.after-commit" };

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

/// Adds a delivery to a queue under its due time.
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

/// Removes the row that [`put`] added.
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

/// Puts a new delivery into its queue, or behind the head of its key, and sets its due time. The caller writes its row.
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

/// Releases the next delivery of the key, if the delivery is the head of the key.
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
        // It has released the others before, or is waiting itself.
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

/// The delivery queues of webhooks.
#[derive(Clone)]
pub struct Queues {
    pub(crate) db: Db,
}

impl Queues {
    /// Every queue that is not empty, with the due time of its first delivery. Needs one lookup per queue, whatever its
    /// length. A deleted webhook has a queue until that is empty.
    pub fn queues(&self) -> Result<Vec<(SpaceId, u64, Timestamp)>, StoreError> {
        let read = self.db.begin_read()?;
        let table = read.open_table(QUEUE)?;
        let names = self.db.shared().names();
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

    /// The deliveries of a queue that are due by `until`, at most `limit`, the oldest first. Deliveries in flight are
    /// included until their attempt is recorded.
    pub fn queued(
        &self,
        space: &SpaceId,
        queue: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, DeliveryId)>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(QUEUE)?;
        let last = (number, queue, until.millis(), u64::MAX, u32::MAX);
        let rows = table.range((number, queue, i64::MIN, 0, 0)..=last)?.take(limit);
        rows.map(|row| {
            let (_, _, at, seq, ordinal) = row?.0.value();
            Ok((Timestamp::from_millis(at), DeliveryId { seq, ordinal }))
        })
        .collect()
    }

    /// The deliveries of a queue behind this one in the order in which they are due, at most `limit`.
    pub fn queued_behind(
        &self,
        space: &SpaceId,
        queue: u64,
        (at, id): (Timestamp, DeliveryId),
        limit: usize,
    ) -> Result<Vec<(Timestamp, DeliveryId)>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(QUEUE)?;
        let first = Bound::Excluded((number, queue, at.millis(), id.seq, id.ordinal));
        let last = Bound::Included((number, queue, i64::MAX, u64::MAX, u32::MAX));
        let rows = table.range::<(u32, u64, i64, u64, u32)>((first, last))?.take(limit);
        rows.map(|row| {
            let (_, _, at, seq, ordinal) = row?.0.value();
            Ok((Timestamp::from_millis(at), DeliveryId { seq, ordinal }))
        })
        .collect()
    }

    /// The due time of the first delivery of a queue; `None`: the queue is empty.
    pub fn next_queued(&self, space: &SpaceId, queue: u64) -> Result<Option<Timestamp>, StoreError> {
        let first = self.queued(space, queue, Timestamp::from_millis(i64::MAX), 1)?;
        Ok(first.first().map(|(at, _)| *at))
    }

    /// The number of deliveries that wait for a webhook, including those behind others of their key, counted up to
    /// `most`.
    pub fn queue_length(&self, space: &SpaceId, queue: u64, most: usize) -> Result<usize, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(0) };
        let read = self.db.begin_read()?;
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

    /// Takes the queues that received a row since the last call, each once, so there are at most as many as webhooks.
    pub fn touched(&self) -> Vec<(SpaceId, u64)> {
        let touched = std::mem::take(&mut *self.db.shared().touched.lock());
        let names = self.db.shared().names();
        touched.into_iter().filter_map(|(space, queue)| Some((names.get(&space)?.clone(), queue))).collect()
    }

    /// Removes a row of a queue whose delivery is finished or does not exist. A pending one keeps its row.
    pub async fn drop_queued(
        &self,
        space: &SpaceId,
        queue: u64,
        at: Timestamp,
        id: DeliveryId,
    ) -> Result<(), StoreError> {
        let space = space.clone();
        self.db
            .write(None, 64, move |batch| {
                let number = batch.number(&space)?;
                let stands = load(batch, number, id)?
                    .is_some_and(|one| one.state == DeliveryState::Pending && one.next_attempt_at == Some(at));
                if stands { Ok(()) } else { take(batch, number, queue, at, id) }
            })
            .await
    }

    /// Moves the next attempts of pending deliveries to earlier times, in one transaction. A delivery that is finished
    /// by then, or due earlier, is not changed.
    pub async fn move_up(&self, space: &SpaceId, earlier: Vec<(DeliveryId, Timestamp)>) -> Result<(), StoreError> {
        let space = space.clone();
        let bytes = earlier.len().saturating_mul(512);
        self.db
            .write(Some(MOVE_UP), bytes, move |batch| {
                let number = batch.number(&space)?;
                for (id, at) in earlier {
                    let Some(mut delivery) = load(batch, number, id)? else { continue };
                    let due = delivery.next_attempt_at.filter(|_| delivery.state == DeliveryState::Pending);
                    let Some(was) = due.filter(|due| at < *due) else { continue };
                    take(batch, number, delivery.queue, was, id)?;
                    put(batch, number, delivery.queue, at, id)?;
                    delivery.next_attempt_at = Some(at);
                    store(batch, number, &delivery)?;
                }
                Ok(())
            })
            .await
    }

    /// Reschedules the next attempt of a pending delivery. Returns false and does nothing if it is finished (a
    /// redelivery makes a new one), waits for an earlier one of its key, or does not exist.
    pub async fn queue_again(&self, space: &SpaceId, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        let space = space.clone();
        self.db
            .write(None, 512, move |batch| {
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

#[cfg(test)]
mod tests {
    use hookwright_model::{EventDraft, NewDelivery, NewEvent, Plan, Purpose, WebhookId};

    use super::*;
    use crate::{AttemptCommit, Store, StoreOptions, Tried};

    const WEBHOOK: u64 = 7;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Queues a delivery that is due at 1000.
    async fn queue(store: &Store) -> Delivery {
        let draft = EventDraft {
            event_type: "test.made".into(),
            source: "a".into(),
            payload: "{}".into(),
            ..EventDraft::default()
        };
        let delivery = NewDelivery {
            webhook: WebhookId::from("whk_7"),
            queue: WEBHOOK,
            message_id: hookwright_model::unique("msg"),
            key: None,
            purpose: Purpose::Event,
            wait_ms: 0,
        };
        let event = draft.accept(&SpaceId::main(), at(1000)).unwrap();
        let plan = Plan { deliveries: vec![delivery], ..Plan::default() };
        let seq = store.events.append(vec![NewEvent { event, plan }]).await.unwrap()[0].seq;
        store.deliveries.deliveries_of(&SpaceId::main(), seq).unwrap().remove(0)
    }

    /// Adds a row that no delivery has.
    async fn add_stale(store: &Store, millis: i64, id: DeliveryId) {
        let written = store.queues.db.write(None, 64, move |batch| {
            let space = batch.number(&SpaceId::main())?;
            put(batch, space, WEBHOOK, at(millis), id)
        });
        written.await.unwrap();
    }

    async fn drop_row(store: &Store, millis: i64, id: DeliveryId) {
        store.queues.drop_queued(&SpaceId::main(), WEBHOOK, at(millis), id).await.unwrap();
    }

    fn queue_rows(store: &Store) -> Vec<(i64, DeliveryId)> {
        let rows = store.queues.queued(&SpaceId::main(), WEBHOOK, at(i64::MAX), 10).unwrap();
        rows.into_iter().map(|(at, id)| (at.millis(), id)).collect()
    }

    #[tokio::test]
    async fn only_rows_that_no_pending_delivery_is_due_at_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(dir.path().join("store"))).unwrap();
        let pending = queue(&store).await;
        drop_row(&store, 1000, pending.id).await;
        assert_eq!(queue_rows(&store), [(1000, pending.id)], "a pending delivery keeps its row");

        add_stale(&store, 500, pending.id).await;
        assert_eq!(queue_rows(&store), [(500, pending.id), (1000, pending.id)]);
        drop_row(&store, 500, pending.id).await;
        assert_eq!(queue_rows(&store), [(1000, pending.id)], "of two rows only the stale one is removed");

        let mut delivery = pending.clone();
        delivery.state = DeliveryState::Delivered;
        let due_was = pending.next_attempt_at;
        let tried = Tried { delivery, expected_attempts: 0, attempt: None, due_was, release_key: false };
        let (space, now) = (SpaceId::main(), at(2000));
        let commit = AttemptCommit { space, now, tries: vec![tried], webhook: None, events: vec![], mails: vec![] };
        assert_eq!(store.attempts.record_attempts(commit).await, Ok(1));
        add_stale(&store, 1000, pending.id).await;
        drop_row(&store, 1000, pending.id).await;
        assert_eq!(queue_rows(&store), [], "the row of a finished delivery is removed");

        let missing = DeliveryId { ordinal: 9, ..pending.id };
        add_stale(&store, 1000, missing).await;
        drop_row(&store, 1000, missing).await;
        assert_eq!(queue_rows(&store), [], "the row of a missing delivery is removed");
    }
}
