//! Versions of plugins on their way into use: called beside the version in use, or in place of it for a part of the events,
//! and taken back by themselves if they fail more often.

mod change;
mod shadow;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use hookwright_model::{CallCounts, Rollout, RolloutMode, SpaceId};
use hookwright_plugin::{Access, Plugin};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::access::Place;
use crate::calling::{By, Occasion};
use crate::parking::{Callable, Role, Unavailable};
use crate::replay::{Counts, Difference};
use crate::{Pipeline, PipelineError};

pub(crate) use shadow::Shadow;

/// How many calls of one version wait in the shadow at most.
const WAITING: usize = 64;
/// How many differing calls in the shadow are told of.
const TOLD: usize = 50;

/// Every version on its way into use.
#[derive(Default)]
pub(crate) struct Rollouts {
    /// Most spaces have none, and then no call looks further.
    active: ArcSwap<HashMap<Place, Arc<Active>>>,
    work: Mutex<VecDeque<Work>>,
    more: Notify,
}

/// What is done behind the back of calls.
enum Work {
    Shadow(Box<shadow::ShadowCall>),
    TakeBack(Arc<Active>),
}

/// A version on its way into use, ready to be called.
pub(crate) struct Active {
    space: SpaceId,
    name: String,
    rollout: Rollout,
    plugin: Arc<Plugin>,
    /// It is taken back, or was ended: it is called no more.
    over: AtomicBool,
    told: Mutex<Told>,
    /// Places for calls in the shadow.
    slots: Arc<Semaphore>,
    /// What calls in the shadow may do, apart from the calls that count, and since when that is known.
    access: Mutex<Option<(Instant, Arc<Access>)>>,
}

/// What became of the calls so far.
#[derive(Default)]
struct Told {
    live: CallCounts,
    candidate: CallCounts,
    shadow: Counts,
    /// Calls in the shadow that were left out because too many waited.
    dropped: u64,
    differences: VecDeque<Difference>,
}

impl Active {
    fn new(space: &SpaceId, name: &str, rollout: Rollout, plugin: Arc<Plugin>) -> Self {
        Self {
            space: space.clone(),
            name: name.to_owned(),
            rollout,
            plugin,
            over: AtomicBool::new(false),
            told: Mutex::default(),
            slots: Arc::new(Semaphore::new(WAITING)),
            access: Mutex::default(),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, mode: RolloutMode) -> bool {
        self.rollout.mode == mode && !self.over.load(Ordering::Relaxed)
    }

    /// As an operator sees it.
    fn show(&self) -> Value {
        let told = self.told();
        let mut shown = json!(self.rollout);
        let more = match self.rollout.mode {
            RolloutMode::Canary => json!({"live": told.live, "candidate": told.candidate}),
            RolloutMode::Shadow => {
                json!({"shadow": told.shadow, "dropped": told.dropped, "differences": told.differences})
            }
        };
        if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
            shown.extend(more);
        }
        shown
    }
}

impl Rollouts {
    fn find(&self, space: &SpaceId, name: &str) -> Option<Arc<Active>> {
        let active = self.active.load();
        if active.is_empty() {
            return None;
        }
        // The key owns its parts; this is rare enough to copy them.
        active.get(&(space.clone(), name.to_owned())).cloned()
    }

    fn put(&self, active: Active) {
        let active = Arc::new(active);
        self.change(|all| {
            all.insert((active.space.clone(), active.name.clone()), Arc::clone(&active));
        });
    }

    /// It is called no more; calls under way end on it.
    pub(crate) fn remove(&self, space: &SpaceId, name: &str) {
        self.change(|all| {
            if let Some(active) = all.remove(&(space.clone(), name.to_owned())) {
                active.over.store(true, Ordering::Relaxed);
            }
        });
    }

    fn change(&self, change: impl Fn(&mut HashMap<Place, Arc<Active>>)) {
        self.active.rcu(|all| {
            let mut all = HashMap::clone(all);
            change(&mut all);
            all
        });
    }

    fn push(&self, work: Work) {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).push_back(work);
        self.more.notify_one();
    }

    fn pop(&self) -> Option<Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Pipeline {
    /// The version on its way into use, if it is called for this in place of the one in use.
    pub(crate) fn canary(&self, occasion: &Occasion<'_>, name: &str) -> Option<Result<Callable, Unavailable>> {
        if occasion.by == By::Nobody {
            return None;
        }
        let active = self.rollouts.find(occasion.space, name).filter(|active| active.is(RolloutMode::Canary))?;
        if !active.rollout.takes(&occasion.event.id) {
            return None;
        }
        let plugin = Arc::clone(&active.plugin);
        let access = self.with_room(occasion.space, name, false);
        Some(access.map(|access| Callable { plugin, access, admitted: None, role: Role::Candidate(active) }))
    }

    /// Counts a call beside those of the other version, and has the canary taken back if it fails more often.
    pub(crate) fn note_rollout(&self, space: &SpaceId, name: &str, role: &Role, failed: bool, stopped: bool) {
        let active = match role {
            Role::Named => return,
            Role::Candidate(active) => Some(Arc::clone(active)),
            Role::Live => self.rollouts.find(space, name),
        };
        let Some(active) = active.filter(|active| active.is(RolloutMode::Canary)) else { return };
        let fails = {
            let mut told = active.told();
            match role {
                Role::Candidate(_) => told.candidate = told.candidate.with(failed, stopped),
                _ => told.live = told.live.with(failed, stopped),
            }
            active.rollout.fails(told.live, told.candidate).is_some()
        };
        if fails && !active.over.swap(true, Ordering::Relaxed) {
            self.rollouts.push(Work::TakeBack(active));
        }
    }

    /// Calls versions in the shadow and takes versions back, until the pipeline stops.
    pub(crate) async fn keep_rollouts(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let places = Arc::new(Semaphore::new(shadow::AT_ONCE));
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
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                    let pipeline = Arc::clone(&self);
                    tokio::spawn(async move {
                        pipeline.shadow_call(*call).await;
                        drop(place);
                    });
                }
                Work::TakeBack(active) => {
                    if let Err(error) = self.take_back(&active).await {
                        tracing::error!(%error, plugin = active.name, "a version that fails could not be taken back");
                        // Tried again when it fails the next time.
                        active.over.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// A plugin's version on its way into use, as an operator sees it, and the one that ended last.
    pub fn rollout(&self, space: &SpaceId, name: &str) -> Result<(Value, Value), PipelineError> {
        let Some(record) = self.store.plugin(space, name)? else { return Ok((Value::Null, Value::Null)) };
        let shown = match (self.rollouts.find(space, name), &record.rollout) {
            (Some(active), Some(_)) => active.show(),
            (None, Some(rollout)) => {
                let mut shown = json!(rollout);
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("error".to_owned(), "the version could not be loaded: see the server's log".into());
                }
                shown
            }
            (_, None) => Value::Null,
        };
        Ok((shown, json!(record.last_rollout)))
    }
}
