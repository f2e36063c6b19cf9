//! The source `github`: receives GitHub's webhooks.
//!
//! Every delivery must be signed with the secret that the operator stored as `signing-secret` (the one typed into
//! GitHub's webhook form). A delivery of the event `pull_request` whose payload has the action `opened` becomes an event
//! of type `github.pull_request.opened`, known by GitHub's delivery id, about the repository or else the organization.
//! The payload is the event's data, untouched. A `ping` is an event like any other.

mod delivery;
mod payload;

use hookwright_sdk::{Draft, Failure, Manifest, Pairs, Plugin, Reception, Request, Source, crypto, encoding};
use serde::de::IgnoredAny;

use crate::delivery::Delivery;

/// The name under which the host keeps the webhook's secret.
const SECRET: &str = "signing-secret";

/// Headers that are kept with the event.
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
        hints: &[("secret", SECRET)],
    };
    type Parameters = IgnoredAny;
}

impl Source for GitHub {
    fn receive(request: &Request, _parameters: IgnoredAny) -> Result<Reception, Failure> {
        if request.method != "POST" {
            return Ok(Reception::refused(
                405,
                "github.method",
                format!(
                    "GitHub delivers with POST, this request is a {}",
                    hookwright_sdk::shorten(&request.method, 20)
                ),
            ));
        }
        if let Some(refusal) = unsigned(request)? {
            return Ok(refusal);
        }
        Ok(match Delivery::read(request) {
            Ok(delivery) => Reception::events(vec![draft(request, delivery)]),
            Err(refusal) => Reception::Refused(refusal),
        })
    }
}

/// Why the request does not count as signed; none when it does.
///
/// # Errors
/// The host has no secret to check with: that is the operator's to mend, not the caller's.
fn unsigned(request: &Request) -> Result<Option<Reception>, Failure> {
    let Some(signature) = request.header("x-hub-signature-256") else {
        let remedy = if request.header("x-hub-signature").is_some() {
            "x-hub-signature alone (SHA-1) is not accepted"
        } else {
            "give the webhook on GitHub the same secret as this source"
        };
        return Ok(Some(Reception::refused(
            401,
            "github.signature_missing",
            format!("no x-hub-signature-256 header: {remedy}"),
        )));
    };
    let wrong = |said: &str| {
        Ok(Some(Reception::refused(401, "github.signature_wrong", format!("the x-hub-signature-256 header {said}"))))
    };
    let Some(digits) = signature.strip_prefix("sha256=") else { return wrong("does not begin with sha256=") };
    let Ok(code) = encoding::hex_decode(digits) else { return wrong("is not hexadecimal") };
    match crypto::verify_hmac("sha256", SECRET, &request.body, &code) {
        Ok(()) => Ok(None),
        Err(failure) if failure.code == "signature.wrong" => wrong(
            "is not the body's: the webhook on GitHub has another secret than this source, or the body was changed on the way",
        ),
        // Anything else says that the host could not check, so nothing is let in and the operator is told.
        Err(failure) => Err(failure),
    }
}

fn draft(request: &Request, delivery: Delivery) -> Draft {
    let attributes: Pairs =
        KEPT.iter().filter_map(|name| Some(((*name).to_owned(), request.header(name)?.to_owned()))).collect();
    Draft {
        id: Some(delivery.id),
        subject: delivery.subject,
        attributes,
        ..Draft::new(delivery.event_type, delivery.payload)
    }
}

hookwright_sdk::export_source!(GitHub);

#[cfg(test)]
mod tests;
