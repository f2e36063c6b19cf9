//! The transform `cloudevents`: the event as a CloudEvent 1.0, over HTTP.
//!
//! | `mode` | content type | body |
//! |---|---|---|
//! | `structured` (default) | `application/cloudevents+json` | the event in the JSON format |
//! | `binary` | the data's own | the data as received; attributes are `ce-` headers |
//! | `batched` | `application/cloudevents-batch+json` | a list of one event |
//!
//! Attributes of the event that are named as CloudEvents allows (`a-z`, `0-9`) are extensions; others stay behind.

mod attributes;
mod binary;

use hookwright_sdk::outgoing::{Object, Payload, json};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed, encoding};
use serde::Deserialize;

use crate::attributes::attributes;

struct CloudEvents;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    mode: Mode,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Structured,
    Binary,
    Batched,
}

impl Plugin for CloudEvents {
    const MANIFEST: Manifest = Manifest {
        name: "cloudevents",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The event as a CloudEvent, structured, binary or batched",
        parameters: include_str!("parameters.json"),
        hints: &[(
            "documentation",
            "https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md",
        )],
    };
    type Parameters = Parameters;
}

impl Transform for CloudEvents {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let (payload, content_type) = Payload::of(event, &message);
        if matches!(payload, Payload::Json(_)) {
            json(&message)?;
        }
        let message = match parameters.mode {
            Mode::Binary => binary::message(event, message, payload, content_type),
            Mode::Structured => {
                let body = structured(event, &message, payload, &content_type)?;
                message.with_body("application/cloudevents+json", body)
            }
            Mode::Batched => {
                let body = format!("[{}]", structured(event, &message, payload, &content_type)?);
                message.with_body("application/cloudevents-batch+json", body)
            }
        };
        Ok(Transformed::Send(message))
    }
}

/// The JSON format of CloudEvents 1.0.2 (section 3). Data that is JSON stands in it as it was written.
fn structured(event: &Event, message: &Message, payload: Payload, content_type: &str) -> Result<String, Failure> {
    let object = attributes(event)
        .into_iter()
        .fold(Object::default(), |object, (name, value)| object.with(&name, &value))
        .with("datacontenttype", content_type);
    let object = match payload {
        Payload::Json(_) => object.with("data", json(message)?),
        Payload::Text(text) => object.with("data", &text),
        Payload::Bytes(bytes) => object.with("data_base64", &encoding::base64_encode(&bytes)),
    };
    Ok(object.finish())
}

hookwright_sdk::export_transform!(CloudEvents);

#[cfg(test)]
mod tests;
