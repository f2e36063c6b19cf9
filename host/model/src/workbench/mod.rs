//! Where one step's changes are made before they commit. Reads see the step's own writes.

mod kept;
mod mails;
mod notes;
mod records;
mod related;
mod tell;
mod tickets;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Author, Cause, Change, Effects, EventDraft, Failure, KvKey, MAX_CHAIN, Mail, Mistake, NewEvent, NoteDraft,
    RecordKey, RecordKind, SpaceId, StateView, Subscribers, Timestamp, Version, WorkflowStart,
};

pub use kept::KvQuota;
pub use notes::NoteInput;
pub use records::{Expected, Refused};

/// Where one step's changes are made before they commit. Reads see the step's own writes.
pub struct Workbench {
    view: Arc<dyn StateView>,
    space: SpaceId,
    now: Timestamp,
    /// `source` of the events that the step emits.
    source: String,
    cause: Cause,
    author: Author,
    reads: BTreeMap<RecordKey, Option<Version>>,
    /// Kinds that the step came to.
    kinds: BTreeMap<String, Arc<RecordKind>>,
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
    /// The newest notes that are stored, once they were asked for.
    notes: Option<Vec<Value>>,
}

impl Open {
    fn stored(value: Value) -> Self {
        Self { before: Some(value.clone()), after: value, touched: false, removed: false, notes: None }
    }

    fn new(value: Value) -> Self {
        Self { before: None, after: value, touched: true, removed: false, notes: None }
    }
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
            author: Author::default(),
            reads: BTreeMap::new(),
            kinds: BTreeMap::new(),
            open: BTreeMap::new(),
            notes: Vec::new(),
            emitted: Vec::new(),
            kept: BTreeMap::new(),
            mails: Vec::new(),
            most: MAX_CHANGES,
        }
    }

    /// Says who makes the changes, for their history.
    pub fn sign(&mut self, author: Author) {
        self.author = author;
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
        let id = self.view.unique("evt");
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
        let id = self.view.unique("run");
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
        let own = self.kinds.values().filter(|kind| !kind.is_builtin());
        effects.kinds = own.map(|kind| (kind.name().to_owned(), kind.revision())).collect();
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
        self.open.insert(key.clone(), Open::stored(record.value));
        Ok(true)
    }
}

fn invalid(mistake: &Mistake) -> Failure {
    Failure::permanent("parameters.invalid", mistake.to_string())
}

fn value_of(thing: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(thing).map_err(|error| Failure::permanent("internal", error.to_string()))
}
