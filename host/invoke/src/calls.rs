//! The one way to call plugins: access, version, circuit breaker, limits, recording and logs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Cause, ReissuingView, RolloutMode, SpaceId, StateView, Workbench};
use hookwright_plugin::{Access, Call, Called, Registry, Scope, Secrets, Tries, Workflows};
use hookwright_store::Store;

use crate::access::{AccessCache, PluginAccess};
use crate::breaker::{Breakers, Transition};
use crate::callable::{Callable, Role, Unavailable};
use crate::candidate::{Rollouts, Work};
use crate::egress::Egress;
use crate::loading::Loading;
use crate::logs::{LogLine, Logs};
use crate::occasion::{By, Occasion};
use crate::parked::Parked;
use crate::tapes::Tapes;
use crate::versions::{LOADING_PAUSE, Versions};

/// After how long a run tries again that found the concurrency limit of a plugin reached.
const BUSY_BACKOFF: Duration = Duration::from_millis(50);

/// Calls plugins: access, version, circuit breaker, limits, recording and logs.
pub struct Invoke {
    pub(crate) accesses: Arc<AccessCache>,
    pub(crate) breakers: Arc<Breakers>,
    /// What plugins may start.
    pub(crate) startable: Arc<dyn Workflows>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) store: Store,
    pub(crate) plugin_access: Arc<PluginAccess>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) parked: Arc<Parked>,
    pub(crate) tapes: Arc<Tapes>,
    pub(crate) versions: Arc<Versions>,
}

impl Invoke {
    /// The plugin with this name in the version in use, unless it is missing, busy or its circuit is open.
    pub fn present(&self, space: &SpaceId, name: &str) -> Result<Callable, Unavailable> {
        let (plugin, now) = (name.to_owned(), self.clock.now());
        let Some((scope, found)) = self.registry.resolve(space, name) else {
            let (reason, busy_until) = if self.loading.is_loading(name) {
                (format!("`{name}` is being loaded"), Some(now.after(LOADING_PAUSE)))
            } else {
                (format!("there is no plugin `{name}`: install it, or change the automation"), None)
            };
            return Err(Unavailable { plugin, reason, busy_until });
        };
        let access = self.access_with_capacity(space, name, scope == Scope::Builtin)?;
        match self.breakers.admit(space, name, now) {
            Ok(admitted) => Ok(Callable { plugin: found, access, admitted: Some(admitted), role: Role::Live }),
            Err(until) => {
                let reason =
                    format!("`{name}` is disabled until {until} after repeated failures: install a fixed version");
                Err(Unavailable { plugin, reason, busy_until: None })
            }
        }
    }

    /// Whether a call of the plugin may have an effect outside of the store. Not known of one that is missing.
    pub fn may_send(&self, space: &SpaceId, name: &str) -> bool {
        self.registry.resolve(space, name).is_none_or(|(_, plugin)| plugin.sends_requests())
    }

    /// What the plugin may do, unless its concurrency limit is reached.
    pub(crate) fn access_with_capacity(
        &self,
        space: &SpaceId,
        name: &str,
        trusted: bool,
    ) -> Result<Arc<Access>, Unavailable> {
        let access = self.plugin_access.access(space, name, trusted);
        if access.slots.available_permits() > 0 {
            return Ok(access);
        }
        // The run waits in the store, not for a permit of the plugin: it would occupy capacity that other events need.
        let later = self.clock.now().after(BUSY_BACKOFF + Duration::from_millis(rand::random_range(0..100)));
        let reason = format!("the concurrency limit of `{name}` is reached");
        Err(Unavailable { plugin: name.to_owned(), reason, busy_until: Some(later) })
    }

    /// Records the result of a call in logs, rollout and breaker.
    pub(crate) fn account_for<T>(&self, callable: Callable, space: &SpaceId, event: &str, called: &Called<T>) {
        let now = self.clock.now();
        let name = callable.access.plugin.as_str();
        self.logs.add(space, name, now, event, &called.log);
        if let Err(failure) = &called.result
            && (called.stopped || failure.kind().concerns_plugin())
        {
            // The plugin's own log ends where it was stopped; this line says why.
            self.logs.add(space, name, now, event, &[format!("error {failure}")]);
        }
        self.count_rollout_call(space, name, &callable.role, called.result.is_err(), called.stopped);
        // Only calls of the version in use count: another version says nothing about it.
        let Some(admitted) = callable.admitted else { return };
        match self.breakers.report(admitted, space, name, called.stopped, now) {
            Transition::None => {}
            Transition::Opened(until) => {
                tracing::warn!(plugin = name, %space, %until, "circuit opened after repeated failures");
                self.parked.probe_at(space, name, until);
            }
            Transition::Closed => {
                tracing::info!(plugin = name, %space, "circuit closed: runs that waited for the plugin continue");
                self.parked.release_soon(space, name);
            }
        }
    }

