//! Redelivery: sends again one delivery, or all that match a filter, however many.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::job::JobState;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    Delivery, DeliveryId, DeliveryState, Purpose, SpaceId, Timestamp, Webhook, WebhookId, WebhookState, unique,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{SendAgain, Store};
use parking_lot::Mutex;
use serde::Serialize;

use crate::holds::Holds;
use crate::missed::{Missed, MissedEvents, late};
use crate::out_of_turn::OutOfTurn;
use crate::queue_key::key_of;
use crate::queues::DeliveryQueues;
use crate::redelivery_filter::RedeliveryFilter;

/// How many deliveries are queued in one commit.
const MAX_PER_COMMIT: usize = 500;

/// How many are found before they are queued, so that memory use does not grow with the number of redeliveries.
const MAX_FOUND: usize = 1000;

/// How many redeliveries are held in memory.
const MAX_REMEMBERED: usize = 1000;

/// What a redelivery would send.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RedeliveryPreview {
    /// Always true: nothing was sent.
    pub preview: bool,
    /// How many deliveries would be sent again.
    pub deliveries: u64,
    /// How many events would be sent that their webhook missed.
    pub missed: u64,
    /// How many deliveries match, but go to a webhook that is not active or was deleted: they would be left out.
    pub skipped: u64,
    /// How many deliveries would go to each webhook.
    pub webhooks: BTreeMap<WebhookId, u64>,
}

/// A redelivery of many deliveries, and its progress.
#[derive(Clone, Debug, Serialize)]
pub struct Redelivery {
    /// Its id in the API.
    pub id: String,
    /// The filter.
    pub filter: RedeliveryFilter,
    /// Its progress.
    pub state: JobState,
    /// How many deliveries matched the filter so far.
    pub seen: u64,
    /// How many were queued again.
    pub queued: u64,
    /// How many missed events were queued.
    pub missed: u64,
    /// How many matched, but were left out because their webhook is not active or was deleted.
    pub skipped: u64,
    /// The error that ended it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was requested.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// The search of a redelivery. It reads the events once, from the oldest to the one that was the newest when it began.
/// The deliveries that it queues belong to events that it has passed, so it never meets them again, whatever their
/// outcome.
struct Search<'a> {
    space: &'a SpaceId,
    filter: &'a RedeliveryFilter,
    missed: Option<Missed>,
    began: Timestamp,
    end: u64,
}

impl Search<'_> {
    fn start(&self) -> Position {
        Position { next: Some(0), misses: Vec::new(), unread: self.missed.is_some().then_some(0) }
    }
}

/// Whether another redelivery made this delivery, and the redelivery that began at `began` must leave it alone: it was
/// queued after that time, or was still pending then. Both times are compared, because a redelivery gives what it
/// queues the time at which it began itself.
fn belongs_to_another(one: &Delivery, began: Timestamp) -> bool {
    let is_again = one.redelivery_of.is_some() || one.purpose == Purpose::Redelivery;
    is_again && (one.created_at >= began || one.finished_at.is_some_and(|at| at > began))
}

/// A part of what a redelivery sends.
#[derive(Default)]
struct Found {
    /// The positions of deliveries in their order; without an ordinal, those of events that the webhook missed.
    places: Vec<(u64, Option<u32>)>,
    /// How many deliveries match the filter.
    seen: usize,
    /// How many of those are left out.
    skipped: usize,
    /// How many deliveries go to which webhook, by its queue.
    webhooks: HashMap<u64, (WebhookId, usize)>,
}

/// The progress of a search. Missed events are read ahead of the webhook's deliveries, and are held until the
/// deliveries have been read as far, so that each part of the journal is read once.
struct Position {
    /// The event at which the next part begins. `None`: the search is over.
    next: Option<u64>,
    /// Missed events from `next` on.
    misses: Vec<u64>,
    /// The event at which to continue looking for missed ones. `None`: there are no more.
    unread: Option<u64>,
}

/// The redeliveries since the server started.
#[derive(Default)]
pub(crate) struct Redeliveries(Mutex<HashMap<SpaceId, Vec<Redelivery>>>);

