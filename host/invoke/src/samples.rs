//! What unit tests that call plugins begin with.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_model::{Failure, Rollout, RolloutInput, RolloutMode, SpaceId, WorkflowStart};
use hookwright_plugin::{Plugin, Scope, Workflows};
use hookwright_samples::{self as samples, NOW, registry};
use hookwright_store::Vault;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::access::{AccessCache, PluginAccess};
use crate::breaker::Breakers;
use crate::calls::Invoke;
use crate::candidate::{ActiveRollout, Rollouts};
use crate::egress::Egress;
use crate::loading::Loading;
use crate::logs::Logs;
use crate::parked::Parked;
use crate::tapes::{Recorder, Tapes};
use crate::versions::{Pinned, Versions};

/// The name under which a [`PluginStage`] has its condition.
pub(crate) const CONDITION: &str = "match";

/// A component of this kind, as it was built for the first version of the WIT package.
pub(crate) fn component(kind: &str) -> Bytes {
    let path = format!("{}/../../tests/golden/0.1.0/{kind}.wasm", env!("CARGO_MANIFEST_DIR"));
    Bytes::from(std::fs::read(path).unwrap())
}

/// A space with one plugin, a condition, and what calls of plugins need. The clock stands still.
pub(crate) struct PluginStage {
    pub(crate) invoke: Invoke,
    pub(crate) plugin: Arc<Plugin>,
    _folder: TempDir,
}

impl PluginStage {
    pub(crate) async fn open(settings: PipelineSettings) -> Self {
        let (folder, store) = samples::store();
        let (clock, registry, settings) = (samples::clock(), registry(), Arc::new(settings));
        let plugin = registry.prepare(component("condition")).await.unwrap();
        registry.activate(Scope::Space(SpaceId::main()), CONDITION, Arc::clone(&plugin)).unwrap();
        let vault = Arc::new(Vault::open(&folder.path().join("secret.key"), None).unwrap());
        let (accesses, breakers) = (Arc::new(AccessCache::default()), Arc::new(Breakers::new(settings.breaker)));
        let rollouts = Arc::new(Rollouts::default());
        let loading = Arc::new(Loading {
            loading: watch::channel(BTreeSet::new()).0,
            registry: Arc::clone(&registry),
            store: store.clone(),
        });
        let plugin_access = Arc::new(PluginAccess {
            accesses: Arc::clone(&accesses),
            registry: Arc::clone(&registry),
            settings: Arc::clone(&settings),
            store: store.clone(),
            vault: Arc::clone(&vault),
            loading: Arc::clone(&loading),
        });
        let versions = Arc::new(Versions {
            clock: Arc::clone(&clock),
            pinned: Pinned::default(),
            registry: Arc::clone(&registry),
            store: store.clone(),
        });
        let parked = Arc::new(Parked {
            breakers: Arc::clone(&breakers),
            clock: Arc::clone(&clock),
            registry: Arc::clone(&registry),
            store: store.clone(),
        });
        let tapes = Arc::new(Tapes {
            clock: Arc::clone(&clock),
            recorder: Arc::new(Recorder::default()),
            rollouts: Arc::clone(&rollouts),
            settings: Arc::clone(&settings),
            stopping: Stopping::default(),
            store: store.clone(),
            vault,
        });
        let invoke = Invoke {
            accesses,
            breakers,
            startable: Arc::new(NoWorkflows),
            clock,
            egress: Arc::new(Egress::new(settings.egress.clone()).unwrap()),
            logs: Arc::new(Logs::default()),
            registry,
            rollouts,
            store,
            plugin_access,
            loading,
            parked,
            tapes,
            versions,
        };
        Self { invoke, plugin, _folder: folder }
    }

    /// Rolls the condition out once more, for this share of the events.
    pub(crate) fn roll_out(&self, mode: RolloutMode, percent: u8) -> Arc<ActiveRollout> {
        let rollout = rollout(mode, percent, &self.plugin);
        let space = SpaceId::main();
        self.invoke.rollouts.put(ActiveRollout::new(&space, CONDITION, rollout, Arc::clone(&self.plugin)));
        self.invoke.rollouts.find(&space, CONDITION).unwrap()
    }
}

/// The rollout of a plugin.
pub(crate) fn rollout(mode: RolloutMode, percent: u8, plugin: &Plugin) -> Rollout {
    let input = RolloutInput { mode: Some(mode), percent: Some(percent), ..RolloutInput::default() };
    input.of("0.2.0", plugin.digest(), NOW)
}

struct NoWorkflows;

impl Workflows for NoWorkflows {
    fn start(&self, _: &SpaceId, name: &str, _: &Value) -> Result<WorkflowStart, Failure> {
        Err(Failure::permanent("workflow.not_found", name))
    }
}
