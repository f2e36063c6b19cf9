//! Tickets: records with notes in them, and errors of their own.

use serde_json::Value;

use super::{NoteInput, Workbench};
use crate::{Failure, Merge, RecordKey, TICKET, TicketChanges};

impl Workbench {
    /// The ticket with its notes, as this step would leave it.
    pub fn ticket(&mut self, id: &str) -> Result<Option<Value>, Failure> {
        let Some(key) = ticket_key(id) else { return Ok(None) };
        if !self.records.load(&mut self.stored, &key)? {
            return Ok(None);
        }
        self.records.shown(&mut self.stored, &key).map(Some)
    }

    /// Creates a ticket. Returns it.
    pub fn create_ticket(&mut self, changes: TicketChanges) -> Result<Value, Failure> {
        let key = self.make_record(TICKET, changes.into_fields())?;
        self.records.shown(&mut self.stored, &key)
    }

    /// Changes fields of a ticket. Returns the ticket in its new state.
    pub fn update_ticket(&mut self, id: &str, changes: TicketChanges) -> Result<Value, Failure> {
        let key = self.amend_record(TICKET, id, changes.into_fields(), Merge::Fields)?;
        self.records.shown(&mut self.stored, &key)
    }

    /// Adds a note to a ticket. Returns the note.
    pub fn add_note(&mut self, id: &str, input: NoteInput) -> Result<Value, Failure> {
        self.add_record_note(TICKET, id, input)
    }
}

fn ticket_key(id: &str) -> Option<RecordKey> {
    id.trim().parse().ok().map(RecordKey::ticket)
}
