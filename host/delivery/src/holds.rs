//! What currently holds a webhook's deliveries up, as the API shows it with each webhook and delivery. Tests, and a
//! delivery that somebody sends again by hand, are sent nevertheless.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Delivery, DeliveryId, DeliveryState, Timestamp, Webhook};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::Store;
use serde::Serialize;

use crate::queue_key::key_of;
use crate::queues::DeliveryQueues;

/// How many waiting deliveries are moved up in one commit.
const MAX_MOVED_PER_COMMIT: usize = 200;

/// Why nothing is sent to a webhook at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// `circuit-open` or `throttled`: the webhook's state during the hold.
    pub state: &'static str,
    /// When the hold ends.
    pub until: Timestamp,
    /// The reason as a sentence, with the time.
    pub reason: String,
}

/// A delivery as the API shows it, with what holds it up.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryView {
    /// The delivery. Its next attempt is at the time at which it can be made.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Why it is not sent although it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// Shows and ends what holds webhooks up.
pub struct Holds {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) delivery_queues: Arc<DeliveryQueues>,
    pub(crate) store: Store,
}

impl Holds {
    /// What holds the webhook's deliveries up. `None`: nothing does, or the webhook does not deliver anyway.
    pub fn hold(&self, webhook: &Webhook) -> Option<Hold> {
        if !webhook.delivers() {
            return None;
        }
        let now = self.clock.now();
        if let Some(until) = self.delivery_queues.circuits.open_until(&key_of(webhook), &webhook.url) {
            let reason = if now < until {
                format!("circuit open until {until}: most of the last requests failed")
            } else {
                format!("circuit half-open since {until}: the next request decides whether it closes")
            };
            return Some(Hold { state: "circuit-open", until, reason });
        }
        let until = self.delivery_queues.held_until(webhook, now)?;
        let reason = format!("throttled until {until}: rate limited by the receiver");
        Some(Hold { state: "throttled", until, reason })
    }

    /// The delivery as the API shows it.
    pub fn delivery_view(&self, mut delivery: Delivery) -> DeliveryView {
        if delivery.state != DeliveryState::Pending {
            return DeliveryView { delivery, waiting: None };
        }
        let Some(due) = delivery.next_attempt_at else {
            let waiting = Some("waiting for an earlier delivery with the same order key".to_owned());
            return DeliveryView { delivery, waiting };
        };
        let webhook = self.catalogue.webhook_of_queue(&delivery.space, delivery.queue);
        let key = (delivery.space.clone(), delivery.queue);
        let hold =
            webhook.filter(|_| !self.delivery_queues.is_in_flight(&key, delivery.id)).and_then(|one| self.hold(&one));
        // A delivery that is due after the hold ends is not held up by it.
        let waiting = hold.filter(|hold| due <= hold.until.max(self.clock.now())).map(|hold| {
            delivery.next_attempt_at = Some(due.max(hold.until));
            hold.reason
        });
        DeliveryView { delivery, waiting }
    }

    /// Closes the webhook's circuit, so that waiting deliveries are sent now. Returns whether it was open.
    pub fn reset_circuit(&self, webhook: &Webhook) -> bool {
        self.delivery_queues.reset_circuit(&key_of(webhook), self.clock.now())
    }

    /// Closes the webhook's circuit and ends its throttling, as for a new receiver, so that waiting deliveries are sent
    /// now.
    pub fn reset_receiver(&self, webhook: &Webhook) {
        self.delivery_queues.reset_receiver(&key_of(webhook), self.clock.now());
    }

    /// The same for a webhook whose url was changed, once the catalogue shows that: requests in flight to the former
    /// url no longer count.
    pub fn change_receiver(&self, webhook: &Webhook) {
        self.delivery_queues.change_receiver(&key_of(webhook), self.clock.now());
    }

    /// Moves up the deliveries that wait longer than the webhook's retry schedule requires, because of the
    /// `Retry-After` of its former receiver: they get the time by the schedule, counted from now. Called before another
    /// url is saved, so that a retry of a change that a crash interrupted leaves no delivery behind, and after it, for
    /// answers of the former receiver in between.
    pub async fn forget_retry_after(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let now = self.clock.now();
        let mut place = (now, DeliveryId { seq: u64::MAX, ordinal: u32::MAX });
        loop {
            let page = self.store.queues.queued_behind(&webhook.space, webhook.number, place, MAX_MOVED_PER_COMMIT)?;
            let Some(last) = page.last() else { return Ok(()) };
            place = *last;
            let mut earlier = Vec::new();
            for (due, id) in page {
                let Some(delivery) = self.store.deliveries.delivery(&webhook.space, id)? else { continue };
                let delays = [1.0, rand::random()].map(|dice| webhook.retry.delay(delivery.attempts, dice));
                if let [Some(longest), Some(delay)] = delays
                    && due > now.after(longest)
                {
                    earlier.push((id, now.after(delay)));
                }
            }
            if !earlier.is_empty() {
                self.store.queues.move_up(&webhook.space, earlier).await?;
            }
        }
    }

    /// The same after another url was saved. The change is committed by then and its caller must get the result, so an
    /// error is only logged, and those deliveries keep their times.
    pub async fn forget_late_retry_after(&self, webhook: &Webhook) {
        if let Err(error) = self.forget_retry_after(webhook).await {
            tracing::warn!(%error, webhook = %webhook.id, "deliveries may wait for the `Retry-After` of the former receiver");
        }
    }
}
