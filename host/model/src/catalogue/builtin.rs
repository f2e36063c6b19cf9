use std::sync::LazyLock;

use super::{EventType, Vocabulary};
use crate::builtin_kinds;

/// Every type: those derived from the kinds of record and their verbs, and the others. A test reads the files.
static ALL: LazyLock<Vec<EventType>> = LazyLock::new(|| {
    let mut all: Vec<EventType> = serde_json::from_str(include_str!("../../catalogue/others.json")).unwrap_or_default();
    for event_type in &mut all {
        event_type.vocabularies = Vocabulary::words_for(&event_type.name);
    }
    all.extend(builtin_kinds().flat_map(|kind| kind.event_types()));
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
});

/// Every built-in event type, by name. Each has a summary, a schema and an example.
pub fn event_types() -> &'static [EventType] {
    &ALL
}

/// The built-in type with this name.
pub fn event_type(name: &str) -> Option<&'static EventType> {
    let place = ALL.binary_search_by(|one| one.name.as_str().cmp(name)).ok()?;
    ALL.get(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::{Tells, verbs};

    #[test]
    fn every_kind_and_every_verb_of_the_files_makes_a_type() {
        let others: Vec<EventType> = serde_json::from_str(include_str!("../../catalogue/others.json")).unwrap();
        let mut count = others.len();
        for kind in builtin_kinds() {
            for (verb, change) in &kind.declaration().verbs.0 {
                let name = format!("{}.{verb}", kind.name());
                let told = verbs().get(verb.as_str()).unwrap_or_else(|| panic!("no verb {name}"));
                let fields = change.as_object().unwrap();
                let expected = match told.tells {
                    Tells::Nothing | Tells::Note => 0..1,
                    Tells::Changes => 1..10,
                    Tells::FromTo => 1..2,
                };
                assert!(expected.contains(&fields.len()), "{name}: {change}");
                assert!(super::event_type(&name).is_some(), "{name}");
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

    /// The example of a change is what its kind derives from that change.
    #[test]
    fn the_examples_equal_the_events_of_a_change() {
        let mut told = 0;
        for kind in builtin_kinds() {
            let name = kind.name();
            let verbs = kind.declaration().verbs.0.iter();
            for (verb, change) in verbs.filter(|(_, change)| *change != &json!({})) {
                let example = super::event_type(&format!("{name}.{verb}")).unwrap().example.clone().unwrap();
                let mut before = example[name].clone();
                for (field, values) in change.as_object().unwrap() {
                    before[field] = values[0].clone();
                }
                let events = kind.verbs_of_change(&before, &example[name]);
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
