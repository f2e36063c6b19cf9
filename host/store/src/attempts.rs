//! The outcomes of requests to webhooks.

use hookwright_model::{
    Attempt, Cause, Delivery, DeliveryId, DeliveryState, Letter, Mail, MailState, NewEvent, SpaceId, Timestamp,
    Webhook, WebhookId,
};

use crate::batch::{Batch, Faults};
use crate::db::Db;
use crate::ids::Ids;
use crate::journal::Prepared;
use crate::mails::{self, MAIL};
use crate::tables::{ATTEMPT_COUNT, ATTEMPTS};
use crate::{StoreError, journal, queue, rows, webhooks};

const ATTEMPT: Faults = Faults { before: "attempt.before-commit", after: "attempt.after-commit" };

/// The outcome of one request, or of the decision not to send one. It is committed as a whole.
#[derive(Debug)]
pub struct AttemptCommit {
    /// The space.
    pub space: SpaceId,
    /// The present time: deliveries that this releases, and mails, are due then.
    pub now: Timestamp,
    /// The deliveries concerned.
    pub tries: Vec<Tried>,
    /// The change of the webhook.
    pub webhook: Option<WebhookChange>,
    /// Events to be appended.
    pub events: Vec<NewEvent>,
    /// Mails to be sent.
    pub mails: Vec<(Letter, Cause)>,
}

/// One delivery with its outcome.
#[derive(Debug)]
pub struct Tried {
    /// The delivery as it is now.
    pub delivery: Delivery,
    /// The number of attempts that the stored delivery must have (compare-and-swap).
    pub expected_attempts: u32,
    /// The request, if one was made.
    pub attempt: Option<Attempt>,
    /// When this try was due.
    pub due_was: Option<Timestamp>,
    /// Whether the next delivery of its key is released although this one is retried.
    pub release_key: bool,
}

/// A change of a webhook.
#[derive(Debug)]
pub enum WebhookChange {
    /// Replaces it. A webhook that was deleted in the meantime stays deleted.
    Put(Box<Webhook>),
    /// Deletes it; its waiting deliveries are still to be dead-lettered.
    Delete(WebhookId),
}

/// A try that the caller has prepared, so that the writer has little work.
struct Prepare {
    tried: Tried,
    row: Vec<u8>,
    attempt: Option<Vec<u8>>,
}

impl Prepare {
    fn new(mut tried: Tried, now: Timestamp) -> Result<Self, StoreError> {
        let delivery = &mut tried.delivery;
        if delivery.state == DeliveryState::Pending {
            // A pending delivery without a time would never be found again.
            delivery.next_attempt_at.get_or_insert(now);
        } else {
            delivery.next_attempt_at = None;
            delivery.finished_at.get_or_insert(now);
        }
        let row = rows::json(delivery)?;
        let attempt = tried.attempt.as_ref().map(rows::json).transpose()?;
        if let Some(written) = &mut tried.attempt {
            // They are in the row, whose bytes are counted; a second copy of them would not be.
            written.clear_messages();
        }
        Ok(Self { tried, row, attempt })
    }

    fn bytes(&self) -> usize {
        self.row.len().saturating_add(self.attempt.as_ref().map_or(0, Vec::len))
    }
}

/// Attempts to send deliveries.
#[derive(Clone)]
pub struct Attempts {
    pub(crate) db: Db,
    pub(crate) ids: Ids,
}

impl Attempts {
    /// Records the outcome of a request in one commit, and returns the number of deliveries that were updated. A
    /// delivery that was finished in the meantime, or has another number of attempts than expected, is not changed; if
    /// there is no other, nothing is written. A finished delivery makes the next of its key due.
    pub async fn record_attempts(&self, commit: AttemptCommit) -> Result<usize, StoreError> {
        let AttemptCommit { space, now, tries, webhook, events, mails } = commit;
        let tries = tries.into_iter().map(|tried| Prepare::new(tried, now)).collect::<Result<Vec<_>, _>>()?;
        let events = events.into_iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let mails = mails.into_iter().map(|(letter, cause)| self.queue_mail(&space, letter, cause, now));
        let mails = mails.collect::<Result<Vec<_>, _>>()?;
        let bytes = tries.iter().map(Prepare::bytes).chain(events.iter().map(Prepared::bytes));
        let bytes = bytes.chain(mails.iter().map(|(_, row)| row.len()));
        let bytes = bytes.fold(0, usize::saturating_add);
        self.db
            .write(Some(ATTEMPT), bytes, move |batch| {
                let number = batch.number(&space)?;
                let asked = tries.len();
                let mut done = 0_usize;
                for tried in tries {
                    done = done.saturating_add(usize::from(record(batch, number, tried, now)?));
                }
                if done == 0 && asked > 0 {
                    return Ok(0);
                }
                match webhook {
                    Some(WebhookChange::Put(webhook)) => webhooks::replace(batch, number, *webhook)?,
                    Some(WebhookChange::Delete(id)) => webhooks::remove(batch, number, id.as_str())?,
                    None => {}
                }
                for event in events {
                    journal::append(batch, event)?;
                }
                for (id, row) in mails {
                    mails::write(batch, number, id, Some(now), &row)?;
                    batch.count(number, MAIL, id)?;
                }
                Ok(done)
            })
            .await
    }

