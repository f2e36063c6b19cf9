//! Locks by key: work on one key does not wait for work on another.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Locks<K> = Mutex<HashMap<K, Arc<Semaphore>>>;

/// The locks. The entry of a key exists while something holds its lock or waits for it.
pub struct KeyedLocks<K> {
    locks: Arc<Locks<K>>,
    holders: usize,
}

impl<K> Default for KeyedLocks<K> {
    /// Each lock has one holder at a time.
    fn default() -> Self {
        Self::held_by(1)
    }
}

impl<K> KeyedLocks<K> {
    /// Each lock has at most so many holders at a time.
    pub(crate) fn held_by(holders: usize) -> Self {
        Self { locks: Arc::default(), holders }
    }
}

impl<K: Clone + Eq + Hash> KeyedLocks<K> {
    /// Waits for the lock of a key. Waiters get it in the order in which they called.
    pub async fn lock(&self, key: &K) -> KeyedGuard<K> {
        let new = || Arc::new(Semaphore::new(self.holders));
        let lock = Arc::clone(self.locks.lock().entry(key.clone()).or_insert_with(new));
        // The guard exists before the wait, so that the entry is removed too if the caller stops waiting.
        let mut guard = KeyedGuard { locks: Arc::clone(&self.locks), key: key.clone(), held: None };
        // The semaphore is never closed.
        guard.held = lock.acquire_owned().await.ok();
        guard
    }

    /// How many keys are locked or waited for.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.locks.lock().len()
    }
}

/// A held lock of a key, which is released when this is dropped.
pub struct KeyedGuard<K: Eq + Hash> {
    locks: Arc<Locks<K>>,
    key: K,
    held: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash> Drop for KeyedGuard<K> {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut entries = self.locks.lock();
        // Each holder and each waiter has a reference, which it takes while the entries are locked.
        if entries.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_lock_of_one_key_does_not_wait_for_another_key() {
        let locks = KeyedLocks::<u8>::default();
        let one = locks.lock(&1).now_or_never().unwrap();
        let other = locks.lock(&2).now_or_never().unwrap();
        let mut second = pin!(locks.lock(&1));
        assert!(second.as_mut().now_or_never().is_none(), "it is held");
        drop(one);
        let second = second.now_or_never().unwrap();
        drop((second, other));
        assert_eq!(locks.count(), 0, "nothing is left of what nobody holds");
    }

    #[test]
    fn a_lock_of_several_is_there_until_the_last_of_them_is_gone() {
        let locks = KeyedLocks::<u8>::held_by(2);
        let one = locks.lock(&1).now_or_never().unwrap();
        let other = locks.lock(&1).now_or_never().unwrap();
        assert!(locks.lock(&1).now_or_never().is_none(), "two hold it");
        drop(one);
        assert_eq!(locks.count(), 1, "one still holds it");
        let one = locks.lock(&1).now_or_never().unwrap();
        assert!(locks.lock(&1).now_or_never().is_none(), "the entry still counts both");
        drop((one, other));
        assert_eq!(locks.count(), 0);
    }

    #[test]
    fn nothing_is_left_of_one_who_stopped_waiting() {
        let locks = KeyedLocks::<u8>::default();
        let held = locks.lock(&1).now_or_never().unwrap();
        assert!(locks.lock(&1).now_or_never().is_none());
        assert_eq!(locks.count(), 1, "it is still held");
        drop(held);
        assert_eq!(locks.count(), 0);
    }
}
