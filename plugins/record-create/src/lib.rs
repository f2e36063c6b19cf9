//! The action `record-create`: makes a record of the space.
//!
//! `{"kind": "lead", "fields": {"name": "Ada"}}`. The result is `{"kind": "lead", "id": ID}`. Which kinds and fields there
//! are is the host's to say.

use std::collections::BTreeMap;

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, records};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

struct RecordCreate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    kind: String,
    /// Values stay the text that they were, so that no number loses a digit.
    #[serde(default)]
    fields: BTreeMap<String, Box<RawValue>>,
}

impl Plugin for RecordCreate {
    const MANIFEST: Manifest = Manifest {
        name: "record-create",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Creates a record, such as a lead, a contact or a task",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for RecordCreate {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { kind, fields } = parameters;
        if kind.trim().is_empty() {
            return Err(Failure::permanent(
                "parameters.invalid",
                "parameter `kind` is empty: say what kind of record to make, such as \"lead\"",
            ));
        }
        let id = records::create(&kind, &fields)?;
        Outcome::done(&json!({"kind": kind, "id": id}))
    }
}

hookwright_sdk::export_action!(RecordCreate);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, run};
    use serde_json::Value;

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        run::<RecordCreate>(&testing::event("x", json!(null)), parameters)
    }

    #[test]
    fn the_record_is_made_and_its_id_is_the_result() {
        Host::default().with_record("lead", "7", json!({})).install();
        let fields = json!({"name": "Größe", "score": 1.5, "tags": ["a"], "owner": null});
        let done = outcome(json!({"kind": "lead", "fields": fields}));
        assert_eq!(done, Ok(Outcome::Done(r#"{"id":"8","kind":"lead"}"#.into())));
        assert_eq!(testing::record("lead", "8")["tags"], json!(["a"]));
        assert_eq!(outcome(json!({"kind": "deal"})), Ok(Outcome::Done(r#"{"id":"1","kind":"deal"}"#.into())));
    }

    #[test]
    fn parameters_that_cannot_be_meant_are_refused() {
        Host::default().install();
        for (parameters, said) in [
            (json!({"fields": {}}), "`kind`"),
            (json!({"kind": ""}), "`kind` is empty"),
            (json!({"kind": "lead", "fields": []}), "`fields`"),
            (json!({"kind": "lead", "name": "Ada"}), "`name`"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
        assert_eq!(testing::record("lead", "1"), json!(null));
    }
}
