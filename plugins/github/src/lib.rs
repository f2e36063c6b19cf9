//! The source `github`: receives GitHub's webhooks.
//!
//! Every delivery must be signed with the secret that the operator stored as `signing-secret` (the one typed into
//! GitHub's webhook form). A delivery of the event `pull_request` whose payload has the action `opened` becomes an event
//! of type `github.pull_request.opened`, known by GitHub's delivery id, about the repository or else the organization.
//! The payload is the event's data, untouched. A `ping` is an event like any other.

mod delivery;
mod payload;

use hookwright_sdk::inbound::{self, Encoding, Stop};
use hookwright_sdk::{Draft, Failure, Manifest, Plugin, Reception, Refusal, Request, Source};
use serde::de::IgnoredAny;

use crate::delivery::Delivery;

/// The name of the webhook's secret.
const SECRET: &str = "signing-secret";

/// Headers that are stored with the event.
const KEPT: [&str; 7] = [
    "content-type",
    "user-agent",
    "x-github-delivery",
    "x-github-event",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
];

struct GitHub;

impl Plugin for GitHub {
    const MANIFEST: Manifest = Manifest {
        name: "github",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks from GitHub and checks their signatures",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("body", "as-sent")],
    };
    type Parameters = IgnoredAny;
}

impl Source for GitHub {
    fn receive(request: &Request, _parameters: IgnoredAny) -> Result<Reception, Failure> {
        inbound::settle(receive(request))
    }
}

fn receive(request: &Request) -> Result<Reception, Stop> {
    inbound::only_post(request, "github.method", "GitHub")?;
    check_signature(request)?;
    let plain = inbound::decoded(request, "github.payload_invalid")?;
    let delivery = Delivery::read(&plain)?;
    Ok(Reception::events(vec![Draft {
        id: Some(delivery.id),
        subject: delivery.subject,
        attributes: inbound::kept(request, &KEPT),
        ..Draft::new(delivery.event_type, delivery.payload)
    }]))
}

/// Checks the signature, which may be one of several.
///
/// # Errors
/// Why the request does not count as signed. Or the host has no secret to check with: that is the operator's to mend, not
/// the caller's.
fn check_signature(request: &Request) -> Result<(), Stop> {
    let Some(signature) = request.header_list("x-hub-signature-256") else {
        let remedy = if request.header("x-hub-signature").is_some() {
            "x-hub-signature alone (SHA-1) is not accepted"
        } else {
            "give the webhook on GitHub the same secret as this source"
        };
        let message = format!("no x-hub-signature-256 header: {remedy}");
        return Err(Refusal::new(401, "github.signature_missing", message).into());
    };
    let wrong = |said: &str| {
        Err(Refusal::new(401, "github.signature_wrong", format!("the x-hub-signature-256 header {said}")).into())
    };
    let mut digits = inbound::codes(&signature, "sha256=").peekable();
    if digits.peek().is_none() {
        return wrong("does not begin with sha256=");
    }
    let codes: Vec<Vec<u8>> = digits.filter_map(|digits| Encoding::Hex.decode(digits)).collect();
    if codes.is_empty() {
        return wrong("is not hexadecimal");
    }
    // If the host cannot check the signature, the request is refused and the operator gets the message.
    if inbound::signed("sha256", SECRET, &request.body, &codes)? {
        return Ok(());
    }
    wrong(
        "is not the body's: the webhook on GitHub has another secret than this source, or the body was changed on the way",
    )
}

hookwright_sdk::export_source!(GitHub);

#[cfg(test)]
mod tests;
