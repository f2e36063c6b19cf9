//! Deliveries with their attempts, and what is due when.

use hookwright_model::{Attempt, Delivery, DeliveryId, DeliveryState, NewEvent, RunId, ScheduleId, SpaceId, Timestamp};
use redb::ReadableTable as _;

use crate::journal::Prepared;
use crate::page::{Cursor, Listing, Page};
use crate::tables::{ATTEMPTS, DELIVERIES, DUE, DUE_DELIVERY, DUE_MAIL, DUE_SCHEDULE};
use crate::writer::Faults;
use crate::{Committed, Store, StoreError, journal, rows};

const ATTEMPT: Faults = Faults { before: "attempt.before-commit", after: "attempt.after-commit" };

/// Something that is to be done at a certain time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// In which space.
    pub space: SpaceId,
    /// What.
    pub item: DueItem,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DueItem {
    /// The next attempt of a delivery.
    Delivery(DeliveryId),
    /// The next try of a run's step.
    Run(RunId),
    /// The next try of a mail.
    Mail(u64),
    /// The next time of a schedule.
    Schedule(ScheduleId),
}

impl Store {
    /// What is due by `now`, the oldest first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(DUE)?;
        let mut due = Vec::new();
        for row in table.range(..(now.millis().saturating_add(1), 0, 0, 0, 0))?.take(limit) {
            let (at, space, seq, ordinal, what) = row?.0.value();
            let Some(space) = self.inner.shared.space(space) else { continue };
            let item = match what {
                DUE_DELIVERY => DueItem::Delivery(DeliveryId { seq, ordinal }),
                DUE_MAIL => DueItem::Mail(seq),
                DUE_SCHEDULE => DueItem::Schedule(ScheduleId(seq)),
                _ => DueItem::Run(RunId { seq, ordinal }),
            };
            due.push(Due { at: Timestamp::from_millis(at), space, item });
        }
        Ok(due)
    }

    /// The first instant after `after` at which something is due.
    pub fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(DUE)?;
        let first = table.range((after.millis().saturating_add(1), 0, 0, 0, 0)..)?.next();
        Ok(first.transpose()?.map(|(key, _)| Timestamp::from_millis(key.value().0)))
    }

    /// Writes down an attempt and where the delivery stands after it.
    pub async fn record_attempt(
        &self,
        delivery: Delivery,
        expected_attempts: u32,
        attempt: Option<Attempt>,
        due_was: Option<Timestamp>,
        events: Vec<NewEvent>,
    ) -> Result<Committed, StoreError> {
        let row = rows::json(&delivery)?;
        let attempt =
            attempt.map(|attempt| Ok::<_, StoreError>((attempt.number, rows::json(&attempt)?))).transpose()?;
        let events = events.into_iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let bytes = row.len().saturating_add(attempt.as_ref().map_or(0, |(_, row)| row.len()));
        self.write(Some(ATTEMPT), bytes, move |batch| {
            let number = batch.number(&delivery.space)?;
            let DeliveryId { seq, ordinal } = delivery.id;
            let key = (number, seq, ordinal);
            let stored: Option<Delivery> = match batch.deliveries()?.get(key)? {
                Some(row) => Some(rows::read(row.value())?),
                None => None,
            };
            let as_expected =
                stored.is_some_and(|old| old.state == DeliveryState::Pending && old.attempts == expected_attempts);
            if let Some(due) = due_was {
                batch.due()?.remove((due.millis(), number, seq, ordinal, DUE_DELIVERY))?;
            }
            if !as_expected {
                return Ok(Committed::Superseded);
            }
            batch.deliveries()?.insert(key, row.as_slice())?;
            if let Some((count, row)) = attempt {
                batch.attempts()?.insert((number, seq, ordinal, count), row.as_slice())?;
            }
            if let (DeliveryState::Pending, Some(at)) = (delivery.state, delivery.next_attempt_at) {
                batch.due()?.insert((at.millis(), number, seq, ordinal, DUE_DELIVERY), ())?;
                batch.due_added = true;
            }
            for event in events {
                journal::append(batch, event)?;
            }
            Ok(Committed::Done)
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

    /// The attempts of a delivery, the first one first.
    pub fn attempts(&self, space: &SpaceId, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(ATTEMPTS)?;
        let (first, last) = ((number, id.seq, id.ordinal, 0), (number, id.seq, id.ordinal, u32::MAX));
        table.range(first..=last)?.map(|row| rows::read(row?.1.value())).collect()
    }
}
