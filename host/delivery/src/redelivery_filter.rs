//! Which deliveries are sent again.

use hookwright_model::{Delivery, DeliveryState, Mistakes, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};

/// Which deliveries are sent again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeliveryFilter {
    /// Only those to this webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookId>,
    /// Only those queued at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only those queued before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only those of this event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Only those in this state. Default `dead`; those that are still pending are never sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only those whose last error contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Also the events that `webhook` was not sent because it was disabled or dead when they were accepted: those
    /// between `from` and `until`, or without these of its last pause.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
    /// Every delivery of the space, if nothing else narrows the filter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only count what would be sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
}

impl RedeliveryFilter {
    /// Fails if the filter would send everything again without saying so.
    pub(crate) fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        let narrowed = self.webhook.is_some()
            || self.from.is_some()
            || self.until.is_some()
            || self.event_type.is_some()
            || self.error.is_some();
        if !narrowed && !self.all && !self.preview {
            let message = "is missing: without `webhook`, `from`, `until`, `event_type` or `error` every delivery of the \
                           space would be sent again. Give one of them, or `\"all\": true`; `\"preview\": true` counts first";
            mistakes.add("all", message);
        }
        if self.missed && self.webhook.is_none() {
            mistakes.add("webhook", "is missing: `missed` looks for the events that this webhook was not sent");
        }
        if self.state == Some(DeliveryState::Pending) {
            mistakes.add("state", "pending deliveries are sent automatically: give dead, parked, dropped or delivered");
        }
        mistakes.check()
    }

    pub(crate) fn takes(&self, delivery: &Delivery) -> bool {
        delivery.state == self.state.unwrap_or(DeliveryState::Dead)
            && delivery.state != DeliveryState::Pending
            && delivery.redelivered_by.is_none()
            && self.webhook.as_ref().is_none_or(|webhook| *webhook == delivery.webhook)
            && self.from.is_none_or(|from| delivery.created_at >= from)
            && self.until.is_none_or(|until| delivery.created_at < until)
            && self.event_type.as_ref().is_none_or(|wanted| *wanted == delivery.event_type)
            && self
                .error
                .as_ref()
                .is_none_or(|text| delivery.last_error.as_ref().is_some_and(|error| error.contains(text.as_str())))
    }
}
