//! What plugins are called with and what they answer, beyond the words of the model.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookwright_model::{Failure, SpaceId, Tape, Timestamp, Workbench, WorkflowStart};
use serde_json::Value;

use crate::access::Access;

/// Names with their values, in order.
pub type Pairs = Vec<(String, String)>;

/// What one call can reach.
pub struct Call {
    /// The space it is made for.
    pub space: SpaceId,
    /// The instant that the plugin sees, the same for the whole call.
    pub now: Timestamp,
    /// Where its changes are made; none: it can make none.
    pub workbench: Option<Workbench>,
    /// Secrets of this call alone, such as a source's signing secret; they go before those of `access`.
    pub secrets: Secrets,
    /// What the plugin may do in the space.
    pub access: Arc<Access>,
    /// How its requests leave; none: they do not.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// Goes with its requests as `Idempotency-Key`, so it must stay the same when a step is tried again.
    pub idempotency_key: Option<String>,
    /// Which workflows it can start; none: none.
    pub workflows: Option<Arc<dyn Workflows>>,
    /// How long the call may take, if less than the plugin's own limit.
    pub timeout: Option<Duration>,
    /// Takes down what the host answers, or answers as it did then; none: neither.
    pub tape: Option<Arc<Tape>>,
}

impl Call {
    /// A call that changes nothing and sends nothing.
    pub fn new(space: SpaceId, now: Timestamp, access: Arc<Access>) -> Self {
        Self {
            space,
            now,
            workbench: None,
            secrets: Secrets::default(),
            access,
            outbound: None,
            idempotency_key: None,
            workflows: None,
            timeout: None,
            tape: None,
        }
    }
}

/// Secrets by name. Their bytes are never shown.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<BTreeMap<String, Vec<u8>>>>);

impl Secrets {
    /// The bytes of the secret called `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.as_ref()?.get(name).map(Vec::as_slice)
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|secrets| secrets.keys().map(String::as_str))
    }
}

impl FromIterator<(String, Vec<u8>)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(secrets: I) -> Self {
        Self(Some(Arc::new(secrets.into_iter().collect())))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What came of a call.
pub struct Called<T> {
    /// The plugin's answer, or why there is none.
    pub result: Result<T, Failure>,
    /// The changes it asked for. None after a failure: they are dropped.
    pub workbench: Option<Workbench>,
    /// What it logged.
    pub log: Vec<String>,
    /// What it used.
    pub usage: Usage,
    /// Whether it did not come to its end: it trapped, or the host ended it.
    pub stopped: bool,
}

impl<T: fmt::Debug> fmt::Debug for Called<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called")
            .field("result", &self.result)
            .field("log", &self.log)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the instance to the answer; waiting for a free one does not count.
    pub duration: Duration,
    /// The part of it that was spent computing, in the plugin and in the host on its behalf.
    pub cpu: Duration,
    /// The most linear memory that it had, in bytes.
    pub memory_peak: usize,
    /// How often it called the host.
    pub host_calls: u32,
    /// How many requests it sent.
    pub requests: u32,
    /// Bytes of those requests and of their answers.
    pub egress_bytes: u64,
    /// Bytes of its answer.
    pub output_bytes: u64,
    /// Bytes that it logged.
    pub log_bytes: u64,
    /// Whether an instance from an earlier call was used.
    pub warm: bool,
}

/// The workflows that plugins can start.
pub trait Workflows: Send + Sync {
    /// What starts the workflow called `name` of `space`, if there is one that takes `input`.
    fn start(&self, space: &SpaceId, name: &str, input: &Value) -> Result<WorkflowStart, Failure>;
}

/// How requests of plugins leave the machine. It says which addresses are allowed, and bounds what comes back.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Sends `request` for `space`. Any answer is a response, no answer a failure.
    async fn send(&self, space: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure>;
}

/// A request that a plugin asks for. It may hold secrets: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundRequest {
    /// The name of the plugin, for messages.
    pub plugin: String,
    /// Why it may leave.
    pub allowed: Allowed,
    /// The method, as the plugin wrote it.
    pub method: String,
    /// Where it goes, as the plugin wrote it.
    pub url: String,
    /// The header fields, `Idempotency-Key` among them if the call has one.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
    /// How long the answer may take; none: as long as the host allows.
    pub timeout: Option<Duration>,
}

/// Why a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The plugin was granted the host.
    ByGrant,
    /// It was not: the server's own settings decide. They let a plugin that comes with the server reach the networks
    /// that are open to its webhooks.
    ByServer {
        /// Whether it comes with the server.
        trusted: bool,
    },
}

/// An answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
}

/// What a transform gives another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Header fields.
    pub headers: Pairs,
    /// Media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

/// A transform's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transformed {
    /// The message in its new shape.
    Send(Message),
    /// The message is not wanted, because.
    Drop(String),
}

/// A provider's HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRequest {
    /// The method.
    pub method: String,
    /// What follows the source's own URL, beginning with `/`, or empty.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Who sent it.
    pub remote_address: String,
}

/// A source's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// The request is the provider's.
    Accepted(Intake),
    /// It is not, or was not understood.
    Refused {
        /// 400 to 499.
        status: u16,
        /// Stable, `noun.problem`.
        code: String,
        /// For whoever sent it.
        message: String,
    },
}

/// What a provider's request brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The events, at most 1000.
    pub events: Vec<SourceDraft>,
    /// What the provider is told once they are durable.
    pub answer: Answer,
}

/// An event as a source makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDraft {
    /// The provider's id of it, by which a repeat is known.
    pub id: Option<String>,
    /// Its type.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// RFC 3339; none: the time of arrival.
    pub time: Option<String>,
    /// JSON, checked.
    pub data: String,
    /// Kept with the event.
    pub attributes: Pairs,
}

/// An HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599; 0: the host answers as it answers its own API.
    pub status: u16,
    /// Header fields.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
}
