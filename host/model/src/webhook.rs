use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DeliveryId, EventPattern, SpaceId, Timestamp, WebhookId};

/// When a failed delivery is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySchedule {
    /// Seconds to wait after the first failure, the second, and so on; after the last the delivery is given up.
    pub delays_seconds: Vec<u64>,
    /// Up to this part of each delay is added at random, so that retries do not come in step. 0 to 1.
    #[serde(default = "default_jitter")]
    pub jitter: f64,
}

fn default_jitter() -> f64 {
    0.2
}

impl Default for RetrySchedule {
    /// The schedule that Standard Webhooks 1.0 recommends: ten attempts over some 75 hours.
    fn default() -> Self {
        let (minute, hour) = (60, 3600);
        Self {
            delays_seconds: vec![
                5,
                5 * minute,
                30 * minute,
                2 * hour,
                5 * hour,
                10 * hour,
                14 * hour,
                20 * hour,
                24 * hour,
            ],
            jitter: default_jitter(),
        }
    }
}

impl RetrySchedule {
    /// The delay after the `failures`th failure (counted from 1); `dice` is a random number from 0 to 1.
    pub fn delay(&self, failures: u32, dice: f64) -> Option<Duration> {
        let place = usize::try_from(failures).ok()?.checked_sub(1)?;
        let seconds = Duration::from_secs(*self.delays_seconds.get(place)?);
        Some(seconds + seconds.mul_f64(self.jitter.clamp(0.0, 1.0) * dice.clamp(0.0, 1.0)))
    }

    /// What is wrong with it, if anything.
    pub fn mistake(&self) -> Option<String> {
        if self.delays_seconds.len() > 50 {
            return Some(format!("{} delays: at most 50", self.delays_seconds.len()));
        }
        if let Some(long) = self.delays_seconds.iter().find(|delay| **delay > 30 * 86_400) {
            return Some(format!("a delay of {long} s: at most 30 days (2592000)"));
        }
        (!(0.0..=1.0).contains(&self.jitter)).then(|| format!("jitter {}: from 0 to 1", self.jitter))
    }
}

/// Whether a webhook is delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// Events go out.
    Active,
    /// Switched off by its owner, or by a 410 Gone.
    Disabled,
}

impl WebhookState {
    /// Whether events go out to it.
    pub fn delivers(self) -> bool {
        matches!(self, Self::Active)
    }
}

/// An outgoing subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Names it in the API.
    pub id: WebhookId,
    /// The space whose events it gets.
    pub space: SpaceId,
    /// Where they go.
    pub url: String,
    /// Which ones.
    pub events: Vec<EventPattern>,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// The signing secret, sealed. Its bytes; the text form is `whsec_` + base64 (Standard Webhooks 1.0).
    pub secret: String,
    /// When failures are tried again.
    pub retry: RetrySchedule,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u32,
    /// Whether it is delivered to.
    pub state: WebhookState,
    /// Why it is in that state, if it was not its owner's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a caller sends to make or change a webhook; what is absent keeps its value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// See [`Webhook::url`].
    pub url: Option<String>,
    /// See [`Webhook::events`].
    pub events: Option<Vec<EventPattern>>,
    /// See [`Webhook::description`].
    pub description: Option<String>,
    /// A signing secret of the caller's own, `whsec_` + base64 of 24 to 64 bytes; one is made if it is absent.
    pub secret: Option<String>,
    /// See [`Webhook::retry`].
    pub retry: Option<RetrySchedule>,
    /// See [`Webhook::timeout_ms`].
    pub timeout_ms: Option<u32>,
    /// Whether events go out.
    pub enabled: Option<bool>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// An attempt is due at `next_attempt_at`.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// Given up; `last_error` says why.
    Dead,
}

/// One event on its way to one webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Names it in the API.
    pub id: DeliveryId,
    /// The space of the event and the webhook.
    pub space: SpaceId,
    /// Id of the event.
    pub event: String,
    /// Type of the event.
    pub event_type: String,
    /// Where it goes.
    pub webhook: WebhookId,
    /// `webhook-id` of every attempt.
    pub message_id: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next one is due, while pending.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A header field in a log.
pub type Header = (String, String);

/// One HTTP request of a delivery and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where it went.
    pub url: String,
    /// What was sent, signature included: it is worth nothing to a reader.
    pub request_headers: Vec<Header>,
    /// What was sent, at most 64 KiB of it.
    pub request_body: String,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum AttemptOutcome {
    /// The receiver answered.
    Answered {
        /// The status.
        status: u16,
        /// The header fields.
        headers: Vec<Header>,
        /// The body, at most 64 KiB of it.
        body: String,
    },
    /// No answer came.
    Failed {
        /// Stable: `timeout`, `connect`, `address.refused`, `tls`, ...
        code: String,
        /// For people.
        message: String,
    },
}

impl AttemptOutcome {
    /// Whether the receiver took it: 2xx, nothing else.
    pub fn succeeded(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_schedule_is_that_of_standard_webhooks() {
        let schedule = RetrySchedule::default();
        let total: u64 = schedule.delays_seconds.iter().sum();
        assert!((75..=76).contains(&(total / 3600)), "{total}");
        assert_eq!(schedule.delay(1, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(schedule.delay(1, 1.0), Some(Duration::from_secs(6)));
        assert_eq!(schedule.delay(9, 0.0), Some(Duration::from_secs(86_400)));
        assert_eq!(schedule.delay(10, 0.0), None);
        assert_eq!(schedule.delay(0, 0.0), None);
    }

    #[test]
    fn jitter_only_adds() {
        let schedule = RetrySchedule { delays_seconds: vec![10], jitter: 0.5 };
        for dice in [0.0, 0.3, 1.0] {
            let delay = schedule.delay(1, dice).unwrap();
            assert!((10.0..=15.0).contains(&delay.as_secs_f64()));
        }
        assert!(RetrySchedule { delays_seconds: vec![], jitter: 1.5 }.mistake().is_some());
    }
}
