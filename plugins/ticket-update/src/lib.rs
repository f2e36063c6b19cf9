//! The action `ticket-update`: changes fields of a ticket.
//!
//! `{"id": 7, "status": "closed"}`. Which fields there are and what they may hold is the host's to say, so every name
//! but `id` is passed on.

use std::collections::BTreeMap;

use hookwright_sdk::{Action, Event, Failure, Id, Manifest, Outcome, Plugin, tickets};
use serde_json::value::RawValue;

struct TicketUpdate;

/// Field and new value, `id` among them. Values stay the text that they were, so that no number loses a digit.
type Fields = BTreeMap<String, Box<RawValue>>;

impl Plugin for TicketUpdate {
    const MANIFEST: Manifest = Manifest {
        name: "ticket-update",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Changes fields of a ticket",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Fields;
}

impl Action for TicketUpdate {
    fn run(_event: &Event, mut fields: Fields) -> Result<Outcome, Failure> {
        let id = take_id(&mut fields)?;
        if fields.is_empty() {
            return Err(Failure::permanent(
                "parameters.invalid",
                "the parameters name no field to change: add at least one beside `id`, such as \"status\"",
            ));
        }
        tickets::update_json(&id, &fields).map(Outcome::Done).map_err(|failure| {
            if failure.code == "ticket.not_found" {
                return Failure {
                    message: format!(
                        "there is no ticket `{id}` in this space: correct `id` in the automation's `with`"
                    ),
                    ..failure
                };
            }
            failure
        })
    }
}

fn take_id(fields: &mut Fields) -> Result<Id, Failure> {
    let invalid = |said: &str| {
        Failure::permanent(
            "parameters.invalid",
            format!("parameter `id` {said}: give the ticket's id as a string or an integer"),
        )
    };
    let text = fields.remove("id").ok_or_else(|| invalid("is missing"))?;
    serde_json::from_str(text.get()).map_err(|_| invalid(&format!("is {}", hookwright_sdk::shorten(text.get(), 100))))
}

hookwright_sdk::export_action!(TicketUpdate);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, run};
    use serde_json::{Value, json};

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        run::<TicketUpdate>(&testing::event("x", json!(null)), parameters)
    }

    #[test]
    fn the_named_fields_change_and_the_ticket_is_the_result() {
        Host::default().with_ticket("7", json!({"status": "open", "subject": "Printer"})).install();
        let Ok(Outcome::Done(result)) = outcome(json!({"id": 7, "status": "closed", "priority": null})) else {
            panic!("not done")
        };
        assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), testing::ticket("7"));
        assert_eq!(
            testing::ticket("7"),
            json!({"id": "7", "status": "closed", "subject": "Printer", "priority": null})
        );
    }

    #[test]
    fn a_ticket_that_does_not_exist_is_named() {
        Host::default().install();
        for id in [json!(99), json!("99")] {
            let failure = outcome(json!({"id": id, "status": "closed"})).unwrap_err();
            assert_eq!(failure.code, "ticket.not_found");
            assert!(failure.message.contains("`99`") && !failure.can_retry(), "{failure:?}");
        }
    }

    #[test]
    fn parameters_that_cannot_be_meant_are_refused() {
        Host::default().with_ticket("7", json!({})).install();
        for (parameters, said) in [
            (json!({"status": "x"}), "`id` is missing"),
            (json!({"id": 7}), "no field to change"),
            (json!({"id": null, "status": "x"}), "`id` is null"),
            (json!({"id": {"a": 1}, "status": "x"}), "`id` is {"),
            (json!([]), "invalid type"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
