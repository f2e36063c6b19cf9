//! Deliveries and redeliveries.

use hookwright_model::{Delivery, DeliveryId, DeliveryState, Purpose, SpaceId, Timestamp};

use crate::batch::Batch;
use crate::db::Db;
use crate::page::{Cursor, Listing, Page, SCANNED};
use crate::tables::DELIVERIES;
use crate::{StoreError, queue, rows};

/// One item of a redelivery.
#[derive(Clone, Debug)]
pub enum SendAgain {
    /// Repeats a delivery.
    Repeat(DeliveryId),
    /// Delivers an event that the webhook missed when the event was accepted.
    Late(Box<Delivery>),
}

impl SendAgain {
    fn place(&self) -> DeliveryId {
        match self {
            Self::Repeat(id) => *id,
            Self::Late(delivery) => delivery.id,
        }
    }
}

/// Deliveries.
#[derive(Clone)]
pub struct Deliveries {
    pub(crate) db: Db,
}

impl Deliveries {
    /// Queues a delivery again as a new one, which is due now and waits for no other, not even one of its order key. It
    /// has the same event, webhook and `message_id`, by which receivers drop duplicates. `None`: there is no such
    /// delivery.
    pub async fn redeliver(
        &self,
        space: &SpaceId,
        id: DeliveryId,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Option<Delivery>, StoreError> {
        let space = space.clone();
        self.db
            .write(None, 1024, move |batch| {
                let number = batch.number(&space)?;
                let Some(old) = queue::load(batch, number, id)? else { return Ok(None) };
                repeat(batch, number, old, None, now, purpose).map(Some)
            })
            .await
    }

    /// Queues redeliveries and missed events in one commit, in the order of the events; returns the new deliveries.
    /// Each has its order key, and waits for pending deliveries of that key. Deliveries that were repeated in the
    /// meantime, are pending, or do not exist are left out, and so are missed events of which the webhook has a
    /// delivery already.
    pub async fn send_again(
        &self,
        space: &SpaceId,
        mut wanted: Vec<SendAgain>,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let space = space.clone();
        wanted.sort_by_key(SendAgain::place);
        self.db
            .write(None, wanted.len().saturating_mul(1024), move |batch| {
                let number = batch.number(&space)?;
                let mut made = Vec::with_capacity(wanted.len());
                for one in wanted {
                    made.extend(match one {
                        SendAgain::Repeat(id) => repeat_in_turn(batch, number, id, now)?,
                        SendAgain::Late(delivery) => deliver_late(batch, number, *delivery, now)?,
                    });
                }
                Ok(made)
            })
            .await
    }

    /// A delivery.
    pub fn delivery(&self, space: &SpaceId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(DELIVERIES)?.get((number, id.seq, id.ordinal))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// All deliveries of an event.
    pub fn deliveries_of(&self, space: &SpaceId, seq: u64) -> Result<Vec<Delivery>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(DELIVERIES)?;
        table.range((number, seq, 0)..=(number, seq, u32::MAX))?.map(|row| rows::read(row?.1.value())).collect()
    }

    /// Calls `visit` with the deliveries of the events from `from` up to `to`, positions in the journal, in their
    /// order, until it has returned true for `limit` of them, or one call has read its maximum. It visits either all
    /// deliveries of an event or none of them, so deliveries that are queued again under the same events are not
    /// visited later. Returns the event to continue with; `None`: there are no more.
    pub fn visit_deliveries(
        &self,
        space: &SpaceId,
        from: u64,
        to: u64,
        limit: usize,
        visit: &mut dyn FnMut(&Delivery) -> bool,
    ) -> Result<Option<u64>, StoreError> {
        let Some(number) = self.db.number(space).filter(|_| from <= to) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let table = read.open_table(DELIVERIES)?;
        let (mut taken, mut last) = (0_usize, None);
        for (seen, row) in table.range((number, from, 0)..=(number, to, u32::MAX))?.enumerate() {
            let (key, row) = row?;
            let seq = key.value().1;
            if last.is_some_and(|last| last != seq) && (taken >= limit || seen >= SCANNED) {
                return Ok(Some(seq));
            }
            last = Some(seq);
            taken = taken.saturating_add(usize::from(visit(&rows::read(row.value())?)));
        }
        Ok(None)
    }

    /// Deliveries for which `keep` returns true, newest first.
    pub fn deliveries(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Delivery) -> bool,
    ) -> Result<Listing<Delivery>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Listing::empty()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(DELIVERIES)?;
        let before = page.before.map_or((number, u64::MAX, u32::MAX), |cursor| (number, cursor.seq, cursor.ordinal));
        let rows = table.range((number, 0, 0)..before)?.rev().map(|row| row.map_err(StoreError::from));
        Listing::fill(
            page.limit,
            rows,
            |(key, _)| Cursor { seq: key.value().1, ordinal: key.value().2 },
            |(_, row)| Ok(Some(rows::read::<Delivery>(row.value())?).filter(|delivery| keep(delivery))),
        )
    }
}

