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
use crate::options::Effort;
use crate::place::Place;
use crate::statistics::quantile;
use crate::table::{Table, count, short};

/// How a component is found: `LANGUAGE-action.wasm`.
const SUFFIX: &str = "-action.wasm";

/// What was seen of one language.
struct Seen {
    size: usize,
    compile: Duration,
    cached: Duration,
    /// Median calls in a fresh and in a warm instance, and the first one, in microseconds.
    fresh: f64,
    warm: f64,
    first: f64,
    memory: usize,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let (examples, home, calls) = (place.examples.clone(), place.fresh()?, effort.calls);
    tokio::task::spawn_blocking(move || compare(&examples, &home, calls)).await?
}

fn compare(examples: &Path, home: &TempDir, calls: usize) -> Result<(), Failed> {
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
    let head = [
        "language",
        "bytes",
        "compile ms",
        "cached load ms",
        "first call us",
        "fresh call us",
        "warm call us",
        "memory KiB",
    ];
    let mut table = Table::new("The same action in every language, 200 bytes of payload", &head);
    for (name, path) in found {
        eprintln!("languages: {name}");
        let bytes = Bytes::from(std::fs::read(path)?);
        let seen = runtime.block_on(look(bytes, &home.path().join(&name), calls))?;
        #[allow(clippy::cast_precision_loss)]
        table.row(vec![
            name,
            count(seen.size as f64),
            short(seen.compile.as_secs_f64() * 1e3),
            short(seen.cached.as_secs_f64() * 1e3),
            short(seen.first),
            short(seen.fresh),
            short(seen.warm),
            count(seen.memory as f64 / 1024.0),
        ]);
    }
    println!("{table}");
    Ok(())
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
    let (fresh, first, memory) = times(&plugin, InstancePolicy::Fresh {}, fresh_calls).await?;
    let (warm, ..) = times(&plugin, InstancePolicy::warm(), calls).await?;
    Ok(Seen { size: plugin.size(), compile, cached: plugin.load_time(), fresh, warm, first, memory })
}

/// The median of single calls and the first of them, in microseconds, and the most memory that one had.
async fn times(plugin: &Arc<Plugin>, policy: InstancePolicy, calls: usize) -> Result<(f64, f64, usize), Failed> {
    let limits = Limits { memory_bytes: Limits::MOST.memory_bytes, cpu_ms: 10_000, ..Limits::default() };
    let access = Arc::new(Access { instance: Some(policy), ..Access::new("probe", limits) });
    let event = event()?;
    let parameters = json!({"do": "echo"});
    let view = Arc::new(MemoryView::default());
    let (mut times, mut memory) = (Vec::with_capacity(calls), 0);
    for _ in 0..calls {
        let view = Arc::<MemoryView>::clone(&view);
        let bench = Workbench::new(view, SpaceId::main(), Timestamp::from_millis(0), "bench", Cause::api());
        let call = Call {
            workbench: Some(bench),
            ..Call::new(SpaceId::main(), Timestamp::from_millis(0), Arc::clone(&access))
        };
        let start = Instant::now();
        let called = plugin.run(call, &event, &parameters).await;
        times.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        called.result.map_err(|failure| failure.to_string())?;
        memory = memory.max(called.usage.memory_peak);
    }
    let first = times.first().copied().map_or(0.0, |nanos| f64::from(nanos) / 1e3);
    times.sort_unstable();
    Ok((f64::from(quantile(&times, 0.5)) / 1e3, first, memory))
}

fn event() -> Result<Event, Failed> {
    let data = json!({"status": "done", "filler": "x".repeat(160)});
    let draft = EventDraft::json("bench.probe", "bench", None, &data, None);
    Ok(draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).map_err(|mistake| mistake.to_string())?)
}
