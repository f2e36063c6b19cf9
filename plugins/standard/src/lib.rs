//! The transform `standard`: the payload that Standard Webhooks 1.0 recommends.
//!
//! `{"type", "timestamp", "id", "source", "subject", "data"}`; `subject` only where the event has one. The data stands as it
//! was written, digit by digit.
//!
//! With `"thin": true` the data has only what names things: members called `id`, or ending in `_id`, `_ids`, `Id`, `Ids` or
//! `ID`, whose values are strings of up to 256 bytes, numbers, or lists of those; and objects that hold such members.

mod thin;

use hookwright_sdk::outgoing::{Object, json};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed};
use serde::Deserialize;

struct Standard;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    thin: bool,
}

impl Plugin for Standard {
    const MANIFEST: Manifest = Manifest {
        name: "standard",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The payload of Standard Webhooks: type, timestamp and data",
        parameters: include_str!("parameters.json"),
        hints: &[(
            "documentation",
            "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        )],
    };
    type Parameters = Parameters;
}

impl Transform for Standard {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let data = json(&message)?;
        let body = Object::default()
            .with("type", &event.event_type)
            .with("timestamp", &event.time)
            .with("id", &event.id)
            .with("source", &event.source)
            .with_some("subject", event.subject.as_ref());
        let body = if parameters.thin {
            body.with_object("data", thin::ids(data, 0).unwrap_or_default())
        } else {
            body.with("data", data)
        };
        let body = body.finish();
        Ok(Transformed::Send(message.with_body("application/json", body)))
    }
}

hookwright_sdk::export_transform!(Standard);

#[cfg(test)]
mod tests;
