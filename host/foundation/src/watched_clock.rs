//! The clock as the pipeline reads it, with the latest time that it has returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hookwright_model::{Clock, Timestamp};
use tokio::sync::Notify;

/// The clock, with the latest time that it has returned.
pub struct WatchedClock {
    clock: Arc<dyn Clock>,
    latest: AtomicI64,
    moved: Notify,
}

impl WatchedClock {
    /// Watches this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: AtomicI64::new(0), moved: Notify::new() }
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        self.latest.fetch_max(now.millis(), Ordering::Relaxed);
        now
    }

    /// Wakes the task that watches for changes of the clock.
    pub fn moved(&self) {
        self.moved.notify_one();
    }

    /// Waits until [`Self::moved`] is called.
    pub async fn until_moved(&self) {
        self.moved.notified().await;
    }

    /// The latest time that the clock has returned.
    pub fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest.load(Ordering::Relaxed))
    }

    /// Sets the latest time to `now`, after the clock was moved back.
    pub fn forget(&self, now: Timestamp) {
        self.latest.store(now.millis(), Ordering::Relaxed);
    }

    /// The earliest time that is still within `retention`.
    pub fn retained_since(&self, retention: Duration) -> Timestamp {
        let age = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.now().millis().saturating_sub(age))
    }
}
