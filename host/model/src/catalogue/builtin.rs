use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{EventType, Vocabulary};

/// Every type, made of the kinds of record and what can happen to them. A test reads the files.
static ALL: LazyLock<Vec<EventType>> = LazyLock::new(|| {
    let kinds: Map<String, Value> = read(include_str!("../../catalogue/kinds.json"));
    let verbs: Map<String, Value> = read(include_str!("../../catalogue/verbs.json"));
    let mut all: Vec<EventType> = read(include_str!("../../catalogue/others.json"));
    for (name, kind) in kinds {
        let Ok(kind) = serde_json::from_value::<Kind>(kind) else { continue };
        for (verb, change) in &kind.verbs {
            let told = verbs.get(verb).and_then(|told| Verb::deserialize(told).ok());
            all.extend(told.map(|told| kind.event_type(&name, verb, &told, change)));
        }
    }
    for event_type in &mut all {
        event_type.vocabularies = Vocabulary::words_for(&event_type.name);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
});

fn read<T: for<'de> Deserialize<'de> + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// Every built-in type of event, by name. Each has a summary, a schema and an example.
pub fn event_types() -> &'static [EventType] {
    &ALL
}

/// The built-in type of this name.
pub fn event_type(name: &str) -> Option<&'static EventType> {
    let place = ALL.binary_search_by(|one| one.name.as_str().cmp(name)).ok()?;
    ALL.get(place)
}

/// A kind of record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    /// What one of it is called, as `an opportunity`.
    noun: String,
    /// JSON Schema of each field.
    fields: Map<String, Value>,
    /// A record.
    example: Map<String, Value>,
    /// What can happen to it, with fields that then change: from what to what.
    verbs: Map<String, Value>,
}

/// Something that can happen to a record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verb {
    /// The end of a sentence, as `was closed`.
    happened: String,
    /// What the data has beside the record.
    tells: Tells,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tells {
    Nothing,
    /// `changes`: each field with what it was and is.
    Changes,
    /// `from` and `to` of the one field.
    FromTo,
    /// `note`.
    Note,
}

impl Kind {
    fn event_type(&self, name: &str, verb: &str, told: &Verb, change: &Value) -> EventType {
        let mut properties = Map::new();
        properties.insert("id".to_owned(), described("The record's id.", json!(["integer", "string"])));
        properties.insert(name.to_owned(), self.schema());
        let mut required = vec![Value::from("id"), Value::from(name)];
        let mut record = self.example.clone();
        let mut changes = Map::new();
        for (field, values) in change.as_object().into_iter().flatten() {
            let (from, to) = (values.get(0).cloned().unwrap_or_default(), values.get(1).cloned().unwrap_or_default());
            record.insert(field.clone(), to.clone());
            changes.insert(field.clone(), json!({"from": from, "to": to}));
        }
        let mut data = Map::new();
        data.insert("id".to_owned(), record.get("id").cloned().unwrap_or_default());
        data.insert(name.to_owned(), Value::Object(record));
        for (field, schema, example) in told.tells.fields(&changes) {
            required.push(field.into());
            properties.insert(field.to_owned(), schema);
            data.insert(field.to_owned(), example);
        }
        let summary = format!("{} {}.", capital(&self.noun), told.happened);
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": summary,
            "type": "object",
            "required": required,
            "properties": properties,
        });
        EventType {
            name: format!("{name}.{verb}"),
            summary,
            schema: Some(schema),
            example: Some(Value::Object(data)),
            vocabularies: std::collections::BTreeMap::new(),
        }
    }

    /// The record's own schema. A record may have fields beside those that are described.
    fn schema(&self) -> Value {
        json!({
            "description": format!("{}.", capital(&self.noun)),
            "type": "object",
            "required": ["id"],
            "properties": self.fields,
        })
    }
}

