//! Notes on records.

use serde::Deserialize;
use serde_json::Value;

use super::{Workbench, invalid, value_of};
use crate::{Attachment, Failure, Mistake, Note, NoteDraft, Person, StoredNote};

/// Maximum size of a note, in bytes.
const MAX_NOTE: usize = 256 * 1024;

impl Workbench {
    /// Adds a note to a record of a kind that has notes. Returns the note.
    pub fn add_record_note(&mut self, kind: &str, id: &str, input: NoteInput) -> Result<Value, Failure> {
        self.room()?;
        let found = self.kind(kind)?;
        if !found.permits("note-added") {
            let message = format!("{} has no notes: its kind does not permit `note-added`", found.noun());
            return Err(Failure::permanent("record.no_notes", message));
        }
        // Notes of several steps do not conflict: each is added to the record as it is when the step commits.
        let key = self.records.existing(&mut self.stored, kind, id)?;
        input.check().map_err(|mistake| invalid(&mistake))?;
        // The id of an author that the caller names is not known.
        let user = self.origin.author.user.as_ref().filter(|_| input.author.is_none());
        let mut attachments = input.attachments;
        for file in &mut attachments {
            file.created_by = file.created_by.take().or_else(|| user.map(Person::from));
        }
        let note = Note {
            id: self.stored.next_id("note")?,
            text: input.text,
            html: input.html,
            public: input.public,
            attachments,
            author_id: user.map(|user| user.id.clone()),
            author: Some(input.author.unwrap_or_else(|| match user {
                Some(user) => user.name.clone(),
                None => self.origin.source.clone(),
            })),
            created_at: self.now,
        };
        let value = value_of(&note)?;
        let stored = StoredNote::from(&value);
        self.records.read_notes(&mut self.stored, &key)?;
        let draft = NoteDraft { on: key, id: note.id, value: value.clone(), stored };
        self.records.add_note(&mut self.budget, &found, self.now, draft)?;
        Ok(value)
    }
}

/// A note from a caller.
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
    /// Its attachments.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Its author. By default the user of the caller's key, or else the caller.
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
