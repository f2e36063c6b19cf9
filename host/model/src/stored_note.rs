//! A note as it is stored. What only passes it on, as events do, needs no more than its text.

use std::sync::Arc;

use serde_json::Value;

use crate::size::text_size;
use crate::{Failure, json_size};

/// A note as it is stored: its JSON, which is read only where somebody asks for its fields, and what it counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNote {
    json: Arc<str>,
    size: usize,
}

impl StoredNote {
    /// The note of this JSON, as the store wrote it. None: it was cut short.
    pub fn read(json: &str) -> Option<Self> {
        Some(Self { size: text_size(json)?, json: json.into() })
    }

    /// The JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Bytes that it counts for: those of its value by [`json_size`].
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its fields.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub fn value(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.json)
            .map_err(|error| Failure::transient("store.failed", format!("the store contains unreadable data: {error}")))
    }
}

impl From<&Value> for StoredNote {
    fn from(value: &Value) -> Self {
        Self { json: value.to_string().into(), size: json_size(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let json = r#"{"id":3,"text":"größer \"\u0001","n":12345678901234567890123.10,"f":[]}"#;
        let note = StoredNote::read(json).unwrap();
        let value = note.value().unwrap();
        assert_eq!((note.json(), note.size()), (json, json_size(&value)));
        assert_eq!(StoredNote::from(&value), note);
        assert_eq!(StoredNote::read(r#"{"id":3,"text":"gr"#), None);
        let unreadable = StoredNote::read(r#"{"id":x}"#).unwrap().value().unwrap_err();
        assert_eq!(unreadable.code, "store.failed");
    }
}
