//! Deliveries and their attempts.

use serde::{Deserialize, Serialize};

use crate::{DeliveryId, SpaceId, Timestamp, WebhookId};

/// The reason for a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// An event that the webhook subscribes to.
    #[default]
    Event,
    /// A verification challenge: sent while the webhook is not confirmed yet.
    Confirmation,
    /// A requested test: sent even if the webhook is disabled.
    Test,
    /// A requested redelivery.
    Redelivery,
}

impl Purpose {
    /// Whether it is the default, which stored rows omit.
    pub fn is_event(&self) -> bool {
        *self == Self::Event
    }
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// An attempt is due at `next_attempt_at`, or it waits for an earlier delivery with its key.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// A dead letter; `last_error` contains the reason.
    Dead,
    /// It failed and its webhook is ordered: parked until it is redelivered.
    Parked,
    /// The webhook's condition or transform excluded it; `last_error` contains the reason.
    Dropped,
}

impl DeliveryState {
    /// The name, as the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Parked => "parked",
            Self::Dropped => "dropped",
        }
    }
}

/// One event on its way to one webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id in the API.
    pub id: DeliveryId,
    /// The space of the event and the webhook.
    pub space: SpaceId,
    /// Id of the event.
    pub event: String,
    /// Type of the event.
    pub event_type: String,
    /// What the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The webhook.
    pub webhook: WebhookId,
    /// The number of that webhook, which names its queue.
    #[serde(default)]
    pub queue: u64,
    /// Deliveries of one webhook with the same key are sent one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The reason for it.
    #[serde(default, skip_serializing_if = "Purpose::is_event")]
    pub purpose: Purpose,
    /// `webhook-id` of every attempt.
    pub message_id: String,
    /// Its state.
    pub state: DeliveryState,
    /// Number of attempts so far.
    pub attempts: u32,
    /// When the next attempt is due, while pending. `None`: it waits for an earlier delivery with its key.
    pub next_attempt_at: Option<Timestamp>,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The delivery that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivery_of: Option<DeliveryId>,
    /// The newest delivery that repeats this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivered_by: Option<DeliveryId>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was delivered or dead-lettered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A header field in a log.
pub type Header = (String, String);

/// One HTTP request of a delivery, and its outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// How its duration is distributed.
    #[serde(default)]
    pub timing: Timing,
    /// The URL.
    pub url: String,
    /// The header fields that were sent, including the signature, which reveals nothing to a reader.
    pub request_headers: Vec<Header>,
    /// The first 64 KiB of the body that was sent.
    pub request_body: String,
    /// How many deliveries the request carried, if more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// The first delivery of the batch: its attempt has the header fields and bodies, which this one lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_first: Option<DeliveryId>,
    /// Its outcome.
    pub outcome: AttemptOutcome,
}

impl Attempt {
    /// Removes the header fields and bodies of the request and of its response.
    pub fn clear_messages(&mut self) {
        self.request_headers = Vec::new();
        self.request_body = String::new();
        if let AttemptOutcome::Answered { headers, body, .. } = &mut self.outcome {
            *headers = Vec::new();
            *body = String::new();
        }
    }

    /// Makes it the attempt of a later delivery of the batch: the first one has the header fields and bodies.
    pub fn refer_to(&mut self, first: DeliveryId) {
        self.clear_messages();
        self.batch_first = Some(first);
    }
}

/// The phases of a request, in microseconds. A phase that was not reached, or that a reused connection skipped, is
/// absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Name resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<u64>,
    /// Connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u64>,
    /// From the first byte of the request to the head of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Whether the connection was reused.
    #[serde(default)]
    pub reused: bool,
}

/// The prefix of an error about the status of a response. The status follows.
pub const ANSWERED: &str = "the receiver answered ";

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum AttemptOutcome {
    /// The receiver responded.
    Answered {
        /// The status.
        status: u16,
        /// The header fields.
        headers: Vec<Header>,
        /// The first 64 KiB of the body.
        body: String,
    },
    /// There was no response.
    Failed {
        /// Stable: `timeout`, `connect`, `address.refused`, `tls`, ...
        code: String,
        /// The message.
        message: String,
    },
}

impl AttemptOutcome {
    /// Whether the receiver accepted it: a 2xx status.
    pub fn succeeded(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }

    /// The status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Failed { .. } => None,
        }
    }

    /// The error message. `None`: there was no error.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Answered { status: 200..=299, .. } => None,
            Self::Answered { status, .. } => Some(format!("{ANSWERED}{status}")),
            Self::Failed { code, message } => Some(format!("{code}: {message}")),
        }
    }
}
