//! Sending again what was sent before: one delivery, or all that fit a filter, however many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hookwright_model::{Delivery, DeliveryId, DeliveryState, Purpose, SpaceId, Timestamp, WebhookId, unique};
use hookwright_store::{Cursor, Page};
use serde::{Deserialize, Serialize};

use crate::{Pipeline, PipelineError};

/// How many are queued in one commit.
const AT_ONCE: usize = 500;
/// How many redeliveries are remembered.
const MOST: usize = 1000;

/// Which deliveries are sent again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeliveryFilter {
    /// Only those to this webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookId>,
    /// Only those queued at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only those queued before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only those of this event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Only those in this state. Default `dead`; those that are still pending are never sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only those whose last error holds this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl RedeliveryFilter {
    fn takes(&self, delivery: &Delivery) -> bool {
        delivery.state == self.state.unwrap_or(DeliveryState::Dead)
            && delivery.state != DeliveryState::Pending
            && delivery.redelivered_by.is_none()
            && self.webhook.as_ref().is_none_or(|webhook| *webhook == delivery.webhook)
            && self.from.is_none_or(|from| delivery.created_at >= from)
            && self.until.is_none_or(|until| delivery.created_at < until)
            && self.event_type.as_ref().is_none_or(|wanted| *wanted == delivery.event_type)
            && self
                .error
                .as_ref()
                .is_none_or(|text| delivery.last_error.as_ref().is_some_and(|error| error.contains(text.as_str())))
    }
}

/// A redelivery of many, and how far it has come.
#[derive(Clone, Debug, Serialize)]
pub struct Redelivery {
    /// Names it in the API.
    pub id: String,
    /// Which deliveries.
    pub filter: RedeliveryFilter,
    /// `running`, `done`, `failed` or `stopped`.
    pub state: &'static str,
    /// How many deliveries fit the filter so far.
    pub seen: u64,
    /// How many were queued once more.
    pub queued: u64,
    /// What went wrong, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// The redeliveries since the server started.
#[derive(Default)]
pub(crate) struct Redeliveries(Mutex<HashMap<SpaceId, Vec<Redelivery>>>);

impl Redeliveries {
    fn change(&self, space: &SpaceId, id: &str, change: impl FnOnce(&mut Redelivery)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get_mut(space).and_then(|list| list.iter_mut().find(|one| one.id == id)) {
            change(found);
        }
    }

    fn put(&self, space: &SpaceId, redelivery: Redelivery) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = all.entry(space.clone()).or_default();
        if list.len() >= MOST {
            list.remove(0);
        }
        list.push(redelivery);
    }
}

impl Pipeline {
    /// Sends a delivery again, whatever came of it.
    pub async fn redeliver(&self, space: &SpaceId, id: DeliveryId) -> Result<Delivery, PipelineError> {
        let missing = || PipelineError::not_found("delivery", &id.to_string());
        let delivery = self.store.delivery(space, id)?.ok_or_else(missing)?;
        if delivery.state == DeliveryState::Pending {
            return Err(PipelineError::Conflict {
                code: "delivery.pending",
                message: "the delivery is still to be made: it goes out by itself".to_owned(),
            });
        }
        self.webhook(space, delivery.webhook.as_str())?;
        self.store.redeliver(space, id, self.now(), Purpose::Redelivery).await?.ok_or_else(missing)
    }

    /// Begins to send again everything that fits the filter. It goes on in the background.
    pub fn redeliver_all(self: &Arc<Self>, space: &SpaceId, filter: RedeliveryFilter) -> Redelivery {
        let redelivery = Redelivery {
            id: unique("rdl"),
            filter,
            state: "running",
            seen: 0,
            queued: 0,
            error: None,
            started_at: self.now(),
            finished_at: None,
        };
        self.redeliveries.put(space, redelivery.clone());
        let (pipeline, space, id, filter) =
            (Arc::clone(self), space.clone(), redelivery.id.clone(), redelivery.filter.clone());
        tokio::spawn(async move {
            let ended = pipeline.redeliver_in_steps(&space, &id, &filter).await;
            let now = pipeline.now();
            pipeline.redeliveries.change(&space, &id, |one| {
                one.finished_at = Some(now);
                match ended {
                    Ok(state) => one.state = state,
                    Err(error) => {
                        one.state = "failed";
                        one.error = Some(error.to_string());
                    }
                }
            });
        });
        redelivery
    }

    async fn redeliver_in_steps(
        &self,
        space: &SpaceId,
        id: &str,
        filter: &RedeliveryFilter,
    ) -> Result<&'static str, PipelineError> {
        let mut before: Option<Cursor> = None;
        loop {
            if *self.stopping.borrow() {
                return Ok("stopped");
            }
            let listing = self.store.deliveries(space, Page { before, limit: AT_ONCE }, &|one| filter.takes(one))?;
            let ids: Vec<DeliveryId> = listing.items.iter().map(|delivery| delivery.id).collect();
            let made = if ids.is_empty() { 0 } else { self.store.redeliver_many(space, ids, self.now()).await?.len() };
            self.redeliveries.change(space, id, |one| {
                one.seen = one.seen.saturating_add(u64::try_from(listing.items.len()).unwrap_or(u64::MAX));
                one.queued = one.queued.saturating_add(u64::try_from(made).unwrap_or(u64::MAX));
            });
            match listing.next {
                Some(next) => before = Some(next),
                None => return Ok("done"),
            }
        }
    }

    /// The redeliveries of a space since the server started, the newest first.
    pub fn redeliveries(&self, space: &SpaceId) -> Vec<Redelivery> {
        let all = self.redeliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(space).map(|list| list.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// One of them.
    pub fn redelivery(&self, space: &SpaceId, id: &str) -> Result<Redelivery, PipelineError> {
        let found = self.redeliveries(space).into_iter().find(|one| one.id == id);
        found.ok_or_else(|| PipelineError::not_found("redelivery", id))
    }
}
