//! `hookwright plugin doctor`: what a component costs, and whether the server would accept it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwright_model::InstancePolicy;
use hookwright_plugin::{Plugin, Trust};
use serde_json::{Value, json};

use super::artifact::Artifact;
use super::engine::Workshop;
use super::inspect;
use super::sample::{Sample, percentile};
use crate::failed::{Done, Failed};
use crate::remote::Connection;
use crate::screen::{self, Busy, span};

#[derive(Args)]
pub(crate) struct Doctor {
    /// A component, or a plugin's folder, which is built first
    #[arg(default_value = ".", value_name = "FILE.wasm|DIR")]
    file: PathBuf,
    /// Number of calls to measure of each kind
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    runs: u32,
    /// The case to call [default: the first case that succeeds]
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,
    /// The plugin's name on the server [default: the file's name]
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What calls of one kind took.
struct Measured {
    p50: Duration,
    p99: Duration,
    memory_least: usize,
    memory_most: usize,
    failures: usize,
    last_failure: Option<String>,
    report: Value,
}

/// The minimum saving per call at which warm instances are worth their memory.
const MIN_SAVING: Duration = Duration::from_micros(100);

pub(crate) fn run(doctor: &Doctor) -> Done {
    let artifact = Artifact::of(&doctor.file)?;
    let kept = tempfile::tempdir()?;
    let compiled = Workshop::open(Some(kept.path().to_owned()))?.load(artifact.bytes.clone())?;
    let compile_time = compiled.load_time();
    drop(compiled);
    let workshop = Workshop::open(Some(kept.path().to_owned()))?;
    let plugin = workshop.load(artifact.bytes.clone())?;
    let sample = Sample::of(&artifact, doctor.case.as_deref())?;

    let busy = Busy::with("calling it");
    let fresh = measure(doctor.runs, &workshop, &plugin, &sample, InstancePolicy::Fresh {})?;
    let warm = measure(doctor.runs, &workshop, &plugin, &sample, InstancePolicy::warm())?;
    drop(busy);
    let name = doctor.name.clone().or_else(|| artifact.name().ok());
    let granted = name.as_deref().and_then(|name| grants(&doctor.connection, name, plugin.wants()));
    let signature = signature(&artifact, &plugin)?;

    if doctor.json {
        let calls = |measured: &Measured| {
            json!({
                "p50_us": micros(measured.p50), "p99_us": micros(measured.p99),
                "memory_least": measured.memory_least, "memory_most": measured.memory_most,
                "failures": measured.failures, "last_failure": measured.last_failure,
            })
        };
        let mut about = inspect::about(&plugin);
        if let Some(about) = about.as_object_mut() {
            about.insert("compile_ms".to_owned(), (micros(compile_time) / 1000.0).into());
            about.insert("cached_load_ms".to_owned(), (micros(plugin.load_time()) / 1000.0).into());
            about.insert("case".to_owned(), sample.name.into());
            about.insert("fresh".to_owned(), calls(&fresh));
            about.insert("warm".to_owned(), calls(&warm));
            about.insert("headroom".to_owned(), fresh.report.get("headroom").cloned().unwrap_or_default());
            about.insert("granted".to_owned(), granted.map_or(Value::Null, |granted| json!(granted)));
            about.insert("signature".to_owned(), signature.into());
            about.insert("advice".to_owned(), advice(&plugin, &fresh, &warm).into());
        }
        screen::json(&about);
    } else {
        inspect::show(&inspect::about(&plugin));
        screen::field(
            "granted",
            granted.map_or_else(|| "unknown: no server answered for it".to_owned(), |all| shown(&all)),
        );
        screen::field("signature", signature);
        screen::field("compile", span(compile_time));
        screen::field("cached load", span(plugin.load_time()));
        screen::field("case", &sample.name);
        for (name, measured) in [("fresh call", &fresh), ("warm call", &warm)] {
            screen::field(name, format_args!("p50 {}, p99 {}", span(measured.p50), span(measured.p99)));
        }
        let size = |count: usize| screen::bytes(u64::try_from(count).unwrap_or(u64::MAX));
        screen::field("memory floor", size(fresh.memory_least));
        screen::field("memory peak", size(fresh.memory_most.max(warm.memory_most)));
        headroom(&fresh.report);
        screen::field("instances", advice(&plugin, &fresh, &warm));
        if let Some(failure) = &fresh.last_failure {
            screen::field("note", format_args!("{} of {} calls failed: {failure}", fresh.failures, doctor.runs));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    runs: u32,
    workshop: &Workshop,
    plugin: &Plugin,
    sample: &Sample,
    policy: InstancePolicy,
) -> Result<Measured, Failed> {
    let stage = sample.stage(plugin, policy)?;
    // The first call of a kept instance makes it, and the pages of the code come in: it is not counted.
    workshop.block_on(stage.call(plugin));
    let mut times = Vec::new();
    let mut measured = Measured {
        p50: Duration::ZERO,
        p99: Duration::ZERO,
        memory_least: usize::MAX,
        memory_most: 0,
        failures: 0,
        last_failure: None,
        report: Value::Null,
    };
    for _ in 0..runs {
        let ended = workshop.block_on(stage.call(plugin));
        times.push(ended.usage.duration);
        measured.memory_least = measured.memory_least.min(ended.usage.memory_peak);
        measured.memory_most = measured.memory_most.max(ended.usage.memory_peak);
        if let Some(failure) = ended.failure {
            measured.failures = measured.failures.saturating_add(1);
            measured.last_failure = Some(failure.to_string());
        }
    }
    times.sort_unstable();
    Ok(Measured { p50: percentile(&times, 50), p99: percentile(&times, 99), report: stage.report(), ..measured })
}

/// The interfaces that it requests, and whether each is granted; `None`: no server responded for a plugin of this name.
fn grants(connection: &Connection, name: &str, wants: &[String]) -> Option<Vec<(String, bool)>> {
    let policy = connection.open().ok()?.get(&format!("/v1/plugins/{name}/policy")).ok()?;
    let interfaces = policy.get("grants").and_then(|grants| grants.get("interfaces")).and_then(Value::as_array);
    let trusted = policy.get("trusted").and_then(Value::as_bool).unwrap_or(false);
    let is_granted = |interface: &String| {
        trusted || interfaces.is_none_or(|all| all.iter().any(|other| other.as_str() == Some(interface)))
    };
    Some(wants.iter().map(|interface| (interface.clone(), is_granted(interface))).collect())
}

fn shown(granted: &[(String, bool)]) -> String {
    if granted.is_empty() {
        return "it needs no grants".to_owned();
    }
    let shown = granted.iter().map(|(name, is)| format!("{name} {}", if *is { "yes" } else { "NO" }));
    shown.collect::<Vec<_>>().join(", ")
}

/// The signers, as far as HOOKWRIGHT_PLUGIN_KEYS names them.
fn signature(artifact: &Artifact, plugin: &Plugin) -> Result<String, Failed> {
    let signatures = artifact.signatures()?;
    if signatures.is_empty() {
        return Ok("none: it is not signed".to_owned());
    }
    let keys = std::env::var("HOOKWRIGHT_PLUGIN_KEYS").unwrap_or_default();
    let pairs: Vec<(&str, &str)> = keys.split(',').filter_map(|pair| pair.trim().split_once('=')).collect();
    if pairs.is_empty() {
        return Ok(format!("{}, not checked: HOOKWRIGHT_PLUGIN_KEYS names no keys", signatures.len()));
    }
    let trust = Trust::new(pairs, false)?;
    Ok(match trust.check(plugin.digest(), &signatures) {
        Ok(signers) => format!("good, by {}", signers.join(", ")),
        Err(error) => format!("BAD: {error}"),
    })
}

/// Shows what was left of each limit.
fn headroom(report: &Value) {
    let Some(limits) = report.get("headroom").and_then(Value::as_object) else { return };
    let rows: Vec<[String; 4]> = limits
        .iter()
        .map(|(name, entry)| {
            let number = |field: &str| entry.get(field).map(Value::to_string).unwrap_or_default();
            let left = entry.get("left").and_then(Value::as_f64).unwrap_or_default() * 100.0;
            [name.clone(), number("peak"), number("limit"), format!("{left:.1} %")]
        })
        .collect();
    screen::table(["LIMIT", "PEAK", "MOST", "LEFT"], &rows);
}

/// Which instance policy pays off.
fn advice(plugin: &Plugin, fresh: &Measured, warm: &Measured) -> String {
    let saved = fresh.p50.saturating_sub(warm.p50);
    let memory = screen::bytes(u64::try_from(warm.memory_most).unwrap_or(u64::MAX));
    let own = if plugin.prefers_warm() { "; the plugin itself requests warm ones" } else { "" };
    if saved >= MIN_SAVING && warm.p50.saturating_mul(2) < fresh.p50 {
        format!("warm ones pay off: {} less per call, for {memory} of memory each{own}", span(saved))
    } else {
        format!("fresh ones are enough: warm ones would save {} per call{own}", span(saved))
    }
}

fn micros(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e8).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grant_is_reported() {
        assert_eq!(shown(&[]), "it needs no grants");
        assert_eq!(shown(&[("http".to_owned(), true), ("kv".to_owned(), false)]), "http yes, kv NO");
        assert!((micros(Duration::from_nanos(1_234_567)) - 1234.57).abs() < 1e-9);
    }
}
