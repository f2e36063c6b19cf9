//! Plans which automations and webhooks take an event, when it is accepted.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::hops;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Effects, Event, EventDraft, Failure, NewEvent, SpaceId};

use crate::catalogue::Catalogue;
use crate::event_types::Strict;

/// Plans which automations and webhooks take an event.
pub struct Routing {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) strict: Arc<Strict>,
}

impl Routing {
    /// The event that a draft would become. Nothing is stored.
    pub fn imagined(&self, space: &SpaceId, draft: EventDraft) -> Result<Event, PipelineError> {
        Ok(draft.accept(space, self.clock.now())?)
    }

    /// The drafts as events, with the plan of each.
    pub fn planned(&self, space: &SpaceId, drafts: Vec<EventDraft>) -> Result<Vec<NewEvent>, PipelineError> {
        let now = self.clock.now();
        let many = drafts.len() > 1;
        let mut events = Vec::with_capacity(drafts.len());
        for (place, mut draft) in drafts.into_iter().enumerate() {
            let starts = draft.starts.take();
            draft.cause = hops::counted(draft.cause);
            let event = draft.accept(space, now).map_err(|mut mistake| {
                if many {
                    mistake.path = format!("[{place}].{}", mistake.path);
                }
                mistake
            })?;
            let root = if many { format!("[{place}].data") } else { "data".to_owned() };
            self.strict.check(&event, &root)?;
            let plan = self.catalogue.plan(&event).starting(starts.as_ref(), &event);
            events.push(NewEvent { event, plan });
        }
        Ok(events)
    }

    /// Refuses effects with an event whose type is strict and whose data does not match its schema.
    pub fn check_schemas(&self, effects: &Effects) -> Result<(), Failure> {
        for new in &effects.events {
            let checked = self.strict.check(&new.event, "data");
            checked.map_err(|error| Failure::permanent(error.code(), error.to_string()))?;
        }
        Ok(())
    }
}