    /// Updates what is in memory after a plugin of a space was changed, once the change is committed and the registry has it:
    /// clears the cached access and the breaker, and releases the runs that waited for the plugin. `has_rollout`: a version of
    /// it is still being rolled out.
    pub fn follow_plugin(&self, space: &SpaceId, name: &str, has_rollout: bool) {
        if !has_rollout {
            self.rollouts.remove(space, name);
        }
        self.accesses.forget();
        self.breakers.reset(Some(space), name);
        self.parked.release_if_there(space, name);
    }

    /// The same for a plugin that several spaces may use.
    pub fn plugin_changed(&self, name: &str) {
        self.accesses.forget();
        self.breakers.reset(None, name);
        for space in self.store.spaces() {
            if self.registry.get(&space, name).is_some() {
                self.parked.release_soon(&space, name);
            }
        }
    }

    /// Lines that a plugin logged after `after`; without it the newest.
    pub fn plugin_logs(&self, space: &SpaceId, name: &str, after: Option<u64>, limit: usize) -> Vec<LogLine> {
        self.logs.after(space, name, after, limit)
    }

    /// Waits until a plugin logs something, for at most `most`.
    pub async fn wait_for_logs(&self, space: &SpaceId, name: &str, after: u64, most: Duration) {
        let signal = self.logs.signal();
        let waiting = async {
            loop {
                let more = signal.notified();
                tokio::pin!(more);
                // Registered before the check, so that no line is missed between the two.
                more.as_mut().enable();
                if !self.logs.after(space, name, Some(after), 1).is_empty() {
                    return;
                }
                more.await;
            }
        };
        let _ = tokio::time::timeout(most, waiting).await;
    }

    /// The plugin to call on this occasion: the version in use, the canary, or the version that a replay names; unless it is
    /// missing, busy or its circuit is open.
    pub fn available(&self, occasion: &Occasion<'_>, name: &str) -> Result<Callable, Unavailable> {
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
        let trusted = self.versions.in_use(&Scope::Builtin, name, digest).is_some();
        let Some(plugin) = self.versions.version_in_memory(space, name, digest) else {
            let (plugin, shown) = (name.to_owned(), digest.get(..12).unwrap_or(digest));
            if self.store.plugins.has_component(digest).is_ok_and(|kept| !kept) {
                let reason =
                    format!("version {shown} of `{name}` is no longer stored: replay the event with another version");
                return Err(Unavailable { plugin, reason, busy_until: None });
            }
            self.versions.load_soon(space, name, digest);
            let reason = format!("version {shown} of `{name}` is being loaded");
            return Err(Unavailable { plugin, reason, busy_until: Some(self.clock.now().after(LOADING_PAUSE)) });
        };
        let access = self.access_with_capacity(space, name, trusted)?;
        Ok(Callable { plugin, access, admitted: None, role: Role::Named })
    }

    /// A call with what all calls of plugins have in common.
    pub fn call(&self, space: &SpaceId, access: &Arc<Access>) -> Call {
        Call {
            space: space.clone(),
            now: self.clock.now(),
            workbench: None,
            secrets: Secrets::default(),
            names_from_data: Vec::new(),
            access: Arc::clone(access),
            outbound: Some(Arc::clone(&self.egress) as Arc<dyn hookwright_plugin::Outbound>),
            idempotency_key: None,
            hops: None,
            workflows: Some(Arc::clone(&self.startable)),
            timeout: None,
            tape: None,
            tries: None,
            body_bytes: 0,
        }
    }

    /// The workbench of one of several tries, which all get the same ids.
    pub fn workbench_of(&self, tries: &Tries, space: &SpaceId, source: &str, cause: Cause) -> Workbench {
        Workbench::new(self.view_of(tries), space.clone(), tries.changes_at(self.clock.now()), source, cause)
    }

    /// The stored records as one of several tries sees them.
    pub fn view_of(&self, tries: &Tries) -> Arc<dyn StateView> {
        Arc::new(ReissuingView { view: Arc::new(self.store.clone()), ids: Arc::clone(tries.ids()) })
    }

    /// A workbench on the stored records.
    pub fn workbench(&self, space: &SpaceId, source: &str, cause: Cause) -> Workbench {
        Workbench::new(Arc::new(self.store.clone()), space.clone(), self.clock.now(), source, cause)
    }

    /// The canary, if it is called on this occasion in place of the version in use.
    pub(crate) fn canary(&self, occasion: &Occasion<'_>, name: &str) -> Option<Result<Callable, Unavailable>> {
        if occasion.by == By::DryRun {
            return None;
        }
        let active = self.rollouts.find(occasion.space, name).filter(|active| active.is(RolloutMode::Canary))?;
        if !active.rollout.takes(&occasion.event.id) {
            return None;
        }
        let plugin = Arc::clone(&active.plugin);
        let access = self.access_with_capacity(occasion.space, name, false);
        Some(access.map(|access| Callable { plugin, access, admitted: None, role: Role::Candidate(active) }))
    }

