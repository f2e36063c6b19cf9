//! What operators grant to plugins: interfaces, limits, secrets and settings.

use std::sync::Arc;

use hookwright_delivery::signers::Signers;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::access::{AccessCache, PluginAccess};
use hookwright_invoke::breaker::Breakers;
use hookwright_model::{Grants, InstancePolicy, Limits, Mistake, PluginPolicy, Secret, SpaceId, check_secret_name};
use hookwright_plugin::{Registry, check_interfaces, check_name};
use hookwright_store::{Store, Vault};
use serde_json::{Value, json};

/// How large a secret may be, in bytes.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// A plugin's permissions as the API shows them.
#[derive(Clone, Debug)]
pub struct PolicyView {
    /// The policy that was set.
    pub policy: PluginPolicy,
    /// The limits in force.
    pub limits: Limits,
    /// The policy for instances, if one was set.
    pub instance: Option<InstancePolicy>,
    /// Whether the plugin is built into the server and so needs no grants for interfaces and records.
    pub trusted: bool,
}

/// Grants, limits and secrets of plugins.
pub struct PluginPolicies {
    pub(crate) accesses: Arc<AccessCache>,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) plugin_access: Arc<PluginAccess>,
}

impl PluginPolicies {
    /// The plugin's permissions.
    pub fn policy(&self, space: &SpaceId, name: &str) -> Result<PolicyView, PipelineError> {
        self.known(space, name)?;
        let access = self.plugin_access.current_access(space, name);
        let policy = self.store.plugins.policy(space, name)?.unwrap_or_default();
        Ok(PolicyView { policy, limits: access.limits, instance: access.instance, trusted: access.trusted })
    }

    /// What the plugin has used in the space since the server started.
    pub fn usage(&self, space: &SpaceId, name: &str) -> Result<Value, PipelineError> {
        let access = self.plugin_access.current_access(space, name);
        let kept = self.store.kv.kept_by(space, name)?;
        let mut report = access.meter.report(&access.limits);
        if let Some(report) = report.as_object_mut() {
            report.insert("kv".to_owned(), json!({"bytes": kept.bytes, "keys": kept.keys}));
            report.insert("breaker".to_owned(), self.breakers.show(space, name, self.clock.now()));
            report.insert("parked".to_owned(), self.store.runs.parked(space, name, 10_000)?.into());
        }
        Ok(report)
    }

    /// Replaces the plugin's policy. The plugin need not be installed yet.
    pub async fn set_policy(&self, space: &SpaceId, name: &str, policy: PluginPolicy) -> Result<(), PipelineError> {
        check_name(name)?;
        policy.check(&Limits::MOST)?;
        check_interfaces(&policy.grants)?;
        let _changing = self.changing.lock(space).await;
        self.store.plugins.put_policy(space, name, &policy).await?;
        self.accesses.forget();
        Ok(())
    }

    /// Adds grants to the plugin's policy. The plugin need not be installed yet.
    pub async fn add_grants(&self, space: &SpaceId, name: &str, grants: Grants) -> Result<PluginPolicy, PipelineError> {
        check_name(name)?;
        check_interfaces(&grants)?;
        let _changing = self.changing.lock(space).await;
        let mut policy = self.store.plugins.policy(space, name)?.unwrap_or_default();
        let there = self.registry.get(space, name).is_some();
        if there && grants.interfaces.is_some() && policy.grants.interfaces.is_none() {
            // A built-in plugin without a policy has all grants, and adding one must not remove the others.
            let more = Grants { interfaces: None, ..grants };
            policy.grants.add(more);
        } else {
            policy.grants.add(grants);
        }
        policy.check(&Limits::MOST)?;
        self.store.plugins.put_policy(space, name, &policy).await?;
        self.accesses.forget();
        Ok(policy)
    }

    /// The secrets of the space, sealed, by name.
    pub fn secrets(&self, space: &SpaceId) -> Result<Vec<Secret>, PipelineError> {
        Ok(self.store.secrets.secrets(space)?)
    }

    /// Sets a secret of the space. Its value is never returned.
    pub async fn set_secret(&self, space: &SpaceId, name: &str, value: &str) -> Result<Secret, PipelineError> {
        check_secret_name(name)?;
        if value.is_empty() || value.len() > MAX_SECRET_BYTES {
            let message = format!("has {} bytes: give it 1 to {MAX_SECRET_BYTES}", value.len());
            return Err(Mistake::new("value", message).into());
        }
        let _changing = self.changing.lock(space).await;
        let now = self.clock.now();
        let created_at = self.store.secrets.secret(space, name)?.map_or(now, |known| known.created_at);
        let sealed = self.vault.seal(value.as_bytes())?;
        let secret = Secret { name: name.to_owned(), sealed, created_at, updated_at: now };
        self.store.secrets.put_secret(space, &secret).await?;
        self.accesses.forget();
        self.signers.forget();
        Ok(secret)
    }

    /// Deletes a secret.
    pub async fn delete_secret(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock(space).await;
        if !self.store.secrets.delete_secret(space, name).await? {
            return Err(PipelineError::not_found("secret", name));
        }
        self.accesses.forget();
        self.signers.forget();
        Ok(())
    }

    /// Fails unless the space has a plugin of this name, or a policy for one.
    fn known(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        if self.plugin_access.is_known(space, name)? { Ok(()) } else { Err(PipelineError::not_found("plugin", name)) }
    }
}
