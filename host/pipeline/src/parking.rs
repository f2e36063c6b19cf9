//! Runs that wait for a plugin: it is not there, or is not called for now. They go on when it can be.

use std::time::Duration;

use hookwright_model::{SpaceId, Timestamp};
use hookwright_plugin::Called;
use hookwright_store::Store;

use crate::breaker::Change;
use crate::{LogLine, Pipeline};

/// After how long a run tries again that found as many calls under way as may be.
const BUSY: Duration = Duration::from_millis(50);
/// After how long it looks again for a plugin that is being loaded.
const LOADING: Duration = Duration::from_millis(200);
/// How many runs are made due in one commit.
const RELEASED: usize = 500;

/// A plugin that cannot be called now.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    /// Its name.
    pub(crate) plugin: String,
    /// Why, and what ends it.
    pub(crate) reason: String,
    /// It is there, but so many calls of it are under way that this one comes later.
    pub(crate) busy_until: Option<Timestamp>,
}

impl Pipeline {
    /// Fails if the plugin is not there or is not called for now.
    pub(crate) fn available(&self, space: &SpaceId, name: &str) -> Result<(), Unavailable> {
        let unavailable = |reason: String| Err(Unavailable { plugin: name.to_owned(), reason, busy_until: None });
        if self.registry.get(space, name).is_none() {
            if self.is_loading(name) {
                let reason = format!("`{name}` is being loaded");
                return Err(Unavailable {
                    plugin: name.to_owned(),
                    reason,
                    busy_until: Some(self.now().after(LOADING)),
                });
            }
            return unavailable(format!("there is no plugin `{name}`: put it back, or change the automation"));
        }
        match self.breakers.admit(space, name, self.now()) {
            Ok(()) => self.has_room(space, name),
            Err(until) => unavailable(format!(
                "`{name}` was stopped again and again and is not called before {until}: put in a version that is mended"
            )),
        }
    }

    /// Fails if as many calls of the plugin are under way as may be. What would wait for them waits in the store, not in
    /// one of the places where events are worked on, which others need.
    fn has_room(&self, space: &SpaceId, name: &str) -> Result<(), Unavailable> {
        if self.access(space, name).slots.available_permits() > 0 {
            return Ok(());
        }
        let later = self.now().after(BUSY + Duration::from_millis(rand::random_range(0..100)));
        let reason = format!("as many calls of `{name}` are under way as may be");
        Err(Unavailable { plugin: name.to_owned(), reason, busy_until: Some(later) })
    }

    /// Takes down what a call of a plugin came to, besides its answer.
    pub(crate) fn note_call<T>(&self, space: &SpaceId, name: &str, event: &str, called: &Called<T>) {
        let now = self.now();
        self.logs.add(space, name, now, event, &called.log);
        match self.breakers.report(space, name, called.stopped, now) {
            Change::None => {}
            Change::Opened(until) => {
                tracing::warn!(plugin = name, %space, %until, "stopped again and again: it is not called for now");
                self.probe_at(space, name, until);
            }
            Change::Closed => {
                tracing::info!(plugin = name, %space, "it answers again: what waited for it goes on");
                self.release_soon(space, name);
            }
        }
    }

    /// Lets one of the runs that wait try the plugin again then.
    fn probe_at(&self, space: &SpaceId, name: &str, until: Timestamp) {
        let (store, space, name) = (self.store.clone(), space.clone(), name.to_owned());
        let pause = until.since(self.now());
        tokio::spawn(async move {
            tokio::time::sleep(pause + Duration::from_millis(1)).await;
            if let Err(error) = store.release(&space, &name, until, 1).await {
                tracing::warn!(%error, plugin = name, "no run could be let try the plugin again");
            }
        });
    }

    /// Lets everything go on that waits for the plugin.
    pub(crate) fn release_soon(&self, space: &SpaceId, name: &str) {
        let (store, space, name, now) = (self.store.clone(), space.clone(), name.to_owned(), self.now());
        tokio::spawn(async move { release(&store, &space, &name, now).await });
    }

    /// A plugin that several spaces may use has changed: what is known of it is no longer true, and what waited for it
    /// goes on.
    pub fn plugin_changed(&self, name: &str) {
        self.accesses.forget();
        self.breakers.reset(None, name);
        for space in self.store.spaces() {
            if self.registry.get(&space, name).is_some() {
                self.release_soon(&space, name);
            }
        }
    }

    /// Lets everything go on whose plugin is there, after a start.
    pub(crate) fn release_waiting(&self) {
        match self.store.waited_for() {
            Ok(waited_for) => {
                for (space, name) in waited_for {
                    if self.registry.get(&space, &name).is_some() {
                        self.release_soon(&space, &name);
                    }
                }
            }
            Err(error) => tracing::error!(%error, "what waits for plugins cannot be read"),
        }
    }

    /// Lines that a plugin logged after `after`; without it the newest.
    pub fn plugin_logs(&self, space: &SpaceId, name: &str, after: Option<u64>, limit: usize) -> Vec<LogLine> {
        self.logs.after(space, name, after, limit)
    }

    /// Waits until a plugin logs something, for at most so long.
    pub async fn wait_for_logs(&self, space: &SpaceId, name: &str, after: u64, most: Duration) {
        let signal = self.logs.signal();
        let waiting = async {
            loop {
                let more = signal.notified();
                tokio::pin!(more);
                // Registered before looking, so that no line falls between.
                more.as_mut().enable();
                if !self.logs.after(space, name, Some(after), 1).is_empty() {
                    return;
                }
                more.await;
            }
        };
        let _ = tokio::time::timeout(most, waiting).await;
    }
}

async fn release(store: &Store, space: &SpaceId, name: &str, now: Timestamp) {
    loop {
        match store.release(space, name, now, RELEASED).await {
            Ok(RELEASED) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, plugin = name, "what waits for the plugin goes on at the next start");
                return;
            }
        }
    }
}
