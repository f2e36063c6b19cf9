//! Plugins put in, held, brought back and taken out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use hookwright_model::{Grants, PluginPolicy, PluginRecord, PluginVersion, RolloutInput, RolloutMode, SpaceId};
use hookwright_plugin::{Plugin, Scope, check_name, remedy};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{Pipeline, PipelineError};

/// A version that was just put in.
pub struct Installed {
    /// The version.
    pub plugin: Arc<Plugin>,
    /// The version that was live before; none while it is held.
    pub replaced: Option<Arc<Plugin>>,
    /// What it wants beyond what was granted, in which case it waits for somebody to approve.
    pub held: Vec<String>,
    /// The trusted keys that signed it.
    pub signed_by: Vec<String>,
}

/// A version as an operator sees it.
#[derive(Clone, Debug)]
pub struct VersionView {
    /// The version.
    pub version: PluginVersion,
    /// Whether it is the one in use.
    pub live: bool,
    /// How it is called beside the one in use, if it is.
    pub rollout: Option<RolloutMode>,
    /// What it wants beyond what was granted.
    pub wants_more: Vec<String>,
}

impl Pipeline {
    /// Puts in a new version of a plugin: checked, compiled and tried first, then made durable, then swapped in at
    /// once. Calls under way end on the version they began with. If anything is wrong, nothing changes. A version that
    /// wants more than was granted is kept and held, unless `approve` grants that too.
    pub async fn install_plugin(
        &self,
        space: &SpaceId,
        name: &str,
        component: Bytes,
        signatures: &[String],
        approve: bool,
    ) -> Result<Installed, PipelineError> {
        self.take_in(space, name, component, signatures, approve, None).await
    }

    /// Puts in a version that is used at once, or goes into use as `rollout` says.
    pub(crate) async fn take_in(
        &self,
        space: &SpaceId,
        name: &str,
        component: Bytes,
        signatures: &[String],
        approve: bool,
        rollout: Option<&RolloutInput>,
    ) -> Result<Installed, PipelineError> {
        check_name(name)?;
        rollout.map(RolloutInput::check).transpose()?;
        let (plugin, mut version) = self.examined(&component, signatures).await?;
        let _changing = self.changing.lock().await;
        let mut record = self.record_of(space, name)?;
        if rollout.is_some() {
            self.may_begin(space, &record, &version.digest)?;
        }
        let policy = self.policy_of(space, name, record.digest.is_empty(), &plugin, approve)?;
        let wants_more = wants_more(&policy.grants, plugin.wants());
        version.live_since = record.version(&version.digest).and_then(|known| known.live_since);
        version.held = !wants_more.is_empty();
        let signed_by = version.signed_by.clone();
        if version.held {
            let digest = version.digest.clone();
            let dropped = record.put(version);
            self.store.put_plugin(space, &record, Some((digest, component)), dropped).await?;
            return Ok(Installed { plugin, replaced: None, held: wants_more, signed_by });
        }
        self.check_misfits(space, name, &plugin)?;
        self.store.put_policy(space, name, &policy).await?;
        let mut replaced = None;
        match rollout {
            Some(input) => self.begin(space, record, version, Some(component), &plugin, input).await?,
            None => {
                replaced = self.registry.get(space, name);
                self.go_live(space, record, version, Some(component), &plugin).await?;
            }
        }
        Ok(Installed { plugin, replaced, held: Vec::new(), signed_by })
    }

    /// A component checked, compiled and tried, and what is written down of it.
    async fn examined(
        &self,
        component: &Bytes,
        signatures: &[String],
    ) -> Result<(Arc<Plugin>, PluginVersion), PipelineError> {
        let digest = hex::encode(Sha256::digest(component));
        let signed_by = self.registry.engine().options().trust.check(&digest, signatures)?;
        let plugin = self.registry.prepare(component.clone()).await?;
        let version = PluginVersion {
            digest,
            version: plugin.manifest().version.clone(),
            size: u64::try_from(component.len()).unwrap_or(u64::MAX),
            wants: plugin.wants().to_vec(),
            installed_at: self.now(),
            live_since: None,
            held: false,
            signed_by,
        };
        Ok((plugin, version))
    }

