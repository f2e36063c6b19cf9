//! The condition `match`: compares one value of the event, or of the record that it is about, with an expected one.
//!
//! `{"path": "analytics_event.attributes.status", "equals": "Closed"}`: a path and exactly one operator. What each
//! operator says of which values is told in `docs/plugins/builtin/match.md`; the rows of `tests.rs` are the same as a
//! test.
//!
//! Values are looked at as the JSON that they came as, so that no digit is lost, and nothing of the payload is read but
//! what lies on the path. A path that begins with `ticket` or `record` leads into the record that the event is about, which
//! the host passes in `found`.

mod ask;
mod changes;
mod compare;
mod json;
mod operator;
mod tell;
mod time;

use std::borrow::Cow;

use hookwright_sdk::{Condition, Event, Failure, Manifest, Path, Plugin, Verdict};
use serde_json::value::RawValue;

use crate::json::Json;
use crate::operator::{Parameters, Subject, Test};

struct Match;

impl Plugin for Match {
    const MANIFEST: Manifest = Manifest {
        name: "match",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Compares a value of the event with an expected one",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Condition for Match {
    fn evaluate(event: &Event, mut parameters: Parameters) -> Result<Verdict, Failure> {
        let found = parameters.remove("found");
        // The host has looked there already.
        parameters.remove("about");
        let test = Test::read(parameters).map_err(|problem| Failure::permanent("parameters.invalid", problem))?;
        let value = match &test.subject {
            Subject::At(path) if test.is_about_change() => {
                let (holds, reason) = changes::ask(&test, event, path);
                return Ok(Verdict { holds, reason });
            }
            Subject::At(path) => look(event, path, found.as_deref()),
            Subject::Given(value) => Ok(Cow::Borrowed(value.get())),
            Subject::Element => Err("there is no element".to_owned()),
        };
        let answer = test.ask(value.as_deref().ok().map(Json));
        let holds = answer.holds;
        Ok(Verdict { holds, reason: test.reason(value.as_deref().map(Json).map_err(Clone::clone), answer) })
    }
}

/// The value at a path, as JSON: of the record that the host passed, or of the event. `Err`: what is there instead.
fn look<'v>(event: &'v Event, path: &Path, found: Option<&'v RawValue>) -> Result<Cow<'v, str>, String> {
    let handed = found.and_then(|found| Json(found.get()).members()).unwrap_or_default();
    if let Some(value) = handed.get("value") {
        return Ok(Cow::Borrowed(value.0));
    }
    if let Some(missing) = handed.get("missing").and_then(|missing| missing.text()) {
        return Err(missing.into_owned());
    }
    event.find_json(path).map_err(|missing| match handed.get("no_record").and_then(|said| said.text()) {
        Some(said) => said.into_owned(),
        None => missing.to_string(),
    })
}

hookwright_sdk::export_condition!(Match);

#[cfg(test)]
mod tests;
