//! Outgoing subscriptions and what is sent to them.

mod confirmation;
mod delivery;
mod pace;
mod profile;
mod retry;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use confirmation::{Confirmation, Handshake};
pub use delivery::{Attempt, AttemptOutcome, Delivery, DeliveryState, Header, Purpose, Timing};
pub use pace::{Batching, HeadOfLine, Order, Rate};
pub use profile::{Exhausted, Gone, Profile};
pub use retry::RetrySchedule;

use crate::{EventPattern, Mistakes, SigningPolicy, SpaceId, Timestamp, WebhookId, When};

/// Whether a webhook is delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// Its receiver has not said yet that it wants to be called.
    Unconfirmed,
    /// Events go out.
    Active,
    /// Switched off, by its owner or by a 410 Gone.
    Disabled,
    /// Given up: its receiver failed too often.
    Dead,
}

impl WebhookState {
    /// The name, as the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Dead => "dead",
        }
    }
}

/// A key that messages are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Names it: `kid` of what it signs.
    pub id: String,
    /// Its private part, sealed.
    pub sealed: String,
    /// Its public part in every form that receivers ask for, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it signs beside a newer one; none: it is the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A header field of a webhook's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomHeader {
    /// Its name.
    pub name: String,
    /// Its value, with variables. `{{secrets.NAME}}` stands for a secret of the space.
    pub value: String,
}

/// How connections to a receiver are made, beyond what holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransportSettings {
    /// Certificates of authorities that are trusted besides the public ones, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The certificate chain that Hookwright shows, as PEM (mutual TLS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_pem: Option<String>,
    /// The name of the secret of the space that holds that certificate's private key, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_secret: Option<String>,
    /// Whether HTTP/2 is used where the receiver offers it. Default true.
    #[serde(default = "yes")]
    pub http2: bool,
}

/// Where tokens come from that a receiver wants to see (RFC 6749 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthSettings {
    /// The token endpoint.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// The name of the secret of the space that holds the client's secret.
    pub client_secret: String,
    /// What the token is to be good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Whether the client's id and secret go in the body of the request rather than in its `Authorization`.
    #[serde(default)]
    pub credentials_in_body: bool,
}

fn yes() -> bool {
    true
}

/// An outgoing subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Names it in the API.
    pub id: WebhookId,
    /// Counted from 1 in its space: its id for the systems whose ids are numbers, and the name of its queue.
    #[serde(default)]
    pub number: u64,
    /// The space whose events it gets.
    pub space: SpaceId,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// The system whose webhooks it is like.
    #[serde(default)]
    pub profile: Profile,
    /// Where its events go.
    pub url: String,
    /// Which ones.
    pub events: Vec<EventPattern>,
    /// What that system calls them, if it was made with its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What a receiver of Capsule's asked to find in its messages: kept and shown, as messages carry whole records anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<String>,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// Under what it is filed elsewhere: a system, and its id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// See `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// What must hold for an event to go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// The transform that makes the message; none: the message of Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// Header fields besides those of the message and its signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<CustomHeader>,
    /// How messages are signed, unless a policy says it.
    #[serde(default)]
    pub signing: SigningPolicy,
    /// The policy that says how messages are signed, and holds the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<u64>,
    /// The keys, the newest first.
    #[serde(default)]
    pub keys: Vec<SigningKey>,
    /// When failures are tried again.
    pub retry: RetrySchedule,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u32,
    /// How many requests in which time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many requests may be under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// In which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How many events in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batching: Option<Batching>,
    /// What 410 Gone comes to.
    #[serde(default)]
    pub on_gone: Gone,
    /// What the last failure of a delivery comes to.
    #[serde(default)]
    pub on_exhausted: Exhausted,
    /// Who gets a mail when deliveries fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mail_exceptions_to: Vec<String>,
    /// How connections are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportSettings>,
    /// Where tokens come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OauthSettings>,
    /// Whether its owner wants events to go out.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it was given up.
    #[serde(default)]
    pub dead: bool,
    /// Whether its receiver wants to be called.
    #[serde(default)]
    pub confirmation: Confirmation,
    /// Why it is in its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// Who or what put it there: `key NAME`, `receiver`, `server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_by: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_at: Option<Timestamp>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether it is delivered to.
    pub fn state(&self) -> WebhookState {
        if self.dead {
            WebhookState::Dead
        } else if !self.enabled {
            WebhookState::Disabled
        } else if !self.confirmation.given() {
            WebhookState::Unconfirmed
        } else {
            WebhookState::Active
        }
    }

    /// Whether events go out to it.
    pub fn delivers(&self) -> bool {
        self.state() == WebhookState::Active
    }

    /// Adds what is wrong with it, as far as that can be seen without asking anybody else.
    pub fn check(&self, mistakes: &mut Mistakes) {
        let mut at_most = |field: &str, length: usize, most: usize| {
            if length > most {
                mistakes.add(field, format!("has {length} bytes: at most {most}"));
            }
        };
        at_most("url", self.url.len(), 2048);
        at_most("name", self.name.len(), 256);
        at_most("embed", self.embed.as_ref().map_or(0, String::len), 256);
        at_most("description", self.description.len(), 65_536);
        at_most("source", self.source.as_ref().map_or(0, String::len), 30);
        at_most("source_id", self.source_id.as_ref().map_or(0, String::len), 128);
        if self.events.is_empty() || self.events.len() > MOST_PATTERNS {
            let message = format!("{} event types: give 1 to {MOST_PATTERNS}, such as `ticket.*`", self.events.len());
            mistakes.add("events", message);
        }
        if let Some(wrong) = self.retry.mistake() {
            mistakes.add("retry", wrong);
        }
        if !TIMEOUT_MS.contains(&self.timeout_ms) {
            let (least, most) = (TIMEOUT_MS.start(), TIMEOUT_MS.end());
            mistakes.add("timeout_ms", format!("{}: from {least} to {most}", self.timeout_ms));
        }
        if self.headers.len() > MOST_HEADERS {
            mistakes.add("headers", format!("{} header fields: at most {MOST_HEADERS}", self.headers.len()));
        }
        for (place, header) in self.headers.iter().enumerate() {
            if let Some(wrong) = header.mistake() {
                mistakes.add(format!("headers[{place}].{}", wrong.0), wrong.1);
            }
        }
        if self.mail_exceptions_to.len() > MOST_ADDRESSES {
            let message = format!("{} addresses: at most {MOST_ADDRESSES}", self.mail_exceptions_to.len());
            mistakes.add("mail_exceptions_to", message);
        }
        if let Err(wrong) = self.signing.check() {
            for mistake in wrong.0 {
                mistakes.add(format!("signing.{}", mistake.path), mistake.message);
            }
        }
        pace::check(self.rate.as_ref(), self.concurrency, self.order.as_ref(), self.batching.as_ref(), mistakes);
    }
}

