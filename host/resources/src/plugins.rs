//! Installs, holds, activates and removes plugins.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::access::AccessCache;
use hookwright_invoke::calls::Invoke;
use hookwright_invoke::candidate::{ActiveRollout, Rollouts};
use hookwright_invoke::versions::Versions;
use hookwright_model::{
    Grants, PluginPolicy, PluginRecord, PluginVersion, RolloutInput, RolloutMode, SpaceId, VersionNotFound,
};
use hookwright_plugin::{HashedComponent, Listed, Plugin, Registry, Scope, check_name, remedy};
use hookwright_routing::planning::Routing;
use hookwright_store::{PluginInstall, Store};
use serde_json::json;

use crate::automations::Automations;

/// A version that was just installed.
pub struct Installed {
    /// The version.
    pub plugin: Arc<Plugin>,
    /// The version that was live before. `None` while the new one is held.
    pub replaced: Option<Arc<Plugin>>,
    /// What it needs beyond its grants. If not empty, the version is held until somebody approves it.
    pub held: Vec<String>,
    /// The trusted keys that signed it.
    pub signed_by: Vec<String>,
    /// Whether it is a development version.
    pub dev: bool,
}

/// A version that may be used, with everything that is stored in the commit that activates it or starts its rollout.
pub(crate) struct Usable {
    /// The plugin's record before this change.
    pub(crate) record: PluginRecord,
    /// The version.
    pub(crate) version: PluginVersion,
    /// The plugin's policy from then on.
    pub(crate) policy: PluginPolicy,
    /// The version's bytes. `None`: they are stored already.
    pub(crate) component: Option<Bytes>,
    /// The version, compiled.
    pub(crate) plugin: Arc<Plugin>,
}

/// A component that is uploaded.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// Its bytes.
    pub component: Bytes,
    /// Signatures of it, in base64.
    pub signatures: Vec<String>,
    /// Whether to grant what it needs beyond its grants.
    pub approve: bool,
    /// Whether it is a development version, as `plugin dev` pushes them: its number may name other bytes each time, it
    /// replaces no release, and it is neither rolled out nor activated again.
    pub dev: bool,
}

/// A version as the API shows it.
#[derive(Clone, Debug)]
pub struct VersionView {
    /// The version.
    pub version: PluginVersion,
    /// Whether it is the live version.
    pub live: bool,
    /// How it is called beside the live version, if it is being rolled out.
    pub rollout: Option<RolloutMode>,
    /// What it needs beyond its grants.
    pub wants_more: Vec<String>,
}

/// Installs plugins, switches between their versions and rolls them out.
pub struct Plugins {
    pub(crate) accesses: Arc<AccessCache>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) automations: Arc<Automations>,
    pub(crate) invoke: Arc<Invoke>,
    pub(crate) routing: Arc<Routing>,
    pub(crate) versions: Arc<Versions>,
}

impl Plugins {
    /// Installs a new version of a plugin: it is validated, compiled and tried first, then made durable, then swapped
    /// in atomically. Calls in progress finish on the version they began with. If anything fails, nothing changes. A
    /// version that needs more than its grants is stored and held, unless `approve` grants that too.
    pub async fn install_plugin(
        &self,
        space: &SpaceId,
        name: &str,
        upload: Upload,
    ) -> Result<Installed, PipelineError> {
        self.install_version(space, name, upload, None).await
    }

