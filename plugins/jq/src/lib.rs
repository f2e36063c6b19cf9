//! The transform `jq`: makes a message's body with a jq filter.
//!
//! `{"filter": "{ticket: .id, who: $event.source}"}`. The filter's input is the message's body as JSON; `$event` is the
//! event's envelope. The first result becomes the new body, or with `"multiple": true` a list of all of them. A filter
//! without a result (`empty`, or `select` of something that is not so) drops the message.
//!
//! The language is jq's with jq's standard library. What would reach outside is not there: no `env`, no modules, no
//! `input`; `now` is the host's clock, and local time is UTC.

mod captures;
mod data;
mod depth;
mod filter;
mod program;

use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed, shorten};
use serde::Deserialize;

struct Jq;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    filter: String,
    /// Whether all results are sent, as a list, rather than the first alone.
    #[serde(default)]
    multiple: bool,
}

impl Plugin for Jq {
    const MANIFEST: Manifest = Manifest {
        name: "jq",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Makes the body with a jq filter",
        parameters: include_str!("parameters.json"),
        // Compiling the standard library costs more than a call: a warm instance keeps the compiled filter.
        hints: &[("instance", "warm"), ("documentation", "https://jqlang.org/manual/")],
    };
    type Parameters = Parameters;
}

impl Transform for Jq {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let Parameters { filter, multiple } = parameters;
        let results = filter::run(&filter, &message, event, multiple)?;
        let Some(body) = results else {
            return Ok(Transformed::Drop(format!(
                "the filter `{}` had no result for this message",
                shorten(&filter, 300)
            )));
        };
        Ok(Transformed::Send(message.with_body("application/json", body)))
    }
}

hookwright_sdk::export_transform!(Jq);

#[cfg(test)]
mod tests;
