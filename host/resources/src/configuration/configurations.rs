//! The part of the pipeline that applies documents.

use std::sync::Arc;

use hookwright_foundation::permits::SpacePermits;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::polling::Polls;
use hookwright_invoke::access::PluginAccess;
use hookwright_invoke::calls::Invoke;
use hookwright_invoke::loading::Loading;
use hookwright_invoke::versions::Versions;
use hookwright_plugin::Registry;
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{Store, Vault};

use crate::automations::Automations;
use crate::event_types::EventTypes;
use crate::key_ring::KeyRing;
use crate::kinds::Kinds;
use crate::lifecycle::Lifecycle;
use crate::plugins::Plugins;
use crate::references::References;
use crate::schedules::Schedules;
use crate::sources::Sources;
use crate::webhook_policies::WebhookPolicies;
use crate::webhooks::Webhooks;
use crate::workflows::Workflows;

/// Configuration as code: export, plan, apply.
pub struct Configurations {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) key_ring: Arc<KeyRing>,
    pub(crate) plans: Arc<SpacePermits>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) automations: Arc<Automations>,
    pub(crate) event_types: Arc<EventTypes>,
    pub(crate) plugin_access: Arc<PluginAccess>,
    pub(crate) invoke: Arc<Invoke>,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) polling: Arc<Polls>,
    pub(crate) references: Arc<References>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) versions: Arc<Versions>,
    pub(crate) webhook_policies: Arc<WebhookPolicies>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) workflows: Arc<Workflows>,
}
