//! The action `http-request`: sends an HTTP request, with secrets in it, and gives the answer to the later steps.
//!
//! `{"url": "https://api.example.com/v1/things", "headers": {"authorization": {"secret": "example-key", "prefix":
//! "Bearer "}}, "json": {"n": 1}}`. The plugin never sees a secret: the host puts it in when the request leaves for a
//! host that the secret was granted for. The result is `{"status", "headers", "body"}`, and `"truncated": true` where the
//! body is longer than `max_result_bytes`. The request leaves at once, and again when the step runs again: receivers
//! should know repeats.

mod request;

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, http, outbound};

use crate::request::Parameters;

struct HttpRequest;

impl Plugin for HttpRequest {
    const MANIFEST: Manifest = Manifest {
        name: "http-request",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Sends an HTTP request with secrets in it and gives its answer to the later steps",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for HttpRequest {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let request = parameters.request()?;
        let response = http::send(&request)?;
        if outbound::is_expected(response.status, parameters.expect.as_deref()) {
            return Outcome::done(&outbound::answered(&response, parameters.max_result_bytes));
        }
        // Without the query, where a placeholder would tell nobody anything.
        Err(outbound::failure(&request.method, &parameters.url, &response))
    }
}

hookwright_sdk::export_action!(HttpRequest);

#[cfg(test)]
mod tests;
