//! Webhooks (outgoing subscriptions) and their deliveries.

mod confirmation;
mod delivery;
mod header;
mod pace;
mod profile;
mod retry;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use confirmation::{Confirmation, Handshake};
pub use delivery::{ANSWERED, Attempt, AttemptOutcome, Delivery, DeliveryState, Header, Purpose, Timing};
pub use header::{CONNECTION_FIELDS, CustomHeader, MAX_HEADER_VALUE};
pub use pace::{Batching, HeadOfLine, Order, Rate};
pub use profile::{Exhausted, Gone, Profile};
pub use retry::RetrySchedule;

use pace::MOST_CONCURRENCY;

use crate::nullable::{NOT_NULL, given, required};
use crate::whole::whole_given;
use crate::{Creates, EventPattern, Mistakes, SigningPolicy, SpaceId, Timestamp, WebhookId, When, check_display_name};

/// The state of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// Its receiver has not confirmed the subscription yet.
    Unconfirmed,
    /// Events are delivered.
    Active,
    /// Disabled, by its owner or by a 410 Gone.
    Disabled,
    /// Dead: its receiver failed too often.
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

/// A time in which a webhook was disabled or dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it began.
    pub from: Timestamp,
    /// When it ended. `None`: it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its id: the `kid` of what it signs.
    pub id: String,
    /// Its private part, sealed.
    pub sealed: String,
    /// Its public part, if it has one, in every format that receivers use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Value>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Until when it signs beside a newer key. `None`: it is the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Settings of the connections to a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransportSettings {
    /// Certificates of authorities that are trusted besides the public ones, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The client's certificate chain, as PEM (mutual TLS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_pem: Option<String>,
    /// The name of the secret of the space that holds that certificate's private key, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_secret: Option<String>,
    /// The name of the secret of the space that holds the URL of the proxy that requests go through instead of the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret: Option<String>,
    /// Whether HTTP/2 is used where the receiver offers it. Default true.
    #[serde(default = "yes")]
    pub http2: bool,
}

/// OAuth client credentials for a receiver that requires a token (RFC 6749 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthSettings {
    /// The token endpoint.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The name of the secret of the space that holds the client's secret.
    pub client_secret: String,
    /// The requested scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The requested audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Whether the client's id and secret are sent in the request body rather than in `Authorization`.
    #[serde(default)]
    pub credentials_in_body: bool,
}

fn yes() -> bool {
    true
}

