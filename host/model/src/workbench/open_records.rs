//! The records that a step has read or created, and the notes that it adds to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::budget::ChangeBudget;
use super::event_notes::{MAX_EVENT_NOTES_BYTES, MAX_NOTES_PER_TICKET, event_notes_size};
use super::stored::Stored;
use crate::{
    Effects, Failure, NoteDraft, RecordKey, RecordKind, StoredNote, TICKET, Timestamp, Version, is_kind, json_size,
};

/// How many copies of a changed record are in memory until the commit: its row, its history entry and its events.
const COPIES: usize = 4;

/// The records that a step has read or created, and the notes that it adds to them.
#[derive(Default)]
pub(super) struct OpenRecords {
    reads: BTreeMap<RecordKey, Option<Version>>,
    /// Kinds that the step has used.
    kinds: BTreeMap<String, Arc<RecordKind>>,
    open: BTreeMap<RecordKey, Open>,
    notes: Vec<NoteDraft>,
}

/// A record that the step has read or created.
pub(super) struct Open {
    pub(super) before: Option<Value>,
    pub(super) after: Value,
    pub(super) touched: bool,
    pub(super) removed: bool,
    /// Whether the step depends on the record's previous state. Adding a note does not.
    pub(super) relied: bool,
    /// The newest stored notes, once they were read.
    pub(super) notes: Option<Vec<StoredNote>>,
    /// The size of its change, as it is counted.
    charged: usize,
}

impl Open {
    fn stored(value: Value) -> Self {
        Self {
            before: Some(value.clone()),
            after: value,
            touched: false,
            removed: false,
            relied: false,
            notes: None,
            charged: 0,
        }
    }

    fn new(value: Value) -> Self {
        Self { before: None, after: value, touched: true, removed: false, relied: true, notes: None, charged: 0 }
    }
}

impl OpenRecords {
    /// Number of changes that the step makes to them.
    pub(super) fn changes(&self) -> usize {
        self.open.values().filter(|open| open.touched).count().saturating_add(self.notes.len())
    }

    /// The kind with this name. Fails if the space has none.
    pub(super) fn kind(&mut self, stored: &Stored, name: &str) -> Result<Arc<RecordKind>, Failure> {
        if let Some(kind) = self.kinds.get(name) {
            return Ok(Arc::clone(kind));
        }
        check_kind(name)?;
        let missing = || {
            let message =
                format!("there is no kind of record `{name}` in this space: declare it, PUT /v1/kinds/{name}");
            Failure::permanent(Failure::KIND_NOT_FOUND, message)
        };
        let kind = stored.kind(name)?.ok_or_else(missing)?;
        self.kinds.insert(name.to_owned(), Arc::clone(&kind));
        Ok(kind)
    }

    /// The kind with this name, if the step has used it.
    pub(super) fn known_kind(&self, name: &str) -> Option<&Arc<RecordKind>> {
        self.kinds.get(name)
    }

    /// The key of a record that may exist. `None`: no record can have this id.
    pub(super) fn key(&mut self, stored: &Stored, kind: &str, id: &str) -> Result<Option<RecordKey>, Failure> {
        self.kind(stored, kind)?;
        Ok(id.trim().parse().ok().map(|id| RecordKey { kind: kind.to_owned(), id }))
    }

    /// The key of an existing record, for a step that does not depend on the record's state. Fails if there is none.
    pub(super) fn existing(&mut self, stored: &mut Stored, kind: &str, id: &str) -> Result<RecordKey, Failure> {
        let key = self.key(stored, kind, id)?.ok_or_else(|| not_found(kind, id))?;
        if self.find(stored, &key)? { Ok(key) } else { Err(not_found(kind, id)) }
    }

    /// Reads a record that the step depends on. Returns whether it exists.
    pub(super) fn load(&mut self, stored: &mut Stored, key: &RecordKey) -> Result<bool, Failure> {
        let found = self.find(stored, key)?;
        if let Some(open) = self.open.get_mut(key) {
            open.relied = true;
        }
        Ok(found)
    }

