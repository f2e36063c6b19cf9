//! Versions of plugins other than those in use, for replays and comparisons.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{PluginRecord, PluginVersion, SpaceId, Timestamp};
use hookwright_plugin::{Plugin, Registry, Scope};
use hookwright_store::Store;
use parking_lot::Mutex;

/// After how long a run checks again for a plugin that is being loaded.
pub(crate) const LOADING_PAUSE: Duration = Duration::from_millis(200);

/// How many versions other than those in use are cached in memory.
const MAX_PINNED: usize = 32;

/// The cache of versions other than those in use, the latest used last.
#[derive(Clone, Default)]
pub(crate) struct Pinned(Arc<Mutex<VecDeque<Arc<Plugin>>>>);

impl Pinned {
    fn find(&self, digest: &str) -> Option<Arc<Plugin>> {
        let pinned = self.0.lock();
        pinned.iter().find(|plugin| plugin.digest() == digest).cloned()
    }

    fn put(&self, plugin: &Arc<Plugin>) {
        let mut pinned = self.0.lock();
        pinned.retain(|known| known.digest() != plugin.digest());
        pinned.push_back(Arc::clone(plugin));
        if pinned.len() > MAX_PINNED {
            pinned.pop_front();
        }
    }
}

/// Finds and loads versions of plugins other than those in use.
pub struct Versions {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) pinned: Pinned,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Store,
}

impl Versions {
    pub(crate) fn in_use(&self, scope: &Scope, name: &str, digest: &str) -> Option<Arc<Plugin>> {
        self.registry.find(scope, name).and_then(|(plugin, _)| plugin).filter(|plugin| plugin.digest() == digest)
    }

    pub(crate) fn version_in_memory(&self, space: &SpaceId, name: &str, digest: &str) -> Option<Arc<Plugin>> {
        let scopes = [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin];
        scopes.iter().find_map(|scope| self.in_use(scope, name, digest)).or_else(|| self.pinned.find(digest))
    }

    /// A stored version, ready to be called.
    pub async fn version_ready(&self, space: &SpaceId, name: &str, digest: &str) -> Result<Arc<Plugin>, PipelineError> {
        if let Some(plugin) = self.version_in_memory(space, name, digest) {
            return Ok(plugin);
        }
        let component = self.store.plugins.component(digest)?;
        let plugin =
            self.registry.prepare(component.ok_or_else(|| PipelineError::not_found("component", digest))?).await?;
        self.pinned.put(&plugin);
        Ok(plugin)
    }

    /// Loads a version in the background that a run waits for, such as after a restart.
    pub(crate) fn load_soon(&self, space: &SpaceId, name: &str, digest: &str) {
        let (store, registry, pinned) = (self.store.clone(), Arc::clone(&self.registry), self.pinned.clone());
        let (name, digest, space) = (name.to_owned(), digest.to_owned(), space.clone());
        tokio::spawn(async move {
            let loaded = match store.plugins.component(&digest) {
                Ok(Some(component)) => registry.prepare(component).await.map_err(PipelineError::from),
                Ok(None) => Err(PipelineError::not_found("component", &digest)),
                Err(error) => Err(error.into()),
            };
            match loaded {
                Ok(plugin) => pinned.put(&plugin),
                Err(error) => tracing::warn!(%error, plugin = name, %space, "a version for a replay cannot be loaded"),
            }
        });
    }

    /// The digest of a version of a plugin, in use or stored. `which` is its version or the beginning of its digest.
    pub fn digest_of(&self, space: &SpaceId, name: &str, which: &str) -> Result<String, PipelineError> {
        let mut record = self.record_of(space, name)?;
        for scope in [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin] {
            if let Some((Some(plugin), _)) = self.registry.find(&scope, name)
                && record.version(plugin.digest()).is_none()
            {
                // First, since the newest version is the last.
                record.versions.insert(0, as_version(&plugin));
            }
        }
        if record.versions.is_empty() {
            return Err(PipelineError::not_found("plugin", name));
        }
        Ok(record.find(which)?.digest.clone())
    }

