//! Effects: changes that are committed together, with what a step or an API call read for them.

use hookwright_model::{
    Effects, IndexEntry, KvKey, KvWrite, NewEvent, RecordAddition, RecordKey, SpaceId, StoredNote, StoredRecord,
    Timestamp, Version,
};

use crate::batch::{Batch, Faults};
use crate::idempotency::{self, Keyed, Known};
use crate::journal::{Appended, Events, FAULTS, Prepared, append, prepare};
use crate::mails::{self, MAIL};
use crate::records::Records;
use crate::requests::{self, ReadyNote};
use crate::{StoreError, history, index, key_values, kinds, rows};

const EFFECTS: Faults = Faults { before: "effects.before-commit", after: "effects.after-commit" };

/// The kind under which the ids of notes are counted.
const NOTE: &str = "note";

/// The result of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Done,
    /// This was changed after it was read: nothing was written.
    Conflict(String),
    /// The request's idempotency key is known: nothing was written.
    Known(Known),
}

/// Effects that the caller has prepared, so that the writer has little work.
pub(crate) struct ReadyEffects {
    reads: Vec<(RecordKey, Option<Version>)>,
    kept_reads: Vec<(KvKey, Option<Version>)>,
    kinds: Vec<(String, u64)>,
    records: Vec<ReadyRecord>,
    additions: Vec<RecordAddition>,
    kept: Vec<KvWrite>,
    mails: Vec<(u64, Option<Timestamp>, Vec<u8>)>,
    notes: Vec<(RecordKey, u64, StoredNote)>,
    events: Vec<Prepared>,
    request: Option<ReadyNote>,
}

/// A change of one record.
struct ReadyRecord {
    key: RecordKey,
    /// Its new fields, JSON; `None`: it is deleted.
    row: Option<Vec<u8>>,
    unindex: Vec<IndexEntry>,
    index: Vec<IndexEntry>,
    history: Vec<u8>,
}

