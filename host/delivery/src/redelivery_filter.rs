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

#[cfg(test)]
mod tests {
    use hookwright_model::DeliveryId;
    use serde_json::{Value, json};

    use super::*;
    use hookwright_samples::{NOW, delivery, minutes};

    fn filter(filter: &Value) -> RedeliveryFilter {
        serde_json::from_value(filter.clone()).unwrap()
    }

    #[test]
    fn a_filter_that_takes_everything_has_to_say_so() {
        for (given, wrong) in [
            (json!({}), vec!["all"]),
            (json!({"state": "dead"}), vec!["all"]),
            (json!({"all": true}), vec![]),
            (json!({"preview": true}), vec![]),
            (json!({"webhook": "whk_a"}), vec![]),
            (json!({"from": NOW.to_string()}), vec![]),
            (json!({"until": NOW.to_string()}), vec![]),
            (json!({"event_type": "go"}), vec![]),
            (json!({"error": "503"}), vec![]),
            (json!({"missed": true}), vec!["all", "webhook"]),
            (json!({"missed": true, "webhook": "whk_a"}), vec![]),
            (json!({"state": "pending", "all": true}), vec!["state"]),
        ] {
            let mistakes = filter(&given).check().err().map(|mistakes| mistakes.0).unwrap_or_default();
            let paths: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
            assert_eq!(paths, wrong, "{given}");
        }
    }

    #[test]
    fn a_delivery_is_taken_if_every_part_of_the_filter_fits() {
        let dead = Delivery { last_error: Some("the receiver answered 503".to_owned()), ..delivery("a") };
        let later = minutes(1).to_string();
        for (given, taken) in [
            (json!({}), true),
            (json!({"state": "delivered"}), false),
            (json!({"webhook": "whk_a"}), true),
            (json!({"webhook": "whk_b"}), false),
            (json!({"from": NOW.to_string()}), true),
            (json!({"from": later}), false),
            (json!({"until": NOW.to_string()}), false),
            (json!({"until": later}), true),
            (json!({"event_type": "go"}), true),
            (json!({"event_type": "go.on"}), false),
            (json!({"error": "503"}), true),
            (json!({"error": "504"}), false),
            (json!({"webhook": "whk_a", "error": "504"}), false),
        ] {
            assert_eq!(filter(&given).takes(&dead), taken, "{given}");
        }
        assert!(!filter(&json!({"error": "503"})).takes(&delivery("a")), "it has no error");
        let again = Delivery { redelivered_by: Some(DeliveryId { seq: 2, ordinal: 0 }), ..dead.clone() };
        assert!(!filter(&json!({})).takes(&again), "it was sent again already");
        let pending = Delivery { state: DeliveryState::Pending, ..dead };
        assert!(!filter(&json!({"state": "pending"})).takes(&pending), "it is sent anyway");
    }
}