impl Redeliveries {
    fn change(&self, space: &SpaceId, id: &str, change: impl FnOnce(&mut Redelivery)) {
        let mut all = self.0.lock();
        if let Some(found) = all.get_mut(space).and_then(|list| list.iter_mut().find(|one| one.id == id)) {
            change(found);
        }
    }

    fn put(&self, space: &SpaceId, redelivery: Redelivery) {
        let mut all = self.0.lock();
        let list = all.entry(space.clone()).or_default();
        if list.len() >= MAX_REMEMBERED {
            list.remove(0);
        }
        list.push(redelivery);
    }
}

/// Redelivers: one delivery, or all that match a filter.
pub struct Resending {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) delivery_queues: Arc<DeliveryQueues>,
    pub(crate) redeliveries: Arc<Redeliveries>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
    pub(crate) holds: Arc<Holds>,
    pub(crate) out_of_turn: Arc<OutOfTurn>,
    pub(crate) missed: Arc<MissedEvents>,
}

impl Resending {
    /// Sends a delivery again, whatever its state: out of turn and with the webhook's circuit closed, unless the
    /// webhook is throttled or has a rate limit.
    pub async fn redeliver(self: &Arc<Self>, space: &SpaceId, id: DeliveryId) -> Result<Delivery, PipelineError> {
        let missing = || PipelineError::not_found("delivery", &id.to_string());
        let delivery = self.store.deliveries.delivery(space, id)?.ok_or_else(missing)?;
        let webhook = self.catalogue.existing_webhook(space, delivery.webhook.as_str())?;
        check_active(&webhook)?;
        if delivery.state == DeliveryState::Pending {
            return Err(PipelineError::Conflict {
                code: "delivery.pending",
                message: "the delivery is still pending: it is sent automatically".to_owned(),
            });
        }
        let made = self
            .store
            .deliveries
            .redeliver(space, id, self.clock.now(), Purpose::Redelivery)
            .await?
            .ok_or_else(missing)?;
        self.holds.reset_circuit(&webhook);
        if self.delivery_queues.may_send_out_of_turn(&webhook, self.clock.now()) {
            tokio::spawn(Arc::clone(&self.out_of_turn).send_out_of_turn(key_of(&webhook), made.id));
        }
        Ok(made)
    }

    /// Starts to send again everything that matches the filter. It continues in the background. The circuits of the
    /// webhooks that it goes to are closed.
    ///
    /// # Errors
    /// Nothing narrows the filter, or the webhook that it names does not exist or is not active.
    pub fn redeliver_all(
        self: &Arc<Self>,
        space: &SpaceId,
        filter: RedeliveryFilter,
    ) -> Result<Redelivery, PipelineError> {
        filter.check()?;
        if let Some(webhook) = &filter.webhook {
            check_active(&self.catalogue.existing_webhook(space, webhook.as_str())?)?;
        }
        let redelivery = Redelivery {
            id: unique("rdl"),
            filter,
            state: JobState::Running,
            seen: 0,
            queued: 0,
            missed: 0,
            skipped: 0,
            error: None,
            started_at: self.clock.now(),
            finished_at: None,
        };
        self.redeliveries.put(space, redelivery.clone());
        let (this, space, id, filter) =
            (Arc::clone(self), space.clone(), redelivery.id.clone(), redelivery.filter.clone());
        let began = redelivery.started_at;
        tokio::spawn(async move {
            let ended = this.redeliver_in_steps(&space, &id, &filter, began).await;
            let now = this.clock.now();
            this.redeliveries.change(&space, &id, |one| {
                one.finished_at = Some(now);
                match ended {
                    Ok(state) => one.state = state,
                    Err(error) => {
                        one.state = JobState::Failed;
                        one.error = Some(error.to_string());
                    }
                }
            });
        });
        Ok(redelivery)
    }

