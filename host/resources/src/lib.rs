//! What operators configure: one life cycle for the API and for configuration as code.

pub mod automations;
pub mod check_scope;
pub mod configuration;
pub mod pending_changes;
pub mod plugin_policies;
pub mod plugins;
pub mod records;
pub mod references;
pub mod rollouts;
pub mod schedules;
pub mod sources;
pub mod switching;
pub mod webhook_naming;
pub mod webhook_policies;
pub mod webhooks;
pub mod workflows;

use std::sync::Arc;

use hookwright_foundation::places::SpacePermits;
use hookwright_foundation::{Foundation, part};

use crate::automations::Automations;
use crate::configuration::configurations::Configurations;
use crate::plugin_policies::PluginPolicies;
use crate::plugins::Plugins;
use crate::records::Records;
use crate::references::References;
use crate::schedules::Schedules;
use crate::sources::Sources;
use crate::webhook_policies::WebhookPolicies;
use crate::webhooks::Webhooks;
use crate::workflows::Workflows;

/// The parts of this layer.
pub struct Layer {
    /// Creates, changes and deletes automations.
    pub automations: Arc<Automations>,
    /// Creates, changes, deletes and starts workflows.
    pub workflows: Arc<Workflows>,
    /// Creates, changes and deletes schedules.
    pub schedules: Arc<Schedules>,
    /// Creates, changes and deletes sources.
    pub sources: Arc<Sources>,
    /// Signing policies of webhooks and their keys.
    pub webhook_policies: Arc<WebhookPolicies>,
    /// Creates, changes and deletes webhooks.
    pub webhooks: Arc<Webhooks>,
    /// Reads and changes records.
    pub records: Arc<Records>,
    /// Installs plugins, switches between their versions and rolls them out.
    pub plugins: Arc<Plugins>,
    /// Grants, limits and secrets of plugins.
    pub plugin_policies: Arc<PluginPolicies>,
    /// Configuration as code: export, plan, apply.
    pub configurations: Arc<Configurations>,
}

impl Layer {
    /// Creates the parts.
    pub fn new(
        foundation: &Foundation,
        invoke: &hookwright_invoke::Layer,
        routing: &hookwright_routing::Layer,
        runs: &hookwright_runs::Layer,
        delivery: &hookwright_delivery::Layer,
        intake: &hookwright_intake::Layer,
    ) -> Self {
        let Foundation { store, vault, registry, clock, settings, changing, turns, .. } = foundation;
        let hookwright_invoke::Layer {
            accesses,
            breakers,
            calls: invoke,
            egress,
            loading,
            plugin_access,
            rollouts,
            versions,
            ..
        } = invoke;
        let hookwright_routing::Layer { catalogue, strict, planning: routing, event_types } = routing;
        let hookwright_runs::Layer { stored: runs, .. } = runs;
        let hookwright_delivery::Layer {
            confirmations,
            delivery_queues,
            holds,
            notices,
            signers,
            signing,
            transmit,
            ..
        } = delivery;
        let hookwright_intake::Layer { events: intake, gates, polling, polls, source_log, .. } = intake;
        // Permits for creating keys, which can take long.
        let making = Arc::new(SpacePermits::few());
        // Permits for plans of configurations, each of which holds a space's whole configuration in memory. A permit is
        // taken before `changing`, so that no change of the space waits for the plans of others.
        let plans = Arc::new(SpacePermits::few());

        let references = part!(References { catalogue, loading, registry, store });
        let automations = part!(Automations { catalogue, changing, clock, loading, references, store });
        let workflows =
            part!(Workflows { automations, catalogue, changing, clock, intake, loading, references, runs, store });
        let schedules = part!(Schedules { changing, clock, references, runs, store });
        let sources = part!(Sources {
            catalogue,
            changing,
            clock,
            gates,
            loading,
            polling,
            polls,
            references,
            store,
            turns,
            vault
        });
        let webhook_policies =
            part!(WebhookPolicies { catalogue, changing, clock, making, signers, signing, store, vault });
        let webhooks = part!(Webhooks {
            automations,
            catalogue,
            changing,
            clock,
            confirmations,
            egress,
            holds,
            delivery_queues,
            loading,
            notices,
            references,
            settings,
            signing,
            store,
            transmit,
            webhook_policies
        });
        let records =
            part!(Records { catalogue, changing, clock, intake, invoke, references, source_log, store, strict, turns });
        let plugins = part!(Plugins {
            accesses,
            automations,
            changing,
            clock,
            invoke,
            registry,
            rollouts,
            routing,
            settings,
            store,
            versions
        });
        let plugin_policies = part!(PluginPolicies {
            accesses,
            breakers,
            changing,
            clock,
            plugin_access,
            registry,
            signers,
            store,
            vault
        });
        let configurations = part!(Configurations {
            automations,
            catalogue,
            changing,
            clock,
            confirmations,
            event_types,
            plugin_access,
            holds,
            invoke,
            loading,
            plans,
            plugins,
            polling,
            references,
            registry,
            schedules,
            settings,
            signers,
            sources,
            store,
            strict,
            transmit,
            turns,
            vault,
            versions,
            webhook_policies,
            webhooks,
            workflows
        });
        Self {
            automations,
            workflows,
            schedules,
            sources,
            webhook_policies,
            webhooks,
            records,
            plugins,
            plugin_policies,
            configurations,
        }
    }
}
