//! The action `slack-post`: posts a message to Slack.
//!
//! Through an incoming webhook (`{"webhook_secret": "slack-webhook", "text": "Deployed"}`), or as a bot
//! (`{"token_secret": "slack-bot", "channel": "#ops", "text": "Deployed"}`). Webhook and token are secrets of the space:
//! the plugin names them and never sees them. The result of a bot's message is `{"channel", "ts"}`, by which later steps
//! can answer in its thread; a webhook's is `{"sent": true}`. Where Slack says why it does not want the message, the
//! failure says what to do about it.

mod answer;
mod message;

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, http};

use crate::message::Parameters;

struct SlackPost;

impl Plugin for SlackPost {
    const MANIFEST: Manifest = Manifest {
        name: "slack-post",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Posts a message to Slack",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for SlackPost {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let (request, way) = parameters.request()?;
        let response = http::send(&request)?;
        Outcome::done(&answer::result(&response, way)?)
    }
}

hookwright_sdk::export_action!(SlackPost);

#[cfg(test)]
mod tests;
