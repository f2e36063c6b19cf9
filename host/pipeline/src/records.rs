use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{
    Author, Cause, Failure, HistoryEntry, KindInput, Mistake, Query, RecordKey, RecordKind, RequestNote, Source,
    SpaceId, StateView as _, StoredRecord, TICKET, Told, Workbench, builtin_kind, builtin_kinds, is_kind,
};
use hookwright_store::{Committed, Found, KindDeleted, KindStored};

use crate::{Arrival, Pipeline, PipelineError};

/// How often a change is made again because somebody else was faster.
const MAX_CONFLICTS: u32 = 100;

/// What a change of records gave, once it is durable.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What the change returned.
    pub value: T,
    /// Ids of the events that tell of it.
    pub events: Vec<String>,
}

impl Pipeline {
    /// Makes a change of records as one transaction, on the newest state: `change` runs again if what it read was
    /// changed meanwhile.
    pub async fn change<T, E>(
        &self,
        space: &SpaceId,
        author: &Author,
        change: impl Fn(&mut Workbench) -> Result<T, E>,
    ) -> Result<Changed<T>, PipelineError>
    where
        PipelineError: From<E>,
    {
        self.change_as(space, author, &Cause::api(), None, change).await
    }

    /// The same for a request at the URL of a source, which is answered with `status`: the source is named as the cause and
    /// as who did it, and its log gets a note in the same transaction.
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
        let note = self.note(source, arrival, Told::taken(status, []));
        self.change_as(&source.space, &author, &Cause::source(&source.name), Some(note), change).await
    }

    async fn change_as<T, E>(
        &self,
        space: &SpaceId,
        author: &Author,
        cause: &Cause,
        note: Option<RequestNote>,
        change: impl Fn(&mut Workbench) -> Result<T, E>,
    ) -> Result<Changed<T>, PipelineError>
    where
        PipelineError: From<E>,
    {
        for conflicts in 0..MAX_CONFLICTS {
            let mut workbench = self.workbench(space, "hookwright/api", cause.clone());
            workbench.sign(author.clone());
            let value = change(&mut workbench)?;
            let mut effects = self.catalogue.finish(workbench);
            for new in &effects.events {
                self.strict.check(&new.event, "data")?;
            }
            let events: Vec<String> = effects.events.iter().map(|new| new.event.id.clone()).collect();
            effects.request = note.clone().map(|mut note| {
                note.entry.told.events.clone_from(&events);
                note
            });
            match self.store.commit(space, effects).await? {
                Committed::Done | Committed::Superseded => return Ok(Changed { value, events }),
                Committed::Conflict(_) => {
                    tokio::time::sleep(Duration::from_micros(rand::random_range(0..100) * u64::from(conflicts))).await;
                }
            }
        }
        Err(PipelineError::Conflict {
            code: "record.contended",
            message: format!("others changed the same record {MAX_CONFLICTS} times meanwhile: try again"),
        })
    }

    /// Looks at records as a change would see them.
    pub fn look<T>(
        &self,
        space: &SpaceId,
        look: impl Fn(&mut Workbench) -> Result<T, Failure>,
    ) -> Result<T, PipelineError> {
        Ok(look(&mut self.workbench(space, "hookwright/api", Cause::api()))?)
    }

    /// A record with its version, or an error that says there is none.
    pub fn record(&self, space: &SpaceId, kind: &str, id: &str) -> Result<(RecordKey, StoredRecord), PipelineError> {
        let what = if kind == TICKET { "ticket" } else { "record" };
        let not_found = || PipelineError::not_found(what, id);
        let key = RecordKey { kind: kind.to_owned(), id: id.trim().parse().map_err(|_| not_found())? };
        let record = self.store.record(space, &key)?.ok_or_else(not_found)?;
        Ok((key, record))
    }

    /// Records of a kind that a query asks for, in its order. At most 10,000 rows are looked at; a sorted list that would
    /// need more is refused.
    pub fn list_records(
        &self,
        space: &SpaceId,
        kind: &RecordKind,
        query: &Query,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Found, PipelineError> {
        let found = self.store.query_records(space, kind, query, cursor, limit)?.ok_or_else(|| {
            Mistake::new("cursor", "is none that this list gave: take `next` of the page before as it is")
        })?;
        if found.too_many {
            let indexed: Vec<&str> = kind.indexed().collect();
            let message = format!(
                "more than 10000 records would have to be sorted: ask for fewer by an indexed field ({}), or leave the \
                 order to the ids",
                indexed.join(", ")
            );
            return Err(Mistake::new("sort", message).into());
        }
        Ok(found)
    }

    /// The changes of a record, the newest first, also of one that was deleted.
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
        let history = self.store.history(space, &key, before, limit)?;
        if history.is_empty() && before.is_none() && self.store.record(space, &key)?.is_none() {
            return Err(not_found());
        }
        Ok(history)
    }

    /// The kind of this name, or an error that says how to declare it.
    pub fn kind(&self, space: &SpaceId, name: &str) -> Result<Arc<RecordKind>, PipelineError> {
        Ok(self.workbench(space, "hookwright/api", Cause::api()).kind(name)?)
    }

    /// The kinds that come with the server and those of the space, by name.
    pub fn kinds(&self, space: &SpaceId) -> Result<Vec<Arc<RecordKind>>, PipelineError> {
        let own = self.store.own_kinds(space)?.into_iter().map(Arc::new);
        let mut kinds: Vec<Arc<RecordKind>> = builtin_kinds().cloned().chain(own).collect();
        kinds.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(kinds)
    }

    /// Declares a kind of the space's own, or changes it; whether it is new.
    pub async fn declare_kind(
        &self,
        space: &SpaceId,
        name: &str,
        input: KindInput,
    ) -> Result<(RecordKind, bool), PipelineError> {
        built_in(name)?;
        let former = if is_kind(name) { self.store.own_kind(space, name)? } else { None };
        let kind =
            RecordKind::declare(name, input, former.as_ref(), self.clock.now()).map_err(PipelineError::Invalid)?;
        let conflict = |code, message| Err(PipelineError::Conflict { code, message });
        match self.store.put_kind(space, kind.clone(), former.as_ref().map(RecordKind::revision)).await? {
            KindStored::Done => Ok((kind, former.is_none())),
            KindStored::Conflict => conflict(
                "kind.changed",
                format!("the kind `{name}` was declared by somebody else meanwhile: try again"),
            ),
            KindStored::TooMany(most) => {
                conflict("kind.too_many", format!("the space has {most} kinds of its own, the most: delete one first"))
            }
            KindStored::TooManyRecords(most) => conflict(
                "kind.too_many_records",
                format!("`{name}` has more than {most} records: its indexed fields cannot change any more"),
            ),
        }
    }

    /// Takes a kind of the space's own away; refused while it has records.
    pub async fn delete_kind(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        built_in(name)?;
        match self.store.delete_kind(space, name).await? {
            KindDeleted::Done => Ok(()),
            KindDeleted::Missing => Err(PipelineError::not_found("kind", name)),
            KindDeleted::InUse => Err(PipelineError::Conflict {
                code: "kind.in_use",
                message: format!("there are records of the kind `{name}`: delete them first"),
            }),
        }
    }
}

fn built_in(name: &str) -> Result<(), PipelineError> {
    if builtin_kind(name).is_none() {
        return Ok(());
    }
    let message = format!("the kind `{name}` comes with the server: declare one of another name");
    Err(PipelineError::Conflict { code: "kind.built_in", message })
}
