//! The condition `match`: compares one value of the event with an expected one.
//!
//! `{"path": "analytics_event.attributes.status", "equals": "Closed"}`: a path and exactly one operator.
//!
//! | operator | also written | holds when the value at the path |
//! |---|---|---|
//! | `equals`, `not_equals` | `=`, `!=` | is, or is not, the same |
//! | `gt`, `gte`, `lt`, `lte` | `>`, `>=`, `<`, `<=` | stands in that order: numbers, times, texts |
//! | `contains`, `not_contains` | | has it as a part of a text, an element of a list or a key of an object |
//! | `starts_with`, `ends_with` | | is a text that does |
//! | `matches` | `regex` | is a text in which the regular expression is found |
//! | `exists` | | is there (`true`) or is not (`false`); a null is there |
//! | `in`, `not_in` | | is one of the list's, or none of them |
//!
//! `"value"` in place of `path` gives the value itself, such as `"{{steps.lookup.result.status}}"`.
//!
//! `"ignore_case": true` makes texts compare without regard to case. A number and a text that reads as a number compare
//! as numbers. Where the path leads to nothing, the operators that begin with `not_` hold and the others do not.

mod compare;
mod operator;
mod tell;
mod time;

use hookwright_sdk::{Condition, Event, Failure, Manifest, Plugin, Verdict};
use serde_json::{Map, Value};

use crate::operator::{Subject, Test};

struct Match;

impl Plugin for Match {
    const MANIFEST: Manifest = Manifest {
        name: "match",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Compares a value of the event with an expected one",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Map<String, Value>;
}

impl Condition for Match {
    fn evaluate(event: &Event, parameters: Map<String, Value>) -> Result<Verdict, Failure> {
        let test = Test::read(parameters).map_err(|problem| Failure::permanent("parameters.invalid", problem))?;
        let (answer, actual) = match &test.subject {
            Subject::Given(value) => (test.ask(Some(value)), format!("it is {}", tell::brief(value))),
            Subject::At(path) => {
                let found = event.find(path);
                let actual = match &found {
                    Err(missing) => missing.to_string(),
                    Ok(value) => format!("it is {}", tell::brief(value)),
                };
                (test.ask(found.as_deref().ok()), actual)
            }
        };
        let note = answer.note.map(|note| format!(", {note}")).unwrap_or_default();
        let reason = format!("{}: {actual}{note}", test.describe());
        Ok(Verdict { holds: answer.holds, reason })
    }
}

hookwright_sdk::export_condition!(Match);

#[cfg(test)]
mod tests;
