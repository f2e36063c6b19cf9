//! What a step's changes of records commit: the writes, their history entries and their events.

use serde_json::{Map, Value, json};

use super::event_notes::event_notes;
use super::members::Members;
use super::open_records::{Open, OpenRecords};
use super::origin::Origin;
use crate::{
    Change, Effects, EventDraft, HistoryEntry, RecordAddition, RecordKey, RecordRemoval, RecordWrite, TICKET,
    Timestamp, Version,
};

/// Maximum size of a value in the history, in bytes of JSON.
const KEPT_VALUE: usize = 4 * 1024;
/// Maximum size of all values of one change.
const KEPT_CHANGE: usize = 64 * 1024;

/// Makes the history entries and events of the records that a step changed.
pub(super) struct RecordEvents<'s> {
    pub(super) records: &'s OpenRecords,
    pub(super) origin: &'s Origin,
    pub(super) now: Timestamp,
}

impl RecordEvents<'_> {
    /// Adds the changes of every record to `effects`, and their events to `drafts`.
    pub(super) fn add_to_commit(&self, effects: &mut Effects, drafts: &mut Vec<EventDraft>) {
        for (key, open) in self.records.all() {
            self.add_record_to_commit(key, open, effects, drafts);
        }
    }

    fn add_record_to_commit(&self, key: &RecordKey, open: &Open, effects: &mut Effects, drafts: &mut Vec<EventDraft>) {
        let Some(kind) = self.records.known_kind(&key.kind) else { return };
        if !open.touched || (open.removed && open.before.is_none()) {
            return;
        }
        let version = self.records.version_of(key);
        let before = open.before.as_ref().map(|before| kind.index_of(before)).unwrap_or_default();
        if open.removed {
            let record = open.before.as_ref().unwrap_or(&open.after);
            let history = self.history(version, "deleted", all_fields(record, "from"));
            effects.changes.push(change("deleted", key, Value::Null));
            drafts.push(self.event_draft("deleted", key, &about(key, &open.after.to_string())));
            effects.removed.push(RecordRemoval { key: key.clone(), unindex: before, history });
            return;
        }
        let shown = self.record_json(key, open);
        let data = about(key, &shown);
        let mut history;
        match &open.before {
            None => {
                history = self.history(version, "created", all_fields(&open.after, "to"));
                effects.changes.push(change("created", key, open.after.clone()));
                drafts.push(self.event_draft("created", key, &data));
            }
            Some(was) => {
                let events = kind.verbs_of_change(was, &open.after);
                let changes = events.first().and_then(|(_, more)| more.get("changes")).and_then(Value::as_object);
                let verb = if changes.is_some() { "updated" } else { "note-added" };
                history = self.history(version, verb, changes.cloned().unwrap_or_default());
                if let Some(changes) = changes {
                    effects.changes.push(change("updated", key, Value::Object(changes.clone())));
                }
                for (verb, more) in events {
                    let mut data = data.clone();
                    for (name, value) in more {
                        data.put(name, value.to_string());
                    }
                    drafts.push(self.event_draft(verb, key, &data));
                }
            }
        }
        for note in self.records.new_notes(key) {
            history.notes.push(note.id);
            effects.changes.push(change("note-added", key, note.value.clone()));
            let mut data = data.clone();
            data.put("note", note.stored.json());
            drafts.push(self.event_draft("note-added", key, &data));
        }
        if !open.relied {
            let kind = std::sync::Arc::clone(kind);
            effects.additions.push(RecordAddition { key: key.clone(), kind, at: self.now, history });
            return;
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

    fn event_draft(&self, verb: &str, key: &RecordKey, data: &Members<'_>) -> EventDraft {
        let name = format!("{}.{verb}", key.kind);
        EventDraft::json_text(&name, "hookwright", Some(key.to_string()), data.json(), Some(self.origin.signed_cause()))
    }

    /// The JSON of the record in its events. A ticket includes its newest notes, as its packet does.
    fn record_json(&self, key: &RecordKey, open: &Open) -> String {
        let notes = if key.kind == TICKET {
            let new = self.records.new_notes(key).map(|note| &note.stored);
            event_notes(&open.notes.iter().flatten().chain(new).collect::<Vec<_>>())
        } else {
            None
        };
        let (Some(notes), Some(fields)) = (notes, open.after.as_object()) else { return open.after.to_string() };
        let mut record = Members::of(fields);
        record.put("notes", notes);
        record.json()
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
            by: self.origin.author.clone(),
            changes,
            notes: Vec::new(),
        }
    }
}

