//! Where one step's changes are made before they commit. Reads see the step's own writes.

mod kept;
mod mails;
mod records;
mod tickets;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    Cause, Change, Effects, EventDraft, Failure, KvKey, MAX_CHAIN, Mail, Mistake, NewEvent, NoteDraft, RecordKey,
    RecordWrite, SpaceId, StateView, Subscribers, Timestamp, Version, WorkflowStart,
};

pub use kept::KvQuota;
pub use tickets::NoteInput;

/// Where one step's changes are made before they commit. Reads see the step's own writes.
pub struct Workbench {
    view: Arc<dyn StateView>,
    space: SpaceId,
    now: Timestamp,
    /// `source` of the events that the step emits.
    source: String,
    cause: Cause,
    reads: BTreeMap<RecordKey, Option<Version>>,
    open: BTreeMap<RecordKey, Open>,
    notes: Vec<NoteDraft>,
    emitted: Vec<EventDraft>,
    kept: BTreeMap<KvKey, OpenValue>,
    mails: Vec<Mail>,
    most: usize,
}

/// A record that the step has read or made.
struct Open {
    before: Option<Value>,
    after: Value,
    touched: bool,
    removed: bool,
}

/// A kept value that the step has read or changed.
struct OpenValue {
    /// The version that was read; none: there was no value.
    version: Option<Version>,
    /// Bytes of key and value that the store counts for it.
    stored: u64,
    value: Option<(Bytes, Option<Timestamp>)>,
    touched: bool,
}

/// How many changes one step may make unless said otherwise.
const MAX_CHANGES: usize = 1000;
/// How large the data of an emitted event may be, in bytes.
const MAX_DATA: usize = 1024 * 1024;
/// How many notes stand in a ticket when it is read as a whole.
const NOTES_SHOWN: usize = 100;

impl Workbench {
    /// An empty one.
    pub fn new(view: Arc<dyn StateView>, space: SpaceId, now: Timestamp, source: &str, cause: Cause) -> Self {
        Self {
            view,
            space,
            now,
            source: source.to_owned(),
            cause,
            reads: BTreeMap::new(),
            open: BTreeMap::new(),
            notes: Vec::new(),
            emitted: Vec::new(),
            kept: BTreeMap::new(),
            mails: Vec::new(),
            most: MAX_CHANGES,
        }
    }

    /// Lets the step make at most `most` changes.
    pub fn limit_changes(&mut self, most: usize) {
        self.most = most;
    }

    /// Emits an event; returns its id.
    pub fn emit(&mut self, event_type: &str, subject: Option<String>, data: &Value) -> Result<String, Failure> {
        self.room()?;
        let mut draft = EventDraft::json(event_type, &self.source, subject, data, Some(self.cause.clone()));
        if draft.payload.len() > MAX_DATA {
            let message = format!("data has {} bytes: at most {MAX_DATA}", draft.payload.len());
            return Err(Failure::permanent("event.too_large", message));
        }
        let id = crate::unique("evt");
        draft.id = Some(id.clone());
        // Refused here, where the plugin can still be told, rather than when the step is to commit.
        draft.clone().accept(&self.space, self.now).map_err(|mistake| invalid(&mistake))?;
        self.emitted.push(draft);
        Ok(id)
    }

    /// Starts a workflow when the step commits; returns a name of its run.
    pub fn start_workflow(&mut self, start: WorkflowStart, input: &Value) -> Result<String, Failure> {
        self.room()?;
        if self.cause.depth > MAX_CHAIN {
            let message =
                format!("a chain of {MAX_CHAIN} events that automations made of one another starts no workflow");
            return Err(Failure::permanent("chain.too_long", message));
        }
        let source = format!("hookwright/workflows/{}", start.name);
        let mut draft = EventDraft::start(start, &source, input, Some(self.cause.clone()));
        if draft.payload.len() > MAX_DATA {
            let message = format!("the input has {} bytes: at most {MAX_DATA}", draft.payload.len());
            return Err(Failure::permanent("event.too_large", message));
        }
        // The run is known by its event until the event has its place in the journal.
        let id = crate::unique("run");
        draft.id = Some(id.clone());
        self.emitted.push(draft);
        Ok(id)
    }

    /// What is to commit: the changes, and the events that tell of them.
    pub fn finish(mut self, subscribers: &Subscribers) -> Effects {
        let mut effects = Effects::default();
        let mut drafts = Vec::new();
        for (key, open) in &self.open {
            self.tell(key, open, &mut effects, &mut drafts);
        }
        for draft in &self.emitted {
            effects.changes.push(Change {
                kind: "event.emitted".to_owned(),
                subject: draft.id.clone().unwrap_or_default(),
                detail: json!({"type": draft.event_type, "subject": draft.subject}),
            });
        }
        drafts.extend(std::mem::take(&mut self.emitted));
        for mut draft in drafts {
            let starts = draft.starts.take();
            // Drafts were checked when they were made, so nothing is left out here.
            if let Ok(event) = draft.accept(&self.space, self.now) {
                let plan = subscribers.plan(&event).starting(starts.as_ref(), &event);
                effects.events.push(NewEvent { event, plan });
            }
        }
        for mail in &self.mails {
            effects.changes.push(Change {
                kind: "mail.queued".to_owned(),
                subject: format!("mail/{}", mail.id),
                detail: json!({"to": mail.letter.to, "subject": mail.letter.subject}),
            });
        }
        effects.reads = self.reads.into_iter().collect();
        effects.notes = self.notes;
        effects.mails = self.mails;
        for (key, open) in self.kept {
            effects.kept_reads.push((key.clone(), open.version));
            if open.touched {
                effects.changes.push(kept::change(&key, open.value.as_ref()));
                effects.kept.push(crate::KvWrite { key, value: open.value });
            }
        }
        effects
    }

