//! A call of a plugin: its inputs and its result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{Failure, Limits, SpaceId, Tape, Timestamp, Workbench, WorkflowStart};
use serde_json::Value;

use crate::access::Access;
use crate::memory::Held;
use crate::meter::Usage;
use crate::outbound::Outbound;
use crate::retained::Retained;
use crate::secrets::Secrets;

/// The inputs and permissions of one call.
pub struct Call {
    /// The space.
    pub space: SpaceId,
    /// The instant that the plugin sees, the same for the whole call.
    pub now: Timestamp,
    /// The workbench for its changes. `None`: it cannot make any.
    pub workbench: Option<Workbench>,
    /// Secrets of this call only, such as a source's signing secret. They take precedence over those of `access`.
    pub secrets: Secrets,
    /// Names of secrets that come from data: the call gets no secret by these names.
    pub names_from_data: Vec<String>,
    /// The plugin's access in the space.
    pub access: Arc<Access>,
    /// Sends its requests. `None`: it can send none.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// The `Idempotency-Key` of its requests, so it must be the same when a step is retried.
    pub idempotency_key: Option<String>,
    /// The `Hookwright-Hops` of its requests: the length of the chain behind the event. `None`: the call is not made
    /// for an event.
    pub hops: Option<u32>,
    /// The workflows that it can start. `None`: it can start none.
    pub workflows: Option<Arc<dyn Workflows>>,
    /// The timeout of the call, if less than the plugin's own limit.
    pub timeout: Option<Duration>,
    /// Records the host's answers, or replays them. `None` does neither.
    pub tape: Option<Arc<Tape>>,
    /// The seed of random numbers, the placeholders of secrets and the responses to requests, shared with the other
    /// tries of the same step. `None`: the call is never repeated.
    pub tries: Option<Arc<Retained>>,
    /// The size in bytes of the request of a source, from which its limits are derived.
    pub body_bytes: u64,
}

impl Call {
    /// A call that changes nothing and sends nothing.
    pub fn new(space: SpaceId, now: Timestamp, access: Arc<Access>) -> Self {
        Self {
            space,
            now,
            workbench: None,
            secrets: Secrets::default(),
            names_from_data: Vec::new(),
            access,
            outbound: None,
            idempotency_key: None,
            hops: None,
            workflows: None,
            timeout: None,
            tape: None,
            tries: None,
            body_bytes: 0,
        }
    }

    /// Its limits. Where larger bodies are accepted, sources need larger limits.
    pub(crate) fn limits(&self) -> Limits {
        self.access.limits.for_body(self.body_bytes)
    }
}

/// The result of a call.
pub struct Called<T> {
    /// The plugin's result, or the failure.
    pub result: Result<T, Failure>,
    /// The changes that it requested. After a failure they are dropped.
    pub workbench: Option<Workbench>,
    /// Its log lines.
    pub log: Vec<String>,
    /// Its usage of resources.
    pub usage: Usage,
    /// Whether it was stopped: it trapped, or the host ended it.
    pub stopped: bool,
    /// The memory of its changes, to be held until they are committed.
    pub held: Option<Held>,
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

/// The workflows that plugins can start.
pub trait Workflows: Send + Sync {
    /// The start of the workflow `name` of `space`, if it exists and accepts `input`.
    fn start(&self, space: &SpaceId, name: &str, input: &Value) -> Result<WorkflowStart, Failure>;
}
