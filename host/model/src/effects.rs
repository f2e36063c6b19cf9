use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Attachment, Cause, EventDraft, Failure, MAX_CHAIN, Mistake, NewEvent, Note, SpaceId, Subscribers, TICKET, Ticket,
    TicketChanges, Timestamp,
};

/// Counts the changes of a record.
pub type Version = u64;

/// Which record: kind and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Such as `ticket`.
    pub kind: String,
    /// Counted from 1 in each space.
    pub id: u64,
}

impl RecordKey {
    /// A ticket.
    pub fn ticket(id: u64) -> Self {
        Self { kind: TICKET.to_owned(), id }
    }

    /// Reads `ticket/42`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        Some(Self { kind: kind.to_owned(), id: id.parse().ok()? })
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// A record as it lies in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Which version of it this is.
    pub version: Version,
    /// Its fields.
    pub value: Value,
}

/// How effects read the records of the store.
pub trait RecordView: Send + Sync {
    /// The record's newest committed version.
    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure>;
    /// The newest `limit` notes on it, oldest first.
    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<Value>, Failure>;
    /// An id that no record, or note, of this kind has had in this space.
    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure>;
}

/// Changes that commit together, and what must still be true when they do.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Every record that was read, in the version that was seen; none: it did not exist.
    pub reads: Vec<(RecordKey, Option<Version>)>,
    /// Records in their new state.
    pub records: Vec<RecordWrite>,
    /// New notes.
    pub notes: Vec<NoteDraft>,
    /// New events, with what they set in motion.
    pub events: Vec<NewEvent>,
    /// The same for people, in order.
    pub changes: Vec<Change>,
}

/// A record's new state.
#[derive(Clone, Debug)]
pub struct RecordWrite {
    /// Which record.
    pub key: RecordKey,
    /// Its fields.
    pub value: Value,
}

/// A note to be added.
#[derive(Clone, Debug)]
pub struct NoteDraft {
    /// The record it is on.
    pub on: RecordKey,
    /// The note's id.
    pub id: u64,
    /// Its fields.
    pub value: Value,
}

/// One change, for the person who reads the story of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What was done: `ticket.updated`, `event.emitted`, ...
    pub kind: String,
    /// To what: `ticket/42`, an event's id.
    pub subject: String,
    /// The particulars.
    pub detail: Value,
}

/// Where one step's changes are made before they commit. Reads see the step's own writes.
pub struct Workbench {
    view: Arc<dyn RecordView>,
    space: SpaceId,
    now: Timestamp,
    /// `source` of the events that the step emits.
    source: String,
    cause: Cause,
    reads: BTreeMap<RecordKey, Option<Version>>,
    open: BTreeMap<RecordKey, Open>,
    notes: Vec<NoteDraft>,
    emitted: Vec<EventDraft>,
}

struct Open {
    before: Option<Value>,
    after: Value,
    touched: bool,
}

/// How many changes one step may make.
const MAX_CHANGES: usize = 1000;
/// How large a note may be, in bytes.
const MAX_NOTE: usize = 256 * 1024;
/// How large the data of an emitted event may be, in bytes.
const MAX_DATA: usize = 1024 * 1024;
/// How many notes stand in a ticket when it is read as a whole.
const NOTES_SHOWN: usize = 100;

