//! What a webhook is like that was made as one of another system.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Handshake, RetrySchedule};

/// The system whose webhooks a webhook is like: what it has unless it says otherwise.
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

/// What a receiver that answers 410 Gone comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gone {
    /// The webhook is switched off (Standard Webhooks 1.0).
    #[default]
    Disable,
    /// The webhook is deleted.
    Delete,
}

/// What a webhook comes to one of whose deliveries was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exhausted {
    /// It goes on with the next one.
    #[default]
    Continue,
    /// It is dead: nothing more is sent, until somebody switches it on again.
    Die,
}

impl Profile {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Capsule, Self::SupportService, Self::Uspacy, Self::Xurrent, Self::Cloudevents];

    /// The name, as the API writes it.
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

    /// The transform that makes its messages; none: the message of Standard Webhooks, which needs no plugin.
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

    /// How its receivers are asked.
    pub fn handshake(self) -> Handshake {
        match self {
            Self::Uspacy => Handshake::Sns,
            Self::Xurrent => Handshake::WebhookVerify,
            Self::Cloudevents => Handshake::CloudeventsOptions,
            Self::Standard | Self::Capsule | Self::SupportService => Handshake::None,
        }
    }

    /// When its failures are tried again; none: as the server is set.
    pub fn retry(self) -> Option<RetrySchedule> {
        match self {
            Self::Capsule => RetrySchedule::named("capsule", None).ok(),
            _ => None,
        }
    }

    /// What 410 Gone comes to.
    pub fn on_gone(self) -> Gone {
        if self == Self::Capsule { Gone::Delete } else { Gone::Disable }
    }

    /// What the last failure comes to.
    pub fn on_exhausted(self) -> Exhausted {
        if self == Self::Capsule { Exhausted::Die } else { Exhausted::Continue }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
