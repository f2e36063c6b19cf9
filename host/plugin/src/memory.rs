//! Admission control of the memory of all calls together: linear memory, their reads, and their changes. A call takes
//! what it needs as it grows and releases it when it ends, that of its changes only after they are committed. So the
//! server's memory stays bounded for any number of plugins, and no space holds all of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use hookwright_model::SpaceId;
use parking_lot::Mutex;

/// The part that one space may hold, in quarters.
const QUARTERS: u64 = 3;

/// Releases unused memory.
type Shed = Box<dyn Fn() + Send + Sync>;

/// The memory that calls share.
pub(crate) struct MemoryBudget {
    most: u64,
    used: AtomicU64,
    /// The memory of each space that has calls.
    shares: Mutex<HashMap<SpaceId, Weak<AtomicU64>>>,
    shed: OnceLock<Shed>,
}

/// All memory is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl MemoryBudget {
    pub(crate) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, used: AtomicU64::new(0), shares: Mutex::default(), shed: OnceLock::new() })
    }

    /// Sets how memory is reclaimed before a call is refused: from idle instances.
    pub(crate) fn shed_by(&self, shed: impl Fn() + Send + Sync + 'static) {
        let _ = self.shed.set(Box::new(shed));
    }

    /// The memory of a call of a space, initially empty.
    pub(crate) fn open(self: &Arc<Self>, space: &SpaceId) -> Held {
        let mut shares = self.shares.lock();
        let share = shares.get(space).and_then(Weak::upgrade).unwrap_or_else(|| {
            shares.retain(|_, share| share.strong_count() > 0);
            let share = Arc::new(AtomicU64::new(0));
            shares.insert(space.clone(), Arc::downgrade(&share));
            share
        });
        Held { budget: Arc::clone(self), share, bytes: 0 }
    }

    fn take(&self, share: &AtomicU64, bytes: u64) -> Result<(), Exhausted> {
        let most_of_space = (self.most / 4).saturating_mul(QUARTERS);
        add(share, bytes, most_of_space)?;
        add(&self.used, bytes, self.most).inspect_err(|Exhausted| give(share, bytes))
    }
}

fn add(counter: &AtomicU64, bytes: u64, most: u64) -> Result<(), Exhausted> {
    let within = |used: u64| used.checked_add(bytes).filter(|used| *used <= most);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).map(|_| ()).map_err(|_| Exhausted)
}

fn give(counter: &AtomicU64, bytes: u64) {
    counter.fetch_sub(bytes, Ordering::Relaxed);
}

/// Admitted memory, released when this is dropped.
pub struct Held {
    budget: Arc<MemoryBudget>,
    share: Arc<AtomicU64>,
    bytes: u64,
}

impl Held {
    /// Grows to `bytes`. Never shrinks.
    ///
    /// # Errors
    /// Not enough memory is left, in total or for the space, even without idle instances.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return Ok(()) };
        let mut taken = self.budget.take(&self.share, more);
        if let (Err(Exhausted), Some(shed)) = (taken, self.budget.shed.get()) {
            shed();
            taken = self.budget.take(&self.share, more);
        }
        taken.inspect(|()| self.bytes = bytes)
    }

    /// An empty one of the same space.
    pub(crate) fn beside(&self) -> Self {
        Self { budget: Arc::clone(&self.budget), share: Arc::clone(&self.share), bytes: 0 }
    }

    /// Takes all of it.
    pub(crate) fn take(&mut self) -> Self {
        let none = self.beside();
        std::mem::replace(self, none)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        give(&self.share, self.bytes);
        give(&self.budget.used, self.bytes);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(name: &str) -> SpaceId {
        name.parse().unwrap()
    }

    #[test]
    fn one_space_leaves_a_quarter_to_the_others_and_dropped_memory_is_released() {
        let budget = MemoryBudget::new(400);
        let (mut first, mut second) = (budget.open(&space("a")), budget.open(&space("a")));
        assert_eq!(first.grow_to(200), Ok(()));
        assert_eq!(second.grow_to(101), Err(Exhausted), "301 of 400 are more than three quarters");
        assert_eq!(second.grow_to(100), Ok(()));
        let mut other = budget.open(&space("b"));
        assert_eq!(other.grow_to(101), Err(Exhausted), "401 of 400");
        assert_eq!(other.grow_to(100), Ok(()));
        assert_eq!(other.grow_to(50), Ok(()), "less than it holds is not a request");
        let kept = first.take();
        drop(first);
        assert_eq!(second.grow_to(101), Err(Exhausted), "what was taken along is still held");
        drop(kept);
        assert_eq!(second.grow_to(300), Ok(()));
        drop((second, other));
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        assert_eq!(budget.open(&space("a")).share.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn idle_memory_is_reclaimed_before_a_call_is_refused() {
        let budget = MemoryBudget::new(100);
        let idle = Arc::new(Mutex::new(None));
        let mut waiting = budget.open(&space("a"));
        waiting.grow_to(60).unwrap();
        *idle.lock() = Some(waiting);
        let given = Arc::clone(&idle);
        budget.shed_by(move || drop(given.lock().take()));
        let mut busy = budget.open(&space("b"));
        assert_eq!(busy.grow_to(70), Ok(()));
        assert!(idle.lock().is_none());
        assert_eq!(budget.open(&space("a")).grow_to(40), Err(Exhausted));
    }
}
