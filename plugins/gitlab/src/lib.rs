//! The source `gitlab`: receives GitLab's webhooks, of projects, groups and whole instances.
//!
//! GitLab sends either the webhook's secret token (`X-Gitlab-Token`), which is compared with the secret that the operator
//! stored as `signing-secret`, or, where a signing token is set, a signature (`webhook-signature`, as Standard Webhooks
//! writes it). One that is right is needed. A merge request that was opened becomes an event of type
//! `gitlab.merge_request.open`, known by GitLab's idempotency key, about the project. The payload is the event's data,
//! untouched.

mod delivery;
mod proof;

use hookwright_sdk::inbound::{self, Stop};
use hookwright_sdk::{Draft, Failure, Manifest, Plugin, Reception, Request, Source};
use serde::de::IgnoredAny;

use crate::delivery::Delivery;
use crate::proof::SECRET;

/// Headers that are stored with the event.
const KEPT: [&str; 7] = [
    "content-type",
    "user-agent",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-gitlab-instance",
    "x-gitlab-webhook-uuid",
    "idempotency-key",
];

struct GitLab;

impl Plugin for GitLab {
    const MANIFEST: Manifest = Manifest {
        name: "gitlab",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks from GitLab and checks their tokens or signatures",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("secret-format", "whsec"), ("body", "as-sent")],
    };
    type Parameters = IgnoredAny;
}

impl Source for GitLab {
    fn receive(request: &Request, _parameters: IgnoredAny) -> Result<Reception, Failure> {
        inbound::settle(receive(request))
    }
}

fn receive(request: &Request) -> Result<Reception, Stop> {
    inbound::only_post(request, "gitlab.method", "GitLab")?;
    proof::check(request)?;
    let plain = inbound::decoded(request, "gitlab.payload_invalid")?;
    let payload = inbound::json(&plain, "gitlab.payload_invalid")?;
    let delivery = Delivery::read(request, payload)?;
    Ok(Reception::events(vec![Draft {
        id: delivery.id,
        subject: delivery.subject,
        attributes: inbound::kept(request, &KEPT),
        ..Draft::new(delivery.event_type, payload)
    }]))
}

hookwright_sdk::export_source!(GitLab);

#[cfg(test)]
mod tests;
