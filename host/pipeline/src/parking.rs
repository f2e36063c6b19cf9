//! Runs that wait for a plugin: it is not there, or is not called for now. They go on when it can be.

use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{SpaceId, Timestamp};
use hookwright_plugin::{Access, Called, Plugin, Scope};
use hookwright_store::Store;

use crate::breaker::{Admitted, Change, Standing};
use crate::rollout::Active;
use crate::{LogLine, Pipeline};

/// After how long a run tries again that found as many calls under way as may be.
const BUSY: Duration = Duration::from_millis(50);
/// After how long it looks again for a plugin that is being loaded.
pub(crate) const LOADING: Duration = Duration::from_millis(200);
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

/// A plugin that may be called once, now.
pub(crate) struct Callable {
    /// What is called.
    pub(crate) plugin: Arc<Plugin>,
    /// What that very version may do where it was put: what is put in its place meanwhile cannot act with it.
    pub(crate) access: Arc<Access>,
    /// None: it is another version than the one in use.
    pub(crate) admitted: Option<Admitted>,
    pub(crate) role: Role,
}

/// In which of its versions a plugin is called.
pub(crate) enum Role {
    /// The one in use.
    Live,
    /// The one on its way into use, in place of it.
    Candidate(Arc<Active>),
    /// One that somebody named.
    Named,
}

impl Pipeline {
    /// The plugin under this name in the version in use, unless it is not there or is not called for now.
    pub(crate) fn present(&self, space: &SpaceId, name: &str) -> Result<Callable, Unavailable> {
        let (plugin, now) = (name.to_owned(), self.now());
        let Some((scope, found)) = self.registry.resolve(space, name) else {
            let (reason, busy_until) = if self.is_loading(name) {
                (format!("`{name}` is being loaded"), Some(now.after(LOADING)))
            } else {
                (format!("there is no plugin `{name}`: put it back, or change the automation"), None)
            };
            return Err(Unavailable { plugin, reason, busy_until });
        };
        let access = self.with_room(space, name, scope == Scope::Builtin)?;
        match self.breakers.admit(space, name, now) {
            Ok(admitted) => Ok(Callable { plugin: found, access, admitted: Some(admitted), role: Role::Live }),
            Err(until) => {
                let reason = format!(
                    "`{name}` was stopped again and again and is not called before {until}: put in a version that is \
                     mended"
                );
                Err(Unavailable { plugin, reason, busy_until: None })
            }
        }
    }

    /// What the plugin may do, unless as many calls of it are under way as may be.
    pub(crate) fn with_room(&self, space: &SpaceId, name: &str, trusted: bool) -> Result<Arc<Access>, Unavailable> {
        let access = self.access(space, name, trusted);
        if access.slots.available_permits() > 0 {
            return Ok(access);
        }
        // What would wait for the calls under way waits in the store, not in one of the places where events are worked
        // on, which others need.
        let later = self.now().after(BUSY + Duration::from_millis(rand::random_range(0..100)));
        let reason = format!("as many calls of `{name}` are under way as may be");
        Err(Unavailable { plugin: name.to_owned(), reason, busy_until: Some(later) })
    }

    /// Takes down what a call of a plugin came to, besides its answer.
    pub(crate) fn note_call<T>(&self, callable: Callable, space: &SpaceId, event: &str, called: &Called<T>) {
        let now = self.now();
        let name = callable.access.plugin.as_str();
        self.logs.add(space, name, now, event, &called.log);
        self.note_rollout(space, name, &callable.role, called.result.is_err(), called.stopped);
        // What another version does says nothing about the one in use.
        let Some(admitted) = callable.admitted else { return };
        match self.breakers.report(admitted, space, name, called.stopped, now) {
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

    /// Lets everything go on whose plugin is there and is called: after a start, and from time to time, so that nothing
    /// stays behind whatever happened to the run that was to try the plugin.
    pub(crate) fn release_waiting(&self) {
        match self.store.waited_for() {
            Ok(waited_for) => {
                for (space, name) in waited_for {
                    self.release_if_there(&space, &name);
                }
            }
            Err(error) => tracing::error!(%error, "what waits for plugins cannot be read"),
        }
    }

    /// Lets go on what waits for the plugin, if it is there: everything, or one that tries it.
    pub(crate) fn release_if_there(&self, space: &SpaceId, name: &str) {
        if self.registry.get(space, name).is_none() {
            return;
        }
        let now = self.now();
        match self.breakers.standing(space, name, now) {
            Standing::Closed => self.release_soon(space, name),
            Standing::Probe => self.probe_at(space, name, now),
            Standing::Open(_) => {}
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
