//! Tickets and their notes.

use serde::Deserialize;
use serde_json::Value;

use super::{NOTES_SHOWN, Open, Workbench, invalid, value_of, with_notes};
use crate::{Attachment, Failure, Mistake, Note, NoteDraft, RecordKey, TICKET, Ticket, TicketChanges};

/// How large a note may be, in bytes.
const MAX_NOTE: usize = 256 * 1024;

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
        self.room()?;
        let key = RecordKey::ticket(self.view.next_id(&self.space, TICKET)?);
        let ticket = changes.create(key.id, self.now).map_err(|mistake| invalid(&mistake))?;
        self.reads.insert(key.clone(), None);
        self.open.insert(key.clone(), Open { before: None, after: value_of(&ticket)?, touched: true, removed: false });
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

    fn existing(&mut self, id: &str) -> Result<RecordKey, Failure> {
        let key = ticket_key(id).ok_or_else(|| not_found(id))?;
        if self.load(&key)? { Ok(key) } else { Err(not_found(id)) }
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