    /// Counts a call during a rollout, and has the canary rolled back if it fails more often than the version in use.
    pub(crate) fn count_rollout_call(&self, space: &SpaceId, name: &str, role: &Role, failed: bool, stopped: bool) {
        let active = match role {
            Role::Named => return,
            Role::Candidate(active) => Some(Arc::clone(active)),
            Role::Live => self.rollouts.find(space, name),
        };
        let Some(active) = active.filter(|active| active.is(RolloutMode::Canary)) else { return };
        let fails = {
            let mut counts = active.counts.lock();
            match role {
                Role::Candidate(_) => counts.candidate = counts.candidate.with(failed, stopped),
                _ => counts.live = counts.live.with(failed, stopped),
            }
            active.rollout.fails(counts.live, counts.candidate).is_some()
        };
        if fails && !active.over.swap(true, Ordering::Relaxed) {
            self.rollouts.push(Work::RollBack(active));
        }
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::RunId;
    use serde_json::json;

    use super::*;
    use crate::samples::{CONDITION, PluginStage};
    use hookwright_foundation::settings::PipelineSettings;
    use hookwright_samples::event;

    const RUN: By = By::Run(RunId { seq: 1, ordinal: 0 });

    #[tokio::test]
    async fn a_canary_is_called_for_its_share_of_the_events_and_never_in_a_dry_run() {
        let (stage, space) = (PluginStage::open(PipelineSettings::default()).await, SpaceId::main());
        let active = stage.roll_out(RolloutMode::Canary, 50);
        let called = |id: &str, by| {
            let mut event = event("go", &json!({}));
            id.clone_into(&mut event.id);
            stage.invoke.canary(&Occasion { space: &space, event: &event, by, shared: None }, CONDITION)
        };
        let ids: Vec<String> = (0..64).map(|number| format!("evt_{number}")).collect();
        let (taken, left): (Vec<&String>, Vec<&String>) = ids.iter().partition(|id| active.rollout.takes(id));
        assert!(!taken.is_empty() && !left.is_empty());
        assert!(left.iter().all(|id| called(id, RUN).is_none()));
        for id in taken {
            assert!(matches!(called(id, RUN), Some(Ok(Callable { role: Role::Candidate(_), admitted: None, .. }))));
            assert!(called(id, By::DryRun).is_none());
        }
        stage.invoke.rollouts.remove(&space, CONDITION);
        assert!(ids.iter().all(|id| called(id, RUN).is_none()));
    }

    #[tokio::test]
    async fn the_version_in_use_is_called_where_the_candidate_is_in_shadow_mode() {
        let (stage, space) = (PluginStage::open(PipelineSettings::default()).await, SpaceId::main());
        stage.roll_out(RolloutMode::Shadow, 100);
        let event = event("go", &json!({}));
        let occasion = Occasion { space: &space, event: &event, by: RUN, shared: None };
        let callable = stage.invoke.available(&occasion, CONDITION).unwrap();
        assert!(matches!(callable.role, Role::Live));
        assert_eq!(callable.plugin.digest(), stage.plugin.digest());
        assert!(stage.invoke.available(&occasion, "missing").is_err_and(|unavailable| unavailable.plugin == "missing"));
    }

    #[tokio::test]
    async fn a_canary_that_fails_more_often_than_the_version_in_use_is_rolled_back_once() {
        let (stage, space) = (PluginStage::open(PipelineSettings::default()).await, SpaceId::main());
        let active = stage.roll_out(RolloutMode::Canary, 100);
        let candidate = Role::Candidate(Arc::clone(&active));
        let count = |role: &Role, failed| stage.invoke.count_rollout_call(&space, CONDITION, role, failed, false);
        for _ in 0..active.rollout.minimum_calls {
            count(&Role::Live, false);
            count(&Role::Named, true);
        }
        for _ in 1..active.rollout.minimum_calls {
            count(&candidate, true);
        }
        assert!(stage.invoke.rollouts.pop().is_none(), "it had too few calls to tell");
        count(&candidate, true);
        assert!(matches!(stage.invoke.rollouts.pop(), Some(Work::RollBack(_))));
        assert!(!active.is(RolloutMode::Canary));
        count(&candidate, true);
        assert!(stage.invoke.rollouts.pop().is_none(), "it is rolled back already");
        let counts = active.counts.lock();
        assert_eq!((counts.live.calls, counts.live.failed), (20, 0), "a version that a replay names does not count");
        assert_eq!((counts.candidate.calls, counts.candidate.failed), (20, 20));
    }
}
