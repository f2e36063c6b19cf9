//! Instances that are kept for further calls, for plugins whose start costs much. One serves one space only, one call at
//! a time, and is let go after so many calls, so much time, or whenever a call of it was stopped.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hookwright_model::SpaceId;
use parking_lot::Mutex;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::state::State;

/// An instance that waits for a call.
pub(crate) struct Idle {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    /// How many calls it has served.
    pub(crate) calls: u32,
    pub(crate) born: Instant,
}

/// How long an instance is kept.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) calls: u32,
    pub(crate) age: Duration,
    pub(crate) idle: u32,
}

/// All instances that wait.
pub(crate) struct Warm {
    waiting: Mutex<Waiting>,
    /// How many may wait in all, so that they leave room for calls of other plugins.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    /// By digest and space, the one that was used last at the end.
    instances: HashMap<(String, SpaceId), Vec<(Idle, Instant)>>,
    count: usize,
}

impl Warm {
    pub(crate) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), most }
    }

    /// An instance that waits, unless it already holds more memory than the call may have.
    pub(crate) fn take(&self, digest: &str, space: &SpaceId, memory: usize) -> Option<Idle> {
        let mut waiting = self.waiting.lock();
        // The key owns its parts; taking a warm instance is rare enough to copy them.
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

    /// Keeps an instance, or lets it go if its time is over or too many wait.
    pub(crate) fn keep(&self, digest: &str, space: SpaceId, idle: Idle, bounds: Bounds) {
        let until = idle.born + bounds.age;
        if idle.calls >= bounds.calls || until <= Instant::now() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.count >= self.most {
            return;
        }
        let instances = waiting.instances.entry((digest.to_owned(), space)).or_default();
        if instances.len() < usize::try_from(bounds.idle).unwrap_or(usize::MAX) {
            instances.push((idle, until));
            waiting.count = waiting.count.saturating_add(1);
        }
    }

    /// Lets go the instances whose time is over.
    pub(crate) fn tidy(&self) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        waiting.instances.retain(|_, instances| {
            instances.retain(|(_, until)| *until > now);
            !instances.is_empty()
        });
        waiting.count = waiting.instances.values().map(Vec::len).sum();
    }

    /// Lets go of every instance, since memory is short.
    pub(crate) fn shed(&self) {
        let all = std::mem::take(&mut *self.waiting.lock());
        drop(all);
    }

    /// Lets go the instances of a component that is no longer in use.
    pub(crate) fn forget(&self, digest: &str) {
        let mut waiting = self.waiting.lock();
        waiting.instances.retain(|(other, _), _| other != digest);
        waiting.count = waiting.instances.values().map(Vec::len).sum();
    }
}
