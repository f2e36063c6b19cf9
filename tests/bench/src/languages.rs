//! The same action in every language: its size, how long it takes to load, and what a call costs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{Cause, Event, EventDraft, InstancePolicy, Limits, MemoryView, SpaceId, Timestamp, Workbench};
use hookwright_plugin::{Access, Call, Engine, EngineOptions, Plugin, Registry};
use serde_json::json;
use tempfile::TempDir;

use crate::Failed;
use crate::figures::{Row, Sheet, Unit};
use crate::latencies::Latencies;
use crate::options::Effort;
use crate::place::Place;
use crate::statistics::{each, micros, millis, number};

const SECTION: &str = "languages";
/// How a component is found: `LANGUAGE-action.wasm`.
const SUFFIX: &str = "-action.wasm";

/// What was seen of one language in one round.
struct Seen {
    size: usize,
    compile: Duration,
    cached: Duration,
    /// Calls in a fresh and in a warm instance.
    fresh: Calls,
    warm: Calls,
}

/// Some calls, one after the other.
struct Calls {
    /// The median, in microseconds.
    median: f64,
    first: Duration,
    /// The most memory that one had, in bytes.
    memory: usize,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let (examples, home, effort) = (place.examples.clone(), place.fresh()?, effort.clone());
    Ok(vec![tokio::task::spawn_blocking(move || compare(&examples, &home, &effort)).await??])
}

fn compare(examples: &Path, home: &TempDir, effort: &Effort) -> Result<Sheet, Failed> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(examples)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
        found.extend(name.map(|name| (name.to_owned(), path.clone())));
    }
    if found.is_empty() {
        return Err(format!("{} has no *{SUFFIX}: run `cargo xtask plugins`", examples.display()).into());
    }
    found.sort();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let title = "The same action in every language, 200 bytes of payload";
    let mut sheet = Sheet::new(SECTION, title, &["language"]);
    for (name, path) in found {
        let bytes = Bytes::from(std::fs::read(path)?);
        let mut rounds = Vec::new();
        for round in effort.turns() {
            eprintln!("languages: {name}, round {}", round + 1);
            // A cache of its own, so that each round compiles.
            let cache = home.path().join(format!("{name}-{round}"));
            rounds.push(runtime.block_on(look(bytes.clone(), &cache, effort.calls))?);
        }
        let whole = |size: usize| number(size as u64);
        let row = Row::new([name]).with("size", Unit::BYTES, each(&rounds, |seen| whole(seen.size)));
        let row = row.with("compile", Unit::MILLIS, each(&rounds, |seen| millis(seen.compile)));
        let row = row.with("cached load", Unit::MILLIS, each(&rounds, |seen| millis(seen.cached)));
        let row = row.with("first call", Unit::MICROS, each(&rounds, |seen| micros(seen.fresh.first)));
        let row = row.with("fresh call", Unit::MICROS, each(&rounds, |seen| seen.fresh.median));
        let row = row.with("warm call", Unit::MICROS, each(&rounds, |seen| seen.warm.median));
        let memory = each(&rounds, |seen| whole(seen.fresh.memory) / 1024.0);
        sheet.rows.push(row.with("memory", Unit::KIBIBYTES, memory));
    }
    Ok(sheet)
}

async fn look(bytes: Bytes, cache: &Path, calls: usize) -> Result<Seen, Failed> {
    let options = EngineOptions { cache_dir: Some(cache.to_owned()), ..EngineOptions::default() };
    let load = async |bytes: Bytes| {
        let registry = Registry::new(Engine::new(&options).map_err(|error| error.to_string())?);
        let plugin = registry.prepare(bytes).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((registry, plugin))
    };
    let (_, compiled) = load(bytes.clone()).await?;
    let compile = compiled.load_time();
    drop(compiled);
    let (_registry, plugin) = load(bytes).await?;
    // Heavy guests take milliseconds a fresh call.
    let fresh_calls = (calls / 10).max(20);
    let fresh = times(&plugin, InstancePolicy::Fresh {}, fresh_calls).await?;
    let warm = times(&plugin, InstancePolicy::warm(), calls).await?;
    Ok(Seen { size: plugin.size(), compile, cached: plugin.load_time(), fresh, warm })
}

async fn times(plugin: &Arc<Plugin>, policy: InstancePolicy, calls: usize) -> Result<Calls, Failed> {
    let limits = Limits { memory_bytes: Limits::MOST.memory_bytes, cpu_ms: 10_000, ..Limits::default() };
    let access = Arc::new(Access { instance: Some(policy), ..Access::new("probe", limits) });
    let event = event()?;
    let parameters = json!({"do": "echo"});
    let view = Arc::new(MemoryView::default());
    let (mut latencies, mut first, mut memory) = (Latencies::new()?, None, 0);
    for _ in 0..calls {
        let view = Arc::<MemoryView>::clone(&view);
        let bench = Workbench::new(view, SpaceId::main(), Timestamp::from_millis(0), "bench", Cause::api());
        let call = Call {
            workbench: Some(bench),
            ..Call::new(SpaceId::main(), Timestamp::from_millis(0), Arc::clone(&access))
        };
        let start = Instant::now();
        let called = plugin.run(call, &event, &parameters).await;
        let took = start.elapsed();
        called.result.map_err(|failure| failure.to_string())?;
        latencies.record(took);
        first = first.or(Some(took));
        memory = memory.max(called.usage.memory_peak);
    }
    Ok(Calls { median: latencies.millis(0.5) * 1e3, first: first.unwrap_or_default(), memory })
}

fn event() -> Result<Event, Failed> {
    let data = json!({"status": "done", "filler": "x".repeat(160)});
    let draft = EventDraft::json("bench.probe", "bench", None, &data, None);
    Ok(draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).map_err(|mistake| mistake.to_string())?)
}