impl Workbench {
    /// An empty one.
    pub fn new(view: Arc<dyn RecordView>, space: SpaceId, now: Timestamp, source: &str, cause: Cause) -> Self {
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
        }
    }

    /// The ticket with its notes, as this step would leave it.
    pub fn ticket(&mut self, id: &str) -> Result<Option<Value>, Failure> {
        let Some(key) = ticket_key(id) else { return Ok(None) };
        if !self.load(&key)? {
            return Ok(None);
        }
        self.shown(&key).map(Some)
    }

    /// Makes a ticket; returns it.
    pub fn create_ticket(&mut self, changes: TicketChanges) -> Result<Value, Failure> {
        self.room()?;
        let key = RecordKey::ticket(self.view.next_id(&self.space, TICKET)?);
        let ticket = changes.create(key.id, self.now).map_err(|mistake| invalid(&mistake))?;
        self.reads.insert(key.clone(), None);
        self.open.insert(key.clone(), Open { before: None, after: value_of(&ticket)?, touched: true });
        self.shown(&key)
    }

    /// Changes fields of a ticket; returns it as it will be.
    pub fn update_ticket(&mut self, id: &str, changes: TicketChanges) -> Result<Value, Failure> {
        self.room()?;
        let key = self.existing(id)?;
        let Some(open) = self.open.get_mut(&key) else { return Err(not_found(id)) };
        let mut ticket: Ticket = serde_json::from_value(open.after.clone())
            .map_err(|error| Failure::permanent("ticket.unreadable", format!("ticket {id}: {error}")))?;
        let old = ticket.clone();
        changes.apply(&mut ticket);
        if ticket != old {
            ticket.updated_at = self.now;
            open.after = value_of(&ticket)?;
            open.touched = true;
        }
        self.shown(&key)
    }

    /// Adds a note to a ticket; returns it.
    pub fn add_note(&mut self, id: &str, input: NoteInput) -> Result<Value, Failure> {
        self.room()?;
        let key = self.existing(id)?;
        input.check().map_err(|mistake| invalid(&mistake))?;
        let note = Note {
            id: self.view.next_id(&self.space, "note")?,
            text: input.text,
            html: input.html,
            public: input.public,
            attachments: input.attachments,
            author: Some(input.author.unwrap_or_else(|| self.source.clone())),
            created_at: self.now,
        };
        let value = value_of(&note)?;
        if let Some(open) = self.open.get_mut(&key) {
            // The ticket's version counts its notes too, so whoever read it learns of the note.
            open.touched = true;
            if let Some(object) = open.after.as_object_mut() {
                object.insert("updated_at".to_owned(), Value::from(self.now.to_string()));
            }
        }
        self.notes.push(NoteDraft { on: key, id: note.id, value: value.clone() });
        Ok(value)
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

    /// What is to commit: the changes, and the events that tell of them.
    pub fn finish(self, subscribers: &Subscribers) -> Effects {
        let mut effects = Effects::default();
        let mut drafts = Vec::new();
        for (key, open) in &self.open {
            if !open.touched {
                continue;
            }
            let subject = key.to_string();
            let shown = with_notes(&open.after, &[]);
            match &open.before {
                None => {
                    effects.changes.push(change("created", key, open.after.clone()));
                    drafts.push(self.told("created", key, json!({"id": key.id, "ticket": shown})));
                }
                Some(before) => {
                    let changes = difference(before, &open.after);
                    if !changes.is_empty() {
                        let status = changes.get("status").cloned();
                        effects.changes.push(change("updated", key, Value::Object(changes.clone())));
                        let data = json!({"id": key.id, "ticket": shown, "changes": changes});
                        drafts.push(self.told("updated", key, data));
                        if let Some(status) = status {
                            let mut data = json!({"id": key.id, "ticket": shown});
                            if let (Some(data), Value::Object(status)) = (data.as_object_mut(), status) {
                                data.extend(status);
                            }
                            drafts.push(self.told("status-changed", key, data));
                        }
                    }
                }
            }
            for note in self.notes.iter().filter(|note| note.on == *key) {
                effects.changes.push(Change {
                    kind: format!("{}.note-added", key.kind),
                    subject: subject.clone(),
                    detail: note.value.clone(),
                });
                drafts.push(self.told("note-added", key, json!({"id": key.id, "ticket": shown, "note": note.value})));
            }
            effects.records.push(RecordWrite { key: key.clone(), value: open.after.clone() });
        }
        for draft in &self.emitted {
            effects.changes.push(Change {
                kind: "event.emitted".to_owned(),
                subject: draft.id.clone().unwrap_or_default(),
                detail: json!({"type": draft.event_type, "subject": draft.subject}),
            });
        }
        drafts.extend(self.emitted);
        for draft in drafts {
            // Drafts were checked when they were made, so nothing is left out here.
            if let Ok(event) = draft.accept(&self.space, self.now) {
                let plan = subscribers.plan(&event);
                effects.events.push(NewEvent { event, plan });
            }
        }
        effects.reads = self.reads.into_iter().collect();
        effects.notes = self.notes;
        effects
    }

    fn told(&self, verb: &str, key: &RecordKey, data: Value) -> EventDraft {
        let name = format!("{}.{verb}", key.kind);
        EventDraft::json(&name, "hookwright", Some(key.to_string()), &data, Some(self.cause.clone()))
    }

    fn room(&self) -> Result<(), Failure> {
        let made = self.open.values().filter(|open| open.touched).count() + self.notes.len() + self.emitted.len();
        if made < MAX_CHANGES {
            Ok(())
        } else {
            let message = format!("one step makes at most {MAX_CHANGES} changes: split the work over several");
            Err(Failure::permanent("effects.too_many", message))
        }
    }

    fn existing(&mut self, id: &str) -> Result<RecordKey, Failure> {
        let key = ticket_key(id).ok_or_else(|| not_found(id))?;
        if self.load(&key)? { Ok(key) } else { Err(not_found(id)) }
    }

    fn load(&mut self, key: &RecordKey) -> Result<bool, Failure> {
        if self.open.contains_key(key) {
            return Ok(true);
        }
        if self.reads.contains_key(key) {
            return Ok(false);
        }
        let found = self.view.record(&self.space, key)?;
        self.reads.insert(key.clone(), found.as_ref().map(|record| record.version));
        let Some(record) = found else { return Ok(false) };
        let open = Open { before: Some(record.value.clone()), after: record.value, touched: false };
        self.open.insert(key.clone(), open);
        Ok(true)
    }

    fn shown(&self, key: &RecordKey) -> Result<Value, Failure> {
        let Some(open) = self.open.get(key) else { return Err(not_found(&key.id.to_string())) };
        let mut notes =
            if open.before.is_some() { self.view.notes(&self.space, key, NOTES_SHOWN)? } else { Vec::new() };
        notes.extend(self.notes.iter().filter(|note| note.on == *key).map(|note| note.value.clone()));
        Ok(with_notes(&open.after, &notes))
    }
}

