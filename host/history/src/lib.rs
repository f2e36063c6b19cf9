//! The history of events: stories, explanations, dry runs, replays and comparisons of plugin versions.

pub mod closeness;
pub mod delivery_story;
pub mod dry_run;
pub mod explain;
pub mod not_sent;
pub mod outcomes;
pub mod replay;
pub mod rerun;
pub mod shadows;
pub mod story;
pub mod version_comparison;

use std::sync::Arc;

use hookwright_foundation::{Foundation, part};

use crate::dry_run::DryRuns;
use crate::outcomes::Outcomes;
use crate::replay::Replays;
use crate::rerun::Reruns;
use crate::shadows::Shadows;
use crate::story::Stories;
use crate::version_comparison::{Comparisons, VersionComparisons};

/// The parts of this layer.
pub struct Layer {
    /// Calls candidates in the shadow of live calls, and rolls back those that fail.
    pub shadows: Arc<Shadows>,
    /// Executes an automation for an event and stores nothing.
    pub dry_runs: Arc<DryRuns>,
    /// Replays events.
    pub replays: Arc<Replays>,
    /// Compares versions of a plugin on recorded calls.
    pub version_comparisons: Arc<VersionComparisons>,
    /// Lists events, deliveries, attempts and mails.
    pub outcomes: Arc<Outcomes>,
    /// What happened to an event, and why.
    pub stories: Arc<Stories>,
}

impl Layer {
    /// Creates the parts.
    pub fn new(
        foundation: &Foundation,
        invoke: &hookwright_invoke::Layer,
        routing: &hookwright_routing::Layer,
        runs: &hookwright_runs::Layer,
        hookwright_delivery::Layer { holds, .. }: &hookwright_delivery::Layer,
        hookwright_resources::Layer { automations, plugins, .. }: &hookwright_resources::Layer,
    ) -> Self {
        let Foundation { store, registry, clock, settings, stopping, .. } = foundation;
        let hookwright_invoke::Layer { egress, loading, plugin_access, rollouts, tapes, versions, .. } = invoke;
        let hookwright_routing::Layer { catalogue, planning: routing, .. } = routing;
        let hookwright_runs::Layer { steps, stored: runs, .. } = runs;
        let comparisons = Arc::new(Comparisons::default());

        let reruns = part!(Reruns { catalogue, routing, store });
        let shadows = part!(Shadows { plugin_access, plugins, reruns, rollouts, stopping });
        let dry_runs = part!(DryRuns { automations, clock, egress, loading, steps });
        let version_comparisons = part!(VersionComparisons {
            store,
            clock,
            registry,
            stopping,
            comparisons,
            loading,
            plugin_access,
            reruns,
            tapes,
            versions
        });
        let replays = part!(Replays { automations, catalogue, clock, dry_runs, runs, store, versions });
        let outcomes = part!(Outcomes { store });
        let stories = part!(Stories { catalogue, clock, holds, runs, settings, store });
        Self { shadows, dry_runs, replays, version_comparisons, outcomes, stories }
    }
}