    async fn redeliver_in_steps(
        &self,
        space: &SpaceId,
        id: &str,
        filter: &RedeliveryFilter,
        began: Timestamp,
    ) -> Result<JobState, PipelineError> {
        let Some(end) = self.store.events.last_seq(space)? else { return Ok(JobState::Done) };
        let missed = self.missed.missed_of(space, filter, began).await?;
        let search = Search { space, filter, missed, began, end };
        let mut closed = HashSet::new();
        let mut close = |queue: u64| {
            if closed.insert(queue) {
                self.delivery_queues.reset_circuit(&(space.clone(), queue), began);
            }
        };
        // Whoever names a webhook states that its receiver works, so its circuit closes even if everything waits for
        // the circuit.
        if let Some(webhook) = filter.webhook.as_ref().and_then(|id| self.catalogue.webhook(space, id.as_str())) {
            close(webhook.number);
        }
        let mut position = search.start();
        while position.next.is_some() {
            if self.stopping.has_begun() {
                return Ok(JobState::Stopped);
            }
            let found = self.find(&search, &mut position)?;
            self.redeliveries.change(space, id, |one| {
                add(&mut one.seen, found.seen);
                add(&mut one.skipped, found.skipped);
            });
            found.webhooks.keys().copied().for_each(&mut close);
            if !self.send_in_steps(id, &search, &found.places).await? {
                return Ok(JobState::Stopped);
            }
            // Yields, because there may be millions.
            tokio::task::yield_now().await;
        }
        Ok(JobState::Done)
    }

    /// Finds the next part of what a redelivery sends: up to [`MAX_FOUND`] deliveries, and all those of the last event.
    fn find(&self, search: &Search<'_>, position: &mut Position) -> Result<Found, PipelineError> {
        let Search { space, filter, missed, began, end } = search;
        let Some(from) = position.next else { return Ok(Found::default()) };
        if let (Some(missed), Some(unread)) = (missed, position.unread)
            && unread <= from
        {
            (position.misses, position.unread) =
                self.missed.missed_within(missed, filter, (unread, *end), MAX_FOUND)?;
        }
        // Not beyond the events that were searched for missed ones.
        let to = position.unread.map_or(*end, |unread| unread.saturating_sub(1));
        let mut found = Found::default();
        let next = self.store.deliveries.visit_deliveries(space, from, to, MAX_FOUND, &mut |one| {
            if belongs_to_another(one, *began) || !filter.takes(one) {
                return false;
            }
            found.seen = found.seen.saturating_add(1);
            if !self.can_send(space, one.queue) {
                found.skipped = found.skipped.saturating_add(1);
                return false;
            }
            found.places.push((one.id.seq, Some(one.id.ordinal)));
            let (_, count) = found.webhooks.entry(one.queue).or_insert_with(|| (one.webhook.clone(), 0));
            *count = count.saturating_add(1);
            true
        })?;
        let reached = next.map_or(position.misses.len(), |next| position.misses.partition_point(|seq| *seq < next));
        found.places.extend(position.misses.drain(..reached).map(|seq| (seq, None)));
        position.next = next.or(position.unread);
        found.places.sort_unstable();
        Ok(found)
    }

    /// Queues what was found. False: the pipeline is stopping.
    async fn send_in_steps(
        &self,
        id: &str,
        search: &Search<'_>,
        found: &[(u64, Option<u32>)],
    ) -> Result<bool, PipelineError> {
        let Search { space, missed, began, .. } = search;
        for some in found.chunks(MAX_PER_COMMIT) {
            if self.stopping.has_begun() {
                return Ok(false);
            }
            let mut wanted = Vec::with_capacity(some.len());
            for &(seq, ordinal) in some {
                if let Some(ordinal) = ordinal {
                    wanted.push(SendAgain::Repeat(DeliveryId { seq, ordinal }));
                } else if let (Some(missed), Some(event)) = (missed, self.store.events.event_at(space, seq)?) {
                    wanted.push(SendAgain::Late(Box::new(late(&missed.webhook, seq, &event, self.clock.now()))));
                }
            }
            // All are due at the same instant, so that the queue sends them in the order of their events.
            let made = self.store.deliveries.send_again(space, wanted, *began).await?;
            let misses = made.iter().filter(|one| one.redelivery_of.is_none()).count();
            self.redeliveries.change(space, id, |one| {
                add(&mut one.queued, made.len().saturating_sub(misses));
                add(&mut one.missed, misses);
            });
        }
        Ok(true)
    }

