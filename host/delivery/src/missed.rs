//! Events that a webhook was not sent because it was disabled, dead or not yet created when they were accepted.

use std::cell::Cell;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{Delivery, DeliveryId, DeliveryState, Event, Purpose, SpaceId, Timestamp, Webhook, unique};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{Cursor, Page, Store};

use crate::redelivery_filter::RedeliveryFilter;

/// The period whose missed events are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    /// The period that a filter gives; else the last one in which the webhook was disabled or dead. `None`: there was
    /// none, and the filter gives no period. The period never begins before the receiver wanted to be called.
    pub(crate) fn of(webhook: &Webhook, filter: &RedeliveryFilter, now: Timestamp) -> Option<Self> {
        let began = webhook.confirmation.confirmed_at.unwrap_or(webhook.created_at).max(webhook.created_at);
        let (from, until) = match (filter.from, webhook.paused) {
            (Some(from), _) => (from, now),
            (None, Some(pause)) => (pause.from, pause.until.unwrap_or(now)),
            (None, None) => return None,
        };
        Some(Self { from: from.max(began), until: filter.until.unwrap_or(until).min(now) })
    }
}

/// Whether an event went to one webhook only, as tests and verification challenges do.
pub fn is_private<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> bool {
    deliveries.into_iter().any(|one| matches!(one.purpose, Purpose::Test | Purpose::Confirmation))
}

/// The events that a webhook may have missed.
pub(crate) struct Missed {
    pub(crate) webhook: Webhook,
    window: Window,
    /// The position in the journal before which all events are older than the window.
    first: u64,
}

/// Finds the events that a webhook missed while it was disabled or dead.
pub(crate) struct MissedEvents {
    pub(crate) store: Store,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl MissedEvents {
    /// The missed events of the webhook that a filter names, if the filter includes them.
    pub(crate) async fn missed_of(
        &self,
        space: &SpaceId,
        filter: &RedeliveryFilter,
        now: Timestamp,
    ) -> Result<Option<Missed>, PipelineError> {
        let Some(id) = filter.webhook.as_ref().filter(|_| filter.missed) else { return Ok(None) };
        let webhook = self.catalogue.existing_webhook(space, id.as_str())?;
        let Some(window) = Window::of(&webhook, filter, now) else { return Ok(None) };
        let mut before: Option<Cursor> = None;
        // From the newest event on, because the journal may go back much further than the window.
        let first = loop {
            match self.is_past(space, window.from, before)? {
                (false, Some(next)) => before = Some(next),
                (_, next) => break next.map_or(0, |cursor| cursor.seq),
            }
            tokio::task::yield_now().await;
        };
        Ok(Some(Missed { webhook, window, first }))
    }

    /// Whether an event of the next page of the journal, newest first, is older than `from`; and the cursor of the page
    /// after it.
    fn is_past(
        &self,
        space: &SpaceId,
        from: Timestamp,
        before: Option<Cursor>,
    ) -> Result<(bool, Option<Cursor>), PipelineError> {
        let past = Cell::new(false);
        let look = |event: &Event| {
            past.set(past.get() || event.received_at < from);
            false
        };
        let listing = self.store.events.events(space, Page { before, limit: 1 }, &look)?;
        Ok((past.get(), listing.next))
    }

    /// The positions of events between `from` and `to` in the journal that the webhook missed, from at most `limit`
    /// events; and the position at which to continue.
    pub(crate) fn missed_within(
        &self,
        missed: &Missed,
        filter: &RedeliveryFilter,
        (from, to): (u64, u64),
        limit: usize,
    ) -> Result<(Vec<u64>, Option<u64>), PipelineError> {
        let Missed { webhook, window, first } = missed;
        let own = crate::notices::source_of(webhook);
        let mut wanted = Vec::new();
        let next = self.store.events.visit_events(&webhook.space, from.max(*first), to, limit, &mut |seq, event| {
            let is_wanted = event.received_at >= window.from
                && event.received_at < window.until
                && event.replays().is_none()
                && event.source != own
                && filter.event_type.as_ref().is_none_or(|wanted| *wanted == event.event_type)
                && webhook.events.iter().any(|pattern| pattern.takes(&event.event_type));
            if is_wanted {
                wanted.push(seq);
            }
        })?;
        let mut found = Vec::with_capacity(wanted.len());
        for seq in wanted {
            let deliveries = self.store.deliveries.deliveries_of(&webhook.space, seq)?;
            if !is_private(&deliveries) && deliveries.iter().all(|one| one.webhook != webhook.id) {
                found.push(seq);
            }
        }
        Ok((found, next))
    }
}

/// A new delivery of an event that the webhook missed.
pub(crate) fn late(webhook: &Webhook, seq: u64, event: &Event, now: Timestamp) -> Delivery {
    let key = webhook.order.as_ref().map(|order| order.key_of(event));
    Delivery {
        id: DeliveryId { seq, ordinal: 0 },
        space: event.space.clone(),
        event: event.id.clone(),
        event_type: event.event_type.clone(),
        subject: event.subject.clone(),
        webhook: webhook.id.clone(),
        queue: webhook.number,
        key,
        purpose: Purpose::Redelivery,
        message_id: unique("msg"),
        state: DeliveryState::Pending,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        redelivery_of: None,
        redelivered_by: None,
        created_at: now,
        finished_at: None,
    }
}
