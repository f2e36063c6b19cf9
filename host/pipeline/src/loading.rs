//! Plugins loaded when the server starts: what is compiled already at once, the others while it serves.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use hookwright_model::SpaceId;
use hookwright_plugin::Scope;
use tokio::task::JoinSet;

use crate::{Pipeline, PipelineError};

/// How many components are loaded at a time.
const AT_ONCE: usize = 8;

/// One to be loaded.
struct Waiting {
    scope: Scope,
    name: String,
    digest: String,
    component: Option<Bytes>,
}

impl Pipeline {
    /// Loads the plugins that were uploaded and those that the binary carries. One that fails is listed with its error;
    /// the others go on. Returns how many are live. Those of the binary that must be compiled first are loaded while the
    /// server serves; what asks for one of them waits for it.
    pub async fn load_plugins(self: &Arc<Self>, builtin: &[(&str, &'static [u8])]) -> Result<usize, PipelineError> {
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for (name, component) in builtin {
            let known = self.registry.engine().is_compiled(component);
            let waiting = Waiting {
                scope: Scope::Builtin,
                name: (*name).to_owned(),
                digest: String::new(),
                component: Some(Bytes::from_static(component)),
            };
            if known { now.push(waiting) } else { later.push(waiting) }
        }
        for (space, record) in self.store.all_plugins()? {
            if !record.digest.is_empty() {
                let (scope, name, digest) = (Scope::Space(space), record.name, record.digest);
                now.push(Waiting { scope, name, digest, component: None });
            }
        }
        self.loading.send_replace(later.iter().map(|waiting| waiting.name.clone()).collect());
        if !later.is_empty() {
            let pipeline = Arc::clone(self);
            tokio::spawn(async move {
                // The first in the list are taken last.
                later.reverse();
                let live = pipeline.load_all(later).await;
                tracing::info!(live, "the plugins that come with the server are compiled");
            });
        }
        let live = self.load_all(now).await;
        self.load_rollouts().await?;
        Ok(live)
    }

    async fn load_all(self: &Arc<Self>, mut waiting: Vec<Waiting>) -> usize {
        let mut loading = JoinSet::new();
        let mut live = 0_usize;
        while !waiting.is_empty() || !loading.is_empty() {
            while loading.len() < AT_ONCE
                && let Some(next) = waiting.pop()
            {
                let pipeline = Arc::clone(self);
                loading.spawn(async move {
                    let name = next.name.clone();
                    let live = pipeline.load_one(next).await;
                    pipeline.loading.send_if_modified(|names| names.remove(&name));
                    live
                });
            }
            if let Some(Ok(true)) = loading.join_next().await {
                live = live.saturating_add(1);
            }
        }
        live
    }

    /// Waits until none of these is being loaded any more; if the space has one of them not at all, until no plugin is:
    /// whoever says so then can name all that it has.
    pub async fn loaded(&self, space: &SpaceId, names: &BTreeSet<&str>) {
        let mut loading = self.loading.subscribe();
        // An error means that the pipeline is gone, and the wait with it.
        let _ = loading.wait_for(|loading| !names.iter().any(|name| loading.contains(*name))).await;
        if names.iter().any(|name| self.registry.get(space, name).is_none()) {
            self.all_loaded().await;
        }
    }

    /// Waits until no plugin is being loaded any more.
    pub async fn all_loaded(&self) {
        let _ = self.loading.subscribe().wait_for(BTreeSet::is_empty).await;
    }

    /// Whether the plugin is being loaded.
    pub(crate) fn is_loading(&self, name: &str) -> bool {
        self.loading.borrow().contains(name)
    }

    async fn load_one(&self, waiting: Waiting) -> bool {
        let Waiting { scope, name, digest, component } = waiting;
        let component = match component {
            Some(component) => Ok(Some(component)),
            None => self.store.component(&digest),
        };
        let component = match component {
            Ok(Some(component)) => component,
            Ok(None) => {
                tracing::error!(plugin = name, digest, "the component is missing from the store");
                return false;
            }
            Err(error) => {
                tracing::error!(plugin = name, digest, %error, "the component cannot be read");
                return false;
            }
        };
        let loaded = match self.registry.prepare(component).await {
            Ok(plugin) => self.registry.activate(scope.clone(), &name, plugin).map(|_| ()),
            Err(error) => Err(error),
        };
        match loaded {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(plugin = name, %error, "the plugin cannot be loaded");
                self.registry.failed(scope, &name, &digest, error);
                false
            }
        }
    }
}
