//! Lists and activates versions of plugins.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::failed::Done;
use crate::remote::{Connection, Content};
use crate::screen::{self, Busy, text};

#[derive(Args)]
pub(crate) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Versions {
    /// The plugin
    #[arg(value_parser = super::name)]
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Activate {
    /// The plugin
    #[arg(value_parser = super::name)]
    name: String,
    /// The version, or the first six or more digits of its digest
    #[arg(id = "chosen", value_name = "VERSION")]
    version: String,
    /// Grant what the version requests beyond the existing grants
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Named {
    /// The plugin
    #[arg(value_parser = super::name)]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Remove {
    /// The plugin
    #[arg(value_parser = super::name)]
    name: String,
    /// Remove it even if automations use it: their runs are then parked
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

/// The entries of a list in the server's response.
pub(crate) fn entries(listed: &Value) -> &[Value] {
    listed.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn list(list: &List) -> Done {
    let listed = list.connection.open()?.get("/v1/plugins")?;
    if list.json {
        screen::json(&listed);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |plugin: &Value| {
        let shadowed = plugin.get("shadowed").and_then(Value::as_bool).unwrap_or(false);
        let state = if shadowed { "hidden" } else { text(plugin, "state") };
        let summary = match plugin.get("error") {
            Some(error) if !error.is_null() => format!("{}: {}", text(error, "code"), text(error, "message")),
            _ => text(plugin, "summary").to_owned(),
        };
        [
            text(plugin, "name").to_owned(),
            text(plugin, "version").to_owned(),
            screen::list(plugin, "kinds"),
            text(plugin, "origin").to_owned(),
            state.to_owned(),
            summary,
        ]
    };
    let rows: Vec<_> = entries(&listed).iter().map(row).collect();
    screen::table(["NAME", "VERSION", "KIND", "ORIGIN", "STATE", "SUMMARY"], &rows);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn versions(versions: &Versions) -> Done {
    let listed = versions.connection.open()?.get(&format!("/v1/plugins/{}/versions", versions.name))?;
    if versions.json {
        screen::json(&listed);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |version: &Value| {
        [
            text(version, "version").to_owned(),
            format!("{}{}", text(version, "state"), if is_dev(version) { ", dev" } else { "" }),
            text(version, "digest").chars().take(12).collect(),
            screen::bytes(version.get("size_bytes").and_then(Value::as_u64).unwrap_or_default()),
            text(version, "installed_at").to_owned(),
            screen::list(version, "signed_by"),
            screen::list(version, "wants_more"),
        ]
    };
    let rows: Vec<_> = entries(&listed).iter().map(row).collect();
    screen::table(["VERSION", "STATE", "DIGEST", "SIZE", "PUT IN", "SIGNED BY", "WANTS MORE"], &rows);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn activate(activate: &Activate) -> Done {
    let Activate { name, version, approve, connection } = activate;
    put(connection, &format!("/v1/plugins/{name}/activate"), &json!({"version": version, "approve": approve}))
}

pub(crate) fn roll_back(named: &Named) -> Done {
    put(&named.connection, &format!("/v1/plugins/{}/rollback", named.name), &json!({}))
}

pub(crate) fn approve(named: &Named) -> Done {
    put(&named.connection, &format!("/v1/plugins/{}/approve", named.name), &json!({}))
}

fn put(connection: &Connection, path: &str, body: &Value) -> Done {
    let remote = connection.open()?;
    let busy = Busy::with("switching versions");
    let answer = remote.ask(&Method::POST, path, &Content::Json(body))?;
    drop(busy);
    screen::line(outcome(&answer));
    Ok(ExitCode::SUCCESS)
}

/// Whether a version is a development version.
fn is_dev(version: &Value) -> bool {
    version.get("dev").and_then(Value::as_bool).unwrap_or(false)
}

/// The result of an installation, in one line.
pub(crate) fn outcome(answer: &Value) -> String {
    let what = format!("{} {}", text(answer, "name"), text(answer, "version"));
    let mut digest: String = text(answer, "digest").chars().take(12).collect();
    if is_dev(answer) {
        digest.push_str(", dev");
    }
    if text(answer, "state") == "held" {
        let name = text(answer, "name");
        return format!(
            "{what} ({digest}) is held: it requests more than is granted ({}). To grant that: hookwright plugin approve \
             {name}",
            screen::list(answer, "wants_more")
        );
    }
    match answer.get("replaced").filter(|replaced| !replaced.is_null()) {
        Some(replaced) => format!("{what} ({digest}) is live, in place of {}", text(replaced, "version")),
        None => format!("{what} ({digest}) is live"),
    }
}

pub(crate) fn remove(remove: &Remove) -> Done {
    let force = if remove.force { "?force=true" } else { "" };
    let path = format!("/v1/plugins/{}{force}", remove.name);
    remove.connection.open()?.ask(&Method::DELETE, &path, &Content::Nothing)?;
    screen::line(format_args!("{} is removed.", remove.name));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_summarised_in_one_line() {
        for (answer, line) in [
            (
                json!({"name": "a", "version": "1.0.0", "digest": "0123456789abcdef", "state": "live", "replaced": null}),
                "a 1.0.0 (0123456789ab) is live",
            ),
            (
                json!({"name": "a", "version": "1.1.0", "digest": "ab", "state": "live", "replaced": {"version": "1.0.0"}}),
                "a 1.1.0 (ab) is live, in place of 1.0.0",
            ),
            (
                json!({"name": "a", "version": "1.1.0", "digest": "ab", "state": "live", "dev": true}),
                "a 1.1.0 (ab, dev) is live",
            ),
            (
                json!({"name": "a", "version": "2.0.0", "digest": "ab", "state": "held", "wants_more": ["http", "kv"]}),
                "a 2.0.0 (ab) is held: it requests more than is granted (http, kv). To grant that: hookwright plugin \
                 approve a",
            ),
        ] {
            assert_eq!(outcome(&answer), line);
        }
    }
}
