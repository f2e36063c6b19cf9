//! The unit of work of a step: its changes, buffered until they commit. Reads see the step's own writes.
//!
//! Its parts are types of their own: the stored state (`stored.rs`), the records and the values that the step has opened
//! (`open_records.rs`, `open_values.rs`), who makes the changes (`origin.rs`), and how much may be changed and read
//! (`budget.rs`). The operations of a step are in one file for each kind of change: `records.rs`, `mails.rs`, ...

mod budget;
mod event_notes;
mod events;
mod key_values;
mod mails;
mod members;
mod notes;
mod open_records;
mod open_values;
mod origin;
mod record_events;
mod records;
mod related;
mod stored;
mod tickets;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Author, Cause, Change, Effects, EventDraft, Failure, Mail, Mistake, NewEvent, SpaceId, StateView, Subscribers,
    Timestamp,
};
use budget::ChangeBudget;
use open_records::OpenRecords;
use open_values::OpenValues;
use origin::Origin;
use record_events::RecordEvents;
use stored::Stored;

pub use notes::NoteInput;
pub use open_values::KvQuota;
pub use records::{Expected, Refused};

/// The unit of work of a step: its changes, buffered until they commit. Reads see the step's own writes.
pub struct Workbench {
    stored: Stored,
    now: Timestamp,
    origin: Origin,
    budget: ChangeBudget,
    records: OpenRecords,
    kept: OpenValues,
    emitted: Vec<EventDraft>,
    mails: Vec<Mail>,
}

impl Workbench {
    /// An empty unit of work.
    pub fn new(view: Arc<dyn StateView>, space: SpaceId, now: Timestamp, source: &str, cause: Cause) -> Self {
        Self {
            stored: Stored::new(view, space),
            now,
            origin: Origin { source: source.to_owned(), cause, author: Author::default() },
            budget: ChangeBudget::default(),
            records: OpenRecords::default(),
            kept: OpenValues::new(now),
            emitted: Vec::new(),
            mails: Vec::new(),
        }
    }

    /// Sets the author of the changes, for the history.
    pub fn sign(&mut self, author: Author) {
        self.origin.author = author;
    }

    /// Lets the step make at most `changes` changes of at most `changed` bytes, and read at most `read` bytes.
    pub fn limit(&mut self, changes: usize, changed: usize, read: usize) {
        self.budget.limit(changes, changed);
        self.stored.budget.limit(read);
    }

    /// Bytes that the step holds in memory: its reads and its changes.
    pub fn held_bytes(&self) -> usize {
        self.budget.bytes().saturating_add(self.stored.budget.bytes())
    }

    /// The changes to commit, and their events.
    pub fn finish(self, subscribers: &Subscribers) -> Effects {
        let Self { stored, now, origin, records, kept, emitted, mails, .. } = self;
        let mut effects = Effects::default();
        let mut drafts = Vec::new();
        RecordEvents { records: &records, origin: &origin, now }.add_to_commit(&mut effects, &mut drafts);
        for draft in &emitted {
            effects.changes.push(Change {
                kind: "event.emitted".to_owned(),
                subject: draft.id.clone().unwrap_or_default(),
                detail: json!({"type": draft.event_type, "subject": draft.subject}),
            });
        }
        drafts.extend(emitted);
        for mut draft in drafts {
            let starts = draft.starts.take();
            // Drafts were validated when they were created, so none is dropped here.
            if let Ok(event) = draft.accept(stored.space(), now) {
                let plan = subscribers.plan(&event).starting(starts.as_ref(), &event);
                effects.events.push(NewEvent { event, plan });
            }
        }
        for mail in &mails {
            effects.changes.push(Change {
                kind: "mail.queued".to_owned(),
                subject: format!("mail/{}", mail.id),
                detail: json!({"to": mail.letter.to, "subject": mail.letter.subject}),
            });
        }
        effects.mails = mails;
        records.finish(&mut effects);
        kept.finish(&mut effects);
        effects
    }

    /// Refuses one more change if the step has reached its maximum.
    fn room(&self) -> Result<(), Failure> {
        let opened = self.records.changes().saturating_add(self.kept.changes());
        self.budget.room(opened.saturating_add(self.emitted.len()).saturating_add(self.mails.len()))
    }
}

fn invalid(mistake: &Mistake) -> Failure {
    Failure::permanent(Failure::PARAMETERS_INVALID, mistake.to_string())
}

fn value_of(thing: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(thing).map_err(|error| Failure::permanent("internal", error.to_string()))
}
