//! Records, their notes, and effects that change them.

use std::sync::{Arc, PoisonError};

use hookwright_model::{
    Effects, Failure, IndexEntry, Kept, KvKey, KvSize, KvWrite, RecordKey, RecordKind, SpaceId, StateView,
    StoredRecord, Timestamp, Version, builtin_kind,
};
use redb::ReadableTable as _;
use serde_json::Value;

use crate::journal::{Prepared, append};
use crate::page::SCANNED;
use crate::requests::{self, ReadyNote};
use crate::tables::{COUNTERS, NOTES, RECORDS};
use crate::writer::{Batch, Faults};
use crate::{Committed, Store, StoreError, index, kept, kinds, mails, rows};

const EFFECTS: Faults = Faults { before: "effects.before-commit", after: "effects.after-commit" };

/// The kind under which the ids of notes are counted.
const NOTE: &str = "note";
/// And those of mails.
pub(crate) const MAIL: &str = "mail";

/// Effects made ready by their caller, so that the writer has little left to do.
pub(crate) struct Ready {
    reads: Vec<(RecordKey, Option<Version>)>,
    kept_reads: Vec<(KvKey, Option<Version>)>,
    kinds: Vec<(String, u64)>,
    records: Vec<ReadyRecord>,
    kept: Vec<KvWrite>,
    mails: Vec<(u64, Option<Timestamp>, Vec<u8>)>,
    notes: Vec<(RecordKey, u64, Vec<u8>)>,
    events: Vec<Prepared>,
    request: Option<ReadyNote>,
}

/// A change of one record.
struct ReadyRecord {
    key: RecordKey,
    /// Its new fields, JSON; none: it goes.
    row: Option<Vec<u8>>,
    unindex: Vec<IndexEntry>,
    index: Vec<IndexEntry>,
    history: Vec<u8>,
}

