//! Runs one case, and reports the differences.

use std::path::PathBuf;
use std::time::Duration;

use hookwright_model::Limits;
use hookwright_plugin::Plugin;
use serde_json::Value;

use crate::case::{Case, TRACES};
use crate::compare::{Mismatch, compare, shown};
use crate::error::CaseError;
use crate::exchange::with_small_names;
use crate::files::CaseFile;
use crate::stage::Stage;

/// The report of a case.
#[derive(Clone, Debug)]
pub struct Report {
    /// The case's name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The expected behaviour.
    pub description: String,
    /// The differences. Empty: the case passed.
    pub mismatches: Vec<Mismatch>,
    /// Why it was not run.
    pub error: Option<CaseError>,
    /// What the plugin logged.
    pub log: Vec<String>,
    /// Duration of the call, from the instance to the result.
    pub took: Duration,
}

impl Report {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.mismatches.is_empty()
    }
}

/// Runs a case against a plugin, within `limits`.
pub async fn run(plugin: &Plugin, file: &CaseFile, limits: Limits) -> Report {
    let mut report = Report {
        name: file.name.clone(),
        path: file.path.clone(),
        description: String::new(),
        mismatches: Vec::new(),
        error: None,
        log: Vec::new(),
        took: Duration::ZERO,
    };
    let case = match &file.case {
        Ok(case) => case,
        Err(error) => {
            report.error = Some(error.clone());
            return report;
        }
    };
    report.description.clone_from(&case.description);
    let stage = match Stage::new(plugin, case, limits) {
        Ok(stage) => stage,
        Err(mistakes) => {
            let reason = mistakes.to_string();
            report.error = Some(CaseError::Invalid { path: file.path.clone(), reason });
            return report;
        }
    };
    let outside = stage.outside();
    let mut ended = stage.call_with(plugin, std::sync::Arc::clone(&outside)).await;
    let mismatches = &mut report.mismatches;
    result(case, &ended.results, mismatches);
    let called = !ended.results.contains_key("parameters_invalid");
    for name in TRACES {
        let Some(expected) = case.expect.get(name) else { continue };
        let (expected, actual) = match name {
            "effects" => (expected.clone(), ended.effects()),
            "requests" => (each_with_small_names(expected), outside.requests()),
            _ => (expected.clone(), ended.log.iter().map(|line| Value::from(line.as_str())).collect()),
        };
        compare(name, &expected, Some(&Value::Array(actual)), mismatches);
    }
    if called {
        mismatches.extend(outside.mismatches());
    }
    report.took = ended.usage.duration;
    report.log = ended.log;
    report
}

/// Compares the result of the call with the expected one. A case without an expected result fails if the call fails.
fn result(case: &Case, results: &serde_json::Map<String, Value>, mismatches: &mut Vec<Mismatch>) {
    let came_to = || {
        let first = results.iter().next();
        first.map(|(name, value)| format!("{name}: {}", shown(Some(value)))).unwrap_or_default()
    };
    let Some(name) = case.expected_result() else {
        if results.contains_key("failure") {
            let expected = "no failure, since the case expects none".to_owned();
            mismatches.push(Mismatch { path: "failure".to_owned(), expected, actual: came_to() });
        }
        return;
    };
    let Some(expected) = case.expect.get(name) else { return };
    match results.get(name) {
        None => mismatches.push(Mismatch { path: name.to_owned(), expected: shown(Some(expected)), actual: came_to() }),
        Some(actual) => {
            let expected = match name {
                "message" => with_small_names(expected.clone()),
                "accepted" => {
                    let mut expected = expected.clone();
                    if let Some(answer) = expected.get_mut("answer") {
                        *answer = with_small_names(answer.take());
                    }
                    expected
                }
                _ => expected.clone(),
            };
            compare(name, &expected, Some(actual), mismatches);
        }
    }
}

fn each_with_small_names(expected: &Value) -> Value {
    match expected {
        Value::Array(requests) => requests.iter().cloned().map(with_small_names).collect(),
        other => other.clone(),
    }
}
