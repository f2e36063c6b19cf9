//! The key of a webhook's delivery queue.

use hookwright_model::{DeliveryId, SpaceId, Timestamp, Webhook};

/// The key of a webhook's delivery queue: the space and the webhook's number.
pub(crate) type QueueKey = (SpaceId, u64);

/// A delivery with the time at which it is due.
pub(crate) type Queued = (Timestamp, DeliveryId);

/// The key of a webhook's queue.
pub(crate) fn key_of(webhook: &Webhook) -> QueueKey {
    (webhook.space.clone(), webhook.number)
}
