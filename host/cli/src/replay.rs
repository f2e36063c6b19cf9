//! `hookwright replay`: a stored event run again, or a version of a plugin compared with the one in use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::failed::{Done, Failed, or_trouble, problem};
use crate::plugin::artifact::Artifact;
use crate::plugin::engine::Workshop;
use crate::remote::{Connection, Content, Remote};
use crate::screen::{self, Busy, text};

/// The interval at which a comparison's progress is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Args)]
pub(crate) struct Replay {
    /// The event to replay
    #[arg(value_name = "EVENT_ID", required_unless_present_any = ["plugin", "kept"], conflicts_with_all = ["plugin", "kept"])]
    event: Option<String>,
    /// The source of the event, if several sent one of this id
    #[arg(long, requires = "event", help_heading = "Events")]
    source: Option<String>,
    /// Only this automation [default: those that matched the event then]
    #[arg(long, value_name = "ID", requires = "event", help_heading = "Events")]
    automation: Option<String>,
    /// A revision of the automation [default: the current one]
    #[arg(long, value_name = "N", requires = "automation", help_heading = "Events")]
    revision: Option<u32>,
    /// Call a plugin in this version; can be repeated
    #[arg(long = "use", value_name = "NAME=VERSION", requires = "event", value_parser = pair, help_heading = "Events")]
    plugins: Vec<(String, String)>,
    /// Not as a dry run: changes are made and requests are sent
    #[arg(long, requires = "event", help_heading = "Events")]
    for_real: bool,
    /// Also deliver the event to webhooks again
    #[arg(long, requires = "for_real", help_heading = "Events")]
    deliver: bool,
    /// The version to compare with the active one: a component, or a plugin's folder, which is built first. It is
    /// not installed
    #[arg(long, value_name = "FILE.wasm|DIR", conflicts_with = "kept", help_heading = "Versions")]
    plugin: Option<PathBuf>,
    /// A version to compare that the server has stored, by its version or digest
    #[arg(long, value_name = "VERSION", requires = "name", help_heading = "Versions")]
    kept: Option<String>,
    /// The plugin's name on the server [default: the name in the component's manifest]
    #[arg(long, value_parser = crate::plugin::name, conflicts_with = "event", help_heading = "Versions")]
    name: Option<String>,
    /// Use the last N recorded calls, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000), help_heading = "Versions")]
    last: u64,
    /// Show each difference, not only their number
    #[arg(long, conflicts_with = "event", help_heading = "Versions")]
    diff: bool,
    /// Also compare reasons and messages, which are meant for people
    #[arg(long, conflicts_with = "event", help_heading = "Versions")]
    reasons: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, version) = text.split_once('=').ok_or_else(|| format!("`{text}`: write NAME=VERSION"))?;
    Ok((crate::plugin::name(name)?, version.to_owned()))
}

/// Exits with 0 if nothing differs, 1 if something does, 2 if the comparison failed.
pub(crate) fn run(replay: &Replay) -> Done {
    let done = match &replay.event {
        Some(event) => again(replay, event),
        None => compare(replay),
    };
    or_trouble(done)
}