    /// Keeps a new version of a plugin without putting it in use: checked, compiled and tried. Nothing is granted, and
    /// nobody is served by it before it is activated.
    pub async fn keep_plugin(
        &self,
        space: &SpaceId,
        name: &str,
        component: Bytes,
        signatures: &[String],
    ) -> Result<VersionView, PipelineError> {
        check_name(name)?;
        let (plugin, version) = self.examined(&component, signatures).await?;
        let _changing = self.changing.lock().await;
        let mut record = self.record_of(space, name)?;
        let grants = self.store.policy(space, name)?.unwrap_or_default().grants;
        let wants_more = wants_more(&grants, plugin.wants());
        if let Some(known) = record.version(&version.digest) {
            return Ok(VersionView {
                live: version.digest == record.digest,
                rollout: record.rolled_out(&version.digest),
                wants_more,
                version: known.clone(),
            });
        }
        let dropped = record.put(version.clone());
        self.store.put_plugin(space, &record, Some((version.digest.clone(), component)), dropped).await?;
        Ok(VersionView { live: false, rollout: None, wants_more, version })
    }

    /// Makes a kept version the one in use. `which` is its version or the beginning of its digest; `approve` grants
    /// what it wants beyond what was granted.
    pub async fn activate_version(
        &self,
        space: &SpaceId,
        name: &str,
        which: &str,
        approve: bool,
    ) -> Result<Installed, PipelineError> {
        let _changing = self.changing.lock().await;
        let record = self.uploaded(space, name)?;
        let version = self.kept_version(&record, which)?;
        self.bring_back(space, record, version, approve).await
    }

    /// Makes the version the one in use that was so before the present one.
    pub async fn roll_back(&self, space: &SpaceId, name: &str) -> Result<Installed, PipelineError> {
        let _changing = self.changing.lock().await;
        let record = self.uploaded(space, name)?;
        let former = record.former().cloned().ok_or_else(|| PipelineError::Conflict {
            code: "plugin.no_former_version",
            message: format!("no version of `{name}` was in use before the present one"),
        })?;
        self.bring_back(space, record, former, false).await
    }

    /// Grants what the newest held version wants, and puts it in use.
    pub async fn approve_version(&self, space: &SpaceId, name: &str) -> Result<Installed, PipelineError> {
        let _changing = self.changing.lock().await;
        let record = self.uploaded(space, name)?;
        let held = record.versions.iter().rev().find(|version| version.held).cloned();
        let held = held.ok_or_else(|| PipelineError::Conflict {
            code: "plugin.nothing_held",
            message: format!("no version of `{name}` waits to be approved"),
        })?;
        self.bring_back(space, record, held, true).await
    }

    /// Puts a kept version in use. The caller holds `changing`.
    pub(crate) async fn bring_back(
        &self,
        space: &SpaceId,
        record: PluginRecord,
        version: PluginVersion,
        approve: bool,
    ) -> Result<Installed, PipelineError> {
        let name = record.name.clone();
        let missing = || PipelineError::not_found("component", &version.digest);
        let component = self.store.component(&version.digest)?.ok_or_else(missing)?;
        let plugin = self.registry.prepare(component).await?;
        let policy = self.policy_of(space, &name, record.digest.is_empty(), &plugin, approve)?;
        let wants_more = wants_more(&policy.grants, plugin.wants());
        if !wants_more.is_empty() {
            return Err(held(&name, &wants_more));
        }
        self.check_misfits(space, &name, &plugin)?;
        self.store.put_policy(space, &name, &policy).await?;
        let replaced = self.registry.get(space, &name);
        let signed_by = version.signed_by.clone();
        self.go_live(space, record, version, None, &plugin).await?;
        Ok(Installed { plugin, replaced, held: Vec::new(), signed_by })
    }

