//! The source `standard-webhooks`: receives from any provider that follows Standard Webhooks 1.0.
//!
//! Requests carry `webhook-id`, `webhook-timestamp` and `webhook-signature`. Codes of version `v1` are checked with the
//! secret that the operator stored as `signing-secret`, `whsec_` and base64 as the provider shows it; the plugin never
//! sees it, so its hint `secret-format` asks the host to key codes with the bytes that the base64 stands for. Signatures
//! of version `v1a` are checked with the parameter `public_key`. The payload's `type` is the event's, `webhook-id` its
//! id, and the payload its data, untouched.

mod signature;

use hookwright_sdk::inbound::{self, Found, Mapping, Rule, Stop};
use hookwright_sdk::{Draft, Failure, Manifest, Plugin, Reception, Request, Source};
use serde::Deserialize;

use crate::signature::SECRET;

/// Headers that are stored with the event.
const KEPT: [&str; 3] = ["content-type", "user-agent", "webhook-timestamp"];

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    public_key: Option<String>,
    #[serde(default = "five_minutes")]
    tolerance_seconds: u32,
    #[serde(default)]
    type_prefix: String,
    #[serde(default = "type_path")]
    type_path: String,
    #[serde(default)]
    subject_path: Option<String>,
    #[serde(default = "time_path")]
    time_path: String,
}

fn five_minutes() -> u32 {
    300
}

fn type_path() -> String {
    "type".into()
}

fn time_path() -> String {
    "timestamp".into()
}

struct StandardWebhooks;

impl Plugin for StandardWebhooks {
    const MANIFEST: Manifest = Manifest {
        name: "standard-webhooks",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks signed according to Standard Webhooks",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("secret-format", "whsec"), ("body", "as-sent")],
    };
    type Parameters = Parameters;
}

impl Source for StandardWebhooks {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    inbound::only_post(request, "standard_webhooks.method", "A provider")?;
    let id = signature::check(request, parameters.public_key.as_deref(), parameters.tolerance_seconds)?;
    let plain = inbound::decoded(request, "standard_webhooks.payload_invalid")?;
    let payload = inbound::payload(&plain, "standard_webhooks.payload_invalid")?;
    let at = |path: &str| Found { path: Some(path.to_owned()), ..Found::default() };
    let mapping = Mapping {
        event_type: Some(Rule::Found(Found { prefix: parameters.type_prefix.clone(), ..at(&parameters.type_path) })),
        time: Some(at(&parameters.time_path)),
        subject: parameters.subject_path.as_deref().map(|path| Rule::Found(at(path))),
        ..Mapping::default()
    };
    let draft = mapping.draft(request, &payload, "standard_webhooks.type_missing")?;
    Ok(Reception::events(vec![Draft { id: inbound::event_id(id), attributes: inbound::kept(request, &KEPT), ..draft }]))
}

hookwright_sdk::export_source!(StandardWebhooks);

#[cfg(test)]
mod tests;