/// Every field of a created or deleted record, as a change from or to an absent value.
fn all_fields(record: &Value, side: &str) -> Map<String, Value> {
    let fields = record.as_object().into_iter().flatten();
    let changes = fields.filter(|(name, value)| *name != "id" && !value.is_null()).map(|(name, value)| {
        let (from, to) = if side == "to" { (Value::Null, value.clone()) } else { (value.clone(), Value::Null) };
        (name.clone(), json!({"from": from, "to": to}))
    });
    changes.collect()
}

/// The data of a record's events.
fn about<'t>(key: &'t RecordKey, record: &'t str) -> Members<'t> {
    let mut data = Members::default();
    data.put("id", key.id.to_string());
    data.put(key.kind.as_str(), record);
    data
}

fn change(verb: &str, key: &RecordKey, detail: Value) -> Change {
    Change { kind: format!("{}.{verb}", key.kind), subject: key.to_string(), detail }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Cause, MemoryView, NoteInput, SpaceId, Subscribers, Workbench};

    fn ticket() -> Value {
        let then = Timestamp::from_millis(0).to_string();
        json!({"id": 7, "subject": "Größe", "status": "open", "created_at": then, "updated_at": then})
    }

    /// The data of the events of a ticket with these notes.
    fn bench(notes: Vec<Value>) -> Workbench {
        let mut view = MemoryView::default();
        let key = view.add(TICKET, ticket()).unwrap();
        view.notes.insert(key, notes);
        Workbench::new(Arc::new(view), SpaceId::main(), Timestamp::from_millis(0), "test", Cause::api())
    }

    fn note(text: &str) -> NoteInput {
        NoteInput { text: text.to_owned(), ..NoteInput::default() }
    }

    /// Type and data of each event.
    fn events_of(bench: Workbench) -> Vec<(String, String)> {
        let events = bench.finish(&Subscribers::default()).events;
        events.into_iter().map(|new| (new.event.event_type.clone(), new.event.data_json().into_owned())).collect()
    }

    #[test]
    fn an_event_shows_the_notes_of_its_ticket_as_they_are_stored() {
        let stored = r#"{"id":1,"text":"\"one\"\n","n":12345678901234567890123.10,"e":1e+2,"f":[{},[]]}"#;
        let first: Value = serde_json::from_str(stored).unwrap();
        let mut bench = bench(vec![first.clone()]);
        let second = bench.add_note("7", note("zwei")).unwrap();
        let third = bench.add_note("7", note("drei")).unwrap();
        let mut shown = ticket();
        shown["notes"] = json!([first, second, third]);
        let data = |note: &Value| json!({"id": 7, "ticket": shown, "note": note}).to_string();
        let events = events_of(bench);
        assert_eq!(events, [&second, &third].map(|note| ("ticket.note-added".to_owned(), data(note))));
        assert!(events.iter().all(|(_, data)| data.contains(stored)), "{events:?}");
    }

    #[test]
    fn further_data_of_a_change_is_beside_the_record() {
        let mut bench = bench(vec![json!({"id": 1, "text": "one"})]);
        bench.update_ticket("7", crate::TicketChanges::from_value(&json!({"subject": "New"})).unwrap()).unwrap();
        let mut shown = ticket();
        shown["subject"] = "New".into();
        shown["notes"] = json!([{"id": 1, "text": "one"}]);
        let changes = json!({"subject": {"from": "Größe", "to": "New"}});
        let data = json!({"id": 7, "ticket": shown, "changes": changes}).to_string();
        assert_eq!(events_of(bench), [("ticket.updated".to_owned(), data)]);
    }
}
