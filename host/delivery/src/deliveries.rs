//! Takes the due deliveries of a webhook's queue and has each sent, alone or as a batch. Those that wait for a webhook
//! that is disabled, dead or deleted are dead-lettered instead.

use std::collections::VecDeque;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::outcome_log;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{DeliveryState, Event, Failure, Purpose, Timestamp, Webhook};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{AttemptCommit, Store, Tried};

use crate::confirm::Confirmations;
use crate::fields;
use crate::message::{Messages, Shape, Shaped, joined};
use crate::notices::Notices;
use crate::queue_key::{QueueKey, Queued};
use crate::queues::{DeliveryQueues, RequestOutcome};
use crate::transmit::{Item, Transmit, WAIT_FOR_PLUGIN, finish};

/// Delivers what is due in the queues of webhooks.
pub struct Deliveries {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) delivery_queues: Arc<DeliveryQueues>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
    pub(crate) confirmations: Arc<Confirmations>,
    pub(crate) messages: Arc<Messages>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) transmit: Arc<Transmit>,
}

impl Deliveries {
    /// Sends what is due to a webhook, in one request if the webhook has batching.
    pub(crate) async fn deliver(
        &self,
        webhook: &Arc<Webhook>,
        rows: &[Queued],
    ) -> Result<RequestOutcome, PipelineError> {
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for row in rows {
            let Some(item) = self.item(webhook, row).await? else { continue };
            if webhook.batching.is_some() && item.delivery.purpose == Purpose::Event {
                together.push(item);
            } else {
                alone.push(item);
            }
        }
        let mut outcome = RequestOutcome::NotSent;
        for item in alone {
            outcome = if item.delivery.purpose == Purpose::Confirmation {
                self.confirmations.verify_receiver(webhook, item).await?
            } else {
                self.deliver_one(webhook, item).await?
            };
        }
        if !together.is_empty() {
            outcome = self.deliver_batch(webhook, together).await?;
        }
        Ok(outcome)
    }

    /// A delivery with its event, if it is still pending; otherwise its row is removed from the queue.
    async fn item(&self, webhook: &Webhook, (due, id): &Queued) -> Result<Option<Item>, PipelineError> {
        let delivery = self.store.deliveries.delivery(&webhook.space, *id)?;
        let pending = delivery.filter(|one| one.state == DeliveryState::Pending && one.next_attempt_at == Some(*due));
        let (Some(delivery), Some(event)) = (pending, self.store.events.event_at(&webhook.space, id.seq)?) else {
            self.store.queues.drop_queued(&webhook.space, webhook.number, *due, *id).await?;
            return Ok(None);
        };
        Ok(Some(Item { due: *due, delivery, event }))
    }