    /// Makes a version durable as the live one, and swaps it in.
    async fn go_live(
        &self,
        space: &SpaceId,
        mut record: PluginRecord,
        version: PluginVersion,
        component: Option<Bytes>,
        plugin: &Arc<Plugin>,
    ) -> Result<(), PipelineError> {
        let component = component.map(|component| (version.digest.clone(), component));
        let dropped = record.use_version(version, self.now());
        self.store.put_plugin(space, &record, component, dropped).await?;
        self.registry.activate(Scope::Space(space.clone()), &record.name, Arc::clone(plugin))?;
        self.rollouts.remove(space, &record.name);
        self.accesses.forget();
        self.breakers.reset(Some(space), &record.name);
        self.release_soon(space, &record.name);
        Ok(())
    }

    /// What the plugin may do once this version is in use: the first version is granted what it imports, or nothing.
    pub(crate) fn policy_of(
        &self,
        space: &SpaceId,
        name: &str,
        first: bool,
        plugin: &Plugin,
        approve: bool,
    ) -> Result<PluginPolicy, PipelineError> {
        let mut policy = self.store.policy(space, name)?.unwrap_or_default();
        let wants: BTreeSet<String> = plugin.wants().iter().cloned().collect();
        if first && policy.grants.interfaces.is_none() {
            policy.grants.interfaces =
                Some(if self.settings.grant_on_install { wants.clone() } else { BTreeSet::new() });
        }
        if approve && policy.grants.interfaces.is_some() {
            policy.grants.add(Grants { interfaces: Some(wants), ..Grants::default() });
        }
        let missing = wants_more(&policy.grants, plugin.wants());
        if first && !missing.is_empty() {
            let message = format!(
                "it imports {}, which `{name}` is not granted: {}",
                missing.join(", "),
                remedy(name, &json!({"interfaces": missing}))
            );
            return Err(hookwright_plugin::LoadError::ImportNotGranted(message).into());
        }
        Ok(policy)
    }

    pub(crate) fn check_misfits(&self, space: &SpaceId, name: &str, plugin: &Plugin) -> Result<(), PipelineError> {
        let misfits = self.misfits(Some(space), name, Some(plugin));
        if misfits.is_empty() {
            return Ok(());
        }
        let mut message = "automations that use it no longer fit: ".to_owned();
        for (place, (automation, mistakes)) in misfits.iter().take(5).enumerate() {
            let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
            let _ = write!(message, "{}{automation}: {first}", if place > 0 { "; " } else { "" });
        }
        let _ = write!(message, ". Change those first, or put it in under another name");
        Err(PipelineError::Conflict { code: "plugin.parameters_incompatible", message })
    }

    /// The versions of an uploaded plugin, the newest first.
    pub fn plugin_versions(&self, space: &SpaceId, name: &str) -> Result<Vec<VersionView>, PipelineError> {
        let record = self.uploaded(space, name)?;
        let grants = self.store.policy(space, name)?.unwrap_or_default().grants;
        let view = |version: &PluginVersion| VersionView {
            live: version.digest == record.digest,
            rollout: record.rolled_out(&version.digest),
            wants_more: wants_more(&grants, &version.wants),
            version: version.clone(),
        };
        Ok(record.versions.iter().rev().map(view).collect())
    }

    /// The bytes of a version of an uploaded plugin; without `which` the one in use.
    pub fn plugin_component(
        &self,
        space: &SpaceId,
        name: &str,
        which: Option<&str>,
    ) -> Result<(String, Bytes), PipelineError> {
        let record = self.uploaded(space, name)?;
        let digest = match which {
            None => record.digest.clone(),
            Some(which) => {
                let found = record.versions.iter().rev().find(|version| {
                    version.version == which || (which.len() >= 6 && version.digest.starts_with(which))
                });
                found.map(|version| version.digest.clone()).ok_or_else(|| PipelineError::not_found("version", which))?
            }
        };
        let component = self.store.component(&digest)?.ok_or_else(|| PipelineError::not_found("component", &digest))?;
        Ok((digest, component))
    }

