//! For what plugins are called, and in which version.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hookwright_model::{DeliveryId, Event, Run, RunId, SpaceId};
use hookwright_plugin::{Plugin, Scope};

use crate::parking::{Callable, LOADING, Role, Unavailable};
use crate::{Pipeline, PipelineError};

/// How many versions are kept in memory that replays call besides those in use.
const PINNED: usize = 32;

/// What a plugin is called for.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) space: &'a SpaceId,
    pub(crate) event: &'a Event,
    pub(crate) by: By,
}

/// On whose behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A rehearsal, of which nothing is kept.
    Nobody,
    /// A run.
    Run(RunId),
    /// A delivery to a webhook.
    Webhook(DeliveryId),
}

impl<'a> Occasion<'a> {
    pub(crate) fn of_run(run: &'a Run, event: &'a Event) -> Self {
        // The run of a rehearsal is of no event in the journal.
        let by = if run.id.seq == 0 { By::Nobody } else { By::Run(run.id) };
        Self { space: &run.space, event, by }
    }
}

/// Versions that were called lately besides those in use, the newest last.
#[derive(Clone, Default)]
pub(crate) struct Pinned(Arc<Mutex<VecDeque<Arc<Plugin>>>>);

impl Pinned {
    fn find(&self, digest: &str) -> Option<Arc<Plugin>> {
        let pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pinned.iter().find(|plugin| plugin.digest() == digest).cloned()
    }

    fn put(&self, plugin: &Arc<Plugin>) {
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pinned.retain(|known| known.digest() != plugin.digest());
        pinned.push_back(Arc::clone(plugin));
        if pinned.len() > PINNED {
            pinned.pop_front();
        }
    }
}

impl Pipeline {
    /// The plugin that is called for this, in the version in use or in the one that a replay wants, unless it is not there
    /// or is not called for now.
    pub(crate) fn available(&self, occasion: &Occasion<'_>, name: &str) -> Result<Callable, Unavailable> {
        let wanted = occasion.event.replays().and_then(|replay| replay.plugins.get(name));
        match wanted {
            Some(digest) => self.in_version(occasion.space, name, digest),
            None => match self.canary(occasion, name) {
                Some(canary) => canary,
                None => self.present(occasion.space, name),
            },
        }
    }

    fn in_version(&self, space: &SpaceId, name: &str, digest: &str) -> Result<Callable, Unavailable> {
        let trusted = self.in_use(&Scope::Builtin, name, digest).is_some();
        let Some(plugin) = self.version_in_memory(space, name, digest) else {
            let (plugin, shown) = (name.to_owned(), digest.get(..12).unwrap_or(digest));
            if self.store.has_component(digest).is_ok_and(|kept| !kept) {
                let reason =
                    format!("the version {shown} of `{name}` is no longer kept: replay the event with another");
                return Err(Unavailable { plugin, reason, busy_until: None });
            }
            self.load_soon(space, name, digest);
            let reason = format!("the version {shown} of `{name}` is being loaded");
            return Err(Unavailable { plugin, reason, busy_until: Some(self.now().after(LOADING)) });
        };
        let access = self.with_room(space, name, trusted)?;
        Ok(Callable { plugin, access, admitted: None, role: Role::Named })
    }

    fn in_use(&self, scope: &Scope, name: &str, digest: &str) -> Option<Arc<Plugin>> {
        self.registry.find(scope, name).and_then(|(plugin, _)| plugin).filter(|plugin| plugin.digest() == digest)
    }

    fn version_in_memory(&self, space: &SpaceId, name: &str, digest: &str) -> Option<Arc<Plugin>> {
        let scopes = [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin];
        scopes.iter().find_map(|scope| self.in_use(scope, name, digest)).or_else(|| self.pinned.find(digest))
    }

    /// A version that is kept, ready to be called.
    pub(crate) async fn version_ready(
        &self,
        space: &SpaceId,
        name: &str,
        digest: &str,
    ) -> Result<Arc<Plugin>, PipelineError> {
        if let Some(plugin) = self.version_in_memory(space, name, digest) {
            return Ok(plugin);
        }
        let component = self.store.component(digest)?;
        let plugin =
            self.registry.prepare(component.ok_or_else(|| PipelineError::not_found("component", digest))?).await?;
        self.pinned.put(&plugin);
        Ok(plugin)
    }

    /// Has a version loaded that a run waits for: it was called before the server was started.
    fn load_soon(&self, space: &SpaceId, name: &str, digest: &str) {
        let (store, registry, pinned) = (self.store.clone(), Arc::clone(&self.registry), self.pinned.clone());
        let (name, digest, space) = (name.to_owned(), digest.to_owned(), space.clone());
        tokio::spawn(async move {
            let loaded = match store.component(&digest) {
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

    /// The digest of a version of a plugin, whether it is in use or kept: `which` is its version or the beginning of its
    /// digest.
    pub(crate) fn digest_of(&self, space: &SpaceId, name: &str, which: &str) -> Result<String, PipelineError> {
        let fits = |version: &str, digest: &str| version == which || (which.len() >= 6 && digest.starts_with(which));
        let record = self.store.plugin(space, name)?;
        let kept = record.iter().flat_map(|record| record.versions.iter().rev());
        let mut known: Vec<(String, String)> =
            kept.map(|version| (version.version.clone(), version.digest.clone())).collect();
        for scope in [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin] {
            if let Some((Some(plugin), _)) = self.registry.find(&scope, name) {
                known.push((plugin.manifest().version.clone(), plugin.digest().to_owned()));
            }
        }
        known.dedup_by(|a, b| a.1 == b.1);
        if known.is_empty() {
            return Err(PipelineError::not_found("plugin", name));
        }
        let found = known.iter().find(|(version, digest)| fits(version, digest));
        found.map(|(_, digest)| digest.clone()).ok_or_else(|| {
            let known: Vec<String> = known
                .iter()
                .map(|(version, digest)| format!("{version} ({})", digest.get(..12).unwrap_or(digest)))
                .collect();
            let which: String = which.chars().take(80).collect();
            PipelineError::Conflict {
                code: "plugin.version_unknown",
                message: format!("there is no version `{which}` of `{name}`; there are: {}", known.join(", ")),
            }
        })
    }
}