    /// Whether the record exists. Its state may change before the step commits.
    fn find(&mut self, stored: &mut Stored, key: &RecordKey) -> Result<bool, Failure> {
        if let Some(open) = self.open.get(key) {
            return Ok(!open.removed);
        }
        if self.reads.contains_key(key) {
            return Ok(false);
        }
        let found = stored.record(key)?;
        self.reads.insert(key.clone(), found.as_ref().map(|record| record.version));
        let Some(record) = found else { return Ok(false) };
        self.open.insert(key.clone(), Open::stored(record.value));
        Ok(true)
    }

    /// The newest records of a kind whose fields equal those of `filter`, as this step would leave them.
    pub(super) fn find_equal(
        &mut self,
        stored: &mut Stored,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let fits = |record: &Value| filter.iter().all(|(name, value)| record.get(name) == Some(value));
        for (key, record) in stored.find_equal(kind, filter, limit)? {
            self.reads.entry(key.clone()).or_insert(Some(record.version));
            self.open.entry(key).or_insert_with(|| Open::stored(record.value)).relied = true;
        }
        let of_kind = self.open.iter().rev().filter(|(key, open)| key.kind == kind && !open.removed);
        Ok(of_kind.map(|(_, open)| &open.after).filter(|record| fits(record)).take(limit).cloned().collect())
    }

    /// Every record that was read or created.
    pub(super) fn all(&self) -> impl Iterator<Item = (&RecordKey, &Open)> {
        self.open.iter()
    }

    /// A record that was read or created.
    pub(super) fn open(&self, key: &RecordKey) -> Result<&Open, Failure> {
        self.open.get(key).ok_or_else(|| not_found(&key.kind, &key.id.to_string()))
    }

    /// A record. A ticket includes its notes.
    pub(super) fn shown(&mut self, stored: &mut Stored, key: &RecordKey) -> Result<Value, Failure> {
        let notes = if key.kind == TICKET { self.notes_on(stored, key)? } else { Vec::new() };
        let mut record = self.open(key)?.after.clone();
        if let (false, Some(object)) = (notes.is_empty(), record.as_object_mut()) {
            object.insert("notes".to_owned(), Value::from(notes));
        }
        Ok(record)
    }

    /// The version of a record that was read.
    pub(super) fn version_read(&self, key: &RecordKey) -> Version {
        self.reads.get(key).copied().flatten().unwrap_or(0)
    }

    /// The version that a record has once the step commits.
    pub(super) fn version_of(&self, key: &RecordKey) -> Version {
        let touched = self.open.get(key).is_some_and(|open| open.touched);
        self.version_read(key).saturating_add(u64::from(touched))
    }

    /// Adds a record that the step creates.
    pub(super) fn make(&mut self, budget: &mut ChangeBudget, key: &RecordKey, record: Value) -> Result<(), Failure> {
        let size = json_size(&record);
        self.open.insert(key.clone(), Open::new(record));
        if let Err(failure) = self.charge(budget, key, size) {
            self.open.remove(key);
            return Err(failure);
        }
        self.reads.insert(key.clone(), None);
        Ok(())
    }

    /// Replaces the fields of a record.
    pub(super) fn replace(&mut self, budget: &mut ChangeBudget, key: &RecordKey, after: Value) -> Result<(), Failure> {
        self.charge(budget, key, json_size(&after))?;
        if let Some(open) = self.open.get_mut(key) {
            open.after = after;
            open.touched = true;
        }
        Ok(())
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, budget: &mut ChangeBudget, key: &RecordKey) -> Result<(), Failure> {
        let size = self.open.get(key).map_or(0, |open| json_size(&open.after));
        self.charge(budget, key, size)?;
        if let Some(open) = self.open.get_mut(key) {
            open.touched = true;
            open.removed = true;
        }
        Ok(())
    }

