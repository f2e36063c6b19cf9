//! The action `event-emit`: emits an event of its own, which other automations and webhooks see.
//!
//! `{"type": "ticket.escalated", "subject": "7", "data": {"by": "night shift"}}`. The result is `{"event": ID}`.
//! Without `data` the new event's data is an empty object.

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, Text, events};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

struct EventEmit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    subject: Option<Text>,
    /// Kept as the text that it is, so that no number loses a digit.
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

impl Plugin for EventEmit {
    const MANIFEST: Manifest = Manifest {
        name: "event-emit",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Emits an event that other automations and webhooks see",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for EventEmit {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { event_type, subject, data } = parameters;
        if event_type.trim().is_empty() {
            return Err(Failure::permanent(
                "parameters.invalid",
                "parameter `type` is empty: name the event, such as \"ticket.escalated\"",
            ));
        }
        let subject = subject.as_ref().map(Text::as_str);
        let id = match data {
            Some(data) => events::emit(&event_type, subject, &data)?,
            None => events::emit(&event_type, subject, &json!({}))?,
        };
        Outcome::done(&json!({"event": id}))
    }
}

hookwright_sdk::export_action!(EventEmit);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Emitted, Host, run};
    use serde_json::Value;

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        run::<EventEmit>(&testing::event("x", json!(null)), parameters)
    }

    #[test]
    fn the_event_is_emitted_and_its_id_is_the_result() {
        Host::default().install();
        let all = outcome(json!({"type": "a.b", "subject": 7, "data": {"n": [1, null]}}));
        assert_eq!(all, Ok(Outcome::Done(r#"{"event":"evt_emitted_1"}"#.into())));
        assert!(outcome(json!({"type": "a.c"})).is_ok());
        let emitted = |event_type: &str, subject: Option<&str>, data| Emitted {
            event_type: event_type.into(),
            subject: subject.map(str::to_owned),
            data,
        };
        assert_eq!(
            testing::emitted(),
            [emitted("a.b", Some("7"), json!({"n": [1, null]})), emitted("a.c", None, json!({}))]
        );
    }

    #[test]
    fn parameters_that_cannot_be_meant_are_refused() {
        for (parameters, said) in [
            (json!({}), "`type`"),
            (json!({"type": " "}), "`type` is empty"),
            (json!({"type": 7}), "`type`"),
            (json!({"type": "a", "subject": []}), "`subject`"),
            (json!({"type": "a", "payload": {}}), "`payload`"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