    /// The stored record, or a new one.
    pub(crate) fn record_of(&self, space: &SpaceId, name: &str) -> Result<PluginRecord, PipelineError> {
        let stored = self.store.plugin(space, name)?;
        let fresh = || PluginRecord {
            name: name.to_owned(),
            digest: String::new(),
            installed_at: self.now(),
            versions: Vec::new(),
            rollout: None,
            last_rollout: None,
        };
        let mut record = stored.unwrap_or_else(fresh);
        if let (false, true, Some(plugin)) =
            (record.digest.is_empty(), record.versions.is_empty(), self.registry.get(space, name))
        {
            // From before versions were kept.
            record.versions.push(PluginVersion {
                digest: record.digest.clone(),
                version: plugin.manifest().version.clone(),
                size: u64::try_from(plugin.size()).unwrap_or(u64::MAX),
                wants: plugin.wants().to_vec(),
                installed_at: record.installed_at,
                live_since: Some(record.installed_at),
                held: false,
                signed_by: Vec::new(),
            });
        }
        Ok(record)
    }

    pub(crate) fn uploaded(&self, space: &SpaceId, name: &str) -> Result<PluginRecord, PipelineError> {
        let record = self.record_of(space, name)?;
        if !record.versions.is_empty() {
            return Ok(record);
        }
        if self.registry.list(space).iter().any(|listed| listed.name == name) {
            return Err(not_uploaded(name));
        }
        Err(PipelineError::not_found("plugin", name))
    }

    /// Takes an uploaded plugin out with all its versions; one of the same name that the binary or the folder holds
    /// shows again. `force`: even if automations use it, whose runs wait from then on.
    pub async fn remove_plugin(&self, space: &SpaceId, name: &str, force: bool) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        self.uploaded(space, name)?;
        let live = |scope| self.registry.find(scope, name).and_then(|(plugin, _)| plugin);
        let shadowed = live(&Scope::Folder).or_else(|| live(&Scope::Builtin));
        let misfits = self.misfits(Some(space), name, shadowed.as_deref());
        if !misfits.is_empty() && !force {
            let users: Vec<&str> = misfits.keys().take(5).map(String::as_str).collect();
            return Err(PipelineError::Conflict {
                code: "plugin.in_use",
                message: format!(
                    "`{name}` is used by {}: change those first, or remove it with force=true: their events wait then",
                    users.join(", ")
                ),
            });
        }
        self.store.delete_plugin(space, name).await?;
        self.store.delete_policy(space, name).await?;
        self.registry.deactivate(&Scope::Space(space.clone()), name);
        self.rollouts.remove(space, name);
        self.accesses.forget();
        self.breakers.reset(Some(space), name);
        Ok(())
    }
}

/// What is wanted and not granted.
pub(crate) fn wants_more(grants: &Grants, wants: &[String]) -> Vec<String> {
    let Some(granted) = &grants.interfaces else { return Vec::new() };
    wants.iter().filter(|interface| !granted.contains(*interface)).cloned().collect()
}

pub(crate) fn held(name: &str, wants_more: &[String]) -> PipelineError {
    let message = format!(
        "this version of `{name}` wants more than was granted: {}; to approve it, POST to /v1/plugins/{name}/approve",
        wants_more.join(", ")
    );
    PipelineError::Conflict { code: "plugin.held", message }
}

fn not_uploaded(name: &str) -> PipelineError {
    PipelineError::Conflict {
        code: "plugin.not_uploaded",
        message: format!("`{name}` was not uploaded to this space: it comes with the server or from its folder"),
    }
}

/// A version with the beginning of its digest.
pub(crate) fn short(version: &PluginVersion) -> String {
    format!("{} ({})", version.version, version.digest.get(..12).unwrap_or(&version.digest))
}