    /// Counts the bytes of a record that is about to be changed. A record counts once, however often it is changed.
    fn charge(&mut self, budget: &mut ChangeBudget, key: &RecordKey, size: usize) -> Result<(), Failure> {
        let Some(open) = self.open.get_mut(key) else { return Ok(()) };
        let notes = open.notes.as_ref().map_or(0, |notes| event_notes_size(notes));
        let wanted = size.saturating_mul(COPIES).saturating_add(notes.saturating_mul(COPIES.saturating_sub(2)));
        open.charged = budget.charge_instead(open.charged, wanted)?;
        Ok(())
    }

    /// Adds a note to a record, whose stored notes have been read.
    pub(super) fn add_note(
        &mut self,
        budget: &mut ChangeBudget,
        kind: &RecordKind,
        now: Timestamp,
        note: NoteDraft,
    ) -> Result<(), Failure> {
        // The note, its history entry, and its event, which contains the record and its newest notes as well.
        let shown = self.open.get(&note.on).map_or(0, |open| {
            let notes = open.notes.as_ref().map_or(0, |notes| event_notes_size(notes));
            json_size(&open.after).saturating_add(notes)
        });
        let added = self.new_notes(&note.on).map(|other| other.stored.size());
        let added = added.fold(0, usize::saturating_add).min(MAX_EVENT_NOTES_BYTES);
        budget.charge(note.stored.size().saturating_mul(COPIES).saturating_add(shown).saturating_add(added))?;
        if let Some(open) = self.open.get_mut(&note.on) {
            // A note increments the record's version, so it conflicts with whoever read the record.
            open.touched = true;
            kind.touch(&mut open.after, now);
        }
        self.notes.push(note);
        Ok(())
    }

    /// The notes that the step adds to a record.
    pub(super) fn new_notes(&self, key: &RecordKey) -> impl Iterator<Item = &NoteDraft> {
        self.notes.iter().filter(|note| note.on == *key)
    }

    /// The newest notes of a record, oldest first, as this step would leave them.
    fn notes_on(&mut self, stored: &mut Stored, key: &RecordKey) -> Result<Vec<Value>, Failure> {
        self.read_notes(stored, key)?;
        let known = self.open.get(key).and_then(|open| open.notes.as_ref()).into_iter().flatten();
        let new = self.new_notes(key).map(|note| Ok(note.value.clone()));
        known.map(StoredNote::value).chain(new).collect()
    }

    /// Reads the stored notes, once.
    pub(super) fn read_notes(&mut self, stored: &mut Stored, key: &RecordKey) -> Result<(), Failure> {
        if let Some(open) = self.open.get_mut(key)
            && open.before.is_some()
            && open.notes.is_none()
        {
            open.notes = Some(stored.notes(key, MAX_NOTES_PER_TICKET)?);
        }
        Ok(())
    }

    /// Adds the versions that the changes depend on, and the new notes.
    pub(super) fn finish(self, effects: &mut Effects) {
        let Self { reads, kinds, open, notes } = self;
        let relied = |key: &RecordKey| open.get(key).is_none_or(|open| open.relied);
        effects.reads = reads.into_iter().filter(|(key, _)| relied(key)).collect();
        let own = kinds.values().filter(|kind| !kind.is_builtin());
        effects.kinds = own.map(|kind| (kind.name().to_owned(), kind.revision())).collect();
        effects.notes = notes;
    }
}

fn not_found(kind: &str, id: &str) -> Failure {
    let id = crate::abridged(id);
    let code = if kind == TICKET { "ticket.not_found" } else { "record.not_found" };
    Failure::permanent(code, format!("there is no {kind} `{id}` in this space"))
}

fn check_kind(kind: &str) -> Result<(), Failure> {
    if is_kind(kind) {
        return Ok(());
    }
    let kind = crate::abridged(kind);
    let message = format!("`{kind}` is not a valid kind of record: give 1 to 64 of a-z, 0-9 and -");
    Err(Failure::permanent(Failure::KIND_INVALID, message))
}
