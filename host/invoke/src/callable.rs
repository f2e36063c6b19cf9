//! A plugin that may be called once, or the reason why it may not.

use std::sync::Arc;

use hookwright_model::{Failure, Kind, RunState, Timestamp};
use hookwright_plugin::{Access, Plugin};

use crate::breaker::Admitted;
use crate::candidate::ActiveRollout;

/// A plugin that cannot be called now.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// Its name.
    pub(crate) plugin: String,
    /// Why, and the remedy.
    pub reason: String,
    /// When the run tries again, if the plugin is being loaded or its concurrency limit is reached. `None`: somebody
    /// has to act, or the circuit has to close.
    pub busy_until: Option<Timestamp>,
}

impl Unavailable {
    /// The plugin with this name, until then.
    pub fn until(plugin: String, reason: String, until: Timestamp) -> Self {
        Self { plugin, reason, busy_until: Some(until) }
    }

    /// The state of a run that needs the plugin.
    pub fn run_state(self, now: Timestamp) -> RunState {
        match self.busy_until {
            Some(until) => RunState::Waiting { until, since: Some(now), plugin: Some(self.plugin) },
            None => RunState::Parked { plugin: self.plugin },
        }
    }
}

/// A plugin that may be called once, now.
pub struct Callable {
    /// What is called.
    pub plugin: Arc<Plugin>,
    /// What this version may do. A version that replaces it during the call does not get this access.
    pub access: Arc<Access>,
    /// `None`: another version than the one in use is called, which the circuit breaker does not count.
    pub admitted: Option<Admitted>,
    /// Which version it is.
    pub role: Role,
}

/// Which version of a plugin is called.
pub enum Role {
    /// The version in use.
    Live,
    /// The version that is being rolled out, in place of the one in use.
    Candidate(Arc<ActiveRollout>),
    /// A version that the caller named.
    Named,
}

/// Refuses a plugin that does not export this kind.
pub fn right_kind(plugin: &Plugin, kind: Kind, name: &str) -> Result<(), Failure> {
    if plugin.kinds().contains(&kind) {
        Ok(())
    } else {
        Err(Failure::permanent("plugin.wrong_kind", format!("plugin `{name}` does not export `{kind}`")))
    }
}
