//! Parked runs: they wait for a plugin, and continue when it can be called.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{SpaceId, Timestamp};
use hookwright_plugin::Registry;
use hookwright_store::Store;

use crate::breaker::{BreakerState, Breakers};

/// How many runs are made due in one commit.
const MAX_RELEASED_PER_COMMIT: usize = 500;

/// Runs that wait for a plugin.
pub struct Parked {
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Store,
}

impl Parked {
    /// Releases one of the waiting runs at `until`, which probes the plugin.
    pub(crate) fn probe_at(&self, space: &SpaceId, name: &str, until: Timestamp) {
        let (store, space, name) = (self.store.clone(), space.clone(), name.to_owned());
        let pause = until.since(self.clock.now());
        tokio::spawn(async move {
            tokio::time::sleep(pause + Duration::from_millis(1)).await;
            if let Err(error) = store.runs.release(&space, &name, until, 1).await {
                tracing::warn!(%error, plugin = name, "no waiting run could be released to probe the plugin");
            }
        });
    }

    /// Releases all runs that wait for the plugin.
    pub(crate) fn release_soon(&self, space: &SpaceId, name: &str) {
        let (store, space, name, now) = (self.store.clone(), space.clone(), name.to_owned(), self.clock.now());
        tokio::spawn(async move { release(&store, &space, &name, now).await });
    }

    /// Releases all runs whose plugin can be called. Called after a start and periodically, so that no run stays parked if the
    /// run that was to probe the plugin did not.
    pub fn release_waiting(&self) {
        match self.store.runs.waited_for() {
            Ok(waited_for) => {
                for (space, name) in waited_for {
                    self.release_if_there(&space, &name);
                }
            }
            Err(error) => tracing::error!(%error, "runs that wait for plugins cannot be read"),
        }
    }

    /// Releases the runs that wait for the plugin, if it is installed: all of them, or one to probe it, or none while its
    /// circuit is open.
    pub fn release_if_there(&self, space: &SpaceId, name: &str) {
        if self.registry.get(space, name).is_none() {
            return;
        }
        let now = self.clock.now();
        match self.breakers.state(space, name, now) {
            BreakerState::Closed => self.release_soon(space, name),
            BreakerState::Probe => self.probe_at(space, name, now),
            BreakerState::Open(_) => {}
        }
    }
}

async fn release(store: &Store, space: &SpaceId, name: &str, now: Timestamp) {
    loop {
        match store.runs.release(space, name, now, MAX_RELEASED_PER_COMMIT).await {
            Ok(MAX_RELEASED_PER_COMMIT) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, plugin = name, "runs that wait for the plugin could not be released; they continue at the next start");
                return;
            }
        }
    }
}
