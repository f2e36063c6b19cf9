//! Tickets: records with notes in them, and errors of their own.

use serde_json::Value;

use super::{NoteInput, Workbench};
use crate::{Failure, Merge, RecordKey, TICKET, TicketChanges};

impl Workbench {
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
        let key = self.make_record(TICKET, changes.into_fields())?;
        self.shown(&key)
    }

    /// Changes fields of a ticket; returns it as it will be.
    pub fn update_ticket(&mut self, id: &str, changes: TicketChanges) -> Result<Value, Failure> {
        let key = self.amend_record(TICKET, id, changes.into_fields(), Merge::Fields)?;
        self.shown(&key)
    }

    /// Adds a note to a ticket; returns it.
    pub fn add_note(&mut self, id: &str, input: NoteInput) -> Result<Value, Failure> {
        self.add_record_note(TICKET, id, input)
    }

    /// A record; a ticket with its notes.
    pub(super) fn shown(&mut self, key: &RecordKey) -> Result<Value, Failure> {
        let notes = if key.kind == TICKET { self.notes_on(key)? } else { Vec::new() };
        let Some(open) = self.open.get(key) else {
            return Err(super::records::not_found(&key.kind, &key.id.to_string()));
        };
        let mut record = open.after.clone();
        if let (false, Some(object)) = (notes.is_empty(), record.as_object_mut()) {
            object.insert("notes".to_owned(), Value::from(notes));
        }
        Ok(record)
    }
}

fn ticket_key(id: &str) -> Option<RecordKey> {
    id.trim().parse().ok().map(RecordKey::ticket)
}