    /// Whether the webhook of a queue exists and is active.
    fn can_send(&self, space: &SpaceId, queue: u64) -> bool {
        self.catalogue.webhook_of_queue(space, queue).is_some_and(|webhook| webhook.delivers())
    }

    /// Counts what [`Resending::redeliver_all`] would send, and sends nothing.
    ///
    /// # Errors
    /// The filter is not valid, or the webhook that it names does not exist.
    pub async fn preview_redelivery(
        &self,
        space: &SpaceId,
        filter: &RedeliveryFilter,
    ) -> Result<RedeliveryPreview, PipelineError> {
        filter.check()?;
        if let Some(webhook) = &filter.webhook {
            self.catalogue.existing_webhook(space, webhook.as_str())?;
        }
        let mut preview = RedeliveryPreview { preview: true, ..RedeliveryPreview::default() };
        let began = self.clock.now();
        let Some(end) = self.store.events.last_seq(space)? else { return Ok(preview) };
        let missed = self.missed.missed_of(space, filter, began).await?;
        let search = Search { space, filter, missed, began, end };
        let mut position = search.start();
        while position.next.is_some() {
            let found = self.find(&search, &mut position)?;
            add(&mut preview.skipped, found.skipped);
            for (webhook, count) in found.webhooks.into_values() {
                add(&mut preview.deliveries, count);
                add(preview.webhooks.entry(webhook).or_default(), count);
            }
            let misses = found.places.iter().filter(|(_, ordinal)| ordinal.is_none()).count();
            if let Some(missed) = search.missed.as_ref().filter(|_| misses > 0) {
                add(&mut preview.missed, misses);
                add(preview.webhooks.entry(missed.webhook.id.clone()).or_default(), misses);
            }
            // Yields, because there may be millions.
            tokio::task::yield_now().await;
        }
        Ok(preview)
    }

    /// The redeliveries of a space since the server started, the newest first.
    pub fn redeliveries(&self, space: &SpaceId) -> Vec<Redelivery> {
        let all = self.redeliveries.0.lock();
        all.get(space).map(|list| list.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// One redelivery.
    pub fn redelivery(&self, space: &SpaceId, id: &str) -> Result<Redelivery, PipelineError> {
        let found = self.redeliveries(space).into_iter().find(|one| one.id == id);
        found.ok_or_else(|| PipelineError::not_found("redelivery", id))
    }
}

fn add(count: &mut u64, more: usize) {
    *count = count.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}

/// Fails if the webhook is not active: its deliveries would only be dead-lettered again.
fn check_active(webhook: &Webhook) -> Result<(), PipelineError> {
    let remedy = match webhook.state() {
        WebhookState::Active => return Ok(()),
        WebhookState::Unconfirmed => "repeat the verification request with POST /v1/webhooks/{id}/verify",
        WebhookState::Disabled | WebhookState::Dead => "enable it first with POST /v1/webhooks/{id}/enable",
    };
    Err(PipelineError::Conflict {
        code: "webhook.not_active",
        message: format!("nothing can be sent to the webhook {}: it is {}; {remedy}", webhook.id, webhook.standing()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_samples::delivery;

    #[test]
    fn deliveries_of_another_redelivery_are_excluded_unless_they_ended_before() {
        let at = Timestamp::from_millis;
        let first = Delivery { created_at: at(10), finished_at: Some(at(20)), ..delivery("a") };
        let late = Delivery { purpose: Purpose::Redelivery, ..first.clone() };
        let again = Delivery { redelivery_of: Some(first.id), ..late.clone() };
        let began = |began: i64| [&first, &late, &again].map(|one| belongs_to_another(one, at(began)));
        assert_eq!(began(9), [false, true, true], "queued since");
        assert_eq!(began(10), [false, true, true], "queued in the same millisecond");
        assert_eq!(began(19), [false, true, true], "queued before, and failed since");
        assert_eq!(began(20), [false, false, false], "it had failed before");
    }
}
