//! The one way to call plugins: access, version, circuit breaker, limits, recording, logs.

pub mod access;
pub mod breaker;
pub mod call_result;
pub mod callable;
pub mod calls;
pub mod candidate;
pub mod comparison;
pub mod conditions;
pub mod egress;
pub mod invocation;
pub mod loading;
pub mod logs;
pub mod occasion;
pub mod parked;
pub mod plugin_key;
pub mod recording;
pub mod rendering;
pub mod result_diff;
#[cfg(test)]
mod samples;
pub mod tapes;
pub mod versions;

use std::collections::BTreeSet;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::{Foundation, part};
use hookwright_plugin::Workflows;
use tokio::sync::watch;

use crate::access::{AccessCache, PluginAccess};
use crate::breaker::Breakers;
use crate::calls::Invoke;
use crate::candidate::Rollouts;
use crate::egress::Egress;
use crate::loading::Loading;
use crate::logs::Logs;
use crate::parked::Parked;
use crate::tapes::{Recorder, Tapes};
use crate::versions::{Pinned, Versions};

/// The parts of this layer.
pub struct Layer {
    /// Requests of the server and of plugins.
    pub egress: Arc<Egress>,
    /// What plugins may do in a space, cached.
    pub accesses: Arc<AccessCache>,
    /// One circuit breaker for each plugin in a space.
    pub breakers: Arc<Breakers>,
    /// Versions that are rolled out.
    pub rollouts: Arc<Rollouts>,
    /// Plugins that are being loaded.
    pub loading: Arc<Loading>,
    /// Grants, limits, secrets and settings of plugins.
    pub plugin_access: Arc<PluginAccess>,
    /// Versions other than those in use.
    pub versions: Arc<Versions>,
    /// Runs that are parked until a plugin can be called.
    pub parked: Arc<Parked>,
    /// Records calls of plugins.
    pub tapes: Arc<Tapes>,
    /// Calls plugins: access, version, circuit breaker, limits, recording and logs.
    pub calls: Arc<Invoke>,
}

impl Layer {
    /// Creates the parts. Plugins can start the workflows of `startable`.
    pub fn new(foundation: &Foundation, startable: Arc<dyn Workflows>) -> Result<Self, PipelineError> {
        let Foundation { store, vault, registry, clock, settings, stopping, .. } = foundation;
        let egress = Arc::new(Egress::new(settings.egress.clone())?);
        let accesses = Arc::new(AccessCache::default());
        let breakers = Arc::new(Breakers::new(settings.breaker));
        let logs = Arc::new(Logs::default());
        let rollouts = Arc::new(Rollouts::default());
        let recorder = Arc::new(Recorder::default());
        let pinned = Pinned::default();
        let loading = watch::channel(BTreeSet::new()).0;

        let loading = part!(Loading { loading, registry, store });
        let plugin_access = part!(PluginAccess { accesses, loading, registry, settings, store, vault });
        let versions = part!(Versions { clock, pinned, registry, store });
        let parked = part!(Parked { breakers, clock, registry, store });
        let tapes = part!(Tapes { clock, recorder, rollouts, settings, stopping, store, vault });
        let calls = part!(Invoke {
            accesses,
            breakers,
            startable,
            clock,
            egress,
            plugin_access,
            loading,
            logs,
            parked,
            registry,
            rollouts,
            store,
            versions,
            tapes
        });
        Ok(Self { egress, accesses, breakers, rollouts, loading, plugin_access, versions, parked, tapes, calls })
    }
}
