//! Notes on records.

use serde::Deserialize;
use serde_json::Value;

use super::{NOTES_SHOWN, Workbench, invalid, value_of};
use crate::{Attachment, Failure, Mistake, Note, NoteDraft, RecordKey};

/// How large a note may be, in bytes.
const MAX_NOTE: usize = 256 * 1024;

impl Workbench {
    /// Adds a note to a record of a kind that has notes; returns it.
    pub fn add_record_note(&mut self, kind: &str, id: &str, input: NoteInput) -> Result<Value, Failure> {
        self.room()?;
        let found = self.kind(kind)?;
        if !found.permits("note-added") {
            let message = format!("{} has no notes: its kind does not permit `note-added`", found.noun());
            return Err(Failure::permanent("record.no_notes", message));
        }
        let key = self.record_key(kind, id)?;
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
        self.stored_notes(&key)?;
        if let Some(open) = self.open.get_mut(&key) {
            // The record's version counts its notes too, so whoever read it learns of the note.
            open.touched = true;
            found.touch(&mut open.after, self.now);
        }
        self.notes.push(NoteDraft { on: key, id: note.id, value: value.clone() });
        Ok(value)
    }

    /// The newest notes of a record, oldest first, as this step would leave them.
    pub(super) fn notes_on(&mut self, key: &RecordKey) -> Result<Vec<Value>, Failure> {
        self.stored_notes(key)?;
        let stored = self.open.get(key).and_then(|open| open.notes.as_ref()).into_iter().flatten();
        let new = self.notes.iter().filter(|note| note.on == *key).map(|note| &note.value);
        Ok(stored.chain(new).cloned().collect())
    }

    /// Reads the notes that are stored, once.
    fn stored_notes(&mut self, key: &RecordKey) -> Result<(), Failure> {
        let unread = |open: &&mut super::Open| open.before.is_some() && open.notes.is_none();
        if let Some(open) = self.open.get_mut(key).filter(unread) {
            open.notes = Some(self.view.notes(&self.space, key, NOTES_SHOWN)?);
        }
        Ok(())
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
