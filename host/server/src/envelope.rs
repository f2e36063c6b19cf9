//! The envelope of an event that was sent as JSON, parsed field by field, so that all validation errors are reported at
//! once. The payload remains a part of the body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hookwright_model::{Mistakes, json};
use serde_json::value::RawValue;

use crate::body;
use crate::problem::Problem;

/// The fields of an envelope, and the validation errors of those that were read.
pub(crate) struct Envelope<'b> {
    members: BTreeMap<Cow<'b, str>, &'b RawValue>,
    mistakes: Mistakes,
}

impl<'b> Envelope<'b> {
    /// Parses a body that is an object with no other fields than `known`.
    ///
    /// # Errors
    /// The body is not JSON, or not an object.
    pub(crate) fn read(bytes: &'b [u8], known: &[&str]) -> Result<Self, Problem> {
        let text = body::check_json(bytes)?;
        let members: Members<'b> = serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            let said = json::plain(said.rfind(" at line ").and_then(|at| said.get(..at)).unwrap_or(&said));
            Problem::from(hookwright_model::Mistake::new("", said))
        })?;
        let mut mistakes = Mistakes::default();
        for name in members.0.keys().filter(|name| !known.contains(&name.as_ref())).take(20) {
            let shown = hookwright_model::abridged(name);
            mistakes.add(shown, format!("unknown field: the known fields are {}", known.join(", ")));
        }
        Ok(Self { members: members.0, mistakes })
    }

    /// A string; `None` if the field is null or absent.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.json(name)?;
        match serde_json::from_str(value.get()) {
            Ok(text) => Some(text),
            Err(_) => {
                let shown = hookwright_model::abridged(value.get());
                self.mistakes.add(name, format!("is `{shown}`: give a string"));
                None
            }
        }
    }

    /// A required text.
    pub(crate) fn needed(&mut self, name: &str) -> String {
        match self.members.get(name).map(|value| value.get()) {
            None | Some("null") => {
                self.mistakes.add(name, "is missing: give a string");
                String::new()
            }
            Some(_) => self.text(name).unwrap_or_default(),
        }
    }

    /// Any JSON, as a part of the body; `None` if the field is null or absent.
    pub(crate) fn json(&self, name: &str) -> Option<&'b RawValue> {
        self.members.get(name).copied().filter(|value| value.get() != "null")
    }

    /// A required object.
    pub(crate) fn object(&mut self, name: &str) -> Option<&'b RawValue> {
        let value = self.members.get(name).copied();
        match value.map(RawValue::get) {
            Some(text) if text.starts_with('{') => return value,
            Some(text) => {
                let shown = hookwright_model::abridged(text);
                self.mistakes.add(name, format!("is `{shown}`: give an object"));
            }
            None => self.mistakes.add(name, "is missing: give an object"),
        }
        None
    }

    /// Returns all validation errors.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        self.mistakes.check().map_err(Problem::invalid)
    }
}

/// Members by their names.
struct Members<'b>(BTreeMap<Cow<'b, str>, &'b RawValue>);

impl<'de: 'b, 'b> serde::Deserialize<'de> for Members<'b> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize, PartialEq, Eq, PartialOrd, Ord)]
        struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

        let members = BTreeMap::<Name<'b>, &'b RawValue>::deserialize(deserializer)?;
        Ok(Self(members.into_iter().map(|(Name(name), value)| (name, value)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_of_an_envelope_are_reported_at_once() {
        let known = ["service", "trigger_event_type", "attributes"];
        for (body, paths) in [
            ("{}", vec!["service", "trigger_event_type", "attributes"]),
            (r#"{"service": 1, "attributes": []}"#, vec!["service", "trigger_event_type", "attributes"]),
            (
                r#"{"service": "a", "trigger_event_type": null, "attributes": {}, "x": 1}"#,
                vec!["x", "trigger_event_type"],
            ),
            (r#"{"service": "a", "trigger_event_type": "b", "attributes": {}}"#, vec![]),
        ] {
            let mut envelope = Envelope::read(body.as_bytes(), &known).unwrap();
            let _ = (envelope.needed("service"), envelope.needed("trigger_event_type"), envelope.object("attributes"));
            let found = envelope.finish().err().map(|problem| problem.errors().to_vec()).unwrap_or_default();
            assert_eq!(found.iter().map(|mistake| mistake.path.as_str()).collect::<Vec<_>>(), paths, "{body}");
        }
        for body in ["[]", "7", "null", r#"["jira", "jira.x", {}]"#] {
            let problem = Envelope::read(body.as_bytes(), &known).err().unwrap();
            assert!(
                problem.is("input.invalid") && problem.detail().contains("expected an object"),
                "{}",
                problem.detail()
            );
        }
    }
}
