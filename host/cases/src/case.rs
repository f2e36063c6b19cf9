//! The format of a case file.

use std::collections::BTreeMap;

use hookwright_model::{Failure, Mistake, Mistakes, Timestamp, nullable};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::body::GivenBody;
use crate::compare;

/// A case: the input of a call, and its expected outcome.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// One sentence about the expected behaviour.
    pub description: String,
    /// The parameters.
    pub parameters: Option<Value>,
    pub(crate) event: GivenEvent,
    pub(crate) message: Option<GivenMessage>,
    pub(crate) request: Option<GivenRequest>,
    pub(crate) now: Option<Timestamp>,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) kv: BTreeMap<String, String>,
    pub(crate) tickets: Vec<Map<String, Value>>,
    pub(crate) records: BTreeMap<String, Vec<Map<String, Value>>>,
    pub(crate) http: Vec<GivenExchange>,
    /// The expected outcome, by the names of its parts.
    pub(crate) expect: Map<String, Value>,
}

/// The event that a condition, an action or a transform is called for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenEvent {
    pub(crate) id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) event_type: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) time: Option<String>,
    /// Absent: an empty object. `null`: null.
    #[serde(deserialize_with = "nullable::present")]
    pub(crate) data: Option<Box<RawValue>>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The input message of a transform.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenMessage {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<Box<RawValue>>,
}

/// The request to a source.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenRequest {
    pub(crate) method: Option<String>,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: GivenBody,
    pub(crate) remote_address: Option<String>,
}

/// An expected request of the plugin, and its response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenExchange {
    /// Compared with the request, in the parts that it has.
    #[serde(default)]
    pub(crate) request: Option<Value>,
    #[serde(default)]
    pub(crate) response: Option<GivenResponse>,
    #[serde(default)]
    pub(crate) failure: Option<GivenFailure>,
}

/// The response.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenResponse {
    pub(crate) status: Option<u16>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: GivenBody,
}

/// The failure, in place of a response.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenFailure {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    retry_after_ms: Option<u32>,
}

impl From<GivenFailure> for Failure {
    fn from(given: GivenFailure) -> Self {
        Self { code: given.code, message: given.message, retry_after_ms: given.retry_after_ms }
    }
}

/// The possible results of a call: exactly one of them is part of an outcome.
pub(crate) const RESULTS: [&str; 9] =
    ["verdict", "done", "skipped", "failure", "message", "dropped", "accepted", "refused", "parameters_invalid"];
/// The other parts of an outcome that a case may expect.
pub(crate) const TRACES: [&str; 3] = ["effects", "requests", "log"];

impl Case {
    /// Validates what the types do not express.
    pub(crate) fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if self.expect.is_empty() {
            mistakes.add("expect", format!("is empty: give one of {}", listed(&RESULTS)));
        }
        for (name, value) in &self.expect {
            let path = format!("expect.{name}");
            if !RESULTS.contains(&name.as_str()) && !TRACES.contains(&name.as_str()) {
                let all = [&RESULTS[..], &TRACES[..]].concat();
                mistakes.add(path, format!("is not a known field: the fields are {}", listed(&all)));
                continue;
            }
            if TRACES.contains(&name.as_str()) && !value.is_array() {
                mistakes.add(path, "is not a list: give `[..]`".to_owned());
                continue;
            }
            compare::check(&path, value, &mut mistakes);
        }
        let results: Vec<&str> = RESULTS.into_iter().filter(|name| self.expect.contains_key(*name)).collect();
        if results.len() > 1 {
            mistakes.add("expect", format!("a call has one result: keep only one of {}", listed(&results)));
        }
        for (place, exchange) in self.http.iter().enumerate() {
            let path = format!("http[{place}]");
            if exchange.response.is_some() == exchange.failure.is_some() {
                mistakes.add(&path, "give either `response` or `failure`");
            }
            if let Some(request) = &exchange.request {
                compare::check(&format!("{path}.request"), request, &mut mistakes);
            }
        }
        mistakes.check()
    }

    /// The parameters. Absent ones are an empty object.
    pub(crate) fn parameters(&self) -> Value {
        self.parameters.clone().unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// Whether the plugin is expected to succeed, not to refuse or to fail.
    pub fn achieves(&self) -> bool {
        !matches!(self.expected_result(), None | Some("failure" | "refused" | "parameters_invalid"))
    }

    /// The expected result of the call.
    pub(crate) fn expected_result(&self) -> Option<&'static str> {
        RESULTS.into_iter().find(|name| self.expect.contains_key(*name))
    }
}

/// An error in a part of the case.
pub(crate) fn within(part: &str, mistake: &Mistake) -> Mistake {
    let path = if mistake.path.is_empty() { part.to_owned() } else { format!("{part}.{}", mistake.path) };
    Mistake::new(path, mistake.message.clone())
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        let case: Case = match hookwright_model::parse_json(text.as_bytes()) {
            Ok(case) => case,
            Err(mistake) => return mistake.to_string(),
        };
        case.check().map_or_else(|mistakes| mistakes.to_string(), |()| String::new())
    }

    #[test]
    fn errors_in_a_case_are_reported_with_their_paths() {
        assert_eq!(mistakes(r#"{"expect":{"done":null,"effects":[]}}"#), "");
        for (text, part) in [
            (r#"{}"#, "expect: is empty"),
            (r#"{"expect":{"don":1}}"#, "expect.don: is not a known field: the fields are `verdict`"),
            (r#"{"expect":{"done":1,"skipped":"x"}}"#, "a call has one result: keep only one of `done`, `skipped`"),
            (r#"{"expect":{"effects":{}}}"#, "expect.effects: is not a list"),
            (
                r#"{"expect":{"done":{"a":[{"matches":"("}]}}}"#,
                "expect.done.a[0].matches: `(` is not a valid regular expression: ",
            ),
            (r#"{"expects":{}}"#, "expects"),
            (r#"{"event":{"typ":"a"},"expect":{}}"#, "event.typ"),
            (r#"{"http":[{}],"expect":{"done":1}}"#, "http[0]: give either"),
            (r#"{"now":"soon","expect":{"done":1}}"#, "now: `soon`"),
            (r#"{"records":{"lead":[7]},"expect":{"done":1}}"#, "records.lead[0]"),
            ("[]", "a list, expected an object"),
            ("7", "invalid type"),
        ] {
            let found = mistakes(text);
            assert!(found.contains(part), "{part}: {found}");
        }
    }

    #[test]
    fn data_keeps_every_digit() {
        let case: Case =
            hookwright_model::parse_json(br#"{"event":{"data":{"n":12345678901234567890123.10}}}"#).unwrap();
        assert!(case.event.data.unwrap().get().contains("12345678901234567890123.10"));
    }
}
