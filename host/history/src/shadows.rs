//! Calls candidates in the shadow of live calls, and rolls back failing candidates.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::stopping::Stopping;
use hookwright_invoke::access::PluginAccess;
use hookwright_invoke::candidate::{ActiveRollout, Rollouts, ShadowCall, Work};
use hookwright_invoke::comparison::{Compared, compare_results};
use hookwright_plugin::Access;
use hookwright_resources::plugins::Plugins;
use tokio::sync::Semaphore;

use crate::rerun::Reruns;

/// How many shadow calls with a different result are listed.
const MAX_DIFFERENCES: usize = 50;

/// How many shadow calls run at once, of all plugins.
pub(crate) const MAX_CONCURRENT_CALLS: usize = 2;

/// For how long the access of a candidate is cached.
const ACCESS_TTL: Duration = Duration::from_secs(1);

/// Calls candidates in the shadow of live calls, and rolls back failing candidates.
pub struct Shadows {
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) stopping: Stopping,
    pub(crate) plugin_access: Arc<PluginAccess>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) reruns: Arc<Reruns>,
}

impl Shadows {
    /// Makes shadow calls and rollbacks until the pipeline stops.
    pub async fn keep_rollouts(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_CALLS));
        while !*stopping.borrow_and_update() {
            let Some(work) = self.rollouts.pop() else {
                tokio::select! {
                    () = self.rollouts.more.notified() => {}
                    _ = stopping.changed() => {}
                }
                continue;
            };
            match work {
                Work::Shadow(call) => {
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                    let shadows = Arc::clone(&self);
                    tokio::spawn(async move {
                        shadows.shadow_call(*call).await;
                        drop(permit);
                    });
                }
                Work::RollBack(active) => {
                    if let Err(error) = self.plugins.roll_back_candidate(&active).await {
                        tracing::error!(%error, plugin = active.name, "a failing version could not be rolled back");
                        // The next failing call tries it again.
                        active.over.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    pub(crate) async fn shadow_call(&self, call: ShadowCall) {
        let ShadowCall { active, event, recording, live, permit } = call;
        let access = match self.shadow_access(&active) {
            Ok(access) => access,
            Err(error) => {
                tracing::warn!(%error, plugin = active.name, "the candidate's grants cannot be read");
                return;
            }
        };
        let candidate = self.reruns.rerun(&active.space, &active.plugin, &access, &event, &recording).await;
        let compared_call = match candidate {
            Some(candidate) => compare_results(&recording, &live, &candidate.result, false),
            None => Compared::NotComparable("the host's answers were too large to be recorded"),
        };
        drop(permit);
        let mut counts = active.counts.lock();
        counts.shadow.calls = counts.shadow.calls.saturating_add(1);
        match compared_call {
            Compared::Same => counts.shadow.same = counts.shadow.same.saturating_add(1),
            Compared::NotComparable(_) => counts.shadow.not_comparable = counts.shadow.not_comparable.saturating_add(1),
            Compared::Different(difference) => {
                let shadow = &mut counts.shadow;
                let count = if difference.failed { &mut shadow.failed } else { &mut shadow.different };
                *count = count.saturating_add(1);
                counts.differences.push_front(difference);
                counts.differences.truncate(MAX_DIFFERENCES);
            }
        }
    }

    /// What the candidate may do in a shadow call: the same as the version in use, with its own permits and meter.
    fn shadow_access(&self, active: &ActiveRollout) -> Result<Arc<Access>, PipelineError> {
        let mut cached = active.access.lock();
        if let Some((since, access)) = cached.as_ref()
            && since.elapsed() < ACCESS_TTL
        {
            return Ok(Arc::clone(access));
        }
        let access = self.plugin_access.isolated_access(&active.space, &active.name, false)?;
        *cached = Some((Instant::now(), Arc::clone(&access)));
        Ok(access)
    }
}
