use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::{KindInput, RecordKind};

macro_rules! kinds {
    ($($name:literal)*) => {
        /// The name and the declaration of each.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../kinds/", $name, ".json")))),*];
    };
}

kinds! {
    "activity" "broadcast" "ci" "comment" "company" "contact" "contract" "deal" "flsa" "kase" "knowledge-article" "lead"
    "opportunity" "organization" "out-of-office-period" "party" "person" "post" "problem" "product" "project"
    "project-task" "release" "request" "risk" "service" "service-instance" "service-offering" "sla" "task" "team"
    "ticket" "time-entry" "user" "workflow"
}

/// A test reads each file. One that could not be read would be omitted.
static ALL: LazyLock<BTreeMap<&'static str, Arc<RecordKind>>> = LazyLock::new(|| {
    let read = |(name, text): &(&'static str, &str)| {
        let input: KindInput = serde_json::from_str(text).ok()?;
        Some((*name, Arc::new(RecordKind::built_in(name, input))))
    };
    FILES.iter().filter_map(read).collect()
});

/// Every built-in kind, by name.
pub fn builtin_kinds() -> impl Iterator<Item = &'static Arc<RecordKind>> {
    ALL.values()
}

/// The built-in kind with this name.
pub fn builtin_kind(name: &str) -> Option<&'static Arc<RecordKind>> {
    ALL.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_kind_in_the_form_that_it_is_shown_in() {
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/kinds"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".json").to_owned())
            .collect();
        files.sort();
        assert_eq!(
            files,
            FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "each file has its word in the list"
        );
        for (name, text) in FILES {
            let input: KindInput = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            input.check(name).unwrap_or_else(|mistakes| panic!("{name}: {mistakes}"));
            let kind = builtin_kind(name).unwrap();
            let again: KindInput = serde_json::from_value(serde_json::to_value(kind.declaration()).unwrap()).unwrap();
            assert_eq!(&again, kind.declaration(), "{name}");
            assert!(!kind.declaration().example.is_null(), "{name} has an example");
            for (field, other) in
                kind.declaration().fields.iter().filter_map(|(name, f)| Some((name, f.kind.as_ref()?)))
            {
                assert!(builtin_kind(other).is_some(), "{name}.{field} refers to {other}");
            }
        }
    }

    #[test]
    fn the_example_of_every_kind_is_a_record_by_its_rules_and_by_its_schema() {
        for kind in builtin_kinds() {
            let example = &kind.declaration().example;
            kind.check_record(example.as_object().unwrap())
                .unwrap_or_else(|mistakes| panic!("{}: {mistakes}", kind.name()));
            let schema = kind.schema();
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
            let validator = jsonschema::validator_for(&schema).unwrap();
            if let Err(error) = validator.validate(example) {
                panic!("{}: {error} at {}", kind.name(), error.instance_path());
            }
            assert!(!validator.is_valid(&serde_json::json!({})), "{}", kind.name());
        }
    }
}
