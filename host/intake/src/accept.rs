//! Accepts events: checks them, plans their runs and deliveries, and appends them to the journal.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Effects, EventDraft, KeyedRequest, Made, RequestNote, SpaceId, Told, Workbench};
use hookwright_routing::catalogue::Catalogue;
use hookwright_routing::planning::Routing;
use hookwright_store::{Appended, KeyWindow, Store, StoreError};

use crate::idempotency::made_by;

/// Accepts events.
pub struct Intake {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) routing: Arc<Routing>,
}

impl Intake {
    /// Accepts events: when this returns they are durable. All of them, or none.
    pub async fn accept(&self, space: &SpaceId, drafts: Vec<EventDraft>) -> Result<Vec<Appended>, PipelineError> {
        Ok(self.store.events.append(self.routing.planned(space, drafts)?).await?)
    }

    /// Accepts events that an API client sent. They cannot use the name of a source with a URL, which is reserved for
    /// events that were received and verified there. With an idempotency key, a retry gets the events of the first
    /// request.
    pub async fn accept_from_api(
        &self,
        space: &SpaceId,
        drafts: Vec<EventDraft>,
        request: Option<&KeyedRequest>,
    ) -> Result<Vec<Appended>, PipelineError> {
        if let Some(made) = self.made_before(space, request)? {
            return self.accepted_before(space, &made);
        }
        if let Some(draft) = drafts.iter().find(|draft| self.catalogue.is_source(space, &draft.source)) {
            let name = hookwright_model::abridged(&draft.source);
            return Err(PipelineError::Conflict {
                code: "source.reserved",
                message: format!(
                    "the source `{name}` has a URL of its own: send the event there, or give it another source"
                ),
            });
        }
        self.accept_once(space, drafts, request).await
    }

    /// The same, together with the values that a source stores and an entry for its log. `Err`: a value that the source
    /// had read was changed concurrently; names the value.
    pub(crate) async fn accept_with(
        &self,
        space: &SpaceId,
        drafts: Vec<EventDraft>,
        workbench: Option<Workbench>,
        note: Option<RequestNote>,
    ) -> Result<Result<Vec<Appended>, String>, PipelineError> {
        let effects = workbench
            .map(|workbench| self.catalogue.finish(workbench))
            .filter(|effects| !effects.kept_reads.is_empty() || !effects.kept.is_empty());
        if effects.is_none() && drafts.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let events = self.routing.planned(space, drafts)?;
        let request = note.map(|mut note| {
            let ids = events.iter().map(|new| new.event.id.clone());
            note.entry.told = Told::taken(note.entry.told.status, ids);
            note
        });
        let effects = Effects { request, ..effects.unwrap_or_default() };
        Ok(self.store.events.append_with(space, events, effects).await?)
    }

    /// The period in which idempotency keys are known.
    pub fn key_window(&self) -> KeyWindow {
        KeyWindow::new(self.clock.now(), self.settings.idempotency_ttl)
    }

    /// What the first request with this idempotency key created. `None`: there was none, its key has expired, or the
    /// request has no key.
    ///
    /// # Errors
    /// Another request was sent with this key.
    pub fn made_before(&self, space: &SpaceId, request: Option<&KeyedRequest>) -> Result<Option<Made>, PipelineError> {
        let Some(request) = request else { return Ok(None) };
        let known = self.store.idempotency.known_request(space, request, self.key_window())?;
        known.map(|known| made_by(known, request)).transpose()
    }

    /// Accepts the events of a request that may have an idempotency key.
    pub async fn accept_once(
        &self,
        space: &SpaceId,
        drafts: Vec<EventDraft>,
        request: Option<&KeyedRequest>,
    ) -> Result<Vec<Appended>, PipelineError> {
        let Some(request) = request else { return self.accept(space, drafts).await };
        match self
            .store
            .idempotency
            .append_keyed(space, self.routing.planned(space, drafts)?, request, self.key_window())
            .await?
        {
            Ok(appended) => Ok(appended),
            // A concurrent request was faster.
            Err(known) => self.accepted_before(space, &made_by(known, request)?),
        }
    }

    /// The events that the first request created.
    pub fn accepted_before(&self, space: &SpaceId, made: &Made) -> Result<Vec<Appended>, PipelineError> {
        let seqs = match made {
            Made::Events(seqs) => seqs.as_slice(),
            Made::Record { .. } | Made::Note { .. } => &[],
        };
        let again = seqs.iter().map(|seq| {
            let event = self.store.events.event_at(space, *seq)?;
            let event =
                event.ok_or_else(|| StoreError::Corrupt(format!("event {seq} of an idempotency key is gone")))?;
            Ok(Appended { seq: *seq, id: event.id.clone(), repeat: true, changed: false })
        });
        again.collect()
    }
}
