//! Loads plugins when the server starts: compiled ones at once, the others while it serves.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use hookwright_foundation::error::PipelineError;
use hookwright_model::SpaceId;
use hookwright_plugin::{HashedComponent, LoadError, Registry, Scope};
use hookwright_store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many components are loaded at once.
const MAX_CONCURRENT_LOADS: usize = 8;

/// A plugin that waits to be loaded.
struct Waiting {
    scope: Scope,
    name: String,
    digest: String,
    /// `None`: the component is in the store.
    component: Option<HashedComponent>,
}

/// Plugins that are being loaded.
pub struct Loading {
    pub(crate) loading: watch::Sender<BTreeSet<String>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Store,
}

impl Loading {
    /// Loads uploaded plugins and those in the binary. A plugin that fails is listed with its error, and the others are still
    /// loaded. Plugins of the binary that must be compiled first are loaded while the server serves; runs that need one of
    /// them wait for it.
    pub async fn load_plugins(self: &Arc<Self>, builtin: Vec<(&str, Vec<u8>)>) -> Result<(), PipelineError> {
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for (name, component) in builtin {
            let component = HashedComponent::of(Bytes::from(component)).await?;
            let known = self.registry.engine().is_compiled(&component);
            let waiting = Waiting {
                scope: Scope::Builtin,
                name: name.to_owned(),
                digest: String::new(),
                component: Some(component),
            };
            if known { now.push(waiting) } else { later.push(waiting) }
        }
        for (space, record) in self.store.plugins.all_plugins()? {
            if !record.digest.is_empty() {
                let (scope, name, digest) = (Scope::Space(space), record.name, record.digest);
                now.push(Waiting { scope, name, digest, component: None });
            }
        }
        self.loading.send_replace(later.iter().map(|waiting| waiting.name.clone()).collect());
        if !later.is_empty() {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                // `load_all` takes from the end.
                later.reverse();
                let live = this.load_all(later).await;
                tracing::info!(live, "the plugins that come with the server are compiled");
            });
        }
        self.load_all(now).await;
        Ok(())
    }

    async fn load_all(self: &Arc<Self>, mut waiting: Vec<Waiting>) -> usize {
        let mut loading = JoinSet::new();
        let mut live = 0_usize;
        while !waiting.is_empty() || !loading.is_empty() {
            while loading.len() < MAX_CONCURRENT_LOADS
                && let Some(next) = waiting.pop()
            {
                let this = Arc::clone(self);
                loading.spawn(async move {
                    let name = next.name.clone();
                    let live = this.load_one(next).await;
                    this.loading.send_if_modified(|names| names.remove(&name));
                    live
                });
            }
            if let Some(Ok(true)) = loading.join_next().await {
                live = live.saturating_add(1);
            }
        }
        live
    }

    /// Waits until none of these is being loaded any more. If the space lacks one of them, waits until no plugin is being loaded,
    /// so that an error about it can name all plugins that the space has.
    pub async fn loaded(&self, space: &SpaceId, names: &BTreeSet<&str>) {
        let mut loading = self.loading.subscribe();
        // An error means that the pipeline is dropped, so there is nothing to wait for.
        let _ = loading.wait_for(|loading| !names.iter().any(|name| loading.contains(*name))).await;
        if names.iter().any(|name| self.registry.get(space, name).is_none()) {
            self.all_loaded().await;
        }
    }

    /// Waits until no plugin is being loaded any more.
    pub async fn all_loaded(&self) {
        let _ = self.loading.subscribe().wait_for(BTreeSet::is_empty).await;
    }

    /// The names of the plugins that the space can call, including those that are still being compiled.
    pub fn plugin_names(&self, space: &SpaceId) -> BTreeSet<String> {
        // Read before the registry, so that a plugin that is loaded in between is in both and not in neither.
        let mut names: BTreeSet<String> = self.loading().into_iter().collect();
        let found = self.registry.list(space).into_iter().filter(|found| found.plugin.is_some());
        names.extend(found.map(|found| found.name));
        names
    }

    /// The plugins that are still being loaded, by name.
    pub fn loading(&self) -> Vec<String> {
        self.loading.borrow().iter().cloned().collect()
    }

    /// Whether the plugin is being loaded.
    pub(crate) fn is_loading(&self, name: &str) -> bool {
        self.loading.borrow().contains(name)
    }

    async fn load_one(&self, waiting: Waiting) -> bool {
        let Waiting { scope, name, digest, component } = waiting;
        let prepared = match component {
            Some(component) => self.registry.prepare_hashed(component).await,
            None => match self.store.plugins.component(&digest) {
                Ok(Some(component)) => self.registry.prepare(component).await,
                Ok(None) => {
                    tracing::error!(plugin = name, digest, "the component is missing from the store");
                    return false;
                }
                Err(error) => {
                    tracing::error!(plugin = name, digest, %error, "the component cannot be read");
                    return false;
                }
            },
        };
        match prepared.and_then(|plugin| self.registry.activate(scope.clone(), &name, plugin)) {
            Ok(_) => true,
            Err(error) => {
                match &error {
                    // The server stops, for example: the next start compiles it.
                    LoadError::CompileInterrupted(_) => {
                        tracing::warn!(plugin = name, %error, "the plugin is not loaded")
                    }
                    error => tracing::error!(plugin = name, %error, "the plugin cannot be loaded"),
                }
                self.registry.failed(scope, &name, &digest, error);
                false
            }
        }
    }
}
