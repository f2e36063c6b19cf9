//! Rollouts: a candidate is called beside the version in use (shadow), or in place of it for a part of the events (canary).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use hookwright_model::{CallCounts, Event, Rollout, RolloutMode, SpaceId};
use hookwright_plugin::{Access, Plugin};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::comparison::{Counts, Difference};
use crate::plugin_key::PluginKey;
use crate::recording::Recording;

/// How many shadow calls of one candidate wait at most.
const MAX_WAITING_CALLS: usize = 64;

/// Every rollout in progress.
#[derive(Default)]
pub struct Rollouts {
    /// Most of the time there is none, and then a call does not look further.
    active: ArcSwap<HashMap<PluginKey, Arc<ActiveRollout>>>,
    work: Mutex<VecDeque<Work>>,
    /// Notified when there is more background work.
    pub more: Notify,
}

/// Background work of rollouts.
pub enum Work {
    /// A shadow call is to be made.
    Shadow(Box<ShadowCall>),
    /// A rollout is to be rolled back.
    RollBack(Arc<ActiveRollout>),
}

/// A rollout in progress, with the candidate ready to be called.
pub struct ActiveRollout {
    /// The space of the plugin.
    pub space: SpaceId,
    /// The plugin's name.
    pub name: String,
    /// The rollout, as it is stored.
    pub rollout: Rollout,
    /// The candidate.
    pub plugin: Arc<Plugin>,
    /// The rollout is being rolled back, or has ended: the candidate is no longer called.
    pub over: AtomicBool,
    /// The results of the calls so far.
    pub counts: Mutex<RolloutCounts>,
    /// Permits for shadow calls that wait.
    pub(crate) permits: Arc<Semaphore>,
    /// The cached access of shadow calls, which are not metered, and when it was cached.
    pub access: Mutex<Option<(Instant, Arc<Access>)>>,
}

/// The results of the calls so far.
#[derive(Default)]
pub struct RolloutCounts {
    /// Of the version in use.
    pub live: CallCounts,
    /// Of the candidate.
    pub candidate: CallCounts,
    /// Of the comparisons of shadow calls.
    pub shadow: Counts,
    /// Shadow calls that were dropped because too many waited.
    pub(crate) dropped: u64,
    /// The newest differences between the two versions.
    pub differences: VecDeque<Difference>,
}

impl ActiveRollout {
    /// A rollout that begins.
    pub fn new(space: &SpaceId, name: &str, rollout: Rollout, plugin: Arc<Plugin>) -> Self {
        Self {
            space: space.clone(),
            name: name.to_owned(),
            rollout,
            plugin,
            over: AtomicBool::new(false),
            counts: Mutex::default(),
            permits: Arc::new(Semaphore::new(MAX_WAITING_CALLS)),
            access: Mutex::default(),
        }
    }

    pub(crate) fn is(&self, mode: RolloutMode) -> bool {
        self.rollout.mode == mode && !self.over.load(Ordering::Relaxed)
    }

    /// The rollout as the API shows it.
    pub fn show(&self) -> Value {
        let counts = self.counts.lock();
        let mut shown = json!(self.rollout);
        let more = match self.rollout.mode {
            RolloutMode::Canary => json!({"live": counts.live, "candidate": counts.candidate}),
            RolloutMode::Shadow => {
                json!({"shadow": counts.shadow, "dropped": counts.dropped, "differences": counts.differences})
            }
        };
        if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
            shown.extend(more);
        }
        shown
    }
}

impl Rollouts {
    /// The rollout of a plugin in a space, if there is one.
    pub fn find(&self, space: &SpaceId, name: &str) -> Option<Arc<ActiveRollout>> {
        let active = self.active.load();
        if active.is_empty() {
            return None;
        }
        // The key owns its parts; rollouts are rare enough that copying them does not matter.
        active.get(&(space.clone(), name.to_owned())).cloned()
    }

    /// Starts a rollout, which replaces the plugin's previous one.
    pub fn put(&self, active: ActiveRollout) {
        let active = Arc::new(active);
        self.change(|all| {
            if let Some(former) = all.insert((active.space.clone(), active.name.clone()), Arc::clone(&active)) {
                former.over.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Ends a rollout. Calls in flight still finish on the candidate.
    pub fn remove(&self, space: &SpaceId, name: &str) {
        self.change(|all| {
            if let Some(active) = all.remove(&(space.clone(), name.to_owned())) {
                active.over.store(true, Ordering::Relaxed);
            }
        });
    }

    fn change(&self, change: impl Fn(&mut HashMap<PluginKey, Arc<ActiveRollout>>)) {
        self.active.rcu(|all| {
            let mut all = HashMap::clone(all);
            change(&mut all);
            all
        });
    }

    pub(crate) fn push(&self, work: Work) {
        self.work.lock().push_back(work);
        self.more.notify_one();
    }

    /// The next background work.
    pub fn pop(&self) -> Option<Work> {
        self.work.lock().pop_front()
    }
}

/// Permission to call the candidate in the shadow of a call.
pub(crate) struct Shadow {
    pub(crate) active: Arc<ActiveRollout>,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A shadow call to be made.
pub struct ShadowCall {
    /// The rollout.
    pub active: Arc<ActiveRollout>,
    /// The event of the call.
    pub event: Event,
    /// The call of the version in use.
    pub recording: Recording,
    /// The result of that call.
    pub live: Value,
    /// One of the calls that may wait.
    pub permit: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CONDITION, PluginStage};
    use hookwright_foundation::settings::PipelineSettings;

    #[tokio::test]
    async fn a_rollout_replaces_the_former_one_and_belongs_to_one_plugin_in_one_space() {
        let stage = PluginStage::open(PipelineSettings::default()).await;
        let (rollouts, space) = (&stage.invoke.rollouts, SpaceId::main());
        assert!(rollouts.find(&space, CONDITION).is_none());
        let first = stage.roll_out(RolloutMode::Shadow, 100);
        assert!(first.is(RolloutMode::Shadow) && !first.is(RolloutMode::Canary));
        let second = stage.roll_out(RolloutMode::Canary, 100);
        assert!(!first.is(RolloutMode::Shadow), "it is over");
        assert!(second.is(RolloutMode::Canary));
        assert!(rollouts.find(&space, "other").is_none());
        assert!(rollouts.find(&"other".parse().unwrap(), CONDITION).is_none());
        rollouts.remove(&space, "other");
        assert!(rollouts.find(&space, CONDITION).is_some());
        rollouts.remove(&space, CONDITION);
        assert!(rollouts.find(&space, CONDITION).is_none());
        assert!(!second.is(RolloutMode::Canary), "it is over");
    }

    #[tokio::test]
    async fn a_rollout_is_shown_with_the_counts_of_its_mode() {
        let stage = PluginStage::open(PipelineSettings::default()).await;
        let canary = stage.roll_out(RolloutMode::Canary, 10);
        {
            let mut counts = canary.counts.lock();
            counts.live = counts.live.with(false, false);
            counts.candidate = counts.candidate.with(true, false);
        }
        let shown = canary.show();
        assert_eq!((&shown["mode"], &shown["percent"]), (&json!("canary"), &json!(10)));
        assert_eq!((&shown["live"]["failed"], &shown["candidate"]["failed"]), (&json!(0), &json!(1)));
        assert_eq!(shown.get("dropped"), None);
        let shadow = stage.roll_out(RolloutMode::Shadow, 100).show();
        assert_eq!((&shadow["dropped"], shadow.get("candidate")), (&json!(0), None));
    }
}