/// A note as a caller gives it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteInput {
    /// Plain text.
    pub text: String,
    /// The same in HTML.
    pub html: Option<String>,
    /// Whether the requester sees it.
    #[serde(default)]
    pub public: bool,
    /// Files that come with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Who wrote it; the caller unless said otherwise.
    pub author: Option<String>,
}

impl NoteInput {
    fn check(&self) -> Result<(), Mistake> {
        if self.text.trim().is_empty() {
            return Err(Mistake::new("text", "is empty: give it at least one character"));
        }
        let size = self.text.len() + self.html.as_ref().map_or(0, String::len);
        if size > MAX_NOTE {
            return Err(Mistake::new("text", format!("has {size} bytes with its HTML: at most {MAX_NOTE}")));
        }
        if self.attachments.len() > 100 {
            return Err(Mistake::new("attachments", format!("{}: at most 100", self.attachments.len())));
        }
        Ok(())
    }
}

fn ticket_key(id: &str) -> Option<RecordKey> {
    id.trim().parse().ok().map(RecordKey::ticket)
}

fn not_found(id: &str) -> Failure {
    let id: String = id.chars().take(80).collect();
    Failure::permanent("ticket.not_found", format!("there is no ticket `{id}` in this space"))
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

impl Cause {
    /// The cause of what a run for `event` makes.
    pub fn of(event: &crate::Event, run: crate::RunId) -> Self {
        Self {
            run: Some(run),
            event: Some(event.id.clone()),
            depth: event.depth().saturating_add(1).min(MAX_CHAIN.saturating_add(1)),
        }
    }

    /// The cause of what a person's API call makes.
    pub fn api() -> Self {
        Self { run: None, event: None, depth: 0 }
    }
}