impl Ready {
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
        let notes = effects.notes.into_iter().map(|note| Ok((note.on, note.id, rows::json(&note.value)?)));
        let mails = effects.mails.iter().map(|mail| Ok((mail.id, mails::due(mail), rows::json(mail)?)));
        Ok(Self {
            mails: mails.collect::<Result<_, StoreError>>()?,
            reads: effects.reads,
            kept_reads: effects.kept_reads,
            kinds: effects.kinds,
            kept: effects.kept,
            records: records.collect::<Result<_, StoreError>>()?,
            notes: notes.collect::<Result<_, StoreError>>()?,
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
        let notes: usize = self.notes.iter().map(|(_, _, row)| row.len()).sum();
        let events: usize = self.events.iter().map(Prepared::bytes).sum();
        let mails: usize = self.mails.iter().map(|(_, _, row)| row.len()).sum();
        let kept: usize = self.kept.iter().filter_map(|write| write.value.as_ref()).map(|(value, _)| value.len()).sum();
        let request = self.request.as_ref().map_or(0, ReadyNote::bytes);
        [records, notes, events, mails, kept, request].iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// What is no longer as it was read, if there is such a thing.
pub(crate) fn conflict(batch: &mut Batch<'_>, space: u32, ready: &Ready) -> Result<Option<String>, StoreError> {
    for (key, seen) in &ready.reads {
        if version(batch, space, key)? != *seen {
            return Ok(Some(key.to_string()));
        }
    }
    for (name, revision) in &ready.kinds {
        if kinds::read(batch, space, name)?.map(|kind| kind.revision()) != Some(*revision) {
            return Ok(Some(format!("kind/{name}")));
        }
    }
    for (key, seen) in &ready.kept_reads {
        if !kept::is_current(batch, space, key, *seen)? {
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

/// Writes effects whose reads were found to be current.
pub(crate) fn apply(batch: &mut Batch<'_>, space: u32, ready: Ready) -> Result<(), StoreError> {
    for record in ready.records {
        let ReadyRecord { key, row, unindex, index, history } = record;
        let next = version(batch, space, &key)?.unwrap_or(0).saturating_add(1);
        index::write(batch, space, &key, &unindex, &index)?;
        kinds::remember(batch, space, &key, next, &history)?;
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
                batch.notes()?.retain_in(first..=last, |_, _| false)?;
            }
        }
    }
    for (on, id, json) in ready.notes {
        batch.notes()?.insert((space, on.kind.as_str(), on.id, id), json.as_slice())?;
        batch.count(space, NOTE, id)?;
    }
    for write in ready.kept {
        kept::write(batch, space, write)?;
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

impl Store {
    /// Commits changes that an API call asked for.
    pub async fn commit(&self, space: &SpaceId, effects: Effects) -> Result<Committed, StoreError> {
        let space = space.clone();
        let ready = Ready::new(effects)?;
        self.write(Some(EFFECTS), ready.bytes(), move |batch| {
            let number = batch.number(&space)?;
            if let Some(what) = conflict(batch, number, &ready)? {
                return Ok(Committed::Conflict(what));
            }
            apply(batch, number, ready)?;
            Ok(Committed::Done)
        })
        .await
    }

    /// Records of a kind for which `keep` says yes, the highest id first, and the id before which the next part begins.
    pub fn records(
        &self,
        space: &SpaceId,
        kind: &str,
        before: Option<u64>,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<(Vec<StoredRecord>, Option<u64>), StoreError> {
        let Some(number) = self.number(space) else { return Ok((Vec::new(), None)) };
        let read = self.begin_read()?;
        let table = read.open_table(RECORDS)?;
        let before = before.unwrap_or(u64::MAX);
        let mut records = Vec::new();
        let mut last = None;
        for (scanned, row) in table.range((number, kind, 0)..(number, kind, before))?.rev().enumerate() {
            let (key, row) = row?;
            if records.len() >= limit || scanned >= SCANNED {
                return Ok((records, last));
            }
            last = Some(key.value().2);
            let record = rows::read_record(row.value())?;
            if keep(&record.value) {
                records.push(record);
            }
        }
        Ok((records, None))
    }

    /// Notes on a record with ids above `after`, the first one first.
    pub fn all_notes(
        &self,
        space: &SpaceId,
        key: &RecordKey,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(NOTES)?;
        let first = (number, key.kind.as_str(), key.id, after.map_or(0, |id| id.saturating_add(1)));
        let last = (number, key.kind.as_str(), key.id, u64::MAX);
        table.range(first..=last)?.take(limit).map(|row| rows::read(row?.1.value())).collect()
    }

    fn read_record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(RECORDS)?.get((number, key.kind.as_str(), key.id))?;
        row.map(|row| rows::read_record(row.value())).transpose()
    }

    fn newest_notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<Value>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(NOTES)?;
        let (first, last) = ((number, key.kind.as_str(), key.id, 0), (number, key.kind.as_str(), key.id, u64::MAX));
        let rows = table.range(first..=last)?.rev().take(limit);
        let mut notes: Vec<Value> = rows.map(|row| rows::read(row?.1.value())).collect::<Result<_, StoreError>>()?;
        notes.reverse();
        Ok(notes)
    }

    fn counted(&self, space: &SpaceId, kind: &str) -> Result<u64, StoreError> {
        let Some(number) = self.number(space) else { return Ok(0) };
        let read = self.begin_read()?;
        let highest = read.open_table(COUNTERS)?.get((number, kind))?;
        Ok(highest.map_or(0, |value| value.value()))
    }
}

impl Store {
    /// An id that nothing of this kind has had in this space, whether or not what it was given to was committed.
    pub(crate) fn give_id(&self, space: &SpaceId, kind: &str) -> Result<u64, StoreError> {
        let mut ids = self.inner.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (space.clone(), kind.to_owned());
        let highest = match ids.get(&slot) {
            Some(highest) => *highest,
            None => self.counted(space, kind)?,
        };
        let next = highest.saturating_add(1);
        ids.insert(slot, next);
        Ok(next)
    }
}

impl StateView for Store {
    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        Ok(self.read_record(space, key)?)
    }

    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<Value>, Failure> {
        Ok(self.newest_notes(space, key, limit)?)
    }

    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure> {
        Ok(self.give_id(space, kind)?)
    }

    fn find(
        &self,
        space: &SpaceId,
        kind: &str,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        let (found, _) = self.records(space, kind, None, limit, keep)?;
        let keyed = found.into_iter().filter_map(|record| {
            let id = record.value.get("id")?.as_u64()?;
            Some((RecordKey { kind: kind.to_owned(), id }, record))
        });
        Ok(keyed.collect())
    }

    fn kind(&self, space: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        match builtin_kind(name) {
            Some(kind) => Ok(Some(Arc::clone(kind))),
            None => Ok(self.own_kind(space, name)?.map(Arc::new)),
        }
    }

    fn kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure> {
        Ok(self.read_kept(space, key)?)
    }

    fn kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure> {
        Ok(self.read_kept_keys(space, plugin, prefix, limit)?)
    }

    fn kept_size(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, Failure> {
        Ok(self.kept_by(space, plugin)?)
    }
}