/// Queues the delivery of an event that was accepted earlier, with the next ordinal of that event.
fn deliver_late(
    batch: &mut Batch<'_>,
    space: u32,
    mut new: Delivery,
    due: Timestamp,
) -> Result<Option<Delivery>, StoreError> {
    let seq = new.id.seq;
    if batch.events()?.get((space, seq))?.is_none() {
        return Ok(None);
    }
    let mut ordinal = 0;
    for row in batch.deliveries()?.range((space, seq, 0)..=(space, seq, u32::MAX))? {
        let (key, row) = row?;
        if rows::read::<Delivery>(row.value())?.webhook == new.webhook {
            return Ok(None);
        }
        ordinal = key.value().2.saturating_add(1);
    }
    new.id.ordinal = ordinal;
    queue::enqueue(batch, space, &mut new, due)?;
    queue::store(batch, space, &new)?;
    Ok(Some(new))
}

/// Repeats a finished delivery that was not repeated yet, in the order of its key.
fn repeat_in_turn(
    batch: &mut Batch<'_>,
    space: u32,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<Delivery>, StoreError> {
    let Some(old) = queue::load(batch, space, id)? else { return Ok(None) };
    if old.redelivered_by.is_some() || old.state == DeliveryState::Pending {
        return Ok(None);
    }
    let key = order_key(batch, space, &old)?;
    repeat(batch, space, old, key, now, Purpose::Redelivery).map(Some)
}

/// The order key of a delivery. A redelivery that was sent out of order has the key of the delivery that it repeats.
fn order_key(batch: &mut Batch<'_>, space: u32, delivery: &Delivery) -> Result<Option<String>, StoreError> {
    let (mut key, mut former) = (delivery.key.clone(), delivery.redelivery_of);
    while let Some(id) = former.filter(|_| key.is_none()) {
        let Some(old) = queue::load(batch, space, id)? else { break };
        (key, former) = (old.key, old.redelivery_of);
    }
    Ok(key)
}

fn repeat(
    batch: &mut Batch<'_>,
    space: u32,
    mut old: Delivery,
    key: Option<String>,
    now: Timestamp,
    purpose: Purpose,
) -> Result<Delivery, StoreError> {
    let id = old.id;
    let last = {
        let range = (space, id.seq, 0)..=(space, id.seq, u32::MAX);
        batch.deliveries()?.range(range)?.next_back().transpose()?.map_or(id.ordinal, |(key, _)| key.value().2)
    };
    let ordinal = last.checked_add(1).ok_or_else(|| rows::corrupt("an event with 4294967296 deliveries"))?;
    let mut new = Delivery {
        id: DeliveryId { seq: id.seq, ordinal },
        key,
        purpose,
        state: DeliveryState::Pending,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        redelivery_of: Some(id),
        redelivered_by: None,
        created_at: now,
        finished_at: None,
        ..old.clone()
    };
    queue::enqueue(batch, space, &mut new, now)?;
    queue::store(batch, space, &new)?;
    old.redelivered_by = Some(new.id);
    queue::store(batch, space, &old)?;
    Ok(new)
}
