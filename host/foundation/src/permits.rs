//! Bounds how much of one sort of work runs at once. Each space has its own share and its own queue, so that a space with slow
//! work does not delay the others.

use std::sync::Arc;

use hookwright_model::SpaceId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::keyed_locks::{KeyedGuard, KeyedLocks};

/// The permits of all spaces.
pub struct SpacePermits {
    spaces: KeyedLocks<SpaceId>,
    all: Arc<Semaphore>,
}

/// A permit that is in use, until this is dropped.
pub struct SpacePermit {
    // Dropped first, so that it is free before the space's next waiter asks for it.
    _all: Option<OwnedSemaphorePermit>,
    _own: KeyedGuard<SpaceId>,
}

impl SpacePermits {
    /// So many permits for each space, and so many in all.
    pub fn new(of_space: usize, of_all: usize) -> Self {
        Self { spaces: KeyedLocks::held_by(of_space), all: Arc::new(Semaphore::new(of_all)) }
    }

    /// For work that takes much time or memory: one permit for each space, and two in all.
    pub fn few() -> Self {
        Self::new(1, 2)
    }

    /// Waits for a permit of the space.
    pub async fn take(&self, space: &SpaceId) -> SpacePermit {
        // The space's own permit is acquired first: a waiter in the queue of its space occupies none of the shared permits.
        let own = self.spaces.lock(space).await;
        // The semaphore is never closed.
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        SpacePermit { _all: all, _own: own }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn spaces_whose_permits_are_all_in_use_do_not_delay_another() {
        let (of_space, of_all) = (16, 256);
        let permits = SpacePermits::new(of_space, of_all);
        let hanging: Vec<SpaceId> = (0..8).map(|n| format!("hanging-{n}").parse().unwrap()).collect();
        let quiet: SpaceId = "quiet".parse().unwrap();
        let mut taken = Vec::new();
        for space in &hanging {
            for _ in 0..of_space {
                taken.push(permits.take(space).now_or_never().unwrap());
            }
            assert!(permits.take(space).now_or_never().is_none(), "one more waits");
        }
        assert!(permits.take(&quiet).now_or_never().is_some());
        assert_eq!(permits.spaces.count(), hanging.len(), "a space without use is forgotten");
        taken.pop();
        assert!(permits.take(&hanging[7]).now_or_never().is_some(), "a permit that is free again");
        drop(taken);
        assert_eq!(permits.spaces.count(), 0);
        assert_eq!(permits.all.available_permits(), of_all);
    }

    #[test]
    fn spaces_take_turns() {
        let permits = SpacePermits::few();
        let [one, other, third] = ["one", "other", "third"].map(|space| space.parse::<SpaceId>().unwrap());
        let first = permits.take(&one).now_or_never().unwrap();
        let mut again = pin!(permits.take(&one));
        assert!(again.as_mut().now_or_never().is_none(), "one at a time for a space");
        let second = permits.take(&other).now_or_never().unwrap();
        let mut waits = pin!(permits.take(&third));
        assert!(waits.as_mut().now_or_never().is_none(), "two at a time in all");
        drop(first);
        assert!(again.as_mut().now_or_never().is_none(), "the third space asked earlier");
        let third = waits.now_or_never().unwrap();
        drop(second);
        assert!(again.now_or_never().is_some());
        drop(third);
    }
}
