//! `hookwright plugin logs`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::lifecycle::entries;
use crate::failed::Done;
use crate::remote::Connection;
use crate::screen::{self, text};

#[derive(Args)]
pub(crate) struct Logs {
    /// The plugin
    #[arg(value_parser = super::name)]
    name: String,
    /// Follow the log until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Number of existing lines to show
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500), value_name = "N")]
    lines: u16,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// How long the server waits for a new line, in seconds.
const WAIT_SECONDS: u64 = 25;

pub(crate) fn run(logs: &Logs) -> Done {
    let remote = logs.connection.open()?;
    let path = format!("/v1/plugins/{}/logs", logs.name);
    let mut answer = remote.get(&format!("{path}?limit={}", logs.lines))?;
    loop {
        for line in entries(&answer) {
            show(line, logs.json);
        }
        if !logs.follow {
            return Ok(ExitCode::SUCCESS);
        }
        let after = answer.get("last").and_then(Value::as_u64).unwrap_or_default();
        answer = remote.get(&format!("{path}?after={after}&wait={WAIT_SECONDS}"))?;
    }
}

fn show(line: &Value, json: bool) {
    if json {
        screen::line(line);
    } else {
        screen::line(format_args!("{} {} {}", text(line, "at"), text(line, "event"), text(line, "line")));
    }
}
