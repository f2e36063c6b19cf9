//! How a webhook's receiver confirms the subscription.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How the receiver confirms the subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// No confirmation.
    #[default]
    None,
    /// A message of the type `SubscriptionConfirmation`, as Amazon SNS sends, with a link to follow.
    Sns,
    /// A message `webhook.verify` with a link to follow, as Xurrent sends.
    WebhookVerify,
    /// An OPTIONS request (CloudEvents 1.0, HTTP Webhook, section 4), answered at once or by following a link.
    CloudeventsOptions,
    /// A GET request with a challenge that the response repeats (W3C WebSub, section 5.3).
    WebsubChallenge,
    /// The header field `X-Hook-Secret` that the response repeats (REST Hooks).
    HookSecret,
}

impl Handshake {
    /// Whether a POST follows its link, besides a GET: in CloudEvents either does (HTTP Webhook, section 4.2), and a callback
    /// of Xurrent's may be called by either. A link of Amazon SNS is followed by a GET only.
    pub fn link_takes_post(self) -> bool {
        matches!(self, Self::CloudeventsOptions | Self::WebhookVerify)
    }
}

/// The state of a confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// How the receiver confirms the subscription.
    #[serde(default)]
    pub handshake: Handshake,
    /// When the receiver confirmed. Always `None` without a handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// SHA-256 of the token in the pending confirmation link, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_digest: Option<String>,
    /// The token itself, sealed, because a retry sends the same challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When the link expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Confirmation {
    /// Whether the receiver has confirmed, or need not.
    pub fn given(&self) -> bool {
        self.handshake == Handshake::None || self.confirmed_at.is_some()
    }
}