    /// Dead-letters the deliveries that wait for a webhook that receives no events. Tests and verification requests are
    /// still sent, at their time. Returns when the next of these is due.
    pub(crate) async fn dead_letter_or_send(
        &self,
        key: &QueueKey,
        webhook: Option<Arc<Webhook>>,
        rows: &[Queued],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PipelineError> {
        let (space, queue) = key;
        let mut later: Option<Timestamp> = None;
        let reason = webhook.as_ref().map_or_else(
            || "the webhook was deleted".to_owned(),
            |webhook| format!("the webhook is {}", webhook.state().name()),
        );
        let mut tries = Vec::new();
        for row @ (due, id) in rows {
            let delivery =
                self.store.deliveries.delivery(space, *id)?.filter(|one| one.state == DeliveryState::Pending);
            let Some(mut delivery) = delivery else {
                self.store.queues.drop_queued(space, *queue, *due, *id).await?;
                continue;
            };
            match (&webhook, delivery.purpose) {
                (Some(_), Purpose::Test | Purpose::Confirmation) if *due > now => {
                    later = Some(later.map_or(*due, |earlier| earlier.min(*due)));
                }
                (Some(webhook), Purpose::Test | Purpose::Confirmation) => {
                    self.deliver(webhook, std::slice::from_ref(row)).await?;
                }
                _ => {
                    let expected_attempts = delivery.attempts;
                    finish(&mut delivery, DeliveryState::Dead, Some(reason.clone()), now);
                    let due_was = Some(*due);
                    tries.push(Tried { delivery, expected_attempts, attempt: None, due_was, release_key: false });
                }
            }
        }
        if !tries.is_empty() {
            let space = space.clone();
            let (events, mails) = (Vec::new(), Vec::new());
            let deliveries = tries.len();
            self.store
                .attempts
                .record_attempts(AttemptCommit { space, now, tries, webhook: None, events, mails })
                .await?;
            outcome_log::queue_dead_lettered(&key.0, webhook.as_deref(), *queue, deliveries);
        }
        Ok(later)
    }

    async fn deliver_one(&self, webhook: &Arc<Webhook>, item: Item) -> Result<RequestOutcome, PipelineError> {
        let Some((item, shaped)) = self.shaped(webhook, item).await? else { return Ok(RequestOutcome::NotSent) };
        let id = item.delivery.message_id.clone();
        let sent = match self.transmit.send_signed(webhook, &item.event, &id, shaped, item.delivery.purpose).await {
            Ok(sent) => sent,
            Err(error) => return self.transmit.unsendable(webhook, vec![item], error).await,
        };
        self.transmit.conclude(webhook, vec![item], sent, None).await
    }

    /// The message of a delivery. `None`: the delivery is not sent now, and the reason is recorded.
    pub(crate) async fn shaped(
        &self,
        webhook: &Arc<Webhook>,
        mut item: Item,
    ) -> Result<Option<(Item, Shaped)>, PipelineError> {
        let shape = self.messages.shape(webhook, &item.delivery, &item.event).await?;
        let now = self.clock.now();
        match shape {
            Shape::Send(shaped) => return Ok(Some((item, shaped))),
            Shape::Drop(reason) => {
                self.transmit.drop_item(webhook, item, reason).await?;
                return Ok(None);
            }
            Shape::Wait(unavailable) => {
                item.delivery.last_error = Some(format!("waiting: {}", unavailable.reason));
                let later = unavailable.busy_until.unwrap_or_else(|| now.after(WAIT_FOR_PLUGIN));
                item.delivery.next_attempt_at = Some(later);
            }
            Shape::Failed(failure) => {
                self.transmit.unsendable(webhook, vec![item], failure.into()).await?;
                return Ok(None);
            }
        }
        self.transmit.unattempted(webhook, item, now).await?;
        Ok(None)
    }

    /// Sends the items in one request.
    pub(crate) async fn deliver_batch(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
    ) -> Result<RequestOutcome, PipelineError> {
        let (mut ready, mut messages) = (VecDeque::new(), VecDeque::new());
        for item in items {
            if let Some((item, shaped)) = self.shaped(webhook, item).await? {
                ready.push_back(item);
                messages.push_back(shaped);
            }
        }
        // The header fields of a batch are those of its first delivery. If they are too large, that delivery fails
        // alone.
        while let (Some(item), Some(message)) = (ready.front(), messages.front()) {
            let made = self.transmit.unsigned_fields(webhook, &item.event, message.headers.clone());
            let Err(PipelineError::Failed(failure)) = made else { break };
            if failure.code != fields::TOO_LARGE {
                break;
            }
            messages.pop_front();
            let Some(item) = ready.pop_front() else { break };
            self.transmit.unsendable(webhook, vec![item], failure.into()).await?;
        }
        let (ready, messages) = (Vec::from(ready), Vec::from(messages));
        let Some(batching) = &webhook.batching else { return Ok(RequestOutcome::NotSent) };
        let Some(first) = ready.first() else { return Ok(RequestOutcome::NotSent) };
        let Some(shaped) = joined(batching, &messages) else {
            let error = Failure::permanent(
                "batching.unfit",
                format!("the messages cannot be joined at `{}`: there is no list at that path", batching.list),
            );
            return self.transmit.unsendable(webhook, ready, error.into()).await;
        };
        let id = first.delivery.message_id.clone();
        let mut event = Event::clone(&first.event);
        // The batch has the cause of its deepest event, so that its hops are counted from the longest chain.
        let deepest = ready.iter().max_by_key(|item| item.event.depth());
        event.cause = deepest.and_then(|item| item.event.cause.clone());
        let sent = match self.transmit.send_signed(webhook, &event, &id, shaped, Purpose::Event).await {
            Ok(sent) => sent,
            Err(error) => return self.transmit.unsendable(webhook, ready, error).await,
        };
        self.transmit.conclude(webhook, ready, sent, None).await
    }
}
