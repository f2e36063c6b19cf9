//! Starts what is due in the delivery queues of webhooks. Each queue has its own limits and its own circuit; all of
//! them share the limits of their hosts and of the server.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::outcome_log;
use hookwright_model::{Purpose, Timestamp, Webhook, WebhookState};
use hookwright_store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::circuits::Admission;
use crate::deliveries::Deliveries;
use crate::hosts::host_of;
use crate::queue_key::{QueueKey, Queued};
use crate::queues::{DEFAULT_CONCURRENCY, RequestOutcome, StartedRequest, max_concurrency};

/// The longest sleep, so that a jump of the clock is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// How many deliveries of a webhook that receives no events are dead-lettered in one commit.
const MAX_DEAD_LETTERED: usize = 200;

/// How many rows of the webhook's queue are read to find those.
const MAX_ROWS_READ: usize = 1000;

/// The pause before a queue is served again whose outcomes could not be recorded.
const ERROR_BACKOFF: Duration = Duration::from_millis(500);

/// Starts deliveries until the pipeline stops.
pub async fn dispatch(deliveries: Arc<Deliveries>) {
    let delivery_queues = Arc::clone(&deliveries.delivery_queues);
    let places = deliveries.settings.concurrent_deliveries.max(1);
    let permits = Arc::new(Semaphore::new(places));
    let touched = deliveries.store.touched_signal();
    let mut stopping = deliveries.stopping.subscribe();
    match deliveries.store.queues.queues() {
        Ok(queues) => {
            let now = deliveries.clock.now();
            for (space, queue, at) in queues {
                // Deliveries of a deleted, disabled or dead webhook are dead-lettered now, whenever they are due.
                let delivers = deliveries.catalogue.webhook_of_queue(&space, queue).is_some_and(|one| one.delivers());
                delivery_queues.look_at(&(space, queue), if delivers { at } else { at.min(now) });
            }
        }
        Err(error) => tracing::error!(%error, "the delivery queues cannot be read"),
    }
    while !*stopping.borrow_and_update() {
        deliveries.stopping.until_recording(&deliveries.store).await;
        let now = deliveries.clock.now();
        for key in deliveries.store.queues.touched() {
            delivery_queues.look_at(&key, now);
        }
        let mut full = false;
        while let Some(key) = delivery_queues.next(now) {
            match serve(&deliveries, &key, &permits, now) {
                Ok(true) => {}
                Ok(false) => {
                    // At the end, so that the other queues are served first.
                    delivery_queues.look_at(&key, now);
                    full = true;
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, queue = key.1, "a webhook's delivery queue cannot be read; trying again");
                    delivery_queues.look_at(&key, now.after(ERROR_BACKOFF));
                }
            }
        }
        let pause =
            delivery_queues.next_at().map_or(MAX_SLEEP, |next| next.since(deliveries.clock.now()).min(MAX_SLEEP));
        tokio::select! {
            () = delivery_queues.ended.notified() => {}
            () = touched.notified(), if !full => {}
            () = tokio::time::sleep(pause), if !full => {}
            _ = stopping.changed() => {}
        }
    }
    let _ = permits.acquire_many(u32::try_from(places).unwrap_or(u32::MAX)).await;
}

/// Starts what can be started of a queue. False: no permit is free, so the queue must be checked again.
fn serve(
    deliveries: &Arc<Deliveries>,
    key: &QueueKey,
    permits: &Arc<Semaphore>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let turn = deliveries.delivery_queues.take_turn(key);
    let served = serve_webhook(deliveries, key, permits, turn.is_some(), now);
    if let Some(host) = turn {
        // The part of its turn that it did not use passes to the next queue.
        deliveries.delivery_queues.release(&host, 0, now);
    }
    served
}

