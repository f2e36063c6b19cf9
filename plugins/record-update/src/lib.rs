//! The action `record-update`: changes fields of a record.
//!
//! `{"kind": "lead", "id": 7, "changes": {"stage": "won", "owner": null}}`; null removes a field. The result is the
//! record as it is then. Which kinds and fields there are is the host's to say.

use std::collections::BTreeMap;

use hookwright_sdk::{Action, Event, Failure, Id, Manifest, Outcome, Plugin, records, shorten};
use serde::Deserialize;
use serde_json::value::RawValue;

struct RecordUpdate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    kind: String,
    id: Id,
    /// Values stay the text that they were, so that no number loses a digit.
    changes: BTreeMap<String, Box<RawValue>>,
}

impl Plugin for RecordUpdate {
    const MANIFEST: Manifest = Manifest {
        name: "record-update",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Changes fields of a record, such as a lead, a contact or a task",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for RecordUpdate {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { kind, id, changes } = parameters;
        let invalid = |message: &str| Err(Failure::permanent("parameters.invalid", message));
        if kind.trim().is_empty() {
            return invalid("parameter `kind` is empty: say what kind of record to change, such as \"lead\"");
        }
        if changes.is_empty() {
            return invalid("parameter `changes` names no field to change: add at least one, such as \"stage\"");
        }
        records::update_json(&kind, &id, &changes).map(Outcome::Done).map_err(|failure| {
            if failure.code == "record.not_found" {
                let (kind, id) = (shorten(&kind, 60), shorten(id.as_str(), 100));
                let message = format!(
                    "there is no {kind} `{id}` in this space: correct `kind` or `id` in the automation's `with`"
                );
                return Failure { message, ..failure };
            }
            failure
        })
    }
}

hookwright_sdk::export_action!(RecordUpdate);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, run};
    use serde_json::{Value, json};

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        run::<RecordUpdate>(&testing::event("x", json!(null)), parameters)
    }

    #[test]
    fn fields_are_set_and_removed_and_the_record_is_the_result() {
        Host::default().with_record("lead", "7", json!({"stage": "new", "owner": "ada", "name": "Ü"})).install();
        let done = outcome(json!({"kind": "lead", "id": 7, "changes": {"stage": "won", "owner": null}}));
        let Ok(Outcome::Done(result)) = done else { panic!("not done: {done:?}") };
        assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), testing::record("lead", "7"));
        assert_eq!(testing::record("lead", "7"), json!({"id": "7", "stage": "won", "name": "Ü"}));
    }

    #[test]
    fn errors_are_reported_with_the_value() {
        Host::default().with_record("lead", "7", json!({})).install();
        for (parameters, code, said) in [
            (json!({"kind": "lead", "id": 8, "changes": {"a": 1}}), "record.not_found", "no lead `8`"),
            (json!({"kind": "deal", "id": "7", "changes": {"a": 1}}), "record.not_found", "no deal `7`"),
            (json!({"kind": "lead", "id": 7}), "parameters.invalid", "`changes`"),
            (json!({"kind": "lead", "id": 7, "changes": {}}), "parameters.invalid", "names no field"),
            (json!({"kind": "lead", "id": null, "changes": {"a": 1}}), "parameters.invalid", "`id`"),
            (json!({"kind": " ", "id": 7, "changes": {"a": 1}}), "parameters.invalid", "`kind` is empty"),
            (json!({"kind": "lead", "id": 7, "changes": {"a": 1}, "stage": 1}), "parameters.invalid", "`stage`"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(failure.message.contains(said) && !failure.can_retry(), "{}", failure.message);
        }
    }
}
