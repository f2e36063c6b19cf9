//! One call of the condition `match` in a fresh instance, beside bare wasmtime on the same component.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{Event, EventDraft, Limits, SpaceId, Timestamp};
use hookwright_plugin::{Access, Call, Engine, EngineOptions, Plugin, Registry};
use serde_json::{Value, json};

use crate::Failed;
use crate::accept::body;
use crate::bare_call::{self, Bare};
use crate::figures::{Row, Sheet, Unit};
use crate::latencies::Latencies;
use crate::options::Effort;
use crate::place::Place;
use crate::statistics::{each, number, ratios};

const SECTION: &str = "call";
const THREADS: [usize; 2] = [1, 2];
/// Rounds here are short, so there can be more of them.
const ROUNDS_EACH: usize = 4;

/// What both sides call.
struct Subject {
    plugin: Arc<Plugin>,
    bare: Bare,
    event: Event,
    data: String,
    parameters: Value,
    text: String,
}

#[derive(Clone, Copy)]
enum Side {
    Bare,
    Hookwright,
}

/// One side, once, on all threads.
struct Round {
    /// Of single calls on all threads.
    latencies: Latencies,
    /// Calls a second, over all threads.
    rate: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let (component, effort) = (std::fs::read(&place.component)?, effort.clone());
    // Its threads have runtimes of their own.
    Ok(vec![tokio::task::spawn_blocking(move || compare(component, &effort)).await??])
}

/// The median of single bare calls on one thread, in microseconds.
pub(crate) async fn bare(place: &Place, effort: &Effort) -> Result<f64, Failed> {
    let (component, calls) = (std::fs::read(&place.component)?, effort.calls);
    let round = move || round(&Arc::new(prepare(component)?), Side::Bare, 1, calls);
    Ok(tokio::task::spawn_blocking(round).await??.latencies.millis(0.5) * 1e3)
}

fn compare(component: Vec<u8>, effort: &Effort) -> Result<Sheet, Failed> {
    let subject = Arc::new(prepare(component)?);
    let title = "One call of `match` in a fresh instance, 1 KiB event";
    let mut sheet = Sheet::new(SECTION, title, &["threads", "what"]);
    for threads in THREADS {
        eprintln!("call: {threads} threads");
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds.saturating_mul(ROUNDS_EACH) {
            bare.push(round(&subject, Side::Bare, threads, effort.calls)?);
            ours.push(round(&subject, Side::Hookwright, threads, effort.calls)?);
        }
        let mut least = Vec::new();
        for (name, rounds) in [("bare wasmtime", &bare), ("Hookwright", &ours)] {
            let row = Row::new([threads.to_string(), name.to_owned()]);
            let row = row.with_short_latencies(rounds.iter().map(|round| &round.latencies))?;
            let row = row.with("rate", Unit::whole("calls/s"), each(rounds, |round| round.rate));
            if least.is_empty() {
                least = row.rounds("p50").to_vec();
            }
            let beside = ratios(row.rounds("p50"), &least);
            sheet.rows.push(row.with("p50 beside bare", Unit::RATIO, beside));
        }
    }
    Ok(sheet)
}

fn prepare(component: Vec<u8>) -> Result<Subject, Failed> {
    let bare = Bare::new(&component)?;
    let registry = Registry::new(Engine::new(&EngineOptions::default())?);
    if !registry.engine().pooled() {
        return Err("the pool cannot be had on this machine, so the two engines would differ".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plugin = runtime.block_on(registry.prepare(Bytes::from(component)))?;
    let whole: Value = serde_json::from_str(&body("bench.called"))?;
    let data = whole.get("data").cloned().unwrap_or_default();
    let draft = EventDraft::json("bench.called", "bench", Some("ticket/4711".to_owned()), &data, None);
    let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).map_err(|mistake| mistake.to_string())?;
    let parameters = json!({"path": "data.status", "equals": "done"});
    Ok(Subject { plugin, bare, data: data.to_string(), event, text: parameters.to_string(), parameters })
}

/// Every thread makes its calls at the same time, each on a runtime of its own.
fn round(subject: &Arc<Subject>, side: Side, threads: usize, calls: usize) -> Result<Round, Failed> {
    let barrier = Arc::new(Barrier::new(threads));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (subject, barrier) = (Arc::clone(subject), Arc::clone(&barrier));
            std::thread::spawn(move || -> Result<(Latencies, Duration), Failed> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    // The first calls of a thread find nothing warm.
                    call(&subject, side, calls / 10).await?;
                    barrier.wait();
                    let start = Instant::now();
                    Ok((call(&subject, side, calls).await?, start.elapsed()))
                })
            })
        })
        .collect();
    let (mut latencies, mut rate) = (Latencies::new()?, 0.0);
    for worker in workers {
        let (own, took) = worker.join().map_err(|_| "a thread panicked")??;
        rate += number(own.count()) / took.as_secs_f64();
        latencies.add(&own)?;
    }
    Ok(Round { latencies, rate })
}

/// How long each call took.
async fn call(subject: &Subject, side: Side, calls: usize) -> Result<Latencies, Failed> {
    let mut latencies = Latencies::new()?;
    let access = Arc::new(Access::new("match", Limits::default()));
    for _ in 0..calls {
        let start = Instant::now();
        let holds = match side {
            Side::Bare => subject.bare.evaluate(event(subject), &subject.text).await?,
            Side::Hookwright => {
                let call = Call::new(SpaceId::main(), Timestamp::from_millis(0), Arc::clone(&access));
                let called = subject.plugin.evaluate(call, &subject.event, &subject.parameters).await;
                called.result.map_err(|failure| failure.to_string())?.holds
            }
        };
        latencies.record(start.elapsed());
        if !holds {
            return Err("the condition does not hold, so something else is measured".into());
        }
    }
    Ok(latencies)
}

fn event(subject: &Subject) -> bare_call::Event<'_> {
    let event = &subject.event;
    bare_call::Event {
        id: &event.id,
        event_type: &event.event_type,
        source: &event.source,
        subject: event.subject.as_deref(),
        time: &event.time,
        data: &subject.data,
        attributes: &[("content-type", "application/json")],
    }
}