fn again(replay: &Replay, event: &str) -> Done {
    let remote = replay.connection.open()?;
    let mut body = Map::new();
    body.insert("dry_run".to_owned(), (!replay.for_real).into());
    if let Some(automation) = &replay.automation {
        body.insert("automation".to_owned(), automation.as_str().into());
    }
    if let Some(revision) = replay.revision {
        body.insert("revision".to_owned(), revision.into());
    }
    if !replay.plugins.is_empty() {
        let plugins: BTreeMap<_, _> = replay.plugins.iter().cloned().collect();
        body.insert("plugins".to_owned(), json!(plugins));
    }
    if replay.deliver {
        body.insert("deliver".to_owned(), true.into());
    }
    let source = replay.source.as_ref().map(|source| format!("?source={}", encoded(source))).unwrap_or_default();
    let path = format!("/v1/events/{}/replay{source}", encoded(event));
    let answer = remote.ask(&Method::POST, &path, &Content::Json(&Value::Object(body)))?;
    if replay.json {
        screen::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    for left_out in items(&answer, "left_out") {
        screen::note(format_args!("{} is skipped: {}", text(left_out, "automation"), text(left_out, "reason")));
    }
    if replay.for_real {
        screen::line(format_args!("{} repeats {event}: GET /v1/events/{0} shows the result", text(&answer, "id")));
        return Ok(ExitCode::SUCCESS);
    }
    let runs = items(&answer, "runs");
    if runs.is_empty() {
        screen::line("No automation matched the event: name one with --automation.");
    }
    for run in runs {
        rehearsed(run);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what an automation would do.
fn rehearsed(run: &Value) {
    let revision = run.get("revision").map(Value::to_string).unwrap_or_default();
    let decision = run.get("decision").unwrap_or(&Value::Null);
    let fires = if decision.get("fired") == Some(&Value::Bool(true)) { "would fire" } else { "would not fire" };
    screen::line(format_args!("`{}` (revision {revision}) {fires}: {}", text(run, "name"), text(decision, "reason")));
    for step in items(run, "steps") {
        let outcome = step.get("outcome").unwrap_or(&Value::Null);
        let more = ["reason", "message"].map(|name| text(outcome, name)).concat();
        let more = if more.is_empty() { more } else { format!(": {more}") };
        screen::line(format_args!("  {} {}{more}", text(step, "name"), text(outcome, "kind")));
    }
    for effect in items(run, "effects") {
        let detail = effect.get("detail").map(Value::to_string).unwrap_or_default();
        screen::line(format_args!("  would change: {} {} {detail}", text(effect, "kind"), text(effect, "subject")));
    }
    for note in items(run, "notes").iter().filter_map(Value::as_str) {
        screen::line(format_args!("  note: {note}"));
    }
}

fn compare(replay: &Replay) -> Done {
    let remote = replay.connection.open()?;
    let begun = match &replay.plugin {
        Some(path) => {
            let artifact = Artifact::of(path)?;
            let name = match &replay.name {
                Some(name) => name.clone(),
                None => Workshop::with_user_cache()?.load(artifact.bytes.clone())?.manifest().name.clone(),
            };
            let query = format!("?last={}&reasons={}", replay.last, replay.reasons);
            let signatures = artifact.signatures()?;
            let content = Content::Component(&artifact.bytes, &signatures);
            remote.ask(&Method::POST, &format!("/v1/plugins/{}/compare{query}", encoded(&name)), &content)?
        }
        None => {
            let name = replay.name.as_deref().unwrap_or_default();
            let body = json!({"version": replay.kept, "last": replay.last, "reasons": replay.reasons});
            remote.ask(&Method::POST, &format!("/v1/plugins/{name}/compare"), &Content::Json(&body))?
        }
    };
    let ended = wait(&remote, text(&begun, "id"))?;
    if replay.json {
        screen::json(&ended);
    } else {
        report(&ended, replay.diff);
    }
    if text(&ended, "state") != "done" {
        let message = format!("the comparison ended as {}: {}", text(&ended, "state"), text(&ended, "error"));
        return Err(problem("comparison.incomplete", message));
    }
    if count(&ended, "calls") == 0 {
        let message = format!(
            "no recorded calls of `{}`: its next calls are recorded, unless its policy turns recording off",
            text(&ended, "plugin")
        );
        return Err(problem("comparison.empty", message));
    }
    let differs = count(&ended, "different") > 0 || count(&ended, "failed") > 0;
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn wait(remote: &Remote, id: &str) -> Result<Value, Failed> {
    let _busy = Busy::with("comparing".to_owned());
    loop {
        let found = remote.get(&format!("/v1/comparisons/{id}"))?;
        if text(&found, "state") != "running" {
            return Ok(found);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Shows the differences as `diff` does: the active version after a minus, the candidate after a plus.
fn report(found: &Value, diff: bool) {
    let nothing = Value::Null;
    if diff {
        for difference in items(found, "differences") {
            let about = [("run", text(difference, "run")), ("delivery", text(difference, "delivery"))];
            let about: String =
                about.iter().filter(|(_, id)| !id.is_empty()).map(|(what, id)| format!("  {what} {id}")).collect();
            screen::line(format_args!(
                "event {}{about}  {}  {}",
                text(difference, "event"),
                text(difference, "at"),
                text(difference, "place")
            ));
            for part in items(difference, "parts") {
                screen::line(format_args!("  {}", text(part, "path")));
                for (sign, side) in [('-', "live"), ('+', "candidate")] {
                    if let Some(value) = part.get(side) {
                        screen::line(format_args!("  {sign} {value}"));
                    }
                }
            }
        }
        let more = count(found, "differences_left_out");
        if more > 0 {
            screen::line(format_args!("and {more} more"));
        }
    }
    let version = |side: &str| {
        let side = found.get(side).unwrap_or(&nothing);
        let digest: String = text(side, "digest").chars().take(12).collect();
        format!("{} ({digest})", text(side, "version"))
    };
    screen::line(format_args!(
        "{} calls of `{}`, {} in use and {}: {} the same, {} different, {} failed, {} not comparable",
        count(found, "calls"),
        text(found, "plugin"),
        version("live"),
        version("candidate"),
        count(found, "same"),
        count(found, "different"),
        count(found, "failed"),
        count(found, "not_comparable"),
    ));
    for (why, calls) in found.get("not_comparable_because").and_then(Value::as_object).into_iter().flatten() {
        screen::line(format_args!("  not comparable, {calls}: {why}"));
    }
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// A string encoded for a path or a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_event_id_is_encoded_for_a_path() {
        assert_eq!(encoded("evt_01h-2.x~"), "evt_01h-2.x~");
        assert_eq!(encoded("a/b c?ä"), "a%2Fb%20c%3F%C3%A4");
    }

    #[test]
    fn version_arguments_are_parsed() {
        assert_eq!(pair("match=0.2.0"), Ok(("match".to_owned(), "0.2.0".to_owned())));
        assert!(pair("match").unwrap_err().contains("NAME=VERSION"));
        assert!(pair("Match=1").is_err());
    }
}
