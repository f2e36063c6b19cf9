//! Sends one delivery ahead of its queue: tests, and deliveries that are sent again one by one.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Author, DeliveryId, Profile, Purpose, SpaceId, Webhook};
use hookwright_routing::catalogue::Catalogue;
use hookwright_routing::event_types::KnownTypes;
use hookwright_store::Store;
use serde_json::json;

use crate::confirm::Confirmations;
use crate::deliveries::Deliveries;
use crate::holds::{DeliveryView, Holds};
use crate::queue_key::{QueueKey, key_of};
use crate::queues::{DeliveryQueues, RequestOutcome};
use crate::transmit::Transmit;

/// The interval at which a delivery that is in flight elsewhere is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// How much longer than the webhook's timeout the result of a test is waited for.
const TEST_GRACE: Duration = Duration::from_secs(5);

/// A test that was sent, or is in flight.
#[derive(Debug)]
pub struct WebhookTest {
    /// The id of the event that was created for it.
    pub event: String,
    /// Its delivery.
    pub delivery: DeliveryId,
    limit: Duration,
    sending: tokio::task::JoinHandle<()>,
}

/// Sends one delivery at once, ahead of its queue: tests, and deliveries that are sent again one by one.
pub struct OutOfTurn {
    pub(crate) store: Store,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) delivery_queues: Arc<DeliveryQueues>,
    pub(crate) confirmations: Arc<Confirmations>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) known_types: Arc<KnownTypes>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) transmit: Arc<Transmit>,
}

impl OutOfTurn {
    /// Sends a test event at once, also to a disabled webhook and while its other deliveries are held up.
    pub async fn test_webhook(
        self: &Arc<Self>,
        space: &SpaceId,
        id: &str,
        by: &Author,
    ) -> Result<WebhookTest, PipelineError> {
        let webhook = self.catalogue.existing_webhook(space, id)?;
        // Webhooks of Xurrent are created disabled, tested, and enabled when the test succeeds.
        let on_trial = webhook.profile == Profile::Xurrent && !webhook.enabled;
        if !webhook.confirmation.given() && !on_trial {
            return Err(PipelineError::Conflict {
                code: "webhook.unconfirmed",
                message:
                    "its receiver has not confirmed yet that it wants to be called, and nothing is sent before that: \
                          POST /v1/webhooks/{id}/verify repeats the verification request"
                        .to_owned(),
            });
        }
        let event_type = test_type(&webhook);
        let example = self.known_types.find_event_type(space, &event_type)?.and_then(|found| found.event_type.example);
        let data = example.unwrap_or_else(|| json!({"test": true, "webhook": webhook.id}));
        let appended = self.confirmations.send_own(&webhook, &event_type, &data, Purpose::Test, by).await?;
        let delivery = DeliveryId { seq: appended.seq, ordinal: 0 };
        let limit = Duration::from_millis(u64::from(webhook.timeout_ms)).saturating_add(TEST_GRACE);
        let this = Arc::clone(self);
        let sending = tokio::spawn(async move { this.send_out_of_turn(key_of(&webhook), delivery).await });
        Ok(WebhookTest { event: appended.id, delivery, limit, sending })
    }

    /// Waits for the end of a test, at most a little longer than the webhook's timeout. Returns the delivery as it is
    /// then.
    pub async fn test_result(&self, space: &SpaceId, test: WebhookTest) -> Result<DeliveryView, PipelineError> {
        let WebhookTest { delivery, limit, sending, .. } = test;
        // A test that takes longer continues in the background.
        let _ = tokio::time::timeout(limit, sending).await;
        let found = self.store.deliveries.delivery(space, delivery)?;
        let found = found.ok_or_else(|| PipelineError::not_found("delivery", &delivery.to_string()))?;
        Ok(self.holds.delivery_view(found))
    }

    /// Sends a delivery now, ahead of its queue and whatever the state of its circuit. If the dispatcher is sending it
    /// already, waits for the end of that.
    pub(crate) async fn send_out_of_turn(self: Arc<Self>, key: QueueKey, id: DeliveryId) {
        let _place = self.delivery_queues.tests.take(&key.0).await;
        // The webhook as it is now: it may have been changed while no permit was free. If it was deleted, the
        // dispatcher dead-letters the delivery.
        let Some(webhook) = self.catalogue.webhook_of_queue(&key.0, key.1) else { return };
        if !self.delivery_queues.claim(&key, id) {
            while self.delivery_queues.is_in_flight(&key, id) {
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
            return;
        }
        let due = self.store.deliveries.delivery(&key.0, id).map(|found| {
            // A webhook that receives no events is only sent tests; the dispatcher dead-letters the rest.
            let sent = found.filter(|delivery| webhook.delivers() || delivery.purpose == Purpose::Test);
            sent.and_then(|delivery| delivery.next_attempt_at)
        });
        let sent = match due {
            Ok(Some(due)) => self.deliveries.deliver(&webhook, &[(due, id)]).await,
            Ok(None) => Ok(RequestOutcome::NotSent),
            Err(error) => Err(error.into()),
        };
        let now = self.clock.now();
        match sent {
            // A success proves that the receiver works and closes the circuit. A failure was expected by whoever asked,
            // and does not open it.
            Ok(RequestOutcome::Succeeded) if !self.transmit.has_moved(&webhook) => {
                self.delivery_queues.reset_receiver(&key, now);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, webhook = %webhook.id, "a delivery could not be sent out of turn; it stays queued");
            }
        }
        self.delivery_queues.unclaim(&key, id, now);
    }
}

/// The event type of a test: the first one that the webhook subscribes to and that is not a pattern.
fn test_type(webhook: &Webhook) -> String {
    let concrete = webhook.events.iter().map(ToString::to_string).find(|pattern| !pattern.contains('*'));
    concrete.unwrap_or_else(|| "webhook.test".to_owned())
}