fn serve_webhook(
    deliveries: &Arc<Deliveries>,
    key: &QueueKey,
    permits: &Arc<Semaphore>,
    had_turn: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (space, queue) = key;
    let delivery_queues = &deliveries.delivery_queues;
    let webhook = deliveries.catalogue.webhook_of_queue(space, *queue);
    let Some(webhook) = webhook.filter(|webhook| webhook.delivers()) else {
        return serve_inactive(deliveries, key, permits, now);
    };
    let capacity = match delivery_queues.capacity(key, &webhook, now) {
        Ok(capacity) => capacity,
        Err(later) => {
            if let Some(later) = later {
                delivery_queues.look_at(key, later);
            }
            return Ok(true);
        }
    };
    let batch = webhook.batching.as_ref().map_or(1, |batching| usize::try_from(batching.most).unwrap_or(1));
    let wanted = capacity.saturating_mul(batch);
    let limit = wanted.saturating_add(delivery_queues.in_flight_count(key)).saturating_add(1);
    let rows = deliveries.store.queues.queued(space, *queue, Timestamp::from_millis(i64::MAX), limit)?;
    let last = rows.len() < limit;
    let mut rows = delivery_queues.not_in_flight(key, rows);
    let is_due = |rows: &[Queued]| rows.first().is_some_and(|(at, _)| *at <= now || (batch > 1 && rows.len() >= batch));
    if rows.is_empty() {
        delivery_queues.close(key);
        return Ok(true);
    }
    let mut placed = true;
    let mut started = 0_usize;
    if is_due(&rows) {
        let (capacity, probe) = match delivery_queues.circuits.admit(key, &webhook.url, now) {
            Admission::Closed => (capacity, false),
            Admission::Probe => (1, true),
            Admission::Open(until) => {
                delivery_queues.look_at(key, until);
                return Ok(true);
            }
        };
        let host = host_of(&webhook.url);
        let granted = delivery_queues.hosts.acquire(&host, key, capacity.min(rows.len()), had_turn);
        while started < granted && is_due(&rows) {
            let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
                placed = false;
                break;
            };
            let taken: Vec<Queued> = rows.drain(..batch.min(rows.len())).collect();
            // Rows that were not read are due later than those that were, but they may fill a batch.
            let more = is_due(&rows) || (!last && (batch > 1 || rows.is_empty()));
            if start(deliveries, key, &webhook, taken, more, permit) {
                started = started.saturating_add(1);
            }
        }
        if started < granted {
            delivery_queues.release(&host, granted.saturating_sub(started), now);
        }
        if probe && started == 0 {
            delivery_queues.circuits.return_probe(key, &webhook.url);
        }
    }
    match rows.first() {
        Some((at, _)) if *at > now => delivery_queues.look_at(key, *at),
        Some(_) if started == 0 => delivery_queues.set_more(key),
        // The end of a started request checks the queue again.
        _ => {}
    }
    Ok(placed)
}