    fn queue_mail(
        &self,
        space: &SpaceId,
        letter: Letter,
        cause: Cause,
        now: Timestamp,
    ) -> Result<(u64, Vec<u8>), StoreError> {
        let mail = Mail {
            id: self.ids.give_id(space, MAIL)?,
            space: space.clone(),
            letter,
            cause,
            state: MailState::Queued,
            attempts: 0,
            next_attempt_at: Some(now),
            tried_at: None,
            last_error: None,
            created_at: now,
            sent_at: None,
        };
        Ok((mail.id, rows::json(&mail)?))
    }

    /// The retained attempts of a delivery, oldest first.
    pub fn attempts(&self, space: &SpaceId, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(ATTEMPTS)?;
        let (first, last) = ((number, id.seq, id.ordinal, 0), (number, id.seq, id.ordinal, u32::MAX));
        table.range(first..=last)?.map(|row| rows::read(row?.1.value())).collect()
    }
}

/// Records the outcome of a delivery; false if another caller was faster.
fn record(batch: &mut Batch<'_>, space: u32, prepared: Prepare, now: Timestamp) -> Result<bool, StoreError> {
    let Prepare { tried, mut row, attempt: attempt_row } = prepared;
    let Tried { mut delivery, expected_attempts, attempt, due_was, release_key } = tried;
    let id = delivery.id;
    let stored = queue::load(batch, space, id)?;
    // If it was moved to another time, the row that the caller knows no longer exists.
    if let Some(was) = due_was
        && !stored.as_ref().is_some_and(|old| old.state == DeliveryState::Pending && old.next_attempt_at == Some(was))
    {
        queue::take(batch, space, stored.as_ref().map_or(delivery.queue, |old| old.queue), was, id)?;
    }
    let Some(stored) = stored.filter(|old| old.state == DeliveryState::Pending && old.attempts == expected_attempts)
    else {
        return Ok(false);
    };
    let finished = delivery.state != DeliveryState::Pending;
    let waits = queue::waits(&stored);
    if waits && !finished {
        return Ok(false);
    }
    let same = delivery.queue == stored.queue
        && delivery.key == stored.key
        && (delivery.redelivered_by.is_some() || stored.redelivered_by.is_none());
    if !same {
        // Fields that were set when it was queued, or by others in the meantime, are retained.
        delivery.queue = stored.queue;
        delivery.key = stored.key;
        delivery.redelivered_by = delivery.redelivered_by.or(stored.redelivered_by);
        row = rows::json(&delivery)?;
    }
    if let Some(was) = stored.next_attempt_at {
        queue::take(batch, space, delivery.queue, was, id)?;
    }
    batch.deliveries()?.insert((space, id.seq, id.ordinal), row.as_slice())?;
    if let (Some(attempt), Some(row)) = (&attempt, attempt_row) {
        log(batch, space, &delivery, attempt, &row)?;
    }
    if finished {
        let began = attempt.map_or(now, |attempt| attempt.started_at);
        let at = delivery.finished_at.unwrap_or(now).max(began);
        batch.finished()?.insert((at.millis(), space, id.seq, id.ordinal), ())?;
    } else if let Some(at) = delivery.next_attempt_at {
        queue::put(batch, space, delivery.queue, at, id)?;
    }
    if finished || release_key {
        queue::release(batch, space, &delivery, now)?;
    }
    Ok(true)
}

/// Writes an attempt and its position in the log.
fn log(
    batch: &mut Batch<'_>,
    space: u32,
    delivery: &Delivery,
    attempt: &Attempt,
    row: &[u8],
) -> Result<(), StoreError> {
    let DeliveryId { seq, ordinal } = delivery.id;
    let former = batch.attempts()?.insert((space, seq, ordinal, attempt.number), row)?.is_some();
    let place = (space, attempt.started_at.millis(), seq, ordinal, attempt.number);
    batch.attempt_log()?.insert(place, rows::log_summary(delivery.queue, attempt))?;
    if !former {
        let (everywhere, name) = ATTEMPT_COUNT;
        let count = batch.counter(everywhere, name)?;
        count.value = count.value.saturating_add(1);
    }
    Ok(())
}
