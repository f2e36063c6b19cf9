//! Records: read, changed through a workbench, and deleted.

use std::sync::Arc;

use hookwright_foundation::conflicts::{MAX_CONFLICTS, TryOutcome, retry_on_conflict};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::hops;
use hookwright_foundation::turns::Turns;
use hookwright_intake::accept::Intake;
use hookwright_intake::arrival::Arrival;
use hookwright_intake::idempotency::{KeyedChange, Once, in_progress};
use hookwright_intake::source_log::SourceLog;
use hookwright_invoke::calls::Invoke;
use hookwright_model::{
    Author, Cause, Failure, HistoryEntry, KeyedRequest, Made, Mistake, Query, RecordKey, RecordKind, RequestNote,
    Source, SpaceId, StateView as _, StoredNote, StoredRecord, TICKET, Told, Workbench, builtin_kinds,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_routing::event_types::Strict;
use hookwright_store::{Committed, Found, Keyed, Store};
use serde_json::Value;

/// The result of a change of records, once it is durable.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What the change returned.
    pub value: T,
    /// Ids of the events that report it.
    pub events: Vec<String>,
}

/// Reads and changes records.
pub struct Records {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) store: Store,
    pub(crate) strict: Arc<Strict>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) invoke: Arc<Invoke>,
    pub(crate) source_log: Arc<SourceLog>,
}

impl Records {
    /// Changes records in one transaction, on the newest state: `change` runs again if what it read was changed
    /// concurrently.
    pub async fn change<T, E>(
        &self,
        space: &SpaceId,
        author: &Author,
        change: impl Fn(&mut Workbench) -> Result<T, E>,
    ) -> Result<Changed<T>, PipelineError>
    where
        PipelineError: From<E>,
    {
        self.change_as(space, author, &Cause::api(), None, None, change).await
    }

    /// The same for a request at the URL of a source, which is answered with `status`: the source is recorded as the
    /// cause and the author, and its log gets an entry in the same transaction.
    pub async fn change_through<T, E>(
        &self,
        source: &Source,
        author: Author,
        (arrival, status): (&Arrival, u16),
        change: impl Fn(&mut Workbench) -> Result<T, E>,
    ) -> Result<Changed<T>, PipelineError>
    where
        PipelineError: From<E>,
    {
        let author = Author { source: Some(source.name.clone()), ..author };
        let note = self.source_log.note(source, arrival, Told::taken(status, []));
        self.change_as(&source.space, &author, &Cause::source(&source.name), Some(note), None, change).await
    }

    /// The same with all options: an entry for a source's log; an idempotency key, and what the change creates for it.
    pub(crate) async fn change_as<T, E>(
        &self,
        space: &SpaceId,
        author: &Author,
        cause: &Cause,
        note: Option<RequestNote>,
        keyed: Option<KeyedChange<'_, T>>,
        change: impl Fn(&mut Workbench) -> Result<T, E>,
    ) -> Result<Changed<T>, PipelineError>
    where
        PipelineError: From<E>,
    {
        self.store.takes_changes()?;
        let cause = hops::counted(Some(cause.clone())).unwrap_or_else(Cause::api);
        let changed = retry_on_conflict(&self.turns, space, || async {
            let mut workbench = self.invoke.workbench(space, "hookwright/api", cause.clone());
            workbench.sign(author.clone());
            let value = change(&mut workbench)?;
            let mut effects = self.catalogue.finish(workbench);
            for new in &effects.events {
                self.strict.check(&new.event, "data")?;
            }
            if effects.events.iter().any(|new| !new.plan.automations.is_empty()) {
                self.store.backlog.takes_events(space)?;
            }
            let events: Vec<String> = effects.events.iter().map(|new| new.event.id.clone()).collect();
            effects.request = note.clone().map(|mut note| {
                note.entry.told.events.clone_from(&events);
                note
            });
            let window = self.intake.key_window();
            let new_key = keyed.map(|(request, made)| Keyed { request: request.clone(), made: made(&value), window });
            match self.store.records.commit_keyed(space, effects, new_key).await? {
                Committed::Done => Ok(TryOutcome::Done(Changed { value, events })),
                Committed::Conflict(what) => Ok(TryOutcome::Conflict(what)),
                Committed::Known(_) => Err(in_progress(keyed.map(|(request, _)| request))),
            }
        });
        changed.await?.ok_or_else(|| PipelineError::Conflict {
            code: "record.contended",
            message: format!(
                "write conflict: the same record was changed concurrently {MAX_CONFLICTS} times: try again"
            ),
        })
    }

