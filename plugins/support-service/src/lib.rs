//! The transform `support-service`: the ticket packet of the Support Service's webhook triggers.
//!
//! Every field of the packet is there in every message, with its type: a number that the ticket has not is 0, a list is
//! empty, a string is null. The ticket is read from `data.record`, else `data.ticket`, else the data; its fields by the
//! names that tickets have here (`service_first_level`) or those of the packet (`ServiceFirstLevel`). The packet's actions
//! are the ticket's notes, with the one that the event adds.

mod packet;

use hookwright_sdk::outgoing::{Object, Told};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed};
use serde::Deserialize;

struct SupportService;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    webhook_events: Vec<WebhookEvent>,
}

/// A condition of the trigger that fired.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookEvent {
    criteria: i64,
    operator: i64,
}

impl Plugin for SupportService {
    const MANIFEST: Manifest = Manifest {
        name: "support-service",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The ticket packet of the Support Service's webhooks",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Transform for SupportService {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let told = Told::of(event, &message)?;
        let conditions = parameters
            .webhook_events
            .iter()
            .map(|one| Object::default().with("Criteria", &one.criteria).with("Operator", &one.operator));
        let body = packet::packet(event, &told, conditions.collect());
        Ok(Transformed::Send(message.with_body("application/json", body)))
    }
}

hookwright_sdk::export_transform!(SupportService);

#[cfg(test)]
mod tests;
