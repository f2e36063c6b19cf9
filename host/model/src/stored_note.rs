//! A stored note. Where it is only passed on, as in events, its serialized form suffices.

use std::sync::Arc;

use serde_json::Value;

use crate::size::text_size;
use crate::{Failure, json_size};

/// A stored note: its JSON, which is parsed only where its fields are needed, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNote {
    json: Arc<str>,
    size: usize,
}

impl StoredNote {
    /// The note with this JSON, as the store wrote it. `None`: it is truncated.
    pub fn read(json: &str) -> Option<Self> {
        Some(Self { size: text_size(json)?, json: json.into() })
    }

    /// The JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its size in bytes, by [`json_size`].
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its fields.
    ///
    /// # Errors
    /// The stored state cannot be read.
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
