//! What came of requests to webhooks.

use hookwright_model::{
    Attempt, Cause, Delivery, DeliveryId, DeliveryState, Letter, Mail, MailState, NewEvent, SpaceId, Timestamp,
    Webhook, WebhookId,
};
use redb::ReadableTable as _;

use crate::journal::Prepared;
use crate::records::MAIL;
use crate::tables::{ATTEMPT_COUNT, ATTEMPTS, LogSummary};
use crate::writer::{Batch, Faults};
use crate::{Store, StoreError, journal, mails, queue, rows, webhooks};

const ATTEMPT: Faults = Faults { before: "attempt.before-commit", after: "attempt.after-commit" };

/// What came of one request, or of deciding that none is made: committed together.
#[derive(Debug)]
pub struct AttemptCommit {
    /// Whose it is.
    pub space: SpaceId,
    /// The present instant: deliveries that this lets go are due then, and mails.
    pub now: Timestamp,
    /// The deliveries that it was about.
    pub tries: Vec<Tried>,
    /// What it changes of the webhook.
    pub webhook: Option<WebhookChange>,
    /// Events to be appended.
    pub events: Vec<NewEvent>,
    /// Mails to be sent.
    pub mails: Vec<(Letter, Cause)>,
}

/// One delivery, and what it came to.
#[derive(Debug)]
pub struct Tried {
    /// The delivery as it is now.
    pub delivery: Delivery,
    /// How many attempts the stored one must have.
    pub expected_attempts: u32,
    /// The request, if one was made.
    pub attempt: Option<Attempt>,
    /// When this try was due.
    pub due_was: Option<Timestamp>,
    /// Whether the next of its key goes out although this one is tried again.
    pub release_key: bool,
}

/// What becomes of a webhook.
#[derive(Debug)]
pub enum WebhookChange {
    /// It is now like this. One that was deleted meanwhile stays deleted.
    Put(Box<Webhook>),
    /// It is deleted; what waits for it is still to be given up.
    Delete(WebhookId),
}

/// A try made ready by its caller, so that the writer has little left to do.
struct Prepare {
    tried: Tried,
    row: Vec<u8>,
    attempt: Option<Vec<u8>>,
}

impl Prepare {
    fn new(mut tried: Tried, now: Timestamp) -> Result<Self, StoreError> {
        let delivery = &mut tried.delivery;
        if delivery.state == DeliveryState::Pending {
            // Without a time it would be forgotten.
            delivery.next_attempt_at.get_or_insert(now);
        } else {
            delivery.next_attempt_at = None;
            delivery.finished_at.get_or_insert(now);
        }
        let row = rows::json(delivery)?;
        let attempt = tried.attempt.as_ref().map(rows::json).transpose()?;
        Ok(Self { tried, row, attempt })
    }

    fn bytes(&self) -> usize {
        self.row.len().saturating_add(self.attempt.as_ref().map_or(0, Vec::len))
    }
}

impl Store {
    /// Writes down what a request came to, all of it in one commit, and returns for how many deliveries. One that was
    /// finished meanwhile, or has another number of attempts than expected, is left as it is; if there is no other,
    /// nothing at all is written. A finished delivery makes the next of its key due.
    pub async fn record_attempts(&self, commit: AttemptCommit) -> Result<usize, StoreError> {
        let AttemptCommit { space, now, tries, webhook, events, mails } = commit;
        let tries = tries.into_iter().map(|tried| Prepare::new(tried, now)).collect::<Result<Vec<_>, _>>()?;
        let events = events.into_iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let mails = mails.into_iter().map(|(letter, cause)| self.queue_mail(&space, letter, cause, now));
        let mails = mails.collect::<Result<Vec<_>, _>>()?;
        let bytes = tries.iter().map(Prepare::bytes).chain(events.iter().map(Prepared::bytes));
        let bytes = bytes.fold(0, usize::saturating_add);
        self.write(Some(ATTEMPT), bytes, move |batch| {
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
                Some(WebhookChange::Delete(id)) => webhooks::remove(batch, number, id.as_str()).map(|_| ())?,
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
            id: self.give_id(space, MAIL)?,
            space: space.clone(),
            letter,
            cause,
            state: MailState::Queued,
            attempts: 0,
            next_attempt_at: Some(now),
            last_error: None,
            created_at: now,
            sent_at: None,
        };
        Ok((mail.id, rows::json(&mail)?))
    }

    /// The attempts of a delivery that are still kept, the first one first.
    pub fn attempts(&self, space: &SpaceId, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(ATTEMPTS)?;
        let (first, last) = ((number, id.seq, id.ordinal, 0), (number, id.seq, id.ordinal, u32::MAX));
        table.range(first..=last)?.map(|row| rows::read(row?.1.value())).collect()
    }
}

/// Writes down what a delivery came to; false if somebody else was here before.
fn record(batch: &mut Batch<'_>, space: u32, prepared: Prepare, now: Timestamp) -> Result<bool, StoreError> {
    let Prepare { tried, mut row, attempt: attempt_row } = prepared;
    let Tried { mut delivery, expected_attempts, attempt, due_was, release_key } = tried;
    let id = delivery.id;
    let stored = queue::load(batch, space, id)?;
    // Of one that was moved to another time, what the caller knows of is gone already.
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
        // What was decided when it was queued, or done by others meanwhile, stays.
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

/// Writes an attempt and its place in the log.
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
    batch.attempt_log()?.insert(place, summary(delivery.queue, attempt))?;
    if !former {
        let count = batch.counters()?.get(ATTEMPT_COUNT)?.map_or(0, |count| count.value());
        batch.counters()?.insert(ATTEMPT_COUNT, count.saturating_add(1))?;
    }
    Ok(())
}

/// What the log tells of an attempt without its row being read.
pub(crate) fn summary(queue: u64, attempt: &Attempt) -> LogSummary {
    (queue, attempt.outcome.status().unwrap_or(0), u8::from(attempt.outcome.succeeded()))
}
