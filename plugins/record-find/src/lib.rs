//! The action `record-find`: finds records by their fields, for events that know a record only by another system's key.
//!
//! `{"kind": "ticket", "where": {"external_id": "{{event.data.issue.key}}"}}`. The result is `{"record", "id", "records",
//! "count"}`, so that a later step names `{{steps.record-find.result.id}}`. A number and a string of its digits are the same,
//! since systems differ in how they write ids.

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, records, shorten};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How many records are found at most.
const MAX_FOUND: u32 = 100;

struct RecordFind;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default = "ticket")]
    kind: String,
    r#where: Map<String, Value>,
    #[serde(default = "one")]
    limit: u32,
    #[serde(default)]
    if_missing: IfMissing,
}

/// What happens if there is no such record.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IfMissing {
    #[default]
    Fail,
    Skip,
    Continue,
}

fn ticket() -> String {
    "ticket".into()
}

fn one() -> u32 {
    1
}

impl Plugin for RecordFind {
    const MANIFEST: Manifest = Manifest {
        name: "record-find",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Finds records by their fields, such as a ticket by another system's key",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for RecordFind {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { kind, r#where: wanted, limit, if_missing } = parameters;
        let invalid = |message: String| Failure::permanent("parameters.invalid", message);
        if kind.trim().is_empty() {
            return Err(invalid(
                "parameter `kind` is empty: say what kind of record to find, such as \"ticket\"".into(),
            ));
        }
        if wanted.is_empty() {
            return Err(invalid("parameter `where` names no field: add at least one, such as \"external_id\"".into()));
        }
        // A key that the event does not have must not find the first record that lacks it too.
        for (name, value) in &wanted {
            if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
                let name = shorten(name, 60);
                return Err(invalid(format!("parameter `where.{name}` is {value}: give the value to look for")));
            }
        }
        if !(1..=MAX_FOUND).contains(&limit) {
            return Err(invalid(format!("parameter `limit` is {limit}: give 1 to {MAX_FOUND}")));
        }
        let mut found = records::find(&kind, &wanted, limit)?;
        if found.is_empty()
            && let Some(otherwise) = written_otherwise(&wanted)
        {
            found = records::find(&kind, &otherwise, limit)?;
        }
        let first = found.first().cloned().unwrap_or_default();
        if first.is_null() {
            let message = format!(
                "there is no {} with {}: correct `where`, or set `if_missing`",
                shorten(&kind, 60),
                shorten(&Value::Object(wanted).to_string(), 200)
            );
            match if_missing {
                IfMissing::Fail => return Err(Failure::permanent("record.not_found", message)),
                IfMissing::Skip => return Ok(Outcome::skipped(message)),
                IfMissing::Continue => {}
            }
        }
        let id = first.get("id").cloned().unwrap_or_default();
        Outcome::done(&json!({"record": first, "id": id, "count": found.len(), "records": found}))
    }
}

/// The same values with strings of digits as numbers and numbers as texts. `None` where there are neither.
fn written_otherwise(wanted: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut changed = false;
    let other = wanted.iter().map(|(name, value)| {
        let value = match value {
            Value::Number(number) => Some(Value::from(number.to_string())),
            Value::String(text) => text.trim().parse::<i64>().ok().map(Value::from),
            _ => None,
        }
        .inspect(|_| changed = true)
        .unwrap_or_else(|| value.clone());
        (name.clone(), value)
    });
    let other = other.collect();
    changed.then_some(other)
}

hookwright_sdk::export_action!(RecordFind);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, run};

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        Host::default()
            .with_record("ticket", "1", json!({"id": 1, "external_id": "OPS-7", "status": "open"}))
            .with_record("ticket", "2", json!({"id": 2, "external_id": "OPS-8", "status": "open"}))
            .with_record("ticket", "3", json!({"id": 3, "external_id": "10002", "status": "closed"}))
            .with_record("lead", "9", json!({"id": 9, "number": 5}))
            .install();
        run::<RecordFind>(&testing::event("jira.issue.closed", json!(null)), parameters)
    }

    fn found(parameters: Value) -> Value {
        match outcome(parameters) {
            Ok(Outcome::Done(result)) => serde_json::from_str(&result).unwrap(),
            other => panic!("not done: {other:?}"),
        }
    }

    #[test]
    fn a_record_is_found_by_the_key_that_another_system_knows() {
        for (parameters, id, count) in [
            (json!({"where": {"external_id": "OPS-7"}}), json!(1), 1),
            (json!({"kind": "ticket", "where": {"external_id": "OPS-8", "status": "open"}}), json!(2), 1),
            (json!({"where": {"status": "open"}, "limit": 10}), json!(2), 2),
            (json!({"where": {"external_id": 10002}}), json!(3), 1),
            (json!({"kind": "lead", "where": {"number": "5"}}), json!(9), 1),
        ] {
            let result = found(parameters.clone());
            assert_eq!(
                (&result["id"], &result["record"]["id"], &result["count"]),
                (&id, &id, &json!(count)),
                "{parameters}"
            );
            assert_eq!(result["records"].as_array().unwrap().len(), count);
        }
    }

    #[test]
    fn a_missing_record_is_treated_as_configured() {
        let missing = |how: &str| outcome(json!({"where": {"external_id": "OPS-9"}, "if_missing": how}));
        let failure = missing("fail").unwrap_err();
        assert_eq!(failure.code, "record.not_found");
        assert!(failure.message.contains(r#"no ticket with {"external_id":"OPS-9"}"#), "{}", failure.message);
        assert!(matches!(missing("skip"), Ok(Outcome::Skipped(reason)) if reason.contains("OPS-9")));
        let Ok(Outcome::Done(result)) = missing("continue") else { panic!("not done") };
        assert_eq!(
            serde_json::from_str::<Value>(&result).unwrap(),
            json!({"record": null, "id": null, "count": 0, "records": []})
        );
    }

    #[test]
    fn parameters_that_cannot_be_meant_are_refused() {
        for (parameters, said) in [
            (json!({"where": {}}), "names no field"),
            (json!({"where": {"external_id": null}}), "`where.external_id` is null"),
            (json!({"where": {"external_id": " "}}), "`where.external_id` is \" \""),
            (json!({"kind": " ", "where": {"a": 1}}), "`kind` is empty"),
            (json!({"where": {"a": 1}, "limit": 0}), "`limit` is 0"),
            (json!({}), "where"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
