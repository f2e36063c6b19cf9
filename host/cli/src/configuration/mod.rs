//! `hookwright apply` and `hookwright export`: the configuration of a space as files.

mod export;
mod files;
mod json;
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

/// The exit code of `--exit-code` if there are changes. 2 is a usage error of any command.
const EXIT_CHANGES: u8 = 3;

#[derive(Args)]
pub(crate) struct Apply {
    /// A file, or a folder whose *.yaml, *.yml and *.json and plugins/*.wasm are read
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR")]
    from: PathBuf,
    /// Only show the plan
    #[arg(long)]
    plan: bool,
    /// With --plan: exit with 3 if there are changes
    #[arg(long, requires = "plan")]
    exit_code: bool,
    /// In the sections that the files have, delete objects that they do not name
    #[arg(long)]
    prune: bool,
    /// Apply without confirmation
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn apply(apply: &Apply) -> Done {
    let mut files = Files::read(&apply.from)?;
    let remote = apply.connection.open().map_err(|error| files.unchecked(error))?;
    upload(&remote, &mut files)?;
    let mut body = json!({"configuration": files.configuration(), "prune": apply.prune});
    let incomplete = files.incomplete();
    if let (false, Some(body)) = (incomplete.is_empty(), body.as_object_mut()) {
        body.insert("incomplete".to_owned(), json!(incomplete));
    }
    let plan = ask(&remote, &files, "/v1/configuration/plan", &body)?;
    if let Some(failure) = files.failure([]) {
        return Err(failure);
    }
    let count = |action: &str| plan.get("summary").and_then(|all| all.get(action)).and_then(Value::as_u64).unwrap_or(0);
    let changes = ["create", "change", "delete"].into_iter().map(count).fold(0, u64::saturating_add);
    if apply.plan || changes == 0 {
        if apply.json {
            screen::json(&plan)
        } else {
            show::plan(&plan)
        }
        let told = if apply.exit_code && changes > 0 { EXIT_CHANGES } else { 0 };
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

/// Asks for confirmation on a terminal; without one, it is an error.
fn agreed() -> Result<bool, Failed> {
    if !std::io::stdin().is_terminal() {
        let message = "standard input is not a terminal, so the plan cannot be confirmed: review it with --plan, then \
            pass --yes to apply it";
        return Err(problem("configuration.not_agreed", message));
    }
    let _ = write!(std::io::stderr(), "Apply these changes? Enter `yes` to confirm: ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| problem("configuration.not_agreed", format!("the answer cannot be read: {error}")))?;
    Ok(answer.trim() == "yes")
}

/// Uploads the components of the files. A rejected component is recorded as one of the errors.
fn upload(remote: &Remote, files: &mut Files) -> Result<(), Failed> {
    let mut refused = Vec::new();
    for (name, artifact) in &files.components {
        if let Err(error) = put_in(remote, name, artifact) {
            let code = error.downcast_ref::<Problem>().map(|known| known.code.as_str()).unwrap_or_default();
            if !["plugin.", "component.", "signature.", "input."].iter().any(|begin| code.starts_with(begin)) {
                return Err(files.unchecked(error));
            }
            refused.push((name.clone(), error));
        }
    }
    for (name, error) in refused {
        files.leave_out(&name, &error);
    }
    Ok(())
}

/// Uploads a component unless the server has it already. It is not activated.
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

/// Sends a request; errors of the server are reported with their files and lines.
fn ask(remote: &Remote, files: &Files, path: &str, body: &Value) -> Result<Value, Failed> {
    let answer = remote.ask(&Method::POST, path, &Content::Json(body));
    answer.map_err(|error| match error.downcast_ref::<Problem>() {
        Some(known) if !known.errors.is_empty() => {
            let place = |error: &Value| files.place(text(error, "path"), text(error, "message"));
            files.failure(known.errors.iter().map(place)).unwrap_or(error)
        }
        _ => files.unchecked(error),
    })
}
