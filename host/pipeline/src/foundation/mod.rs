//! The basis of every layer: settings, errors, the clock, locks and queues.

pub(crate) mod conflicts;
pub(crate) mod error;
pub(crate) mod hops;
pub(crate) mod job;
pub(crate) mod json_diff;
pub(crate) mod keyed_locks;
pub(crate) mod keys;
pub(crate) mod outcome_log;
pub(crate) mod places;
pub(crate) mod settings;
pub(crate) mod stopping;
pub(crate) mod sweep;
pub(crate) mod token_bucket;
pub(crate) mod turns;
pub(crate) mod watched_clock;
