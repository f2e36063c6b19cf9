//! What became of each record: the write, the account of it, and the events that tell of it.

use serde_json::{Map, Value, json};

use super::{NOTES_SHOWN, Open, Workbench};
use crate::{Change, Effects, EventDraft, HistoryEntry, RecordKey, RecordRemoval, RecordWrite, TICKET, Version};

/// How large a value may be that is kept in the history, in bytes of JSON.
const KEPT_VALUE: usize = 4 * 1024;
/// And all of one change.
const KEPT_CHANGE: usize = 64 * 1024;
/// How large the notes may be that an event of a ticket has, in bytes of JSON.
const NOTES_TOLD: usize = 256 * 1024;

impl Workbench {
    pub(super) fn tell(&self, key: &RecordKey, open: &Open, effects: &mut Effects, drafts: &mut Vec<EventDraft>) {
        let Some(kind) = self.kinds.get(&key.kind) else { return };
        if !open.touched || (open.removed && open.before.is_none()) {
            return;
        }
        let version = self.version_of(key);
        let before = open.before.as_ref().map(|before| kind.index_of(before)).unwrap_or_default();
        if open.removed {
            let record = open.before.as_ref().unwrap_or(&open.after);
            let history = self.history(version, "deleted", all_fields(record, "from"));
            effects.changes.push(change("deleted", key, Value::Null));
            drafts.push(self.told("deleted", key, about(key, open.after.clone())));
            effects.removed.push(RecordRemoval { key: key.clone(), unindex: before, history });
            return;
        }
        let shown = self.told_record(key, open);
        let mut history;
        match &open.before {
            None => {
                history = self.history(version, "created", all_fields(&open.after, "to"));
                effects.changes.push(change("created", key, open.after.clone()));
                drafts.push(self.told("created", key, about(key, shown.clone())));
            }
            Some(was) => {
                let events = kind.told(was, &open.after);
                let changes = events.first().and_then(|(_, more)| more.get("changes")).and_then(Value::as_object);
                let verb = if changes.is_some() { "updated" } else { "note-added" };
                history = self.history(version, verb, changes.cloned().unwrap_or_default());
                if let Some(changes) = changes {
                    effects.changes.push(change("updated", key, Value::Object(changes.clone())));
                }
                for (verb, more) in events {
                    let mut data = about(key, shown.clone());
                    data.extend(more);
                    drafts.push(self.told(verb, key, data));
                }
            }
        }
        for note in self.notes.iter().filter(|note| note.on == *key) {
            history.notes.push(note.id);
            effects.changes.push(change("note-added", key, note.value.clone()));
            let mut data = about(key, shown.clone());
            data.insert("note".to_owned(), note.value.clone());
            drafts.push(self.told("note-added", key, data));
        }
        let after = kind.index_of(&open.after);
        let gone = before.iter().filter(|entry| !after.contains(entry)).cloned().collect();
        let new = after.iter().filter(|entry| !before.contains(entry)).cloned().collect();
        effects.records.push(RecordWrite {
            key: key.clone(),
            value: open.after.clone(),
            unindex: gone,
            index: new,
            history,
        });
    }

    /// The version that a record has once the step commits.
    pub fn version_of(&self, key: &RecordKey) -> Version {
        let read = self.reads.get(key).copied().flatten().unwrap_or(0);
        read.saturating_add(u64::from(self.open.get(key).is_some_and(|open| open.touched)))
    }

    fn told(&self, verb: &str, key: &RecordKey, data: Map<String, Value>) -> EventDraft {
        let name = format!("{}.{verb}", key.kind);
        let data = Value::Object(data);
        EventDraft::json(&name, "hookwright", Some(key.to_string()), &data, Some(self.cause.clone()))
    }

    /// The record as its events show it: a ticket with its newest notes, as its packet has them (R2.2).
    fn told_record(&self, key: &RecordKey, open: &Open) -> Value {
        let mut record = open.after.clone();
        if key.kind == TICKET {
            let new = self.notes.iter().filter(|note| note.on == *key).map(|note| &note.value);
            let notes: Vec<&Value> = open.notes.iter().flatten().chain(new).collect();
            let mut room = NOTES_TOLD;
            let newest = notes.into_iter().rev().take(NOTES_SHOWN).take_while(|note| {
                let size = note.to_string().len();
                let fits = size <= room;
                room = room.saturating_sub(size);
                fits
            });
            let mut notes: Vec<Value> = newest.cloned().collect();
            notes.reverse();
            if let (false, Some(record)) = (notes.is_empty(), record.as_object_mut()) {
                record.insert("notes".to_owned(), Value::from(notes));
            }
        }
        record
    }

    fn history(&self, version: Version, verb: &str, mut changes: Map<String, Value>) -> HistoryEntry {
        let mut room = KEPT_CHANGE;
        for side in changes.values_mut().filter_map(Value::as_object_mut).flat_map(|change| change.values_mut()) {
            let size = side.to_string().len();
            if size > KEPT_VALUE.min(room) {
                *side = json!({"omitted_bytes": size});
            } else {
                room = room.saturating_sub(size);
            }
        }
        HistoryEntry {
            version,
            at: self.now,
            change: verb.to_owned(),
            by: self.author.clone(),
            changes,
            notes: Vec::new(),
        }
    }
}

/// Every field of a record that was made or is gone, as a change from or to nothing.
fn all_fields(record: &Value, side: &str) -> Map<String, Value> {
    let fields = record.as_object().into_iter().flatten();
    let told = fields.filter(|(name, value)| *name != "id" && !value.is_null()).map(|(name, value)| {
        let (from, to) = if side == "to" { (Value::Null, value.clone()) } else { (value.clone(), Value::Null) };
        (name.clone(), json!({"from": from, "to": to}))
    });
    told.collect()
}

/// The data of a record's events.
fn about(key: &RecordKey, record: Value) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("id".to_owned(), key.id.into());
    data.insert(key.kind.clone(), record);
    data
}

fn change(verb: &str, key: &RecordKey, detail: Value) -> Change {
    Change { kind: format!("{}.{verb}", key.kind), subject: key.to_string(), detail }
}
