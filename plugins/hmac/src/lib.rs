//! The source `hmac`: receives from any provider that signs with an HMAC in a header.
//!
//! The operator says which header, how the signature is written, and what is signed; the secret is stored as
//! `signing-secret`. `{"header": "X-Signature", "prefix": "sha256=", "event": {"type": {"path": "event"}}}` checks
//! `X-Signature: sha256=HEX` over the body, and takes the event's type from the payload's member `event`. JSON is the
//! event's data as it came; a form becomes an object, other text a string, and what is no text base64.

mod signature;

use hookwright_sdk::inbound::{self, Encoding, Mapping, Stop};
use hookwright_sdk::{Failure, Manifest, Plugin, Reception, Request, Source};
use serde::Deserialize;

/// The name under which the host keeps the secret.
const SECRET: &str = "signing-secret";

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    header: String,
    #[serde(default)]
    algorithm: Algorithm,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    prefix: String,
    #[serde(default = "body")]
    signed: String,
    #[serde(default)]
    timestamp_header: Option<String>,
    #[serde(default)]
    timestamp_prefix: String,
    #[serde(default = "five_minutes")]
    tolerance_seconds: u32,
    #[serde(default)]
    event: Mapping,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    #[default]
    Sha256,
    Sha512,
    Sha1,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Sha1 => "sha1",
        }
    }
}

fn body() -> String {
    "{body}".into()
}

fn five_minutes() -> u32 {
    300
}

struct HmacSource;

impl Plugin for HmacSource {
    const MANIFEST: Manifest = Manifest {
        name: "hmac",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks that are signed with an HMAC in a header",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET)],
    };
    type Parameters = Parameters;
}

impl Source for HmacSource {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    if !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        inbound::only_post(request, "hmac.method", "A provider")?;
    }
    signature::check(request, parameters)?;
    let payload = inbound::payload(request, "hmac.payload_invalid")?;
    Ok(Reception::events(vec![parameters.event.draft(request, &payload, "hmac.type_missing")?]))
}

hookwright_sdk::export_source!(HmacSource);

#[cfg(test)]
mod tests;
