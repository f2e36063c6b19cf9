//! The verbs that changes of records are reported as, and their event types.

use serde_json::{Map, Value, json};

use super::verbs::{Tells, Verb, verbs};
use super::{RecordKind, schema};
use crate::catalogue::{Rules, events_by};
use crate::{EventType, Vocabulary};

impl RecordKind {
    /// The verbs that a change of a record is reported as, of those that the kind permits: `updated` first, each with
    /// what the data of its event contains besides the record. Empty if nothing changed.
    pub fn verbs_of_change(&self, before: &Value, after: &Value) -> Vec<(&'static str, Map<String, Value>)> {
        let declared = &self.declaration;
        let rules = Rules {
            updated: declared.updated.as_deref(),
            status: declared.status.as_deref(),
            stage: declared.stage.as_deref(),
            closed: declared.closed.as_deref(),
            completed: declared.completed.as_deref(),
        };
        let mut events = events_by(&rules, before, after);
        events.retain(|(verb, _)| self.permits(verb));
        events
    }

    /// The event types of its records, in the order of its verbs, each with a schema, and an example if the kind has
    /// one.
    pub fn event_types(&self) -> Vec<EventType> {
        let told = |(verb, change): (&String, &Value)| Some(self.event_type(verb, verbs().get(verb.as_str())?, change));
        self.declaration.verbs.0.iter().filter_map(told).collect()
    }

    fn event_type(&self, verb: &str, told: &Verb, change: &Value) -> EventType {
        let declared = &self.declaration;
        let name = self.name.as_str();
        let mut properties = Map::new();
        properties.insert("id".to_owned(), described("The record's id.", json!(["integer", "string"])));
        // Events of records of other systems are accepted too, so of a record only its id is required.
        let mut record_schema = schema::of_record(&self.sentence(), &declared.fields, true);
        if let Some(object) = record_schema.as_object_mut() {
            object.insert("required".to_owned(), json!(["id"]));
        }
        properties.insert(name.to_owned(), record_schema);
        let mut required = vec![Value::from("id"), Value::from(name)];
        let mut record = declared.example.as_object().cloned();
        let mut changes = Map::new();
        for (field, values) in change.as_object().into_iter().flatten() {
            let (from, to) = (values.get(0).cloned().unwrap_or_default(), values.get(1).cloned().unwrap_or_default());
            if let Some(record) = &mut record {
                record.insert(field.clone(), to.clone());
            }
            changes.insert(field.clone(), json!({"from": from, "to": to}));
        }
        let mut data = Map::new();
        if let Some(record) = record {
            data.insert("id".to_owned(), record.get("id").cloned().unwrap_or_default());
            data.insert(name.to_owned(), Value::Object(record));
        }
        for (field, schema, example) in told.tells.fields(&changes) {
            required.push(field.into());
            properties.insert(field.to_owned(), schema);
            data.insert(field.to_owned(), example);
        }
        let summary = format!("{} {}.", self.sentence().trim_end_matches('.'), told.happened);
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": summary,
            "type": "object",
            "required": required,
            "properties": properties,
        });
        let event_type = format!("{name}.{verb}");
        EventType {
            vocabularies: Vocabulary::words_for(&event_type),
            name: event_type,
            summary,
            schema: Some(schema),
            example: (!declared.example.is_null()).then_some(Value::Object(data)),
        }
    }
}

impl Tells {
    /// The fields of the data, with their schemas and examples.
    fn fields(self, changes: &Map<String, Value>) -> Vec<(&'static str, Value, Value)> {
        let of_first = |side: &str| changes.values().next().and_then(|change| change.get(side)).cloned();
        match self {
            Self::Nothing => Vec::new(),
            Self::Changes => {
                let schema = json!({
                    "description": "Each changed field, with its previous and its new value.",
                    "type": "object",
                    "additionalProperties": {"type": "object", "required": ["from", "to"]},
                });
                vec![("changes", schema, Value::Object(changes.clone()))]
            }
            Self::FromTo => vec![
                ("from", json!({"description": "The previous value."}), of_first("from").unwrap_or_default()),
                ("to", json!({"description": "The new value."}), of_first("to").unwrap_or_default()),
            ],
            Self::Note => {
                let schema = json!({
                    "description": "The note.",
                    "type": "object",
                    "required": ["id", "text"],
                    "properties": {
                        "id": described("Its id.", json!("integer")),
                        "text": described("Plain text.", json!("string")),
                        "html": described("The same in HTML, if it was given.", json!(["string", "null"])),
                        "public": described("Whether the requester sees it.", json!("boolean")),
                        "attachments": described("Its attachments.", json!("array")),
                        "author": described("Its author.", json!(["string", "null"])),
                        "author_id": described(
                            "The id of the user who wrote it, if the API key stands for one.",
                            json!(["string", "integer"]),
                        ),
                        "created_at": described("When it was added, RFC 3339.", json!("string")),
                    },
                });
                let example = json!({
                    "id": 3455, "text": "A technician is on the way.", "html": null, "public": true, "attachments": [],
                    "author": "howard", "created_at": "2026-03-17T23:09:18.000Z",
                });
                vec![("note", schema, example)]
            }
        }
    }
}

fn described(description: &str, kind: Value) -> Value {
    json!({"description": description, "type": kind})
}