/// An outgoing subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id in the API.
    pub id: WebhookId,
    /// Counted from 1 in its space: its id for the systems whose ids are numbers, and the name of its queue.
    #[serde(default)]
    pub number: u64,
    /// The space whose events it gets.
    pub space: SpaceId,
    /// Its display name.
    #[serde(default)]
    pub name: String,
    /// The system whose webhooks it imitates.
    #[serde(default)]
    pub profile: Profile,
    /// The URL of its receiver.
    pub url: String,
    /// The event types that it subscribes to.
    pub events: Vec<EventPattern>,
    /// The name that the profile's system has for them, if the webhook was created with that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The `embed` of a Capsule hook. It is stored and shown only: messages contain whole records in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<String>,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// A reference to another system: the system, and the webhook's id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// See `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The conditions under which an event is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// The transform that makes the message. `None`: the message of Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// Header fields besides those of the message and its signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<CustomHeader>,
    /// How messages are signed, unless `policy` is set.
    #[serde(default)]
    pub signing: SigningPolicy,
    /// The policy that determines how messages are signed, and holds the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<u64>,
    /// The keys, the newest first.
    #[serde(default)]
    pub keys: Vec<SigningKey>,
    /// The retry schedule.
    pub retry: RetrySchedule,
    /// Timeout of one attempt, in milliseconds.
    pub timeout_ms: u32,
    /// The rate limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Maximum number of requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The order of deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How events are batched into one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batching: Option<Batching>,
    /// What happens when the receiver answers 410 Gone.
    #[serde(default)]
    pub on_gone: Gone,
    /// What happens when the retries of a delivery are exhausted.
    #[serde(default)]
    pub on_exhausted: Exhausted,
    /// Addresses that get a mail when deliveries fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mail_exceptions_to: Vec<String>,
    /// Settings of its connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportSettings>,
    /// OAuth client credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OauthSettings>,
    /// Whether its owner has enabled it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it is dead.
    #[serde(default)]
    pub dead: bool,
    /// The confirmation by its receiver.
    #[serde(default)]
    pub confirmation: Confirmation,
    /// The reason for its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// Who or what set the state: `key NAME`, `receiver`, `server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_by: Option<String>,
    /// When the state was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_at: Option<Timestamp>,
    /// The last time in which it was disabled or dead: events of that time were not sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Its state.
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

    /// Records the reason, the author and the time of a change of state.
    pub fn came_to(&mut self, reason: Option<String>, by: &str, now: Timestamp) {
        self.state_reason = reason;
        self.state_by = Some(by.to_owned());
        self.state_at = Some(now);
        match (self.state(), &mut self.paused) {
            (WebhookState::Disabled | WebhookState::Dead, Some(Pause { until: None, .. })) => {}
            (WebhookState::Disabled | WebhookState::Dead, paused) => *paused = Some(Pause { from: now, until: None }),
            (_, Some(pause)) if pause.until.is_none() => pause.until = Some(now),
            _ => {}
        }
    }

    /// A sentence about its state: since when, by whom and why, as far as known.
    pub fn standing(&self) -> String {
        let mut text = self.state().name().to_owned();
        if let Some(at) = self.state_at {
            text.push_str(&format!(" since {at}"));
        }
        if let Some(by) = &self.state_by {
            text.push_str(&format!(" by {by}"));
        }
        if let Some(reason) = &self.state_reason {
            text.push_str(&format!(" ({reason})"));
        }
        text
    }

    /// Whether events are delivered to it.
    pub fn delivers(&self) -> bool {
        self.state() == WebhookState::Active
    }

    /// Custom header fields, with their indices, that the signature sets as well.
    pub fn fields_set_by(&self, signing: &SigningPolicy) -> impl Iterator<Item = (usize, &CustomHeader)> {
        let set: Vec<String> = signing.header_fields().into_iter().map(str::to_owned).collect();
        let is_set = move |name: &str| set.iter().any(|field| field.eq_ignore_ascii_case(name));
        self.headers.iter().enumerate().filter(move |(_, header)| is_set(&header.name))
    }

    /// Adds the validation errors that can be found from the webhook alone.
    pub fn check(&self, mistakes: &mut Mistakes) {
        if self.url.len() > 2048 {
            mistakes.add("url", format!("has {} bytes: at most 2048", self.url.len()));
        }
        if self.description.len() > 65_536 {
            mistakes.add("description", format!("has {} bytes: at most 65536", self.description.len()));
        }
        let mut at_most = |field: &str, text: &str, most: usize| {
            let length = text.chars().count();
            if length > most {
                mistakes.add(field, format!("has {length} characters: at most {most}"));
            }
        };
        at_most("embed", self.embed.as_deref().unwrap_or_default(), 256);
        at_most("source", self.source.as_deref().unwrap_or_default(), 30);
        at_most("source_id", self.source_id.as_deref().unwrap_or_default(), 128);
        // Without a name, the name is derived from the URL.
        if !self.name.is_empty() {
            check_display_name("name", &self.name, mistakes);
        }
        for name in self.embed.iter().flat_map(|embed| embed.split(',')).map(str::trim) {
            if !EMBEDDED.contains(&name) {
                let shown = crate::abridged(name);
                let known = EMBEDDED.join(", ");
                mistakes
                    .add("embed", format!("`{shown}` cannot be embedded: give names of {known}, with commas between"));
            }
        }
        if self.events.is_empty() || self.events.len() > MOST_PATTERNS {
            let message = format!("{} event types: give 1 to {MOST_PATTERNS}, such as `ticket.*`", self.events.len());
            mistakes.add("events", message);
        }
        if let Some(wrong) = self.retry.mistake() {
            mistakes.add("retry", wrong);
        }
        if !(LEAST_TIMEOUT_MS..=MOST_TIMEOUT_MS).contains(&self.timeout_ms) {
            let message = format!("{}: give {LEAST_TIMEOUT_MS} to {MOST_TIMEOUT_MS}", self.timeout_ms);
            mistakes.add("timeout_ms", message);
        }
        header::check(&self.headers, self.oauth.is_some(), mistakes);
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

/// Values of `embed` of a Capsule hook: members that its messages then always contain, even if they are empty.
const EMBEDDED: [&str; 8] = ["fields", "kase", "opportunity", "organisation", "owner", "party", "tags", "team"];
const MOST_PATTERNS: usize = 100;
const MOST_ADDRESSES: usize = 20;
const LEAST_TIMEOUT_MS: u32 = 100;
const MOST_TIMEOUT_MS: u32 = 60_000;

/// The input that creates or changes a webhook. An absent field keeps its value, null restores the default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// See [`Webhook::name`].
    #[serde(default, deserialize_with = "given")]
    pub name: Option<Option<String>>,
    /// See [`Webhook::profile`]. Only at its creation.
    #[serde(default, deserialize_with = "given")]
    pub profile: Option<Option<Profile>>,
    /// See [`Webhook::url`].
    #[serde(default, deserialize_with = "required")]
    pub url: Option<String>,
    /// See [`Webhook::events`].
    #[serde(default, deserialize_with = "given")]
    pub events: Option<Option<Vec<EventPattern>>>,
    /// The event by the name that the profile's system has for it, in place of `events`.
    #[serde(default, deserialize_with = "given")]
    pub event: Option<Option<String>>,
    /// See [`Webhook::embed`].
    #[serde(default, deserialize_with = "given")]
    pub embed: Option<Option<String>>,
    /// See [`Webhook::description`].
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    /// See [`Webhook::source`].
    #[serde(default, deserialize_with = "given")]
    pub source: Option<Option<String>>,
    /// See [`Webhook::source_id`].
    #[serde(default, deserialize_with = "given")]
    pub source_id: Option<Option<String>>,
    /// See [`Webhook::when`].
    #[serde(default, deserialize_with = "given")]
    pub when: Option<Option<When>>,
    /// See [`Webhook::transform`].
    #[serde(default, deserialize_with = "given")]
    pub transform: Option<Option<String>>,
    /// See [`Webhook::with`].
    #[serde(default, deserialize_with = "given")]
    pub with: Option<Option<Map<String, Value>>>,
    /// See [`Webhook::headers`].
    #[serde(default, deserialize_with = "given")]
    pub headers: Option<Option<Vec<CustomHeader>>>,
    /// See [`Webhook::signing`].
    #[serde(default, deserialize_with = "given")]
    pub signing: Option<Option<SigningPolicy>>,
    /// See [`Webhook::policy`].
    #[serde(default, deserialize_with = "given")]
    pub policy: Option<Option<u64>>,
    /// A key of the caller's own in the text form of the signing policy. If it is absent, one is generated.
    pub secret: Option<String>,
    /// See [`Webhook::retry`].
    #[serde(default, deserialize_with = "given")]
    pub retry: Option<Option<RetrySchedule>>,
    /// See [`Webhook::timeout_ms`].
    #[serde(default, deserialize_with = "whole_given::<_, LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS>")]
    pub timeout_ms: Option<Option<u32>>,
    /// See [`Webhook::rate`].
    #[serde(default, deserialize_with = "given")]
    pub rate: Option<Option<Rate>>,
    /// See [`Webhook::concurrency`].
    #[serde(default, deserialize_with = "whole_given::<_, 1, MOST_CONCURRENCY>")]
    pub concurrency: Option<Option<u32>>,
    /// See [`Webhook::order`].
    #[serde(default, deserialize_with = "given")]
    pub order: Option<Option<Order>>,
    /// See [`Webhook::batching`].
    #[serde(default, deserialize_with = "given")]
    pub batching: Option<Option<Batching>>,
    /// See [`Webhook::on_gone`].
    #[serde(default, deserialize_with = "given")]
    pub on_gone: Option<Option<Gone>>,
    /// See [`Webhook::on_exhausted`].
    #[serde(default, deserialize_with = "given")]
    pub on_exhausted: Option<Option<Exhausted>>,
    /// See [`Webhook::mail_exceptions_to`].
    #[serde(default, deserialize_with = "given")]
    pub mail_exceptions_to: Option<Option<Vec<String>>>,
    /// See [`Webhook::transport`].
    #[serde(default, deserialize_with = "given")]
    pub transport: Option<Option<TransportSettings>>,
    /// See [`Webhook::oauth`].
    #[serde(default, deserialize_with = "given")]
    pub oauth: Option<Option<OauthSettings>>,
    /// How its receiver confirms the subscription. Only at its creation.
    #[serde(default, deserialize_with = "given")]
    pub handshake: Option<Option<Handshake>>,
    /// Whether it is enabled. True also reactivates a dead webhook.
    #[serde(default, deserialize_with = "given")]
    pub enabled: Option<Option<bool>>,
}

