//! The source `slack`: receives Slack's events, slash commands and interactions.
//!
//! Every request must be signed (`X-Slack-Signature`) with the app's signing secret, stored as `signing-secret`, and be
//! fresh. One source takes all that an app sends; its URL goes into the app's *Event Subscriptions*, *Slash Commands* and
//! *Interactivity*.
//!
//! | Slack sends | becomes |
//! |---|---|
//! | an event `reaction_added` | `slack.reaction_added`, with a subtype `slack.message.channel_join` |
//! | the command `/deploy` | `slack.command.deploy`, the form's fields as data |
//! | an interaction `block_actions` | `slack.interaction.block_actions`, its payload as data |
//! | `url_verification` | no event: the challenge is answered |
//! | `ssl_check` | no event: 200 |
//!
//! Slack wants an answer within three seconds and shows a command's answer to people, so what is taken is answered with
//! 200 and no body.

mod callback;
mod form;
mod outcome;
mod signature;

use hookwright_sdk::inbound::{self, Stop};
use hookwright_sdk::{Failure, Manifest, Plugin, Reception, Request, Source};
use serde::Deserialize;

use crate::outcome::nothing;
use crate::signature::SECRET;

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default = "five_minutes")]
    tolerance_seconds: u32,
    #[serde(default)]
    command_reply: Option<String>,
}

fn five_minutes() -> u32 {
    300
}

struct Slack;

impl Plugin for Slack {
    const MANIFEST: Manifest = Manifest {
        name: "slack",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives events, slash commands and interactions from Slack",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("body", "as-sent")],
    };
    type Parameters = Parameters;
}

impl Source for Slack {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    let plain = inbound::decoded(request, "slack.payload_invalid")?;
    // A check of the certificate is not signed, and asks for nothing but an answer.
    if form::is_certificate_check(&plain) {
        return Ok(Reception::answer(nothing()));
    }
    inbound::only_post(request, "slack.method", "Slack")?;
    signature::check(request, parameters.tolerance_seconds)?;
    if inbound::is_json(&plain) {
        return Ok(callback::read(&plain)?);
    }
    Ok(form::read(&plain, parameters.command_reply.as_deref())?)
}

hookwright_sdk::export_source!(Slack);

#[cfg(test)]
mod tests;