    /// Installs a version that is activated at once, or rolled out as `rollout` says.
    pub(crate) async fn install_version(
        &self,
        space: &SpaceId,
        name: &str,
        upload: Upload,
        rollout: Option<&RolloutInput>,
    ) -> Result<Installed, PipelineError> {
        check_name(name)?;
        rollout.map(RolloutInput::check).transpose()?;
        let (plugin, mut version) = self.examined(&upload).await?;
        let Upload { component, approve, .. } = upload;
        let _changing = self.changing.lock(space).await;
        let record = self.versions.record_of(space, name)?;
        version.dev &= record.version(&version.digest).is_none_or(|known| known.dev);
        check_number(&record, &version)?;
        if rollout.is_some() {
            not_dev(name, &version)?;
            self.may_begin(space, &record, &version.digest)?;
        }
        let policy = self.policy_of(space, name, record.digest.is_empty(), &plugin, approve)?;
        let wants_more = wants_more(&policy.grants, plugin.wants());
        version.live_since = record.version(&version.digest).and_then(|known| known.live_since);
        version.held = !wants_more.is_empty();
        let (signed_by, dev) = (version.signed_by.clone(), version.dev);
        if version.held {
            self.store_version(space, record, version, component).await?;
            return Ok(Installed { plugin, replaced: None, held: wants_more, signed_by, dev });
        }
        self.check_compatible(space, name, &plugin)?;
        let usable = Usable { record, version, policy, component: Some(component), plugin: Arc::clone(&plugin) };
        let replaced = match rollout {
            Some(input) => {
                self.begin(space, usable, input).await?;
                None
            }
            None => self.go_live(space, usable).await?,
        };
        Ok(Installed { plugin, replaced, held: Vec::new(), signed_by, dev })
    }

    /// Validates, compiles and tries a component. Returns the plugin and its version record.
    async fn examined(&self, upload: &Upload) -> Result<(Arc<Plugin>, PluginVersion), PipelineError> {
        let Upload { component, signatures, dev, .. } = upload;
        let hashed = HashedComponent::of(component.clone()).await?;
        let (plugin, signed_by) = self.registry.prepare_signed(hashed, signatures).await?;
        let version = PluginVersion {
            digest: plugin.digest().to_owned(),
            version: plugin.manifest().version.clone(),
            size: u64::try_from(component.len()).unwrap_or(u64::MAX),
            wants: plugin.wants().to_vec(),
            installed_at: self.clock.now(),
            live_since: None,
            held: false,
            signed_by,
            dev: *dev,
        };
        Ok((plugin, version))
    }

    /// Stores a new version of a plugin without activating it: it is validated, compiled and tried. Nothing is granted,
    /// and it is not called before it is activated.
    pub async fn store_plugin(
        &self,
        space: &SpaceId,
        name: &str,
        upload: Upload,
    ) -> Result<VersionView, PipelineError> {
        check_name(name)?;
        let (plugin, version) = self.examined(&upload).await?;
        let component = upload.component;
        let _changing = self.changing.lock(space).await;
        let record = self.versions.record_of(space, name)?;
        let grants = self.store.plugins.policy(space, name)?.unwrap_or_default().grants;
        let wants_more = wants_more(&grants, plugin.wants());
        if let Some(known) = record.version(&version.digest) {
            return Ok(VersionView {
                live: version.digest == record.digest,
                rollout: record.rolled_out(&version.digest),
                wants_more,
                version: known.clone(),
            });
        }
        check_number(&record, &version)?;
        self.store_version(space, record, version.clone(), component).await?;
        Ok(VersionView { live: false, rollout: None, wants_more, version })
    }

    /// Stores a version that is not used. The plugin's policy stays the same.
    async fn store_version(
        &self,
        space: &SpaceId,
        mut record: PluginRecord,
        version: PluginVersion,
        component: Bytes,
    ) -> Result<(), PipelineError> {
        let component = Some((version.digest.clone(), component));
        let dropped = record.put(version);
        Ok(self.store.plugins.install_plugin(space, PluginInstall { record, policy: None, component, dropped }).await?)
    }