impl Tells {
    /// Fields of the data with their schema and example.
    fn fields(self, changes: &Map<String, Value>) -> Vec<(&'static str, Value, Value)> {
        let of_first = |side: &str| changes.values().next().and_then(|change| change.get(side)).cloned();
        match self {
            Self::Nothing => Vec::new(),
            Self::Changes => {
                let schema = json!({
                    "description": "Each field that changed, with what it was and is.",
                    "type": "object",
                    "additionalProperties": {"type": "object", "required": ["from", "to"]},
                });
                vec![("changes", schema, Value::Object(changes.clone()))]
            }
            Self::FromTo => vec![
                ("from", json!({"description": "What it was."}), of_first("from").unwrap_or_default()),
                ("to", json!({"description": "What it is."}), of_first("to").unwrap_or_default()),
            ],
            Self::Note => {
                let schema = json!({
                    "description": "The note.",
                    "type": "object",
                    "required": ["id", "text"],
                    "properties": {
                        "id": described("Its id.", json!("integer")),
                        "text": described("What it says.", json!("string")),
                        "html": described("The same in HTML, if it was given so.", json!(["string", "null"])),
                        "public": described("Whether the requester sees it.", json!("boolean")),
                        "attachments": described("Files that came with it.", json!("array")),
                        "author": described("Who wrote it.", json!(["string", "null"])),
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

/// The text with a capital letter at its start.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events_of_change;

    #[test]
    fn every_kind_and_every_verb_of_the_files_makes_a_type() {
        let kinds: std::collections::BTreeMap<String, Kind> =
            serde_json::from_str(include_str!("../../catalogue/kinds.json")).unwrap();
        let verbs: std::collections::BTreeMap<String, Verb> =
            serde_json::from_str(include_str!("../../catalogue/verbs.json")).unwrap();
        let others: Vec<EventType> = serde_json::from_str(include_str!("../../catalogue/others.json")).unwrap();
        let mut count = others.len();
        for (name, kind) in &kinds {
            assert!(crate::is_kind(name), "{name}");
            for (verb, change) in &kind.verbs {
                let told = verbs.get(verb).unwrap_or_else(|| panic!("{name}: no verb {verb}"));
                let fields = change.as_object().unwrap();
                let expected = match told.tells {
                    Tells::Nothing | Tells::Note => 0..1,
                    Tells::Changes => 1..10,
                    Tells::FromTo => 1..2,
                };
                assert!(expected.contains(&fields.len()), "{name}.{verb}: {change}");
                for (field, values) in fields {
                    assert!(kind.fields.contains_key(field), "{name}.{verb}: {field} has no schema");
                    assert!(values.as_array().is_some_and(|pair| pair.len() == 2 && pair[0] != pair[1]), "{values}");
                }
                count += 1;
            }
        }
        assert_eq!(event_types().len(), count);
    }

    #[test]
    fn every_type_has_a_summary_a_schema_and_an_example_that_fits_it() {
        assert!(event_types().len() > 150);
        for event_type in event_types() {
            event_type.check().unwrap_or_else(|mistakes| panic!("{}: {mistakes}", event_type.name));
            assert!(event_type.summary.ends_with('.') && event_type.summary.len() > 15, "{}", event_type.name);
            let schema = event_type.schema.as_ref().unwrap();
            let example = event_type.example.as_ref().unwrap();
            jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{}: {error}", event_type.name));
            let validator = jsonschema::validator_for(schema).unwrap();
            if let Err(error) = validator.validate(example) {
                panic!("{}: {error} at {}", event_type.name, error.instance_path());
            }
            assert!(!validator.is_valid(&json!({})), "{}", event_type.name);
        }
    }

    /// An example that shows a change is what [`events_of_change`] makes of that change.
    #[test]
    fn the_examples_are_what_a_change_is_told_as() {
        let kinds: std::collections::BTreeMap<String, Kind> =
            serde_json::from_str(include_str!("../../catalogue/kinds.json")).unwrap();
        let mut told = 0;
        for (name, kind) in &kinds {
            for (verb, change) in kind.verbs.iter().filter(|(_, change)| *change != &json!({})) {
                let example = super::event_type(&format!("{name}.{verb}")).unwrap().example.clone().unwrap();
                let mut before = example[name].clone();
                for (field, values) in change.as_object().unwrap() {
                    before[field] = values[0].clone();
                }
                let events = events_of_change(&before, &example[name]);
                let (_, more) =
                    events.iter().find(|(other, _)| other == verb).unwrap_or_else(|| panic!("{name}.{verb}"));
                for (field, value) in more {
                    assert_eq!(&example[field], value, "{name}.{verb}: {field}");
                }
                told += 1;
            }
        }
        assert!(told > 60, "{told}");
    }

    #[test]
    fn a_type_is_found_by_its_name() {
        for event_type in event_types() {
            assert_eq!(super::event_type(&event_type.name), Some(event_type));
        }
        assert_eq!(super::event_type("ticket.eaten"), None);
        let moved = super::event_type("opportunity.moved").unwrap();
        assert_eq!(moved.vocabularies.get("capsule").map(String::as_str), Some("opportunity/moved"));
        let data = moved.example.as_ref().unwrap();
        assert_eq!((&data["opportunity"]["milestone"], &data["from"]["name"]), (&data["to"], &json!("Bid")));
    }

    #[test]
    fn every_native_type_of_every_vocabulary_is_in_the_catalogue() {
        for vocabulary in Vocabulary::all() {
            for native in vocabulary.native_types() {
                assert!(super::event_type(native).is_some(), "{}: {native}", vocabulary.name());
            }
        }
    }

    #[test]
    fn the_article_s_records_are_the_examples() {
        for (name, pointer, value) in [
            ("party.created", "/party/firstName", json!("Scott")),
            ("party.created", "/party/addresses/0/street", json!("847 North Rush Street")),
            ("comment.created", "/comment/entity_id", json!(786)),
            ("lead.created", "/lead/kanban_status", json!("IN_WORK")),
            ("task.created", "/task/priority", json!("veryHigh")),
        ] {
            let example = super::event_type(name).unwrap().example.as_ref().unwrap();
            assert_eq!(example.pointer(pointer), Some(&value), "{name}");
        }
    }
}
