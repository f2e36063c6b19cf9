//! The condition `probe-condition` (see `examples/README.md`), on the bindings alone.

#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/0.1.0", world: "condition-plugin", generate_all });
}
mod exact;

use bindings::exports::hookwright::plugin::condition::{Guest as Condition, Verdict};
use bindings::exports::hookwright::plugin::metadata::{Guest as Metadata, Manifest};
use bindings::hookwright::plugin::types::{Event, Failure};
use serde_json::value::RawValue;

struct Probe;

impl Metadata for Probe {
    fn describe() -> Manifest {
        Manifest {
            name: "probe-condition".into(),
            version: "0.1.0".into(),
            summary: "Compares a value of the event with an expected one".into(),
            parameters: r#"{"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false}"#.into(),
            hints: Vec::new(),
        }
    }
}

impl Condition for Probe {
    fn evaluate(event: Event, parameters: String) -> Result<Verdict, Failure> {
        let parameters = exact::value(&parameters);
        let given = exact::get(parameters, "path");
        let path = exact::text(given).unwrap_or_default();
        if path.is_empty() {
            let given = exact::compact(given, "nothing");
            return Err(Failure {
                code: "parameters.invalid".into(),
                message: format!("`path` is {given}: write the dotted path of a value, such as \"a.b\""),
                retry_after_ms: None,
            });
        }
        let expected = exact::get(parameters, "equals").unwrap_or(RawValue::NULL);
        let value = path.split('.').fold(exact::value(&event.data), exact::get);
        let reason =
            format!("{path} is {}, expected {}", exact::compact(value, "nothing"), exact::compact(Some(expected), ""));
        Ok(Verdict { holds: value.is_some_and(|value| exact::equal(value, expected)), reason })
    }
}

bindings::export!(Probe with_types_in bindings);