    /// The stored record, or a new one.
    pub fn record_of(&self, space: &SpaceId, name: &str) -> Result<PluginRecord, PipelineError> {
        let stored = self.store.plugins.plugin(space, name)?;
        let fresh = || PluginRecord {
            name: name.to_owned(),
            digest: String::new(),
            installed_at: self.clock.now(),
            versions: Vec::new(),
            rollout: None,
            last_rollout: None,
            history: Vec::new(),
        };
        let mut record = stored.unwrap_or_else(fresh);
        if let (false, true, Some(plugin)) =
            (record.digest.is_empty(), record.versions.is_empty(), self.registry.get(space, name))
        {
            // Stored before versions were recorded.
            record.versions.push(PluginVersion {
                digest: record.digest.clone(),
                installed_at: record.installed_at,
                live_since: Some(record.installed_at),
                ..as_version(&plugin)
            });
        }
        Ok(record)
    }
}

/// A plugin without a version in its record, as one: for plugins that were not uploaded.
fn as_version(plugin: &Plugin) -> PluginVersion {
    PluginVersion {
        digest: plugin.digest().to_owned(),
        version: plugin.manifest().version.clone(),
        size: u64::try_from(plugin.size()).unwrap_or(u64::MAX),
        wants: plugin.wants().to_vec(),
        installed_at: Timestamp::default(),
        live_since: None,
        held: false,
        signed_by: Vec::new(),
        dev: false,
    }
}

#[cfg(test)]
mod tests {
    use hookwright_store::PluginInstall;

    use super::*;
    use crate::samples::{CONDITION, PluginStage, component};
    use hookwright_foundation::settings::PipelineSettings;

    #[tokio::test]
    async fn a_version_is_named_by_its_number_or_the_beginning_of_its_digest() {
        let (stage, space) = (PluginStage::open(PipelineSettings::default()).await, SpaceId::main());
        let versions = &stage.invoke.versions;
        let (version, digest) = (stage.plugin.manifest().version.as_str(), stage.plugin.digest());
        for which in [version, digest, &digest[..8]] {
            assert_eq!(versions.digest_of(&space, CONDITION, which).unwrap(), digest, "{which}");
        }
        let refused = |space: &SpaceId, name, which| {
            versions.digest_of(space, name, which).err().map(|error| error.code().to_owned()).unwrap_or_default()
        };
        assert_eq!(refused(&space, CONDITION, "999.0.0"), "plugin.version_unknown");
        assert_eq!(refused(&space, "other", version), "not_found");
        assert_eq!(refused(&"other".parse().unwrap(), CONDITION, version), "not_found");
    }

    #[tokio::test]
    async fn a_stored_version_that_is_not_in_use_is_loaded_once() {
        let (stage, space) = (PluginStage::open(PipelineSettings::default()).await, SpaceId::main());
        let (versions, bytes) = (&stage.invoke.versions, component("transform"));
        let digest = stage.invoke.registry.prepare(bytes.clone()).await.unwrap().digest().to_owned();
        let missing = versions.version_ready(&space, "old", &digest).await.err();
        assert_eq!(missing.map(|error| error.code().to_owned()).as_deref(), Some("not_found"));
        let install = PluginInstall {
            record: versions.record_of(&space, "old").unwrap(),
            policy: None,
            component: Some((digest.clone(), bytes)),
            dropped: Vec::new(),
        };
        stage.invoke.store.plugins.install_plugin(&space, install).await.unwrap();
        assert!(versions.version_in_memory(&space, "old", &digest).is_none());
        let loaded = versions.version_ready(&space, "old", &digest).await.unwrap();
        let known = versions.version_in_memory(&space, "old", &digest).unwrap();
        assert!(Arc::ptr_eq(&loaded, &known));
        let in_use = versions.version_in_memory(&space, CONDITION, stage.plugin.digest()).unwrap();
        assert!(Arc::ptr_eq(&in_use, &stage.plugin));
    }
}
