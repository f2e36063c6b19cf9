//! Deliveries, and the requests that they took.

use serde::{Deserialize, Serialize};

use crate::{DeliveryId, SpaceId, Timestamp, WebhookId};

/// Why something is sent to a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// An event that it subscribes to.
    #[default]
    Event,
    /// To see whether its receiver wants it: sent although nothing else is yet.
    Confirmation,
    /// A test that somebody asked for: sent although the webhook may be off.
    Test,
    /// Once more, since somebody asked for it.
    Redelivery,
}

impl Purpose {
    /// Whether it is the usual one, which rows leave out.
    pub fn is_event(&self) -> bool {
        *self == Self::Event
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// An attempt is due at `next_attempt_at`, or it waits for an earlier one of its key.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// Given up; `last_error` says why.
    Dead,
    /// It failed and its webhook wants order: put aside until somebody redelivers it.
    Parked,
    /// The webhook's condition or transform did not want it sent; `last_error` says why.
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
    /// Names it in the API.
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
    /// Where it goes.
    pub webhook: WebhookId,
    /// The number of that webhook, which names its queue.
    #[serde(default)]
    pub queue: u64,
    /// Deliveries of one webhook with the same key go out one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it is sent.
    #[serde(default, skip_serializing_if = "Purpose::is_event")]
    pub purpose: Purpose,
    /// `webhook-id` of every attempt.
    pub message_id: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next one is due, while pending; none: it waits for an earlier one of its key.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last.
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
    /// Where the time went.
    #[serde(default)]
    pub timing: Timing,
    /// Where it went.
    pub url: String,
    /// What was sent, signature included: it is worth nothing to a reader.
    pub request_headers: Vec<Header>,
    /// What was sent, at most 64 KiB of it.
    pub request_body: String,
    /// How many deliveries the request carried, if more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// The first delivery of the batch, whose attempt has the header fields and bodies, which this one has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_first: Option<DeliveryId>,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

impl Attempt {
    /// Leaves out the header fields and bodies of the request and of its answer.
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

/// Where the time of a request went, in microseconds. A part that was not reached, or that a connection which was there
/// already did not need, is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Finding the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<u64>,
    /// Connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u64>,
    /// From the request's first byte to the answer's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Whether the connection was there already.
    #[serde(default)]
    pub reused: bool,
}

/// What an error begins with that tells of an answer's status, which follows.
pub const ANSWERED: &str = "the receiver answered ";

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

    /// The status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Failed { .. } => None,
        }
    }

    /// What went wrong, in words; none if nothing did.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Answered { status: 200..=299, .. } => None,
            Self::Answered { status, .. } => Some(format!("{ANSWERED}{status}")),
            Self::Failed { code, message } => Some(format!("{code}: {message}")),
        }
    }
}