impl ReadyEffects {
    pub(crate) fn new(effects: Effects) -> Result<Self, StoreError> {
        let written = effects.records.into_iter().map(|write| {
            Ok(ReadyRecord {
                row: Some(rows::json(&write.value)?),
                history: rows::json(&write.history)?,
                key: write.key,
                unindex: write.unindex,
                index: write.index,
            })
        });
        let removed = effects.removed.into_iter().map(|gone| {
            let history = rows::json(&gone.history)?;
            Ok(ReadyRecord { key: gone.key, row: None, unindex: gone.unindex, index: Vec::new(), history })
        });
        let records = written.chain(removed);
        let notes = effects.notes.into_iter().map(|note| (note.on, note.id, note.stored));
        let mails = effects.mails.iter().map(|mail| Ok((mail.id, mails::due(mail), rows::json(mail)?)));
        Ok(Self {
            mails: mails.collect::<Result<_, StoreError>>()?,
            reads: effects.reads,
            kept_reads: effects.kept_reads,
            kinds: effects.kinds,
            kept: effects.kept,
            additions: effects.additions,
            records: records.collect::<Result<_, StoreError>>()?,
            notes: notes.collect(),
            events: effects.events.into_iter().map(Prepared::new).collect::<Result<_, _>>()?,
            request: effects.request.as_ref().map(ReadyNote::new).transpose()?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let records: usize = self
            .records
            .iter()
            .map(|record| record.row.as_ref().map_or(0, Vec::len).saturating_add(record.history.len()))
            .sum();
        let notes: usize = self.notes.iter().map(|(_, _, note)| note.json().len()).sum();
        let events: usize = self.events.iter().map(Prepared::bytes).sum();
        let mails: usize = self.mails.iter().map(|(_, _, row)| row.len()).sum();
        let kept: usize = self.kept.iter().filter_map(|write| write.value.as_ref()).map(|(value, _)| value.len()).sum();
        let request = self.request.as_ref().map_or(0, ReadyNote::bytes);
        [records, notes, events, mails, kept, request].iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// The first value that has changed since it was read (write conflict), if any.
pub(crate) fn conflict(batch: &mut Batch<'_>, space: u32, ready: &ReadyEffects) -> Result<Option<String>, StoreError> {
    for (key, seen) in &ready.reads {
        if version(batch, space, key)? != *seen {
            return Ok(Some(key.to_string()));
        }
    }
    for addition in &ready.additions {
        if version(batch, space, &addition.key)?.is_none() {
            return Ok(Some(addition.key.to_string()));
        }
    }
    for (name, revision) in &ready.kinds {
        if kinds::read(batch, space, name)?.map(|kind| kind.revision()) != Some(*revision) {
            return Ok(Some(format!("kind/{name}")));
        }
    }
    for (key, seen) in &ready.kept_reads {
        if !key_values::is_current(batch, space, key, *seen)? {
            return Ok(Some(format!("kv/{}/{}", key.plugin, key.key)));
        }
    }
    Ok(None)
}

fn version(batch: &mut Batch<'_>, space: u32, key: &RecordKey) -> Result<Option<Version>, StoreError> {
    match batch.records()?.get((space, key.kind.as_str(), key.id))? {
        Some(row) => rows::record_version(row.value()).map(Some),
        None => Ok(None),
    }
}

/// Writes effects whose reads are still current.
pub(crate) fn apply(batch: &mut Batch<'_>, space: u32, ready: ReadyEffects) -> Result<(), StoreError> {
    for record in ready.records {
        let ReadyRecord { key, row, unindex, index, history } = record;
        let next = version(batch, space, &key)?.unwrap_or(0).saturating_add(1);
        index::write(batch, space, &key, &unindex, &index)?;
        history::remember(batch, space, &key, next, &history)?;
        let place = (space, key.kind.as_str(), key.id);
        match row {
            Some(json) => {
                let row = rows::record_row(next, &json);
                batch.records()?.insert(place, row.as_slice())?;
                batch.count(space, &key.kind, key.id)?;
            }
            None => {
                batch.records()?.remove(place)?;
                let (first, last) =
                    ((space, key.kind.as_str(), key.id, 0), (space, key.kind.as_str(), key.id, u64::MAX));
                batch.notes()?.remove_range(first..=last)?;
            }
        }
    }
    for addition in ready.additions {
        add_to(batch, space, addition)?;
    }
    for (on, id, note) in ready.notes {
        batch.notes()?.insert((space, on.kind.as_str(), on.id, id), note.json().as_bytes())?;
        batch.count(space, NOTE, id)?;
    }
    for write in ready.kept {
        key_values::write(batch, space, write)?;
    }
    for (id, due, row) in ready.mails {
        mails::write(batch, space, id, due, &row)?;
        batch.count(space, MAIL, id)?;
    }
    for event in ready.events {
        append(batch, event)?;
    }
    if let Some(note) = ready.request {
        requests::write(batch, space, note)?;
    }
    Ok(())
}

/// Sets the next version and the time of change of a record that gets notes, and leaves its other fields unchanged.
fn add_to(batch: &mut Batch<'_>, space: u32, addition: RecordAddition) -> Result<(), StoreError> {
    let RecordAddition { key, kind, at, mut history } = addition;
    let place = (space, key.kind.as_str(), key.id);
    let stored = batch.records()?.get(place)?.map(|row| rows::read_record(row.value())).transpose()?;
    let Some(StoredRecord { version, mut value }) = stored else { return Ok(()) };
    let (gone, new) = kind.touch_stored(&mut value, at);
    history.version = version.saturating_add(1);
    index::write(batch, space, &key, gone.as_slice(), new.as_slice())?;
    history::remember(batch, space, &key, history.version, &rows::json(&history)?)?;
    let row = rows::record_row(history.version, &rows::json(&value)?);
    batch.records()?.insert(place, row.as_slice())?;
    Ok(())
}

impl Records {
    /// Commits changes that an API call requested.
    pub async fn commit(&self, space: &SpaceId, effects: Effects) -> Result<Committed, StoreError> {
        self.commit_keyed(space, effects, None).await
    }

    /// The same for a request that may have an idempotency key: if the key is known, nothing is written.
    pub async fn commit_keyed(
        &self,
        space: &SpaceId,
        effects: Effects,
        keyed: Option<Keyed>,
    ) -> Result<Committed, StoreError> {
        let space = space.clone();
        let ready = ReadyEffects::new(effects)?;
        self.db
            .write(Some(EFFECTS), ready.bytes(), move |batch| {
                let number = batch.number(&space)?;
                if let Some(keyed) = &keyed
                    && let Some(known) = idempotency::known(batch, number, &keyed.request, keyed.window)?
                {
                    return Ok(Committed::Known(known));
                }
                if let Some(what) = conflict(batch, number, &ready)? {
                    return Ok(Committed::Conflict(what));
                }
                apply(batch, number, ready)?;
                if let Some(keyed) = keyed {
                    idempotency::remember(batch, number, keyed)?;
                }
                Ok(Committed::Done)
            })
            .await
    }
}

impl Events {
    /// Appends events together with effects. If a value that the effects read has changed (write conflict), returns it
    /// and writes nothing. The request that delivered the events is logged with the events that were repeats.
    pub async fn append_with(
        &self,
        space: &SpaceId,
        events: Vec<NewEvent>,
        mut effects: Effects,
    ) -> Result<Result<Vec<Appended>, String>, StoreError> {
        let prepared = prepare(&self.backlog, events)?;
        let (into, space) = (space, space.clone());
        let note = effects.request.take();
        let ready_note = note.as_ref().map(ReadyNote::new).transpose()?;
        let ready = ReadyEffects::new(effects)?;
        let bytes = prepared.iter().map(Prepared::bytes).fold(ready.bytes(), usize::saturating_add);
        let bytes = bytes.saturating_add(ready_note.as_ref().map_or(0, ReadyNote::bytes));
        self.db
            .write_now(into, Some(FAULTS), bytes, move |batch| {
                let number = batch.number(&space)?;
                if let Some(what) = conflict(batch, number, &ready)? {
                    return Ok(Err(what));
                }
                apply(batch, number, ready)?;
                let appended: Result<Vec<_>, _> = prepared.into_iter().map(|event| append(batch, event)).collect();
                let appended = appended?;
                match note {
                    // Repeats are rare, so the writer may serialize the entry again.
                    Some(mut note) if appended.iter().any(|appended| appended.repeat) => {
                        let known = |keep: fn(&Appended) -> bool| {
                            appended.iter().filter(move |one| keep(one)).map(|one| one.id.clone())
                        };
                        note.entry.told.known(known(|one| one.repeat), known(|one| one.changed));
                        requests::write(batch, number, ReadyNote::new(&note)?)?;
                    }
                    _ => {
                        if let Some(note) = ready_note {
                            requests::write(batch, number, note)?;
                        }
                    }
                }
                Ok(Ok(appended))
            })
            .await
    }
}