    /// Activates a stored version. `which` is its version or the beginning of its digest; `approve` grants what it
    /// needs beyond its grants.
    pub async fn activate_version(
        &self,
        space: &SpaceId,
        name: &str,
        which: &str,
        approve: bool,
    ) -> Result<Installed, PipelineError> {
        let chosen = Some(self.uploaded(space, name)?.find(which)?.digest.clone());
        let _compiled = compiled_ahead(self, chosen).await;
        let _changing = self.changing.lock(space).await;
        let record = self.uploaded(space, name)?;
        let version = record.find(which)?.clone();
        not_dev(name, &version)?;
        self.activate_stored(space, record, version, approve).await
    }

    /// Rolls back to the release that was live before the present version. Each call goes one release further back.
    pub async fn roll_back(&self, space: &SpaceId, name: &str) -> Result<Installed, PipelineError> {
        let chosen = self.uploaded(space, name)?.step_back().map(|version| version.digest);
        let _compiled = compiled_ahead(self, chosen).await;
        let _changing = self.changing.lock(space).await;
        let mut record = self.uploaded(space, name)?;
        let former = record.step_back().ok_or_else(|| PipelineError::Conflict {
            code: "plugin.no_former_version",
            message: format!(
                "no release of `{name}` that is still retained was in use before the present version: to choose one, \
                 POST its version to /v1/plugins/{name}/activate"
            ),
        })?;
        self.activate_stored(space, record, former, false).await
    }

    /// Grants what the newest held version needs, and activates it.
    pub async fn approve_version(&self, space: &SpaceId, name: &str) -> Result<Installed, PipelineError> {
        let chosen = newest_held(&self.uploaded(space, name)?).map(|version| version.digest);
        let _compiled = compiled_ahead(self, chosen).await;
        let _changing = self.changing.lock(space).await;
        let record = self.uploaded(space, name)?;
        let held = newest_held(&record).ok_or_else(|| PipelineError::Conflict {
            code: "plugin.nothing_held",
            message: format!("no version of `{name}` waits for approval"),
        })?;
        self.activate_stored(space, record, held, true).await
    }

    /// Activates a stored version. The caller holds `changing`.
    pub(crate) async fn activate_stored(
        &self,
        space: &SpaceId,
        record: PluginRecord,
        version: PluginVersion,
        approve: bool,
    ) -> Result<Installed, PipelineError> {
        let name = record.name.clone();
        let missing = || PipelineError::not_found("component", &version.digest);
        let component = self.store.plugins.component(&version.digest)?.ok_or_else(missing)?;
        let plugin = self.registry.prepare(component).await?;
        let policy = self.policy_of(space, &name, record.digest.is_empty(), &plugin, approve)?;
        let wants_more = wants_more(&policy.grants, plugin.wants());
        if !wants_more.is_empty() {
            return Err(held(&name, &wants_more));
        }
        self.check_compatible(space, &name, &plugin)?;
        let (signed_by, dev) = (version.signed_by.clone(), version.dev);
        let usable = Usable { record, version, policy, component: None, plugin: Arc::clone(&plugin) };
        let replaced = self.go_live(space, usable).await?;
        Ok(Installed { plugin, replaced, held: Vec::new(), signed_by, dev })
    }

    /// Makes a version durable as the live one, together with its policy, and swaps it in. Returns the version that was
    /// live before.
    async fn go_live(&self, space: &SpaceId, usable: Usable) -> Result<Option<Arc<Plugin>>, PipelineError> {
        let Usable { mut record, version, policy, component, plugin } = usable;
        let name = record.name.clone();
        let replaced = self.registry.get(space, &name);
        let component = component.map(|component| (version.digest.clone(), component));
        let dropped = record.use_version(version, self.clock.now());
        let install = PluginInstall { record, policy: Some(policy), component, dropped };
        self.store.plugins.install_plugin(space, install).await?;
        self.registry.activate(Scope::Space(space.clone()), &name, plugin)?;
        self.invoke.follow_plugin(space, &name, false);
        Ok(replaced)
    }

