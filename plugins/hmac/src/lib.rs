//! The source `hmac`: receives from any provider that signs with an HMAC in a header.
//!
//! The operator says which header, how the signature is written, and what is signed; the secret is stored as
//! `signing-secret`. `{"header": "X-Signature", "prefix": "sha256=", "event": {"type": {"path": "event"}}}` checks
//! `X-Signature: sha256=HEX` over the body, and takes the event's type from the payload's member `event`. JSON is the
//! event's data as received; a form becomes an object, other text a string, and what is not text base64.

mod parameters;
mod signature;

use hookwright_sdk::inbound::{self, Stop};
use hookwright_sdk::{Failure, Manifest, Plugin, Reception, Request, Source};

use crate::parameters::{Parameters, SECRET, SignedBody};

struct HmacSource;

impl Plugin for HmacSource {
    const MANIFEST: Manifest = Manifest {
        name: "hmac",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks that are signed with an HMAC in a header",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("body", "as-sent")],
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
    let plain = inbound::decoded(request, "hmac.payload_invalid")?;
    let was_signed = if parameters.signed_body == SignedBody::Decoded { &*plain } else { request };
    signature::check(was_signed, parameters)?;
    let payload = inbound::payload(&plain, "hmac.payload_invalid")?;
    Ok(Reception::events(vec![parameters.event.draft(&plain, &payload, "hmac.type_missing")?]))
}

hookwright_sdk::export_source!(HmacSource);

#[cfg(test)]
mod tests;
