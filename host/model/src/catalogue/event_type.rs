use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Vocabulary;
use crate::{EventPattern, Mistake, Mistakes, breaks_line, json_span};

/// Maximum length of a type's name, in bytes.
const LONGEST_NAME: usize = 255;
/// Maximum length of a summary, in bytes.
const LONGEST_SUMMARY: usize = 1024;
/// Maximum size of a schema or an example, in bytes of JSON.
const LARGEST: usize = 64 * 1024;

/// An event type: its name, its meaning and the schema of its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventType {
    /// Dotted words, such as `ticket.updated`. 1 to 255 bytes.
    pub name: String,
    /// Its meaning, a sentence of at most 1024 bytes.
    #[serde(default)]
    pub summary: String,
    /// JSON Schema (2020-12) of the data: an object or a boolean of at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// An example of the data, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// Its names in the vocabularies that have one: the vocabulary's name with the word.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vocabularies: BTreeMap<String, String>,
}

/// The input that registers or changes an event type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeInput {
    /// See [`EventType::name`].
    pub name: String,
    /// See [`EventType::summary`].
    #[serde(default)]
    pub summary: String,
    /// See [`EventType::schema`].
    #[serde(default)]
    pub schema: Option<Value>,
    /// See [`EventType::example`].
    #[serde(default)]
    pub example: Option<Value>,
}

impl EventTypeInput {
    /// Validates the bounds and makes the type. Whether the schema is valid and the example matches it is checked by
    /// the callers that have a validator.
    pub fn accept(self) -> Result<EventType, Mistakes> {
        let Self { name, summary, schema, example } = self;
        let vocabularies = Vocabulary::words_for(&name);
        let event_type = EventType { name, summary, schema, example, vocabularies };
        event_type.check()?;
        Ok(event_type)
    }
}

impl EventType {
    /// Validates the bounds of every field.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if let Err(mistake) = check_name(&self.name) {
            mistakes.0.push(mistake);
        }
        if self.summary.len() > LONGEST_SUMMARY {
            mistakes.add("summary", format!("has {} bytes: at most {LONGEST_SUMMARY}", self.summary.len()));
        }
        if self.summary.chars().any(breaks_line) {
            mistakes.add("summary", "has a control character: write it in one line");
        }
        for (path, value) in [("schema", &self.schema), ("example", &self.example)] {
            let Some(value) = value else { continue };
            let text = value.to_string();
            if text.len() > LARGEST {
                mistakes.add(path, format!("has {} bytes of JSON: at most {LARGEST}", text.len()));
            } else if let Err(mistake) = json_span(text.as_bytes(), path) {
                mistakes.0.push(mistake);
            }
        }
        if let Some(schema) = &self.schema
            && !schema.is_object()
            && !schema.is_boolean()
        {
            let shown = crate::abridged(&schema.to_string());
            mistakes.add("schema", format!("`{shown}` is not a JSON Schema: give an object"));
        }
        mistakes.check()
    }
}

/// Checks that a string names one event type: an [`EventPattern`] without `*`, and shorter.
fn check_name(name: &str) -> Result<(), Mistake> {
    if name.len() > LONGEST_NAME {
        return Err(Mistake::new("name", format!("has {} bytes: at most {LONGEST_NAME}", name.len())));
    }
    if name.contains('*') {
        return Err(Mistake::new("name", format!("`{name}`: `*` matches several types; give the name of one type")));
    }
    if name.chars().any(breaks_line) {
        let message = format!("`{}` has a control character: leave it out", name.escape_debug());
        return Err(Mistake::new("name", message));
    }
    name.parse::<EventPattern>().map(|_| ()).map_err(|message| Mistake::new("name", message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accept(value: Value) -> Result<EventType, Mistakes> {
        serde_json::from_value::<EventTypeInput>(value).unwrap().accept()
    }

    #[test]
    fn a_registered_type_is_stored_unchanged() {
        let given = json!({"name": "order.paid", "summary": "An order was paid.", "schema": {"type": "object"}, "example": {"id": 1}});
        let event_type = accept(given.clone()).unwrap();
        assert_eq!(serde_json::to_value(&event_type).unwrap(), given);
        assert_eq!(serde_json::from_value::<EventType>(given).unwrap(), event_type);
        let bare = accept(json!({"name": "x".repeat(255), "schema": true})).unwrap();
        assert_eq!((bare.summary.as_str(), bare.example, bare.vocabularies.len()), ("", None, 0));
        let known = accept(json!({"name": "party.created"})).unwrap();
        assert_eq!(known.vocabularies.get("capsule").map(String::as_str), Some("party/created"));
    }

    #[test]
    fn values_out_of_bounds_are_reported() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        for (value, path, said) in [
            (json!({"name": ""}), "name", "1 to 256"),
            (json!({"name": "x".repeat(256)}), "name", "at most 255"),
            (json!({"name": "order paid"}), "name", "blank"),
            (json!({"name": "order..paid"}), "name", "empty word"),
            (json!({"name": "order.*"}), "name", "the name of one type"),
            (json!({"name": "a", "summary": "x".repeat(1025)}), "summary", "at most 1024"),
            (json!({"name": "a", "summary": "x\ny"}), "summary", "one line"),
            (json!({"name": "a", "schema": "object"}), "schema", "not a JSON Schema"),
            (json!({"name": "a", "schema": {"const": "x".repeat(64 * 1024)}}), "schema", "at most 65536"),
            (json!({"name": "a", "example": "x".repeat(64 * 1024)}), "example", "at most 65536"),
            (json!({"name": "a", "example": deep}), "example", "128 levels"),
        ] {
            let mistakes = accept(value).unwrap_err();
            assert_eq!(mistakes.0.len(), 1, "{mistakes}");
            assert_eq!(mistakes.0[0].path, path, "{mistakes}");
            assert!(mistakes.0[0].message.contains(said), "{mistakes}");
        }
        assert_eq!(accept(json!({"name": "", "summary": "\n", "schema": 1})).unwrap_err().0.len(), 3);
        assert!(serde_json::from_value::<EventTypeInput>(json!({"name": "a", "sumary": ""})).is_err());
    }
}