    /// Reads records as a change would see them.
    pub fn look<T>(
        &self,
        space: &SpaceId,
        look: impl Fn(&mut Workbench) -> Result<T, Failure>,
    ) -> Result<T, PipelineError> {
        Ok(look(&mut self.invoke.workbench(space, "hookwright/api", Cause::api()))?)
    }

    /// A record with its version, or an error if it does not exist.
    pub fn record(&self, space: &SpaceId, kind: &str, id: &str) -> Result<(RecordKey, StoredRecord), PipelineError> {
        let what = if kind == TICKET { "ticket" } else { "record" };
        let not_found = || PipelineError::not_found(what, id);
        let key = RecordKey { kind: kind.to_owned(), id: id.trim().parse().map_err(|_| not_found())? };
        let record = self.store.record(space, &key)?.ok_or_else(not_found)?;
        Ok((key, record))
    }

    /// The notes on a record after the one with this id, oldest first.
    pub fn notes(
        &self,
        space: &SpaceId,
        key: &RecordKey,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Value>, PipelineError> {
        Ok(self.store.records.all_notes(space, key, after, limit)?)
    }

    /// The newest notes on a record.
    pub fn newest_notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<Value>, PipelineError> {
        let notes = self.store.notes(space, key, limit)?;
        Ok(notes.iter().map(StoredNote::value).collect::<Result<Vec<Value>, Failure>>()?)
    }

    /// Records of a kind that match a query, in its order. At most 10,000 rows are read; a sorted list that would need
    /// more is refused.
    pub fn list_records(
        &self,
        space: &SpaceId,
        kind: &RecordKind,
        query: &Query,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Found, PipelineError> {
        let found = self.store.records.query_records(space, kind, query, cursor, limit)?.ok_or_else(|| {
            Mistake::new("cursor", "is not a cursor of this list: give `next` of the previous page unchanged")
        })?;
        if found.too_many {
            let indexed: Vec<&str> = kind.indexed().collect();
            let message = format!(
                "more than 10000 records would have to be sorted: filter by an indexed field ({}), or sort by id",
                indexed.join(", ")
            );
            return Err(Mistake::new("sort", message).into());
        }
        Ok(found)
    }

    /// The changes of a record, the newest first, also of a deleted record.
    pub fn history(
        &self,
        space: &SpaceId,
        kind: &str,
        id: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, PipelineError> {
        let what = if kind == TICKET { "ticket" } else { "record" };
        let not_found = || PipelineError::not_found(what, id);
        let key = RecordKey { kind: kind.to_owned(), id: id.trim().parse().map_err(|_| not_found())? };
        let history = self.store.records.history(space, &key, before, limit)?;
        if history.is_empty() && before.is_none() && self.store.record(space, &key)?.is_none() {
            return Err(not_found());
        }
        Ok(history)
    }

    /// The kind of this name, or an error that says how to declare it.
    pub fn kind(&self, space: &SpaceId, name: &str) -> Result<Arc<RecordKind>, PipelineError> {
        Ok(self.invoke.workbench(space, "hookwright/api", Cause::api()).kind(name)?)
    }

    /// The built-in kinds and those of the space, by name.
    pub fn kinds(&self, space: &SpaceId) -> Result<Vec<Arc<RecordKind>>, PipelineError> {
        let own = self.store.kinds.own_kinds(space)?.into_iter().map(Arc::new);
        let mut kinds: Vec<Arc<RecordKind>> = builtin_kinds().cloned().chain(own).collect();
        kinds.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(kinds)
    }
}

impl Records {
    /// Changes records, as [`Records::change`] does, for a request that may have an idempotency key. `made` names what
    /// the change creates.
    pub async fn change_once<T, E>(
        &self,
        space: &SpaceId,
        author: &Author,
        request: Option<&KeyedRequest>,
        change: impl Fn(&mut Workbench) -> Result<T, E>,
        made: impl Fn(&T) -> Made + Sync,
    ) -> Result<Once<T>, PipelineError>
    where
        PipelineError: From<E>,
    {
        if let Some(made) = self.intake.made_before(space, request)? {
            return Ok(Once::Retry(made));
        }
        let keyed = request.map(|request| -> KeyedChange<'_, T> { (request, &made) });
        Ok(Once::Done(self.change_as(space, author, &Cause::api(), None, keyed, change).await?.value))
    }
}