    /// What became of one record: the write, the account of it, and the events that tell of it.
    fn tell(&self, key: &RecordKey, open: &Open, effects: &mut Effects, drafts: &mut Vec<EventDraft>) {
        if !open.touched || (open.removed && open.before.is_none()) {
            return;
        }
        if open.removed {
            effects.changes.push(change("deleted", key, Value::Null));
            drafts.push(self.told("deleted", key, about(key, &open.after)));
            effects.removed.push(key.clone());
            return;
        }
        match &open.before {
            None => {
                effects.changes.push(change("created", key, open.after.clone()));
                drafts.push(self.told("created", key, about(key, &open.after)));
            }
            Some(before) => {
                let changes = difference(before, &open.after);
                if !changes.is_empty() {
                    let status = changes.get("status").cloned();
                    effects.changes.push(change("updated", key, Value::Object(changes.clone())));
                    drafts.push(self.told("updated", key, with(about(key, &open.after), "changes", changes.into())));
                    if let Some(status) = status {
                        let mut data = about(key, &open.after);
                        if let (Some(data), Value::Object(status)) = (data.as_object_mut(), status) {
                            data.extend(status);
                        }
                        drafts.push(self.told("status-changed", key, data));
                    }
                }
            }
        }
        for note in self.notes.iter().filter(|note| note.on == *key) {
            effects.changes.push(change("note-added", key, note.value.clone()));
            drafts.push(self.told("note-added", key, with(about(key, &open.after), "note", note.value.clone())));
        }
        effects.records.push(RecordWrite { key: key.clone(), value: open.after.clone() });
    }

    fn told(&self, verb: &str, key: &RecordKey, data: Value) -> EventDraft {
        let name = format!("{}.{verb}", key.kind);
        EventDraft::json(&name, "hookwright", Some(key.to_string()), &data, Some(self.cause.clone()))
    }

    fn room(&self) -> Result<(), Failure> {
        let records = self.open.values().filter(|open| open.touched).count();
        let kept = self.kept.values().filter(|open| open.touched).count();
        let made = records + kept + self.notes.len() + self.emitted.len() + self.mails.len();
        if made < self.most {
            Ok(())
        } else {
            let message = format!("one step makes at most {} changes: split the work over several", self.most);
            Err(Failure::permanent("effects.too_many", message))
        }
    }

    fn load(&mut self, key: &RecordKey) -> Result<bool, Failure> {
        if let Some(open) = self.open.get(key) {
            return Ok(!open.removed);
        }
        if self.reads.contains_key(key) {
            return Ok(false);
        }
        let found = self.view.record(&self.space, key)?;
        self.reads.insert(key.clone(), found.as_ref().map(|record| record.version));
        let Some(record) = found else { return Ok(false) };
        let open = Open { before: Some(record.value.clone()), after: record.value, touched: false, removed: false };
        self.open.insert(key.clone(), open);
        Ok(true)
    }
}

/// The record as its events show it.
fn about(key: &RecordKey, record: &Value) -> Value {
    let mut data = Map::new();
    data.insert("id".to_owned(), key.id.into());
    data.insert(key.kind.clone(), record.clone());
    Value::Object(data)
}

fn with(mut data: Value, name: &str, value: Value) -> Value {
    if let Some(data) = data.as_object_mut() {
        data.insert(name.to_owned(), value);
    }
    data
}

fn invalid(mistake: &Mistake) -> Failure {
    Failure::permanent("parameters.invalid", mistake.to_string())
}

fn value_of(thing: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(thing).map_err(|error| Failure::permanent("internal", error.to_string()))
}

fn change(verb: &str, key: &RecordKey, detail: Value) -> Change {
    Change { kind: format!("{}.{verb}", key.kind), subject: key.to_string(), detail }
}

fn with_notes(record: &Value, notes: &[Value]) -> Value {
    let mut record = record.clone();
    if let Some(object) = record.as_object_mut()
        && !notes.is_empty()
    {
        object.insert("notes".to_owned(), Value::from(notes));
    }
    record
}

/// Field by field, what was and what is; the time of the change itself does not count.
fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return Map::new() };
    after
        .iter()
        .filter(|(name, _)| *name != "updated_at")
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), json!({"from": before.get(name), "to": value})))
        .collect()
}
