use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hookwright_model::{PluginRecord, SpaceId};
use hookwright_plugin::{Plugin, Scope, check_name};

use crate::{Pipeline, PipelineError};

/// A plugin that was just put in.
pub struct Installed {
    /// The version that is live now.
    pub plugin: Arc<Plugin>,
    /// The version that was live before.
    pub replaced: Option<Arc<Plugin>>,
}

impl Pipeline {
    /// Loads the plugins that the binary carries and those that were uploaded. One that fails is listed with its
    /// error; the others go on. Returns how many are live.
    pub async fn load_plugins(&self, builtin: &[(&str, &'static [u8])]) -> Result<usize, PipelineError> {
        let mut loading = Vec::new();
        for (name, component) in builtin {
            loading.push((Scope::Builtin, (*name).to_owned(), String::new(), Some(Bytes::from_static(component))));
        }
        for (space, record) in self.store.all_plugins()? {
            let component = self.store.component(&record.digest)?;
            loading.push((Scope::Space(space), record.name, record.digest, component));
        }
        let live = stream::iter(loading)
            .map(|(scope, name, digest, component)| self.load_one(scope, name, digest, component))
            .buffer_unordered(4)
            .filter(|live| std::future::ready(*live))
            .count();
        Ok(live.await)
    }

    async fn load_one(&self, scope: Scope, name: String, digest: String, component: Option<Bytes>) -> bool {
        let Some(component) = component else {
            tracing::error!(plugin = name, digest, "the component is missing from the store");
            return false;
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

    /// Puts in a new version of a plugin: checked, compiled and tried first, then made durable, then swapped in at
    /// once. Calls under way end on the version they began with. If anything is wrong, nothing changes.
    pub async fn install_plugin(
        &self,
        space: &SpaceId,
        name: &str,
        component: Bytes,
    ) -> Result<Installed, PipelineError> {
        check_name(name)?;
        let plugin = self.registry.prepare(component.clone()).await?;
        let _changing = self.changing.lock().await;
        let misfits = self.misfits(Some(space), name, Some(&plugin));
        if !misfits.is_empty() {
            let mut message = "automations that use it no longer fit: ".to_owned();
            for (place, (automation, mistakes)) in misfits.iter().take(5).enumerate() {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                let _ = write!(message, "{}{automation}: {first}", if place > 0 { "; " } else { "" });
            }
            let _ = write!(message, ". Change those first, or put it in under another name");
            return Err(PipelineError::Conflict { code: "plugin.parameters_incompatible", message });
        }
        let record =
            PluginRecord { name: name.to_owned(), digest: plugin.digest().to_owned(), installed_at: self.now() };
        self.store.put_plugin(space, &record, component).await?;
        let replaced = self.registry.get(space, name);
        self.registry.activate(Scope::Space(space.clone()), name, Arc::clone(&plugin))?;
        Ok(Installed { plugin, replaced })
    }

    /// Takes an uploaded plugin out; one of the same name that the binary or the folder holds shows again.
    pub async fn remove_plugin(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        let listed = self.registry.list(space);
        let Some(found) = listed.iter().find(|listed| listed.name == name && !listed.shadowed) else {
            return Err(PipelineError::not_found("plugin", name));
        };
        if found.scope != Scope::Space(space.clone()) {
            return Err(PipelineError::Conflict {
                code: "plugin.not_uploaded",
                message: format!(
                    "`{name}` was not uploaded to this space: it comes with the server or from its folder"
                ),
            });
        }
        let live = |scope| self.registry.find(scope, name).and_then(|(plugin, _)| plugin);
        let shadowed = live(&Scope::Folder).or_else(|| live(&Scope::Builtin));
        let misfits = self.misfits(Some(space), name, shadowed.as_deref());
        if !misfits.is_empty() {
            let users: Vec<&str> = misfits.keys().take(5).map(String::as_str).collect();
            return Err(PipelineError::Conflict {
                code: "plugin.in_use",
                message: format!("`{name}` is used by {}: change those first", users.join(", ")),
            });
        }
        self.store.delete_plugin(space, name).await?;
        self.registry.deactivate(&Scope::Space(space.clone()), name);
        Ok(())
    }
}
