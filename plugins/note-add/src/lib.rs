//! The action `note-add`: adds a note to a ticket.
//!
//! `{"id": 7, "text": "Closed in Jira", "public": false}`. The result is `{"note": ID}`.

use hookwright_sdk::{Action, Event, Failure, Id, Manifest, Outcome, Plugin, Text, tickets};
use serde::Deserialize;
use serde_json::json;

struct NoteAdd;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    id: Id,
    text: Text,
    /// Whether the ticket's requester sees the note too.
    #[serde(default)]
    public: bool,
}

impl Plugin for NoteAdd {
    const MANIFEST: Manifest = Manifest {
        name: "note-add",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Adds a note to a ticket",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for NoteAdd {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { id, text, public } = parameters;
        if text.as_str().trim().is_empty() {
            return Err(Failure::permanent(
                "parameters.invalid",
                "parameter `text` is empty: write what the note is to say",
            ));
        }
        match tickets::add_note(&id, text.as_str(), public) {
            Ok(note) => Outcome::done(&json!({"note": note})),
            Err(failure) if failure.code == "ticket.not_found" => Err(Failure {
                message: format!("there is no ticket `{id}` in this space: correct `id` in the automation's `with`"),
                ..failure
            }),
            Err(failure) => Err(failure),
        }
    }
}

hookwright_sdk::export_action!(NoteAdd);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, Note, run};
    use serde_json::Value;

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        run::<NoteAdd>(&testing::event("x", json!(null)), parameters)
    }

    #[test]
    fn a_note_is_added_and_private_by_default() {
        Host::default().with_ticket("7", json!({})).install();
        assert_eq!(outcome(json!({"id": 7, "text": "one"})), Ok(Outcome::Done(r#"{"note":"note_1"}"#.into())));
        assert_eq!(
            outcome(json!({"id": "7", "text": 2, "public": true})),
            Ok(Outcome::Done(r#"{"note":"note_2"}"#.into()))
        );
        let note = |text: &str, is_public| Note { ticket: "7".into(), text: text.into(), is_public };
        assert_eq!(testing::notes(), [note("one", false), note("2", true)]);
    }

    #[test]
    fn errors_are_reported_with_the_value() {
        Host::default().with_ticket("7", json!({})).install();
        for (parameters, code, said) in [
            (json!({"id": 8, "text": "x"}), "ticket.not_found", "`8`"),
            (json!({"id": 7}), "parameters.invalid", "`text`"),
            (json!({"id": 7, "text": " "}), "parameters.invalid", "`text` is empty"),
            (json!({"id": 7, "text": "x", "pubic": true}), "parameters.invalid", "`pubic`"),
            (json!({"id": 7.5, "text": "x"}), "parameters.invalid", "`id`"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(failure.message.contains(said) && !failure.can_retry(), "{failure:?}");
        }
        assert!(testing::notes().is_empty());
    }
}
