//! Profiles of webhooks: the defaults that make a webhook behave like those of another system.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Handshake, RetrySchedule};

/// The system whose webhooks a webhook imitates. It determines the webhook's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Standard Webhooks 1.0.
    #[default]
    Standard,
    /// Capsule's REST hooks.
    Capsule,
    /// Zenvia's Support Service.
    SupportService,
    /// Uspacy.
    Uspacy,
    /// Xurrent.
    Xurrent,
    /// CloudEvents 1.0 over HTTP.
    Cloudevents,
}

/// What happens when the receiver answers 410 Gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gone {
    /// The webhook is disabled (Standard Webhooks 1.0).
    #[default]
    Disable,
    /// The webhook is deleted.
    Delete,
}

/// What happens to a webhook when one of its deliveries is dead-lettered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exhausted {
    /// It continues with the next delivery.
    #[default]
    Continue,
    /// It is dead: nothing is sent until it is enabled again.
    Die,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Capsule, Self::SupportService, Self::Uspacy, Self::Xurrent, Self::Cloudevents];

    /// The name, as the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Capsule => "capsule",
            Self::SupportService => "support-service",
            Self::Uspacy => "uspacy",
            Self::Xurrent => "xurrent",
            Self::Cloudevents => "cloudevents",
        }
    }

    /// The transform that makes its messages. `None`: the message of Standard Webhooks, which needs no plugin.
    pub fn transform(self) -> Option<&'static str> {
        match self {
            Self::Standard => None,
            Self::Capsule => Some("capsule"),
            Self::SupportService => Some("support-service"),
            Self::Uspacy => Some("uspacy"),
            Self::Xurrent => Some("xurrent"),
            Self::Cloudevents => Some("cloudevents"),
        }
    }

    /// How its receivers confirm the subscription.
    pub fn handshake(self) -> Handshake {
        match self {
            Self::Uspacy => Handshake::Sns,
            Self::Xurrent => Handshake::WebhookVerify,
            Self::Cloudevents => Handshake::CloudeventsOptions,
            Self::Standard | Self::Capsule | Self::SupportService => Handshake::None,
        }
    }

    /// The retry schedule. `None`: the server's setting.
    pub fn retry(self) -> Option<RetrySchedule> {
        match self {
            Self::Capsule => RetrySchedule::named("capsule", None).ok(),
            _ => None,
        }
    }

    /// What happens when the receiver answers 410 Gone.
    pub fn on_gone(self) -> Gone {
        if self == Self::Capsule { Gone::Delete } else { Gone::Disable }
    }

    /// What happens when the retries are exhausted.
    pub fn on_exhausted(self) -> Exhausted {
        if self == Self::Capsule { Exhausted::Die } else { Exhausted::Continue }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
