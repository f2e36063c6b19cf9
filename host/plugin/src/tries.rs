//! The tries of one step, which re-runs after write conflicts: their common inputs, and their calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The calls of the tries so far, and their limits.
    called: Mutex<Option<(Arc<Plugin>, Arc<Access>)>>,
    /// The decision of the run is not stored yet, so no request may be sent.
    early: AtomicBool,
    declined: AtomicBool,
}

impl Tries {
    /// Before the first try, which begins at `began`.
    pub fn new(began: Timestamp) -> Self {
        Self {
            began,
            ids: Arc::default(),
            retained: Arc::default(),
            called: Mutex::default(),
            early: AtomicBool::new(false),
            declined: AtomicBool::new(false),
        }
    }

    /// The same for a step whose run has a decision that is not stored yet: after a crash it may be another one, so a
    /// request that was sent would have no reason.
    pub fn before_the_decision(began: Timestamp) -> Self {
        Self { early: AtomicBool::new(true), ..Self::new(began) }
    }

    /// Declines a call that may send requests, if it is too early for that; returns whether it is.
    pub fn decline(&self) -> bool {
        let early = self.early.load(Ordering::Relaxed);
        self.declined.fetch_or(early, Ordering::Relaxed);
        early
    }

    /// Records that the decision is stored now.
    pub fn decided(&self) {
        self.early.store(false, Ordering::Relaxed);
    }

    /// Whether a call was declined: then the try has no result.
    pub fn declined(&self) -> bool {
        self.declined.load(Ordering::Relaxed)
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

    /// The instant of the current try's changes, if it is `now`: a re-run changes what others changed after the first
    /// try.
    pub fn changes_at(&self, now: Timestamp) -> Timestamp {
        if self.reruns() == 0 { self.began } else { now.max(self.began) }
    }

    /// The ids that were issued.
    pub fn ids(&self) -> &Arc<IssuedIds> {
        &self.ids
    }

    /// The part of the call that all tries share.
    pub fn retained(&self) -> &Arc<Retained> {
        &self.retained
    }

    /// How many tries were made after the first.
    pub fn reruns(&self) -> u32 {
        self.retained.reruns()
    }

    /// Whether a request was sent.
    pub fn has_sent(&self) -> bool {
        self.retained.has_sent()
    }

    /// Records the calls of the current try.
    pub fn calls(&self, plugin: &Arc<Plugin>, access: &Arc<Access>) {
        let called = (Arc::clone(plugin), Arc::clone(access));
        *self.called.lock() = Some(called);
    }

    /// The calls that a re-run must make so that its requests are the same: those of the tries before it, once a
    /// request was sent.
    pub fn bound_to(&self) -> Option<(Arc<Plugin>, Arc<Access>)> {
        if self.has_sent() { self.called.lock().clone() } else { None }
    }

    /// Number of requests that were sent in re-runs, because no earlier try had made them.
    pub fn changed_requests(&self) -> usize {
        self.retained.changed_requests()
    }
}
