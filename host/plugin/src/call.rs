//! A call: what it can reach, and what came of it.

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
    /// Names that data gave where a parameter names a secret: no secret is handed out under them.
    pub names_from_data: Vec<String>,
    /// What the plugin may do in the space.
    pub access: Arc<Access>,
    /// How its requests leave; none: they do not.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// Goes with its requests as `Idempotency-Key`, so it must stay the same when a step is tried again.
    pub idempotency_key: Option<String>,
    /// Goes with its requests as `Hookwright-Hops`: how long the chain behind the event is that it is made for; none: it is
    /// made for none.
    pub hops: Option<u32>,
    /// Which workflows it can start; none: none.
    pub workflows: Option<Arc<dyn Workflows>>,
    /// How long the call may take, if less than the plugin's own limit.
    pub timeout: Option<Duration>,
    /// Takes down what the host answers, or answers as it did then; none: neither.
    pub tape: Option<Arc<Tape>>,
    /// The seed of random numbers, the placeholders of secrets and the answers to requests, shared with the other tries of
    /// the same step; none: the call is not made again.
    pub tries: Option<Arc<Retained>>,
    /// Bytes of the request that a source is called with; its limits follow them.
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

    /// What it may use up. Whoever lets larger bodies in means that sources can take them.
    pub(crate) fn limits(&self) -> Limits {
        self.access.limits.for_body(self.body_bytes)
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
    /// The memory of its changes, which they are to keep until they are committed.
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
    /// What starts the workflow called `name` of `space`, if there is one that takes `input`.
    fn start(&self, space: &SpaceId, name: &str, input: &Value) -> Result<WorkflowStart, Failure>;
}
