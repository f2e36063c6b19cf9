//! What operators configure: one life cycle for the API and for configuration as code.

pub mod api_keys;
pub mod automations;
pub mod check_scope;
pub mod configuration;
pub mod event_types;
pub mod key_ring;
pub mod kinds;
pub mod lifecycle;
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

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::permits::SpacePermits;
use hookwright_foundation::{Foundation, part};

use crate::api_keys::ApiKeys;
use crate::automations::Automations;
use crate::configuration::configurations::Configurations;
use crate::event_types::EventTypes;
use crate::key_ring::KeyRing;
use crate::kinds::Kinds;
use crate::lifecycle::Lifecycle;
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
    /// Creates, changes, rotates and revokes API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Creates, changes and deletes automations.
    pub automations: Arc<Automations>,
    /// Creates, changes, deletes and starts workflows.
    pub workflows: Arc<Workflows>,
    /// Creates, changes and deletes schedules.
    pub schedules: Arc<Schedules>,
    /// Creates, changes and deletes sources.
    pub sources: Arc<Sources>,
    /// Registers, replaces and deletes event types.
    pub event_types: Arc<EventTypes>,
    /// Declares, changes and deletes kinds of record.
    pub kinds: Arc<Kinds>,
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
    ) -> Result<Self, PipelineError> {
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
        let hookwright_routing::Layer { catalogue, strict, planning: routing, .. } = routing;
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
        let key_ring = Arc::new(KeyRing::load(store)?);
        // Permits for creating signing keys, which can take long.
        let making = Arc::new(SpacePermits::few());
        // Permits for plans of configurations, each of which holds a space's whole configuration in memory. A permit is
        // taken before `changing`, so that no change of the space waits for the plans of others.
        let plans = Arc::new(SpacePermits::few());

        let references = part!(References { catalogue, registry, store });
        let lifecycle = part!(Lifecycle { catalogue, changing, loading, store, turns });
        let automations = part!(Automations { catalogue, clock, lifecycle, loading, references, store });
        let workflows = part!(Workflows { automations, clock, intake, lifecycle, references, runs, store });
        let schedules = part!(Schedules { clock, lifecycle, references, runs, store });
        let sources =
            part!(Sources { clock, gates, key_ring, lifecycle, loading, polling, polls, references, store, vault });
        let api_keys = part!(ApiKeys { changing, clock, key_ring, sources, store });
        let event_types = part!(EventTypes { clock, lifecycle, store, strict });
        let kinds = part!(Kinds { clock, lifecycle, references, store });
        let webhook_policies =
            part!(WebhookPolicies { catalogue, clock, lifecycle, making, signers, signing, store, vault });
        let webhooks = part!(Webhooks {
            automations,
            catalogue,
            clock,
            confirmations,
            egress,
            holds,
            delivery_queues,
            lifecycle,
            notices,
            references,
            settings,
            signing,
            store,
            transmit,
            webhook_policies
        });
        let records = part!(Records { catalogue, intake, invoke, source_log, store, strict, turns });
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
            clock,
            event_types,
            plugin_access,
            invoke,
            key_ring,
            kinds,
            lifecycle,
            loading,
            plans,
            plugins,
            polling,
            references,
            registry,
            schedules,
            settings,
            sources,
            store,
            vault,
            versions,
            webhook_policies,
            webhooks,
            workflows
        });
        Ok(Self {
            api_keys,
            automations,
            workflows,
            schedules,
            sources,
            event_types,
            kinds,
            webhook_policies,
            webhooks,
            records,
            plugins,
            plugin_policies,
            configurations,
        })
    }
}
