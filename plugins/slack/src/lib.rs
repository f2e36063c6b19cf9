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
mod signature;

use hookwright_sdk::inbound::{self, Stop};
use hookwright_sdk::{Answer, Draft, Failure, Intake, Manifest, Pairs, Plugin, Reception, Request, Source};
use serde::Deserialize;

/// The name under which the host keeps the app's signing secret.
const SECRET: &str = "signing-secret";

/// Headers that are kept with the event.
const KEPT: [&str; 4] = ["content-type", "user-agent", "x-slack-retry-num", "x-slack-retry-reason"];

/// What the operator may set.
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
        hints: &[("secret", SECRET)],
    };
    type Parameters = Parameters;
}

impl Source for Slack {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    // A check of the certificate is not signed, and asks for nothing but an answer.
    if form::is_certificate_check(request) {
        return Ok(Reception::answer(nothing()));
    }
    inbound::only_post(request, "slack.method", "Slack")?;
    signature::check(request, parameters.tolerance_seconds)?;
    if inbound::is_json(request) {
        return Ok(callback::read(request)?);
    }
    Ok(form::read(request, parameters.command_reply.as_deref())?)
}

/// One event, answered so that Slack shows nothing to anybody.
fn taken(request: &Request, draft: Draft, answer: Answer) -> Reception {
    let attributes: Pairs = inbound::kept(request, &KEPT).into_iter().chain(draft.attributes).collect();
    Reception::Accepted(Intake { events: vec![Draft { attributes, ..draft }], answer })
}

fn nothing() -> Answer {
    Answer { status: 200, headers: Pairs::new(), body: Vec::new() }
}

/// The attributes that have a value.
fn attributes<const N: usize>(named: [(&str, Option<String>); N]) -> Pairs {
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

hookwright_sdk::export_source!(Slack);

#[cfg(test)]
mod tests;
