//! Warm instances, which are reused by further calls, for plugins that are expensive to start. One serves one space
//! only, one call at a time, and is dropped after a number of calls, after some time, or when a call of it was stopped.
//! Besides them, those that the conditions of one event share ([`Shared`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hookwright_model::SpaceId;
use parking_lot::Mutex;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::state::State;

/// An idle instance.
pub(crate) struct Idle {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    /// Number of calls that it has served.
    pub(crate) calls: u32,
    pub(crate) born: Instant,
}

/// The lifetime of an instance.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) calls: u32,
    pub(crate) age: Duration,
    pub(crate) idle: u32,
}

/// All idle instances.
pub(crate) struct Warm {
    waiting: Mutex<Waiting>,
    /// The number of idle instances that conditions share.
    shared: Arc<AtomicUsize>,
    /// Maximum number of idle instances, so that they leave permits for calls of other plugins.
    most: usize,
}

/// The instances that the conditions of one event share, one of each plugin: the plugin is started once for all of them.
/// It serves one space, one call at a time, with the limits of each call. One that was stopped, has grown, or has served
/// many calls is dropped.
#[derive(Default)]
pub struct Shared(Mutex<Vec<SharedIdle>>);

/// An instance with the component's digest, and the name that it is installed under.
type SharedIdle = (String, String, Idle, Counted);

/// The most calls of a shared instance, and the most memory that it holds between them, in bytes: nothing else can reclaim
/// that until the event is decided.
const SHARED_CALLS: u32 = 1000;
const SHARED_MEMORY: usize = 2 * 1024 * 1024;

/// An idle instance that is counted until this is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// The instance of a plugin, unless it already holds more memory than the call may have.
    pub(crate) fn take(&self, digest: &str, name: &str, memory: usize) -> Option<Idle> {
        let mut instances = self.0.lock();
        let place = instances.iter().position(|(other, under, ..)| other == digest && under == name)?;
        let (_, _, idle, _) = instances.swap_remove(place);
        Some(idle).filter(|idle| idle.store.data().budget.held() <= memory)
    }
}

#[derive(Default)]
struct Waiting {
    /// By digest and space, the most recently used one last.
    instances: HashMap<(String, SpaceId), Vec<(Idle, Instant)>>,
    count: usize,
}

impl Warm {
    pub(crate) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), shared: Arc::default(), most }
    }

    /// An idle instance, unless it already holds more memory than the call may have.
    pub(crate) fn take(&self, digest: &str, space: &SpaceId, memory: usize) -> Option<Idle> {
        let mut waiting = self.waiting.lock();
        // The key owns its parts; warm instances are rare enough to copy them.
        let instances = waiting.instances.get_mut(&(digest.to_owned(), space.clone()))?;
        let mut taken = None;
        let mut let_go = 0_usize;
        while let Some((idle, until)) = instances.pop() {
            let_go = let_go.saturating_add(1);
            if until > Instant::now() && idle.store.data().budget.held() <= memory {
                taken = Some(idle);
                break;
            }
        }
        waiting.count = waiting.count.saturating_sub(let_go);
        taken
    }

    /// Stores an idle instance, or drops it if it has expired or too many are idle.
    pub(crate) fn keep(&self, digest: &str, space: SpaceId, idle: Idle, bounds: Bounds) {
        let until = idle.born + bounds.age;
        if idle.calls >= bounds.calls || until <= Instant::now() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.count.saturating_add(self.shared.load(Ordering::Relaxed)) >= self.most {
            return;
        }
        let instances = waiting.instances.entry((digest.to_owned(), space)).or_default();
        if instances.len() < usize::try_from(bounds.idle).unwrap_or(usize::MAX) {
            instances.push((idle, until));
            waiting.count = waiting.count.saturating_add(1);
        }
    }

    /// Stores an instance for the next condition of its event, or drops it if too many are idle. Half of the idle ones are
    /// left to those that are expensive to start.
    pub(crate) fn share(&self, digest: &str, name: &str, idle: Idle, shared: &Shared) {
        if idle.calls >= SHARED_CALLS || idle.store.data().budget.held() > SHARED_MEMORY {
            return;
        }
        // Counted under the lock that `keep` holds while it counts, so that both together stay below the maximum.
        let waiting = self.waiting.lock();
        let others = self.shared.load(Ordering::Relaxed);
        if others >= self.most.div_ceil(2) || waiting.count.saturating_add(others) >= self.most {
            return;
        }
        self.shared.fetch_add(1, Ordering::Relaxed);
        drop(waiting);
        let counted = Counted(Arc::clone(&self.shared));
        shared.0.lock().push((digest.to_owned(), name.to_owned(), idle, counted));
    }

    /// Drops expired instances.
    pub(crate) fn tidy(&self) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        waiting.instances.retain(|_, instances| {
            instances.retain(|(_, until)| *until > now);
            !instances.is_empty()
        });
        waiting.count = waiting.instances.values().map(Vec::len).sum();
    }

    /// Drops every idle instance, to release memory.
    pub(crate) fn shed(&self) {
        let all = std::mem::take(&mut *self.waiting.lock());
        drop(all);
    }

    /// Drops the instances of a component that is no longer in use.
    pub(crate) fn forget(&self, digest: &str) {
        let mut waiting = self.waiting.lock();
        waiting.instances.retain(|(other, _), _| other != digest);
        waiting.count = waiting.instances.values().map(Vec::len).sum();
    }
}