const MOST_PATTERNS: usize = 100;
const MOST_HEADERS: usize = 50;
const MOST_ADDRESSES: usize = 20;
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=60_000;
/// Header fields that the connection needs for itself.
const RESERVED: [&str; 6] = ["connection", "content-length", "host", "te", "transfer-encoding", "upgrade"];

impl CustomHeader {
    /// The field that is wrong, and how.
    fn mistake(&self) -> Option<(&'static str, String)> {
        let shown: String = self.name.chars().take(80).collect();
        let is_token = !self.name.is_empty()
            && self.name.len() <= 128
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !is_token {
            return Some(("name", format!("`{shown}` is no name of a header field (RFC 9110 section 5.1)")));
        }
        if RESERVED.iter().any(|reserved| self.name.eq_ignore_ascii_case(reserved)) {
            return Some(("name", format!("`{shown}` is set by the connection itself: leave it out")));
        }
        if self.value.len() > 8192 || self.value.chars().any(char::is_control) {
            return Some(("value", "has more than 8192 bytes or control characters".to_owned()));
        }
        None
    }
}

/// What a caller sends to make or change a webhook; what is absent keeps its value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// See [`Webhook::name`].
    pub name: Option<String>,
    /// See [`Webhook::profile`]. Only when it is made.
    pub profile: Option<Profile>,
    /// See [`Webhook::url`].
    pub url: Option<String>,
    /// See [`Webhook::events`].
    pub events: Option<Vec<EventPattern>>,
    /// The event in the words of the profile's system, in place of `events`.
    pub event: Option<String>,
    /// See [`Webhook::embed`].
    pub embed: Option<String>,
    /// See [`Webhook::description`].
    pub description: Option<String>,
    /// See [`Webhook::source`].
    #[serde(default, deserialize_with = "given")]
    pub source: Option<Option<String>>,
    /// See [`Webhook::source_id`].
    #[serde(default, deserialize_with = "given")]
    pub source_id: Option<Option<String>>,
    /// See [`Webhook::when`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub when: Option<Option<When>>,
    /// See [`Webhook::transform`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub transform: Option<Option<String>>,
    /// See [`Webhook::with`].
    pub with: Option<Map<String, Value>>,
    /// See [`Webhook::headers`].
    pub headers: Option<Vec<CustomHeader>>,
    /// See [`Webhook::signing`].
    pub signing: Option<SigningPolicy>,
    /// See [`Webhook::policy`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub policy: Option<Option<u64>>,
    /// A key of the caller's own in the text form of the signing policy; one is made if it is absent.
    pub secret: Option<String>,
    /// See [`Webhook::retry`].
    pub retry: Option<RetrySchedule>,
    /// See [`Webhook::timeout_ms`].
    pub timeout_ms: Option<u32>,
    /// See [`Webhook::rate`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub rate: Option<Option<Rate>>,
    /// See [`Webhook::concurrency`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub concurrency: Option<Option<u32>>,
    /// See [`Webhook::order`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub order: Option<Option<Order>>,
    /// See [`Webhook::batching`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub batching: Option<Option<Batching>>,
    /// See [`Webhook::on_gone`].
    pub on_gone: Option<Gone>,
    /// See [`Webhook::on_exhausted`].
    pub on_exhausted: Option<Exhausted>,
    /// See [`Webhook::mail_exceptions_to`].
    pub mail_exceptions_to: Option<Vec<String>>,
    /// See [`Webhook::transport`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub transport: Option<Option<TransportSettings>>,
    /// See [`Webhook::oauth`]; null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub oauth: Option<Option<OauthSettings>>,
    /// How its receiver is asked. Only when it is made.
    pub handshake: Option<Handshake>,
    /// Whether events go out. True also brings one back that was given up.
    pub enabled: Option<bool>,
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How the messages of several webhooks are signed, with keys of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookPolicy {
    /// Counted from 1 in its space; names it in the API.
    pub number: u64,
    /// The space whose webhooks may use it.
    pub space: SpaceId,
    /// What people call it.
    pub name: String,
    /// How messages are signed.
    pub signing: SigningPolicy,
    /// The keys, the newest first.
    pub keys: Vec<SigningKey>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
