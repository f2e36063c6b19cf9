//! The source `jira`: receives Jira's webhooks, of the cloud and of data centres.
//!
//! A webhook with a secret signs its requests (`X-Hub-Signature: sha256=..`); the same secret is stored as
//! `signing-secret`. Where Jira cannot sign, the operator may let the secret come in the URL's query instead
//! (`token_parameter`). `jira:issue_updated` becomes an event of type `jira.issue.updated`, about the issue. What an
//! automation asks most often stands in attributes: the status, and from which to which it changed. The payload is the
//! event's data, untouched.

mod payload;
mod proof;

use hookwright_sdk::inbound::{self, Stop};
use hookwright_sdk::{Draft, Failure, Manifest, Pairs, Plugin, Reception, Refusal, Request, Source};
use serde::Deserialize;

use crate::payload::Head;
use crate::proof::SECRET;

/// Headers that are stored with the event.
const KEPT: [&str; 5] = [
    "content-type",
    "user-agent",
    "x-atlassian-webhook-flow",
    "x-atlassian-webhook-identifier",
    "x-atlassian-webhook-retry",
];

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    token_parameter: Option<String>,
}

struct Jira;

impl Plugin for Jira {
    const MANIFEST: Manifest = Manifest {
        name: "jira",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks from Jira and checks their signatures",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("body", "as-sent")],
    };
    type Parameters = Parameters;
}

impl Source for Jira {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    inbound::only_post(request, "jira.method", "Jira")?;
    proof::check(request, parameters.token_parameter.as_deref())?;
    if request.body.is_empty() {
        let said = "the body is empty: switch off *Exclude body* in Jira's webhook form";
        return Err(Refusal::new(400, "jira.payload_invalid", said).into());
    }
    let plain = inbound::decoded(request, "jira.payload_invalid")?;
    let payload = inbound::json(&plain, "jira.payload_invalid")?;
    let head: Head = inbound::head(payload).map_err(|said| Refusal::new(400, "jira.payload_invalid", said))?;
    let event_type = head.event_type().ok_or_else(|| {
        let said = "the payload has no `webhookEvent`: this is not a webhook of Jira. For what an automation rule sends, \
                    use a source of kind `token` or `hmac`";
        Refusal::new(400, "jira.event_missing", said)
    })?;
    let attributes: Pairs = inbound::kept(request, &KEPT).into_iter().chain(head.attributes()).collect();
    Ok(Reception::events(vec![
        Draft {
            id: request.header("x-atlassian-webhook-identifier").and_then(inbound::event_id),
            subject: head.subject(),
            attributes,
            ..Draft::new(event_type, payload)
        }
        .at(head.timestamp()),
    ]))
}

hookwright_sdk::export_source!(Jira);

#[cfg(test)]
mod tests;
