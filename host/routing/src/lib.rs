//! Which automations and webhooks take an event, and which event types there are.

pub mod catalogue;
pub mod event_types;
pub mod planning;

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::{Foundation, part};

use crate::catalogue::Catalogue;
use crate::event_types::{KnownTypes, Strict};
use crate::planning::Routing;

/// The parts of this layer.
pub struct Layer {
    /// Which automations, workflows, webhooks and sources exist.
    pub catalogue: Arc<Catalogue>,
    /// The schemas of event types whose payloads are validated.
    pub strict: Arc<Strict>,
    /// Which automations and webhooks match an event.
    pub planning: Arc<Routing>,
    /// Event types, built in and registered.
    pub known_types: Arc<KnownTypes>,
}

impl Layer {
    /// Reads the configuration from the store.
    pub fn new(foundation: &Foundation) -> Result<Self, PipelineError> {
        let Foundation { store, clock, .. } = foundation;
        let catalogue = Arc::new(Catalogue::load(store)?);
        let strict = Arc::new(Strict::load(store)?);
        Ok(Self {
            planning: part!(Routing { catalogue, clock, strict }),
            known_types: part!(KnownTypes { store }),
            catalogue,
            strict,
        })
    }
}