impl WebhookInput {
    /// Validation errors for nulls in a change, in fields that a webhook needs. In a new webhook they may be null: the name is
    /// then derived from the URL, and one of `event` and `events` is enough.
    pub fn null_of_needed(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        if self.name == Some(None) {
            mistakes.add("name", NOT_NULL);
        }
        if matches!(self.events, Some(None)) && self.event.as_ref().is_none_or(Option::is_none) {
            mistakes.add("events", NOT_NULL);
        }
        mistakes
    }

    /// Checks that of two fields that replace one another only one is given, and that a given name is a name: an empty one
    /// would be replaced by one that is derived from the URL.
    ///
    /// # Errors
    /// The validation errors, with the paths of the fields.
    pub fn check_alternatives(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if matches!(self.signing, Some(Some(_))) && self.policy.flatten().is_some() {
            mistakes.add("policy", "cannot be combined with `signing`: the policy replaces it. Keep one of them");
        }
        if matches!((&self.event, &self.events), (Some(Some(_)), Some(Some(_)))) {
            mistakes.add("event", "cannot be combined with `events`, which it replaces. Keep one of them");
        }
        if matches!(&self.name, Some(Some(name)) if name.is_empty()) {
            check_display_name("name", "", &mut mistakes);
        }
        mistakes.check()
    }
}

impl Creates for WebhookInput {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        let mut missing = Mistakes::of_missing(&[("url", "is missing: the address that events are sent to")], has);
        if !has("events") && !has("event") {
            missing.add("events", "is missing: the event types to send, such as [\"ticket.*\"]");
        }
        missing
    }
}

/// A signing policy that several webhooks share, with its own keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookPolicy {
    /// Counted from 1 in its space. Its id in the API.
    pub number: u64,
    /// The space whose webhooks may use it.
    pub space: SpaceId,
    /// Its display name.
    pub name: String,
    /// How messages are signed.
    pub signing: SigningPolicy,
    /// The keys, the newest first.
    pub keys: Vec<SigningKey>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
