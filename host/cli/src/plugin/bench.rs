//! `hookwright plugin bench`: measures a component's calls per second.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use hookwright_cases::Stage;
use hookwright_model::InstancePolicy;
use hookwright_plugin::Plugin;
use serde_json::{Value, json};

use super::artifact::Artifact;
use super::engine::Workshop;
use super::sample::Sample;
use crate::failed::{Done, Failed, problem};
use crate::screen::{self, Busy};

#[derive(Args)]
pub(crate) struct Bench {
    /// A component, or a plugin's folder, which is built first
    #[arg(default_value = ".", value_name = "FILE.wasm|DIR")]
    file: PathBuf,
    /// The case to call [default: the first case that succeeds]
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,
    /// Duration of each of the four measurements, in seconds
    #[arg(long, default_value_t = 2.0, value_parser = seconds, value_name = "S")]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.05..=600.0).contains(seconds))
        .ok_or_else(|| format!("`{text}`: give 0.05 to 600 seconds"))
}

pub(crate) fn run(bench: &Bench) -> Done {
    let artifact = Artifact::of(&bench.file)?;
    let workshop = Workshop::with_user_cache()?;
    let plugin = workshop.load(artifact.bytes.clone())?;
    let sample = Sample::of(&artifact, bench.case.as_deref())?;
    let time = Duration::from_secs_f64(bench.seconds);
    let mut rows = Vec::new();
    for (name, policy) in [("fresh", InstancePolicy::Fresh {}), ("warm", InstancePolicy::warm())] {
        let stage = sample.stage(&plugin, policy)?;
        let first = workshop.block_on(stage.call(&plugin));
        if let (Some(failure), "fresh", false) = (&first.failure, name, bench.json) {
            screen::note(format_args!("note: the call fails, which is measured too: {failure}"));
        }
        for threads in [1, 2] {
            let _busy = Busy::with(format!("{name} instances, {threads} thread(s)"));
            rows.push((name, threads, rate(&plugin, &stage, threads, time)?));
        }
    }
    if bench.json {
        let row = |(instances, threads, rate): &(&str, usize, f64)| json!({"instances": instances, "threads": threads, "calls_per_second": rate.round()});
        let rows: Vec<Value> = rows.iter().map(row).collect();
        screen::json(&json!({"case": sample.name, "results": rows}));
        return Ok(ExitCode::SUCCESS);
    }
    screen::field("case", &sample.name);
    let row = |(instances, threads, rate): &(&str, usize, f64)| {
        [(*instances).to_owned(), threads.to_string(), format!("{rate:.0}")]
    };
    screen::table(["INSTANCES", "THREADS", "CALLS/S"], &rows.iter().map(row).collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

/// Calls a second, over all threads.
#[allow(clippy::cast_precision_loss, reason = "a rate, shown without digits behind the point")]
fn rate(plugin: &Plugin, stage: &Stage, threads: usize, time: Duration) -> Result<f64, Failed> {
    let calls = AtomicU64::new(0);
    let began = Instant::now();
    let work = || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            while began.elapsed() < time {
                stage.call(plugin).await;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(())
    };
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in working {
            let ended =
                thread.join().map_err(|_| problem("bench.failed", "a thread of the measurement ended badly"))?;
            ended?;
        }
        Ok::<(), Failed>(())
    })?;
    Ok(calls.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
