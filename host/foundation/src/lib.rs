//! The basis of every layer: settings, errors, the clock, locks and queues.

pub mod conflicts;
pub mod error;
pub mod hops;
pub mod job;
pub mod json_diff;
pub mod keyed_locks;
pub mod keys;
pub mod outcome_log;
pub mod permits;
pub mod settings;
pub mod stopping;
pub mod sweep;
pub mod token_bucket;
pub mod turns;
pub mod watched_clock;

use std::sync::Arc;

use hookwright_model::{Clock, SpaceId};
use hookwright_plugin::Registry;
use hookwright_store::{Store, Vault};

use crate::keyed_locks::KeyedLocks;
use crate::settings::PipelineSettings;
use crate::stopping::Stopping;
use crate::turns::Turns;
use crate::watched_clock::WatchedClock;

/// Creates a part from clones of the variables that are named like its fields.
#[macro_export]
macro_rules! part {
    ($part:ident { $($field:ident),* $(,)? }) => {
        ::std::sync::Arc::new($part { $($field: $field.clone()),* })
    };
}

/// What parts of every layer use.
pub struct Foundation {
    /// The store.
    pub store: Store,
    /// Seals secrets.
    pub vault: Arc<Vault>,
    /// The plugins.
    pub registry: Arc<Registry>,
    /// The clock.
    pub clock: Arc<WatchedClock>,
    /// The settings.
    pub settings: Arc<PipelineSettings>,
    /// Whether the pipeline stops.
    pub stopping: Stopping,
    /// Held while automations, webhooks, sources, plugins or API keys of a space change, so that checks hold until the
    /// change is committed. Spaces do not wait for one another. Plugins are loaded, and signing keys created, before it is
    /// taken, because the outcomes of deliveries wait for it.
    pub changing: Arc<KeyedLocks<SpaceId>>,
    /// Takes writers of one record one after another after a conflict.
    pub turns: Arc<Turns>,
}

impl Foundation {
    /// Creates it for an open store.
    pub fn new(
        store: Store,
        vault: Arc<Vault>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        settings: PipelineSettings,
    ) -> Self {
        Self {
            store,
            vault,
            registry,
            clock: Arc::new(WatchedClock::new(clock)),
            settings: Arc::new(settings),
            stopping: Stopping::default(),
            changing: Arc::default(),
            turns: Arc::default(),
        }
    }
}
