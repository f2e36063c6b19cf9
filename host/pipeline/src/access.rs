//! What each plugin may do in each space: grants, limits, secrets and settings put together, and kept until one of them
//! changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hookwright_model::{Grants, InstancePolicy, Limits, Mistake, PluginPolicy, Secret, SpaceId, check_secret_name};
use hookwright_plugin::{Access, Meter, Scope, Secrets, check_name};
use serde_json::{Value, json};

use crate::{Pipeline, PipelineError};

/// A plugin's name in a space.
pub(crate) type Place = (SpaceId, String);

/// How large a secret may be, in bytes.
const MAX_SECRET: usize = 64 * 1024;

/// Every access that was asked for since the last change, and what plugins have used since the start.
#[derive(Default)]
pub(crate) struct Accesses {
    /// By place, and by whether the plugin there comes with the server.
    made: ArcSwap<HashMap<(Place, bool), Arc<Access>>>,
    meters: Mutex<HashMap<Place, Arc<Meter>>>,
}

impl Accesses {
    fn meter(&self, place: &Place) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(place.clone()).or_default())
    }

    /// Something that accesses are made of has changed.
    pub(crate) fn forget(&self) {
        self.made.store(Arc::default());
    }
}

/// What an operator sees of what a plugin may do.
#[derive(Clone, Debug)]
pub struct PolicyView {
    /// What was set.
    pub policy: PluginPolicy,
    /// The limits in force.
    pub limits: Limits,
    /// How instances are kept, if that was set.
    pub instance: Option<InstancePolicy>,
    /// Whether the plugin comes with the server and so needs no grant of interfaces and records.
    pub trusted: bool,
}

impl Pipeline {
    /// What the plugin under this name may do in the space. `trusted`: the plugin that is called comes with the server.
    pub(crate) fn access(&self, space: &SpaceId, name: &str, trusted: bool) -> Arc<Access> {
        let place = ((space.clone(), name.to_owned()), trusted);
        if let Some(access) = self.accesses.made.load().get(&place) {
            return Arc::clone(access);
        }
        let made = self.accesses.made.load_full();
        let access = Arc::new(self.make_access(&place.0, trusted).unwrap_or_else(|error| {
            // Nothing is granted by mistake: a plugin whose grants cannot be read gets none.
            tracing::error!(%error, plugin = name, "what the plugin was granted cannot be read");
            let limits = self.registry.engine().options().limits;
            Access { grants: Grants { interfaces: Some([].into()), ..Grants::default() }, ..Access::new(name, limits) }
        }));
        let mut more = HashMap::clone(&made);
        more.insert(place, Arc::clone(&access));
        // If something changed meanwhile, this one is not kept, and the next call makes it anew.
        self.accesses.made.compare_and_swap(&made, Arc::new(more));
        access
    }

    /// The access of whatever stands under the name now, for reports.
    fn present_access(&self, space: &SpaceId, name: &str) -> Arc<Access> {
        let trusted = self.registry.resolve(space, name).is_some_and(|(scope, _)| scope == Scope::Builtin);
        self.access(space, name, trusted)
    }

    pub(crate) fn make_access(&self, place: &Place, trusted: bool) -> Result<Access, PipelineError> {
        let (space, name) = place;
        let policy = self.store.policy(space, name)?.unwrap_or_default();
        let limits = self.registry.engine().options().limits.with(&policy.limits);
        let mut secrets = Vec::new();
        for grant in &policy.grants.secrets {
            if let Some(secret) = self.store.secret(space, &grant.name)? {
                secrets.push((grant.name.clone(), self.vault.open_sealed(&secret.sealed)?));
            }
        }
        let mut config = HashMap::clone(&self.plugin_config);
        config.extend(policy.config);
        Ok(Access {
            trusted,
            grants: policy.grants,
            instance: policy.instance,
            secrets: Secrets::from_iter(secrets),
            config: Arc::new(config),
            recordings: policy.recordings.unwrap_or(self.settings.recordings_kept),
            meter: self.accesses.meter(place),
            ..Access::new(name, limits)
        })
    }

