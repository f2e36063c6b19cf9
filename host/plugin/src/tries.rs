//! The tries of one step, which re-runs after a write conflict: what all of them are given, and what they call.

use std::sync::Arc;

use hookwright_model::{IssuedIds, Timestamp};
use parking_lot::Mutex;

use crate::access::Access;
use crate::plugin::Plugin;
use crate::retained::Retained;

/// The tries of one step, or of one item of it, until it commits.
#[derive(Debug)]
pub struct Tries {
    began: Timestamp,
    ids: Arc<IssuedIds>,
    retained: Arc<Retained>,
    /// What the tries so far called, and what it may do.
    called: Mutex<Option<(Arc<Plugin>, Arc<Access>)>>,
}

impl Tries {
    /// Before the first try, which begins at `began`.
    pub fn new(began: Timestamp) -> Self {
        Self { began, ids: Arc::default(), retained: Arc::default(), called: Mutex::default() }
    }

    /// Begins a re-run.
    pub fn again(&self) {
        self.ids.again();
        self.retained.again();
    }

    /// The instant that every try sees.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// The instant of what the present try changes, if it is `now`: a re-run changes what others changed after the first.
    pub fn changes_at(&self, now: Timestamp) -> Timestamp {
        if self.reruns() == 0 { self.began } else { now.max(self.began) }
    }

    /// The ids that were issued.
    pub fn ids(&self) -> &Arc<IssuedIds> {
        &self.ids
    }

    /// What the call of each try is given.
    pub fn retained(&self) -> &Arc<Retained> {
        &self.retained
    }

    /// How many tries were made after the first.
    pub fn reruns(&self) -> u32 {
        self.retained.reruns()
    }

    /// Whether a request has left.
    pub fn has_sent(&self) -> bool {
        self.retained.has_sent()
    }

    /// Takes down what the present try calls.
    pub fn calls(&self, plugin: &Arc<Plugin>, access: &Arc<Access>) {
        let called = (Arc::clone(plugin), Arc::clone(access));
        *self.called.lock() = Some(called);
    }

    /// What a re-run has to call if it is to ask for the same requests: what the tries before it called, once a request has
    /// left.
    pub fn bound_to(&self) -> Option<(Arc<Plugin>, Arc<Access>)> {
        if self.has_sent() { self.called.lock().clone() } else { None }
    }

    /// How many requests left in re-runs because no earlier try had made them.
    pub fn changed_requests(&self) -> usize {
        self.retained.changed_requests()
    }
}
