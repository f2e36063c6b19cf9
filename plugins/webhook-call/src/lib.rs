//! The action `webhook-call`: sends an HTTP request and gives the answer to the later steps.
//!
//! `{"url": "https://example.com/hook", "body": {"ticket": 7}}`. The result is `{"status", "headers", "body"}`.
//! The request leaves the machine at once, and again when the step runs again: receivers should know repeats.

mod request;

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, http, outbound};

use crate::request::Parameters;

struct WebhookCall;

impl Plugin for WebhookCall {
    const MANIFEST: Manifest = Manifest {
        name: "webhook-call",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Sends an HTTP request to another system",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for WebhookCall {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let request = parameters.request()?;
        let response = http::send(&request)?;
        if parameters.expects(response.status) {
            return Outcome::done(&outbound::answered(&response, usize::MAX));
        }
        Err(outbound::failure(&request.method, &request.url, &response))
    }
}

hookwright_sdk::export_action!(WebhookCall);

#[cfg(test)]
mod tests;
