//! `hookwright secret`: secrets that plugins use without seeing them.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use hookwright_model::check_secret_name;
use serde_json::json;
use ureq::http::Method;

use crate::failed::{Done, Failed, problem};
use crate::remote::{Connection, Content};
use crate::screen;

/// The maximum size of a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Set a secret; its value is read from standard input, or prompted for on a terminal
    ///
    /// The value is never an argument, which other users could see, and the server never returns it. One line break at its
    /// end is removed: printf '%s' "$TOKEN" | hookwright secret set api-token
    Set(Named),
    /// List the names of secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Remove a secret; plugins that use it fail from then on
    Remove(Named),
}

#[derive(Args)]
pub(crate) struct Named {
    /// The name by which it is granted to plugins
    #[arg(value_parser = name)]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

fn name(text: &str) -> Result<String, String> {
    check_secret_name(text).map(|()| text.to_owned()).map_err(|mistake| mistake.message)
}

pub(crate) fn run(command: &Command) -> Done {
    match command {
        Command::Set(Named { name, connection }) => {
            let remote = connection.open()?;
            let value = value(name)?;
            let body = json!({"value": value});
            remote.ask(&Method::PUT, &format!("/v1/secrets/{name}"), &Content::Json(&body))?;
            screen::line(format_args!(
                "The secret `{name}` is set. To let a plugin use it: hookwright plugin grant PLUGIN --secret {name}=HOST"
            ));
        }
        Command::List { json, connection } => {
            let listed = connection.open()?.get("/v1/secrets")?;
            if *json {
                screen::json(&listed);
                return Ok(ExitCode::SUCCESS);
            }
            let secrets = listed.get("data").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
            let row = |secret: &serde_json::Value| {
                ["name", "created_at", "updated_at"].map(|field| screen::text(secret, field).to_owned())
            };
            screen::table(["NAME", "CREATED", "LAST SET"], &secrets.iter().map(row).collect::<Vec<_>>());
        }
        Command::Remove(Named { name, connection }) => {
            connection.open()?.ask(&Method::DELETE, &format!("/v1/secrets/{name}"), &Content::Nothing)?;
            screen::line(format_args!("The secret `{name}` is removed."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The value, from standard input or a prompt that does not echo it.
fn value(name: &str) -> Result<String, Failed> {
    let unreadable = |error: std::io::Error| problem("secret.unreadable", format!("the value cannot be read: {error}"));
    let value = if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Value of the secret `{name}` (it is not shown): ")).map_err(unreadable)?
    } else {
        let mut value = String::new();
        std::io::stdin().lock().take(MAX_SECRET_BYTES + 3).read_to_string(&mut value).map_err(unreadable)?;
        value
    };
    let value = value.strip_suffix('\n').map_or(value.as_str(), |value| value.strip_suffix('\r').unwrap_or(value));
    if value.is_empty() || u64::try_from(value.len()).unwrap_or(u64::MAX) > MAX_SECRET_BYTES {
        let message = format!("the value of `{name}` has {} bytes: give it 1 to {MAX_SECRET_BYTES}", value.len());
        return Err(problem("secret.unusable", message));
    }
    Ok(value.to_owned())
}