/// Deliveries of events that are due later, at most `limit` of them. Tests and verification requests keep their times.
fn waiting_events(deliveries: &Deliveries, (space, queue): &QueueKey, limit: usize) -> Result<Vec<Queued>, StoreError> {
    let mut found = Vec::new();
    for row in
        deliveries.store.queues.queued(space, *queue, Timestamp::from_millis(i64::MAX), MAX_ROWS_READ.max(limit))?
    {
        let delivery = deliveries.store.deliveries.delivery(space, row.1)?;
        if !delivery.is_some_and(|one| matches!(one.purpose, Purpose::Test | Purpose::Confirmation)) {
            found.push(row);
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Dead-letters what is due to a webhook that receives no events; tests and verification requests are still sent. If
/// the webhook is deleted, disabled or dead, deliveries that wait for a retry are dead-lettered too, up to
/// [`MAX_DEAD_LETTERED`] in one commit.
fn serve_inactive(
    deliveries: &Arc<Deliveries>,
    key: &QueueKey,
    permits: &Arc<Semaphore>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (space, queue) = key;
    let delivery_queues = &deliveries.delivery_queues;
    let limit = MAX_DEAD_LETTERED.saturating_add(delivery_queues.in_flight_count(key));
    let webhook = deliveries.catalogue.webhook_of_queue(space, *queue);
    let mut rows = delivery_queues.not_in_flight(key, deliveries.store.queues.queued(space, *queue, now, limit)?);
    // An unconfirmed webhook may be confirmed by the time of a retry.
    let is_over = |one: &Arc<Webhook>| matches!(one.state(), WebhookState::Disabled | WebhookState::Dead);
    if rows.is_empty() && webhook.as_ref().is_none_or(is_over) {
        rows = delivery_queues.not_in_flight(key, waiting_events(deliveries, key, limit)?);
    }
    if rows.is_empty() {
        match deliveries.store.queues.next_queued(space, *queue)? {
            Some(at) if at > now => delivery_queues.look_at(key, at),
            _ => delivery_queues.close(key),
        }
        return Ok(true);
    }
    let Ok(permit) = Arc::clone(permits).try_acquire_owned() else { return Ok(false) };
    // The queue is checked once more at the end, for what is due later.
    let Some(request) = delivery_queues.start_request(key, rows, true) else { return Ok(true) };
    let (deliveries, key) = (Arc::clone(deliveries), key.clone());
    tokio::spawn(async move {
        let done = deliveries.dead_letter_or_send(&key, webhook, &request.rows, now).await;
        let later = done.as_ref().ok().copied().flatten();
        end(&deliveries, &key, &request, done.map(|_| RequestOutcome::NotSent), DEFAULT_CONCURRENCY).await;
        if let Some(later) = later {
            deliveries.delivery_queues.look_at(&key, later);
        }
        return_permit(&deliveries, permit);
    });
    Ok(true)
}

/// Starts a request with those rows that are not in flight. False: all of them are.
pub fn start(
    deliveries: &Arc<Deliveries>,
    key: &QueueKey,
    webhook: &Arc<Webhook>,
    rows: Vec<Queued>,
    more: bool,
    permit: OwnedSemaphorePermit,
) -> bool {
    let Some(request) = deliveries.delivery_queues.start_request(key, rows, more) else { return false };
    let (deliveries, key, webhook) = (Arc::clone(deliveries), key.clone(), Arc::clone(webhook));
    tokio::spawn(async move {
        let outcome = deliveries.deliver(&webhook, &request.rows).await;
        // The answer of the former receiver counts neither for nor against the present one. The catalogue identifies
        // requests that started before the url changed; the queue identifies those that are still in flight when it
        // changes after this line.
        let moved = deliveries.transmit.has_moved(&webhook);
        let outcome = if moved { outcome.map(|_| RequestOutcome::NotSent) } else { outcome };
        let opened = match outcome {
            _ if moved => None,
            Ok(outcome) => report_to_circuit(&deliveries, &key, &webhook, outcome),
            Err(_) => {
                deliveries.delivery_queues.circuits.return_probe(&key, &webhook.url);
                None
            }
        };
        deliveries.delivery_queues.release(&host_of(&webhook.url), 1, deliveries.clock.now());
        if let Some(until) = end(&deliveries, &key, &request, outcome, max_concurrency(&webhook)).await {
            deliveries.notices.notice_throttled(&webhook, until).await;
        }
        if let Some(until) = opened {
            deliveries.notices.notice_circuit_opened(&webhook, until).await;
        }
        return_permit(&deliveries, permit);
    });
    true
}

/// Returns a permit. The dispatcher may have been woken by the end of the request, found no permit, and waits for the
/// next end: without a second wake-up it would wait for ever if this was the last request in flight.
fn return_permit(deliveries: &Deliveries, permit: OwnedSemaphorePermit) {
    drop(permit);
    deliveries.delivery_queues.ended.notify_one();
}

/// Reports the outcome of a request to the webhook's circuit. Returns the time until which the circuit is open, if this
/// outcome opened it.
fn report_to_circuit(
    deliveries: &Deliveries,
    key: &QueueKey,
    webhook: &Webhook,
    outcome: RequestOutcome,
) -> Option<Timestamp> {
    let circuits = &deliveries.delivery_queues.circuits;
    let now = deliveries.clock.now();
    let failed = match outcome {
        RequestOutcome::Succeeded | RequestOutcome::Refused | RequestOutcome::Throttled { .. } => false,
        RequestOutcome::Failed => true,
        RequestOutcome::NotSent => {
            circuits.return_probe(key, &webhook.url);
            return None;
        }
    };
    let until = circuits.report(key, &webhook.url, failed, now)?;
    outcome_log::circuit_opened(webhook, until);
    Some(until)
}

/// Releases the rows of a request. Returns until when its queue is throttled, if it was not before.
async fn end(
    deliveries: &Deliveries,
    key: &QueueKey,
    request: &StartedRequest,
    outcome: Result<RequestOutcome, PipelineError>,
    most: usize,
) -> Option<Timestamp> {
    let failed = match &outcome {
        Ok(_) | Err(PipelineError::Store(StoreError::Closed)) => false,
        Err(error) => {
            tracing::error!(%error, queue = key.1, "a delivery could not be processed; trying again");
            tokio::time::sleep(ERROR_BACKOFF).await;
            true
        }
    };
    let outcome = outcome.unwrap_or(RequestOutcome::NotSent);
    let throttled = deliveries.delivery_queues.end_request(key, request, outcome, most, deliveries.clock.now());
    if failed {
        deliveries.delivery_queues.look_at(key, deliveries.clock.now());
        deliveries.delivery_queues.ended.notify_one();
    }
    throttled
}