    /// What the plugin may do, as an operator sees it.
    pub fn policy(&self, space: &SpaceId, name: &str) -> Result<PolicyView, PipelineError> {
        self.known(space, name)?;
        let access = self.present_access(space, name);
        let policy = self.store.policy(space, name)?.unwrap_or_default();
        Ok(PolicyView { policy, limits: access.limits, instance: access.instance, trusted: access.trusted })
    }

    /// What the plugin has used in the space since the server started.
    pub fn usage(&self, space: &SpaceId, name: &str) -> Result<Value, PipelineError> {
        let access = self.present_access(space, name);
        let kept = self.store.kept_by(space, name)?;
        let mut report = access.meter.report(&access.limits);
        if let Some(report) = report.as_object_mut() {
            report.insert("kv".to_owned(), json!({"bytes": kept.bytes, "keys": kept.keys}));
            report.insert("breaker".to_owned(), self.breakers.show(space, name, self.now()));
            report.insert("parked".to_owned(), self.store.parked(space, name, 10_000)?.into());
        }
        Ok(report)
    }

    /// Replaces what the plugin may do. It need not be there yet.
    pub async fn set_policy(&self, space: &SpaceId, name: &str, policy: PluginPolicy) -> Result<(), PipelineError> {
        check_name(name)?;
        policy.check(&Limits::MOST)?;
        let _changing = self.changing.lock().await;
        self.store.put_policy(space, name, &policy).await?;
        self.accesses.forget();
        Ok(())
    }

    /// Adds grants to what the plugin may do. It need not be there yet.
    pub async fn add_grants(&self, space: &SpaceId, name: &str, grants: Grants) -> Result<PluginPolicy, PipelineError> {
        check_name(name)?;
        let _changing = self.changing.lock().await;
        let mut policy = self.store.policy(space, name)?.unwrap_or_default();
        let there = self.registry.get(space, name).is_some();
        if there && grants.interfaces.is_some() && policy.grants.interfaces.is_none() {
            // It has all of them, and adding one must not take the others away.
            let more = Grants { interfaces: None, ..grants };
            policy.grants.add(more);
        } else {
            policy.grants.add(grants);
        }
        policy.check(&Limits::MOST)?;
        self.store.put_policy(space, name, &policy).await?;
        self.accesses.forget();
        Ok(policy)
    }

    /// Sets a secret of the space. Its value is never given out again.
    pub async fn set_secret(&self, space: &SpaceId, name: &str, value: &str) -> Result<Secret, PipelineError> {
        check_secret_name(name)?;
        if value.is_empty() || value.len() > MAX_SECRET {
            let message = format!("has {} bytes: give it 1 to {MAX_SECRET}", value.len());
            return Err(Mistake::new("value", message).into());
        }
        let _changing = self.changing.lock().await;
        let now = self.now();
        let created_at = self.store.secret(space, name)?.map_or(now, |known| known.created_at);
        let sealed = self.vault.seal(value.as_bytes())?;
        let secret = Secret { name: name.to_owned(), sealed, created_at, updated_at: now };
        self.store.put_secret(space, &secret).await?;
        self.accesses.forget();
        self.signers.forget();
        Ok(secret)
    }

    /// Forgets a secret.
    pub async fn delete_secret(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        if !self.store.delete_secret(space, name).await? {
            return Err(PipelineError::not_found("secret", name));
        }
        self.accesses.forget();
        self.signers.forget();
        Ok(())
    }

    /// Fails unless the space sees a plugin of this name, or something was set for one.
    fn known(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let listed = self.registry.list(space).iter().any(|listed| listed.name == name);
        if listed || self.store.plugin(space, name)?.is_some() || self.store.policy(space, name)?.is_some() {
            return Ok(());
        }
        Err(PipelineError::not_found("plugin", name))
    }
}
