//! Deliveries, and those that repeat others.

use hookwright_model::{Delivery, DeliveryId, DeliveryState, Purpose, SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::page::{Cursor, Listing, Page};
use crate::tables::DELIVERIES;
use crate::writer::Batch;
use crate::{Store, StoreError, queue, rows};

impl Store {
    /// Queues a delivery once more as a new one, which is due now and waits for no other: same event, same webhook, same
    /// `message_id`, since receivers drop repeats by it. None: there is no such delivery.
    pub async fn redeliver(
        &self,
        space: &SpaceId,
        id: DeliveryId,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Option<Delivery>, StoreError> {
        let space = space.clone();
        self.write(None, 1024, move |batch| {
            let number = batch.number(&space)?;
            repeat(batch, number, id, now, purpose)
        })
        .await
    }

    /// Redelivers many in one commit; returns the new ones. Those that do not exist are left out.
    pub async fn redeliver_many(
        &self,
        space: &SpaceId,
        ids: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let space = space.clone();
        self.write(None, ids.len().saturating_mul(1024), move |batch| {
            let number = batch.number(&space)?;
            let mut made = Vec::with_capacity(ids.len());
            for id in ids {
                made.extend(repeat(batch, number, id, now, Purpose::Redelivery)?);
            }
            Ok(made)
        })
        .await
    }

    /// A delivery.
    pub fn delivery(&self, space: &SpaceId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(DELIVERIES)?.get((number, id.seq, id.ordinal))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// All deliveries of an event.
    pub fn deliveries_of(&self, space: &SpaceId, seq: u64) -> Result<Vec<Delivery>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(DELIVERIES)?;
        table.range((number, seq, 0)..=(number, seq, u32::MAX))?.map(|row| rows::read(row?.1.value())).collect()
    }

    /// Deliveries for which `keep` says yes, newest first.
    pub fn deliveries(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Delivery) -> bool,
    ) -> Result<Listing<Delivery>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Listing::empty()) };
        let read = self.begin_read()?;
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

fn repeat(
    batch: &mut Batch<'_>,
    space: u32,
    id: DeliveryId,
    now: Timestamp,
    purpose: Purpose,
) -> Result<Option<Delivery>, StoreError> {
    let Some(mut old) = queue::load(batch, space, id)? else { return Ok(None) };
    let last = {
        let range = (space, id.seq, 0)..=(space, id.seq, u32::MAX);
        batch.deliveries()?.range(range)?.next_back().transpose()?.map_or(id.ordinal, |(key, _)| key.value().2)
    };
    let ordinal = last.checked_add(1).ok_or_else(|| rows::corrupt("an event with 4294967296 deliveries"))?;
    let mut new = Delivery {
        id: DeliveryId { seq: id.seq, ordinal },
        key: None,
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
    Ok(Some(new))
}
