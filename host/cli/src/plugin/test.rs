//! `hookwright plugin test`: a plugin's cases, run against its component.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hookwright_author::Profile;
use hookwright_cases::{CaseFile, Report};
use hookwright_model::Limits;
use hookwright_plugin::Plugin;
use serde_json::{Value, json};

use super::artifact::Artifact;
use super::engine::Workshop;
use crate::failed::{Done, Failed, problem};
use crate::screen;

#[derive(Args)]
pub(crate) struct Test {
    /// A plugin's folder, which is built first, or a component
    #[arg(default_value = ".", value_name = "DIR|FILE.wasm")]
    what: PathBuf,
    /// The folder of the cases [default: `cases` in the folder or beside the component]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(test: &Test) -> Done {
    let artifact = Artifact::built(&test.what, Profile::Dev)?;
    let mut files = artifact.cases(test.cases.as_deref())?;
    if let Some(filter) = &test.filter {
        let count = files.len();
        files.retain(|file| file.name.contains(filter.as_str()));
        if files.is_empty() {
            let message = format!("none of the {count} cases has `{filter}` in its name: give another filter, or none");
            return Err(problem("case.none", message));
        }
    }
    let workshop = Workshop::with_user_cache()?;
    let plugin = workshop.load(artifact.bytes.clone())?;
    let reports = reports(&workshop, &plugin, &files);
    let failed = reports.iter().filter(|report| !report.passed()).count();
    if test.json {
        let cases: Vec<Value> = reports.iter().map(as_json).collect();
        screen::json(&json!({"cases": cases, "passed": reports.len().saturating_sub(failed), "failed": failed}));
    } else {
        for report in &reports {
            show(report);
        }
        let name = &plugin.manifest().name;
        screen::line(format_args!("{name}: {} passed, {failed} failed", reports.len().saturating_sub(failed)));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every case.
pub(crate) fn reports(workshop: &Workshop, plugin: &Plugin, files: &[CaseFile]) -> Vec<Report> {
    let run = |file| workshop.block_on(hookwright_cases::run(plugin, file, Limits::default()));
    files.iter().map(run).collect()
}

/// Runs every case and shows the failed ones; returns the number of cases. `otherwise` is the consequence of a failure.
///
/// # Errors
/// A case fails.
pub(crate) fn pass(workshop: &Workshop, plugin: &Plugin, files: &[CaseFile], otherwise: &str) -> Result<usize, Failed> {
    let reports = reports(workshop, plugin, files);
    let failed: Vec<&Report> = reports.iter().filter(|report| !report.passed()).collect();
    if failed.is_empty() {
        return Ok(reports.len());
    }
    failed.iter().for_each(|report| show(report));
    let message = format!("{} of {} cases failed: {otherwise}", failed.len(), reports.len());
    Err(problem("case.failed", message))
}

/// Prints one line for a passed case, and the differences for a failed one.
pub(crate) fn show(report: &Report) {
    let Report { name, description, mismatches, error, log, took, .. } = report;
    if report.passed() {
        screen::line(format_args!("ok    {name} ({})", screen::span(*took)));
        return;
    }
    screen::line(format_args!("FAIL  {name}{}{description}", if description.is_empty() { "" } else { ": " }));
    if let Some(error) = error {
        screen::line(format_args!("      {error}"));
    }
    for mismatch in mismatches {
        screen::line(format_args!("      {}", mismatch.path));
        screen::line(format_args!("        expected {}", mismatch.expected));
        screen::line(format_args!("        actual   {}", mismatch.actual));
    }
    for line in log {
        screen::line(format_args!("      log: {line}"));
    }
}

fn as_json(report: &Report) -> Value {
    let mismatches: Vec<Value> = report
        .mismatches
        .iter()
        .map(|mismatch| json!({"path": mismatch.path, "expected": mismatch.expected, "actual": mismatch.actual}))
        .collect();
    json!({
        "name": report.name,
        "description": report.description,
        "passed": report.passed(),
        "error": report.error.as_ref().map(ToString::to_string),
        "mismatches": mismatches,
        "log": report.log,
        "us": u64::try_from(report.took.as_micros()).unwrap_or(u64::MAX),
    })
}
