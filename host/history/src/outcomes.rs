//! What happened, as the API lists it: events, deliveries with their attempts, and mails.

use hookwright_foundation::error::PipelineError;
use hookwright_model::{Attempt, Delivery, DeliveryId, Event, Mail, SpaceId};
use hookwright_store::{AttemptQuery, EventLookup, Listing, LogCursor, Page, Store};

/// Lists events, deliveries, attempts and mails.
pub struct Outcomes {
    pub(crate) store: Store,
}

impl Outcomes {
    /// The events for which `keep` returns true, each with its place in the journal, newest first.
    pub fn events(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Event) -> bool,
    ) -> Result<Listing<(u64, Event)>, PipelineError> {
        Ok(self.store.events.events(space, page, keep)?)
    }

    /// The event with this id, and its place in the journal.
    ///
    /// # Errors
    /// Several sources sent an event with this id, and `source` is not given: `event.ambiguous`.
    pub fn event(&self, space: &SpaceId, id: &str, source: Option<&str>) -> Result<(u64, Event), PipelineError> {
        match self.store.events.event(space, id, source)? {
            EventLookup::One(seq, event) => Ok((seq, *event)),
            EventLookup::None => Err(PipelineError::not_found("event", id)),
            EventLookup::Several(sources) => {
                let message =
                    format!("several sources sent an event with this id: add ?source= one of {}", sources.join(", "));
                Err(PipelineError::Conflict { code: "event.ambiguous", message })
            }
        }
    }

    /// The deliveries for which `keep` returns true, newest first.
    pub fn deliveries(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Delivery) -> bool,
    ) -> Result<Listing<Delivery>, PipelineError> {
        Ok(self.store.deliveries.deliveries(space, page, keep)?)
    }

    /// The delivery, or an error if it does not exist.
    pub fn delivery(&self, space: &SpaceId, id: &str) -> Result<Delivery, PipelineError> {
        let not_found = || PipelineError::not_found("delivery", id);
        let key: DeliveryId = id.parse().map_err(|()| not_found())?;
        self.store.deliveries.delivery(space, key)?.ok_or_else(not_found)
    }

    /// The attempts of a delivery, in order.
    pub fn attempts(&self, space: &SpaceId, id: DeliveryId) -> Result<Vec<Attempt>, PipelineError> {
        Ok(self.store.attempts.attempts(space, id)?)
    }

    /// Attempts with their deliveries, by their start, newest first.
    pub fn attempt_log(
        &self,
        space: &SpaceId,
        query: &AttemptQuery<'_>,
        page: Page<LogCursor>,
    ) -> Result<Listing<(Delivery, Attempt), LogCursor>, PipelineError> {
        Ok(self.store.attempts.attempt_log(space, query, page)?)
    }

    /// Mails, newest first.
    pub fn mails(&self, space: &SpaceId, page: Page) -> Result<Listing<Mail>, PipelineError> {
        Ok(self.store.mails.mails(space, page)?)
    }

    /// The mail, or an error if it does not exist.
    pub fn mail(&self, space: &SpaceId, id: &str) -> Result<Mail, PipelineError> {
        let not_found = || PipelineError::not_found("mail", id);
        let number = id.parse().map_err(|_| not_found())?;
        self.store.mails.mail(space, number)?.ok_or_else(not_found)
    }
}
