//! The part of the pipeline that applies documents.

use std::sync::Arc;

use hookwright_model::SpaceId;
use hookwright_plugin::Registry;
use hookwright_store::{Store, Vault};

use crate::delivery::confirm::Confirmations;
use crate::delivery::holds::Holds;
use crate::delivery::signers::Signers;
use crate::delivery::transmit::Transmit;
use crate::foundation::keyed_locks::KeyedLocks;
use crate::foundation::places::SpacePermits;
use crate::foundation::settings::PipelineSettings;
use crate::foundation::turns::Turns;
use crate::foundation::watched_clock::WatchedClock;
use crate::intake::polling::Polls;
use crate::invoke::access::PluginAccess;
use crate::invoke::calls::Invoke;
use crate::invoke::loading::Loading;
use crate::invoke::versions::Versions;
use crate::resources::automations::Automations;
use crate::resources::plugins::Plugins;
use crate::resources::references::References;
use crate::resources::schedules::Schedules;
use crate::resources::sources::Sources;
use crate::resources::webhook_policies::WebhookPolicies;
use crate::resources::webhooks::Webhooks;
use crate::resources::workflows::Workflows;
use crate::routing::catalogue::Catalogue;
use crate::routing::event_types::{EventTypes, Strict};

/// Configuration as code: export, plan, apply.
pub struct Configurations {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) plans: Arc<SpacePermits>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) store: Store,
    pub(crate) strict: Arc<Strict>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) automations: Arc<Automations>,
    pub(crate) confirmations: Arc<Confirmations>,
    pub(crate) event_types: Arc<EventTypes>,
    pub(crate) plugin_access: Arc<PluginAccess>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) invoke: Arc<Invoke>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) polling: Arc<Polls>,
    pub(crate) references: Arc<References>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) transmit: Arc<Transmit>,
    pub(crate) versions: Arc<Versions>,
    pub(crate) webhook_policies: Arc<WebhookPolicies>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) workflows: Arc<Workflows>,
}