    /// The plugin's policy once this version is live: the first version is granted what it imports, or nothing.
    pub(crate) fn policy_of(
        &self,
        space: &SpaceId,
        name: &str,
        first: bool,
        plugin: &Plugin,
        approve: bool,
    ) -> Result<PluginPolicy, PipelineError> {
        let mut policy = self.store.plugins.policy(space, name)?.unwrap_or_default();
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

    pub(crate) fn check_compatible(&self, space: &SpaceId, name: &str, plugin: &Plugin) -> Result<(), PipelineError> {
        let incompatibilities = self.automations.incompatibilities(Some(space), name, Some(plugin));
        if incompatibilities.is_empty() {
            return Ok(());
        }
        let mut message = "automations that use it no longer fit: ".to_owned();
        for (place, (automation, mistakes)) in incompatibilities.iter().take(5).enumerate() {
            let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
            let _ = write!(message, "{}{automation}: {first}", if place > 0 { "; " } else { "" });
        }
        let _ = write!(message, ". Change those first, or install it under another name");
        Err(PipelineError::Conflict { code: "plugin.parameters_incompatible", message })
    }

    /// Every plugin that the space can see, by name. Of several with one name, the one that the space calls comes first.
    pub fn plugins(&self, space: &SpaceId) -> Vec<Listed> {
        self.registry.list(space)
    }

    /// The versions of an uploaded plugin, the newest first.
    pub fn plugin_versions(&self, space: &SpaceId, name: &str) -> Result<Vec<VersionView>, PipelineError> {
        let record = self.uploaded(space, name)?;
        let grants = self.store.plugins.policy(space, name)?.unwrap_or_default().grants;
        let view = |version: &PluginVersion| VersionView {
            live: version.digest == record.digest,
            rollout: record.rolled_out(&version.digest),
            wants_more: wants_more(&grants, &version.wants),
            version: version.clone(),
        };
        Ok(record.versions.iter().rev().map(view).collect())
    }

    /// The bytes of a version of an uploaded plugin. Without `which`: those of the live version.
    pub fn plugin_component(
        &self,
        space: &SpaceId,
        name: &str,
        which: Option<&str>,
    ) -> Result<(String, Bytes), PipelineError> {
        let record = self.uploaded(space, name)?;
        let digest = match which {
            None => record.digest.clone(),
            Some(which) => match record.find(which) {
                Err(VersionNotFound::Unknown { .. }) => return Err(PipelineError::not_found("version", which)),
                found => found?.digest.clone(),
            },
        };
        let component =
            self.store.plugins.component(&digest)?.ok_or_else(|| PipelineError::not_found("component", &digest))?;
        Ok((digest, component))
    }

    pub(crate) fn uploaded(&self, space: &SpaceId, name: &str) -> Result<PluginRecord, PipelineError> {
        let record = self.versions.record_of(space, name)?;
        if !record.versions.is_empty() {
            return Ok(record);
        }
        if self.registry.list(space).iter().any(|listed| listed.name == name) {
            return Err(not_uploaded(name));
        }
        Err(PipelineError::not_found("plugin", name))
    }

    /// Removes an uploaded plugin with all its versions; a plugin of the same name in the binary or the folder is used
    /// again. `force`: even if automations use it, whose runs wait from then on.
    pub async fn remove_plugin(&self, space: &SpaceId, name: &str, force: bool) -> Result<(), PipelineError> {
        let _changing = self.changing.lock(space).await;
        self.uploaded(space, name)?;
        let live = |scope| self.registry.find(scope, name).and_then(|(plugin, _)| plugin);
        let shadowed = live(&Scope::Folder).or_else(|| live(&Scope::Builtin));
        let incompatibilities = self.automations.incompatibilities(Some(space), name, shadowed.as_deref());
        if !incompatibilities.is_empty() && !force {
            let users: Vec<&str> = incompatibilities.keys().take(5).map(String::as_str).collect();
            return Err(PipelineError::Conflict {
                code: "plugin.in_use",
                message: format!(
                    "`{name}` is used by {}: change those first, or remove it with force=true: their events wait then",
                    users.join(", ")
                ),
            });
        }
        self.store.plugins.delete_plugin(space, name).await?;
        self.registry.deactivate(&Scope::Space(space.clone()), name);
        self.invoke.follow_plugin(space, name, false);
        Ok(())
    }

    pub(crate) fn may_begin(&self, space: &SpaceId, record: &PluginRecord, digest: &str) -> Result<(), PipelineError> {
        let Some(live) = self.registry.get(space, &record.name) else {
            let message = format!("no version of `{}` is in use: install this one without a rollout", record.name);
            return Err(PipelineError::Conflict { code: "rollout.nothing_live", message });
        };
        if live.digest() == digest {
            let message = format!("this version of `{}` is the one in use", record.name);
            return Err(PipelineError::Conflict { code: "rollout.already_live", message });
        }
        Ok(())
    }

    /// Makes a version durable as the one that is rolled out, together with its policy, and starts to call it.
    pub(crate) async fn begin(
        &self,
        space: &SpaceId,
        usable: Usable,
        input: &RolloutInput,
    ) -> Result<(), PipelineError> {
        let Usable { mut record, version, policy, component, plugin } = usable;
        let name = record.name.clone();
        let rollout = input.of(&version.version, &version.digest, self.clock.now());
        let component = component.map(|component| (version.digest.clone(), component));
        record.rollout = Some(rollout.clone());
        let dropped = record.put(version);
        let install = PluginInstall { record, policy: Some(policy), component, dropped };
        self.store.plugins.install_plugin(space, install).await?;
        // Nothing else is reset: the live version stays, with the metrics of its calls.
        self.accesses.forget();
        self.rollouts.put(ActiveRollout::new(space, &name, rollout, plugin));
        Ok(())
    }
}

/// What is needed and not granted.
pub(crate) fn wants_more(grants: &Grants, wants: &[String]) -> Vec<String> {
    let Some(granted) = &grants.interfaces else { return Vec::new() };
    wants.iter().filter(|interface| !granted.contains(*interface)).cloned().collect()
}

pub(crate) fn held(name: &str, wants_more: &[String]) -> PipelineError {
    let message = format!(
        "this version of `{name}` needs more than its grants: {}; to approve it, POST to /v1/plugins/{name}/approve",
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

/// Compiles the version with this digest before the space is locked, which can take seconds. While the caller holds the
/// result, the preparation of the version has it at once. An error in it is reported under the lock.
pub(crate) async fn compiled_ahead(plugins: &Plugins, digest: Option<String>) -> Option<Arc<Plugin>> {
    let component = plugins.store.plugins.component(&digest?).ok()??;
    plugins.registry.prepare(component).await.ok()
}

/// The newest version that waits for approval.
fn newest_held(record: &PluginRecord) -> Option<PluginVersion> {
    record.versions.iter().rev().find(|version| version.held).cloned()
}

/// Fails if the release number already names other bytes: a version must identify what ran.
fn check_number(record: &PluginRecord, version: &PluginVersion) -> Result<(), PipelineError> {
    if version.dev {
        return Ok(());
    }
    let Some(known) = record.same_number(version) else { return Ok(()) };
    let name = &record.name;
    let message = format!(
        "version {known} of `{name}` exists with other bytes: give the component another version in its manifest, or push it \
         as a development version (dev=true, as `hookwright plugin dev` does)"
    );
    Err(PipelineError::Conflict { code: "plugin.version_taken", message })
}

/// Fails for a development version, which is activated only by pushing it.
pub(crate) fn not_dev(name: &str, version: &PluginVersion) -> Result<(), PipelineError> {
    if !version.dev {
        return Ok(());
    }
    let message = format!(
        "`{name}` {version} is a development version, which is neither activated nor rolled out: push the component as \
         a release"
    );
    Err(PipelineError::Conflict { code: "plugin.version_dev", message })
}
