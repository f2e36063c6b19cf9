//! `hookwright apply` and `hookwright export`: everything that people set up, as files.

mod export;
mod files;
mod show;
mod yaml;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use ureq::http::Method;

pub(crate) use export::{Export, export};
use files::Files;

use crate::failed::{Done, Failed, Problem, problem};
use crate::plugin::{Artifact, send_unused};
use crate::remote::{Connection, Content, Remote};
use crate::screen::{self, text};

/// What `--exit-code` ends with if there is something to change.
const CHANGES: u8 = 2;

#[derive(Args)]
pub(crate) struct Apply {
    /// A file, or a folder whose *.yaml, *.yml and *.json and plugins/*.wasm are read
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR")]
    from: PathBuf,
    /// Only show what would change
    #[arg(long)]
    plan: bool,
    /// With --plan: end with 2 if there is something to change
    #[arg(long, requires = "plan")]
    exit_code: bool,
    /// Delete what the files do not name, in the sections that they give
    #[arg(long)]
    prune: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn apply(apply: &Apply) -> Done {
    let files = Files::read(&apply.from)?;
    let remote = apply.connection.open()?;
    for (name, artifact) in &files.components {
        put_in(&remote, name, artifact)?;
    }
    let mut body = json!({"configuration": files.configuration(), "prune": apply.prune});
    let plan = ask(&remote, &files, "/v1/configuration/plan", &body)?;
    let count = |action: &str| plan.get("summary").and_then(|all| all.get(action)).and_then(Value::as_u64).unwrap_or(0);
    let changes = ["create", "change", "delete"].into_iter().map(count).fold(0, u64::saturating_add);
    if apply.plan || changes == 0 {
        if apply.json {
            screen::json(&plan)
        } else {
            show::plan(&plan)
        }
        let told = if apply.exit_code && changes > 0 { CHANGES } else { 0 };
        return Ok(ExitCode::from(told));
    }
    if !apply.json {
        show::plan(&plan);
    }
    if !apply.yes && !agreed()? {
        screen::note("Nothing was changed.");
        return Ok(ExitCode::FAILURE);
    }
    if let Some(body) = body.as_object_mut() {
        body.insert("expect".to_owned(), text(&plan, "fingerprint").into());
    }
    let applied = ask(&remote, &files, "/v1/configuration/apply", &body)?;
    if apply.json {
        screen::json(&applied)
    } else {
        show::applied(&applied)
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on a terminal; elsewhere there is nobody to ask.
fn agreed() -> Result<bool, Failed> {
    if !std::io::stdin().is_terminal() {
        let message = "there is no terminal to ask on: look at the plan with --plan, and give --yes to carry it out";
        return Err(problem("configuration.not_agreed", message));
    }
    let _ = write!(std::io::stderr(), "Carry this out? Only `yes` does: ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| problem("configuration.not_agreed", format!("the answer cannot be read: {error}")))?;
    Ok(answer.trim() == "yes")
}

/// Puts a component into the server unless it has it already. It is not in use then.
fn put_in(remote: &Remote, name: &str, artifact: &Artifact) -> Result<(), Failed> {
    let digest = hex::encode(Sha256::digest(&artifact.bytes));
    let versions = match remote.get(&format!("/v1/plugins/{name}/versions")) {
        Ok(versions) => versions,
        // There is no such plugin yet, or one that was not uploaded.
        Err(error) if error.downcast_ref::<Problem>().is_some_and(|known| known.code.starts_with("plugin.")) => {
            Value::Null
        }
        Err(error) => return Err(error),
    };
    let known = versions.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if known.iter().any(|version| text(version, "digest") == digest) {
        return Ok(());
    }
    send_unused(remote, artifact, name).map(|_| ())
}

/// Asks the server; mistakes that it finds are told with the files and lines where they stand.
fn ask(remote: &Remote, files: &Files, path: &str, body: &Value) -> Result<Value, Failed> {
    let answer = remote.ask(&Method::POST, path, &Content::Json(body));
    answer.map_err(|error| match error.downcast_ref::<Problem>() {
        Some(known) if !known.errors.is_empty() => {
            let place = |error: &Value| files.place(text(error, "path"), text(error, "message"));
            files::wrong(&known.errors.iter().map(place).collect::<Vec<_>>())
        }
        _ => error,
    })
}
