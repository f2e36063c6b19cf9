//! One event against many automations: what those cost that do not want it, and what each costs that does.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::accept::body;
use crate::api::Api;
use crate::flow::{Order, Report};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{over, ratio};
use crate::table::{Table, count, short};
use crate::{Failed, call, worker};

/// Automations of a space, of which one wants the event.
const FULL: [u32; 3] = [10, 1000, 100_000];
const QUICK: [u32; 3] = [10, 1000, 10_000];
/// How many events are in flight at a time.
const IN_FLIGHT: usize = 16;
/// Automations that all want the event.
const WANTING: u32 = 1000;
/// How many makers make automations side by side.
const MAKERS: u32 = 32;

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    others(place, effort).await?;
    wanting(place, effort).await
}

/// A server with so many automations, and how it did.
struct Run {
    automations: u32,
    server: Server,
    rounds: Vec<Round>,
    _home: TempDir,
}

struct Round {
    report: Report,
    /// Processor time of the server for one event, in microseconds.
    processor: f64,
}

impl Run {
    /// Starts a server, in which `automation` says what the automation of each number is.
    async fn start(
        place: &Place,
        automations: u32,
        automation: impl Fn(u32) -> Value + Send + Sync + 'static,
    ) -> Result<Self, Failed> {
        let home = place.fresh()?;
        let mut server = Server::hookwright(place, home.path())?;
        server.serving().await?;
        let automation = Arc::new(automation);
        // Side by side, since each waits for the disk.
        let makers: Vec<_> = (0..MAKERS.min(automations))
            .map(|maker| {
                let (address, automation) = (server.address, Arc::clone(&automation));
                tokio::spawn(async move {
                    let mut api = Api::connect(address).await?;
                    for number in (maker..automations).step_by(MAKERS as usize) {
                        api.post("/v1/automations", &automation(number)).await?;
                    }
                    Ok::<_, Failed>(())
                })
            })
            .collect();
        for maker in makers {
            maker.await??;
        }
        Ok(Self { automations, server, rounds: Vec::new(), _home: home })
    }

    async fn round(&mut self, effort: &Effort, in_flight: usize) -> Result<(), Failed> {
        let bodies = vec![body("bench.wanted")];
        let mut order = Order { address: self.server.address, in_flight, time: effort.warm_up, watchers: 0, bodies };
        if self.rounds.is_empty() {
            let _: Report = worker::ask("flow", &order).await?;
        }
        order.time = effort.load;
        let before = self.server.processor_time()?;
        let report: Report = worker::ask("flow", &order).await?;
        let used = self.server.processor_time()?.saturating_sub(before);
        #[allow(clippy::cast_precision_loss)]
        let processor = used.as_secs_f64() * 1e6 / report.events as f64;
        self.rounds.push(Round { report, processor });
        Ok(())
    }
}

/// Number 0 wants the event. Of the others one half names other types, the other half has patterns.
fn one_of_many(number: u32) -> Value {
    let on = match number {
        0 => "bench.wanted".to_owned(),
        odd if odd % 2 == 1 => format!("bench.other-{odd}"),
        even => format!("bench.area-{even}.*"),
    };
    json!({
        "name": format!("Automation {number}"),
        "on": [on],
        "when": {"condition": "match", "with": {"path": "data.status", "equals": "done"}},
        "then": [{"action": "event-emit", "with": {"type": "bench.told", "data": {"status": "{{event.data.status}}"}}}],
    })
}

async fn others(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let mut runs = Vec::new();
    for automations in if effort.rounds > 3 { FULL } else { QUICK } {
        eprintln!("match: making {automations} automations");
        runs.push(Run::start(place, automations, one_of_many).await?);
    }
    for round in 0..effort.rounds {
        let most = runs.len();
        for turn in (0..most).map(|turn| (turn + round) % most) {
            if let Some(run) = runs.get_mut(turn) {
                run.round(effort, IN_FLIGHT).await?;
            }
        }
    }
    let head = ["automations", "events/s", "processor us/event", "beside 10", "resident MiB"];
    let mut table = Table::new(format!("One event that matches one automation, {IN_FLIGHT} in flight"), &head);
    let Some(least) = runs.first() else { return Ok(()) };
    for run in &runs {
        table.row(vec![
            count(f64::from(run.automations)),
            count(over(&run.rounds, |round| round.report.rate)),
            short(over(&run.rounds, |round| round.processor)),
            short(ratio(&run.rounds, &least.rounds, |round| round.processor, |round| round.processor)),
            short(run.server.status_kib("VmRSS:")? / 1024.0),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// All want the event, and no condition holds: so what is measured is what deciding costs.
fn one_that_declines(number: u32) -> Value {
    json!({
        "name": format!("Automation {number}"),
        "on": ["bench.wanted"],
        "when": {"condition": "match", "with": {"path": "data.status", "equals": format!("another-{number}")}},
        "then": [{"action": "event-emit", "with": {"type": "bench.told"}}],
    })
}

async fn wanting(place: &Place, effort: &Effort) -> Result<(), Failed> {
    eprintln!("match: {WANTING} automations that match the event");
    let mut run = Run::start(place, WANTING, one_that_declines).await?;
    let mut bare = Vec::new();
    for _ in 0..effort.rounds {
        bare.push(call::bare(place, effort).await?);
        run.round(effort, 2).await?;
    }
    let each = |round: &Round| round.processor / f64::from(WANTING);
    let head = ["what", "processor us/condition", "beside bare"];
    let mut table = Table::new(format!("One event that matches {WANTING} automations, each with a condition"), &head);
    table.row(vec!["bare wasmtime, a fresh instance a call".to_owned(), short(over(&bare, |us| *us)), short(1.0)]);
    table.row(vec![
        "Hookwright, with the decision stored".to_owned(),
        short(over(&run.rounds, each)),
        short(ratio(&run.rounds, &bare, each, |us| *us)),
    ]);
    println!("{table}");
    let rate = over(&run.rounds, |round| round.report.rate * f64::from(WANTING));
    println!("{} conditions per second were evaluated, and their verdicts stored.", count(rate));
    Ok(())
}
