//! What each plugin may do in each space: combines grants, limits, secrets and settings, and caches the result until one of
//! them changes.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_model::{Grants, SpaceId};
use hookwright_plugin::{Access, Meter, Registry, Scope, Secrets};
use hookwright_store::{Store, Vault};
use parking_lot::Mutex;

use crate::loading::Loading;
use crate::plugin_key::PluginKey;

/// Every access that was requested since the last change, and what plugins have used since the start.
#[derive(Default)]
pub struct AccessCache {
    /// By plugin and space, and by whether the plugin comes with the server.
    cached: ArcSwap<HashMap<(PluginKey, bool), Arc<Access>>>,
    meters: Mutex<HashMap<PluginKey, Arc<Meter>>>,
}

impl AccessCache {
    fn meter(&self, key: &PluginKey) -> Arc<Meter> {
        let mut meters = self.meters.lock();
        Arc::clone(meters.entry(key.clone()).or_default())
    }

    /// Clears the cache: something that accesses are made of has changed.
    pub fn forget(&self) {
        self.cached.store(Arc::default());
    }
}

/// What each plugin may do in each space.
pub struct PluginAccess {
    pub(crate) accesses: Arc<AccessCache>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) loading: Arc<Loading>,
}

impl PluginAccess {
    /// What the plugin under this name may do in the space. `trusted`: the plugin that is called comes with the server.
    pub(crate) fn access(&self, space: &SpaceId, name: &str, trusted: bool) -> Arc<Access> {
        let key = ((space.clone(), name.to_owned()), trusted);
        if let Some(access) = self.accesses.cached.load().get(&key) {
            return Arc::clone(access);
        }
        let cached = self.accesses.cached.load_full();
        let access = Arc::new(self.make_access(&key.0, trusted).unwrap_or_else(|error| {
            // Fails closed: a plugin whose grants cannot be read gets none.
            tracing::error!(%error, plugin = name, "the plugin's grants cannot be read");
            let limits = self.registry.engine().options().limits;
            Access { grants: Grants { interfaces: Some([].into()), ..Grants::default() }, ..Access::new(name, limits) }
        }));
        let mut more = HashMap::clone(&cached);
        more.insert(key, Arc::clone(&access));
        // If the cache was cleared in between, the swap fails, nothing is cached, and the next call makes it again.
        self.accesses.cached.compare_and_swap(&cached, Arc::new(more));
        access
    }

    /// The access of the plugin that has the name now, for reports.
    pub fn current_access(&self, space: &SpaceId, name: &str) -> Arc<Access> {
        let trusted = self.registry.resolve(space, name).is_some_and(|(scope, _)| scope == Scope::Builtin);
        self.access(space, name, trusted)
    }

    pub(crate) fn make_access(&self, key: &PluginKey, trusted: bool) -> Result<Access, PipelineError> {
        let (space, name) = key;
        let policy = self.store.plugins.policy(space, name)?.unwrap_or_default();
        let limits = self.registry.engine().options().limits.with(&policy.limits);
        let mut secrets = Vec::new();
        for grant in &policy.grants.secrets {
            if let Some(secret) = self.store.secrets.secret(space, &grant.name)? {
                secrets.push((grant.name.clone(), self.vault.open_sealed(&secret.sealed)?));
            }
        }
        let mut config = self.settings.plugin_config.clone();
        config.extend(policy.config);
        Ok(Access {
            trusted,
            grants: policy.grants,
            instance: policy.instance,
            secrets: Secrets::from_iter(secrets),
            secrets_set: self.store.secrets.secrets(space)?.into_iter().map(|secret| secret.name).collect(),
            config: Arc::new(config),
            recordings: policy.recordings.unwrap_or(self.settings.recordings_kept),
            meter: self.accesses.meter(key),
            ..Access::new(name, limits)
        })
    }

    /// Whether a plugin of this name is installed, or has a policy, which may be set before it is installed.
    pub fn is_known(&self, space: &SpaceId, name: &str) -> Result<bool, PipelineError> {
        Ok(self.is_installed(space, name)? || self.store.plugins.policy(space, name)?.is_some())
    }

    /// Whether a plugin of this name comes with the server, is in the folder or was uploaded, whether or not it could be loaded
    /// (yet).
    pub fn is_installed(&self, space: &SpaceId, name: &str) -> Result<bool, PipelineError> {
        let scopes = [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin];
        Ok(scopes.iter().any(|scope| self.registry.find(scope, name).is_some())
            || self.loading.is_loading(name)
            || self.store.plugins.plugin(space, name)?.is_some())
    }

    /// What a plugin may do in calls that are not metered: a comparison, or the shadow of a live call.
    pub fn isolated_access(&self, space: &SpaceId, name: &str, trusted: bool) -> Result<Arc<Access>, PipelineError> {
        let access = self.make_access(&(space.clone(), name.to_owned()), trusted)?;
        Ok(Arc::new(Access { meter: Arc::default(), ..access }))
    }
}
