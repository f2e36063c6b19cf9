//! One event against many automations: what those cost that do not want it, and what each costs that does.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::accept::body;
use crate::api::Api;
use crate::figures::{Row, Sheet, Unit};
use crate::flow::Order;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, ratios};
use crate::steady::{self, Round};
use crate::table::count;
use crate::{Failed, call};

const SECTION: &str = "match";
/// Automations of a space, of which one wants the event.
const FULL: [u32; 3] = [10, 1000, 100_000];
const QUICK: [u32; 3] = [10, 1000, 10_000];
/// How many events are in flight at a time.
const IN_FLIGHT: usize = 16;
/// Automations that all want the event.
const WANTING: u32 = 1000;
/// How many makers make automations side by side.
const MAKERS: u32 = 32;

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    Ok(vec![others(place, effort).await?, wanting(place, effort).await?])
}

/// A server with so many automations, and how it did.
struct Run {
    automations: u32,
    server: Server,
    rounds: Vec<Round>,
    _home: TempDir,
}

impl Run {
    /// Starts a server, in which `automation` says what the automation of each number is.
    async fn start(
        place: &Place,
        automations: u32,
        automation: impl Fn(u32) -> Value + Send + Sync + 'static,
    ) -> Result<Self, Failed> {
        let home = place.fresh()?;
        let server = Server::settled(place, home.path()).await?;
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
        let mut order = Order { address: self.server.address, in_flight, time: effort.load, watchers: 0, bodies };
        let warm_up = self.rounds.is_empty().then_some(effort.warm_up);
        self.rounds.push(steady::round(&self.server, &mut order, warm_up).await?);
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

async fn others(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    let mut runs = Vec::new();
    for automations in if effort.full { FULL } else { QUICK } {
        eprintln!("match: making {automations} automations");
        runs.push(Run::start(place, automations, one_of_many).await?);
    }
    for round in effort.turns() {
        let most = runs.len();
        for turn in (0..most).map(|turn| (turn + round) % most) {
            if let Some(run) = runs.get_mut(turn) {
                run.round(effort, IN_FLIGHT).await?;
            }
        }
    }
    let title = format!("One event that matches one automation, {IN_FLIGHT} in flight");
    let mut sheet = Sheet::new(SECTION, title, &["automations"]);
    let processor = |run: &Run| each(&run.rounds, |round| round.processor);
    let least = runs.first().map(processor).unwrap_or_default();
    for run in &runs {
        let resident = run.server.status_kib("VmRSS:")? / 1024.0;
        let row = Row::new([count(f64::from(run.automations))]);
        let row = row.with("rate", Unit::EVENTS_PER_SECOND, each(&run.rounds, |round| round.report.rate));
        let row = row.with("processor", Unit::new("us/event"), processor(run));
        let row = row.with("beside 10", Unit::RATIO, ratios(&processor(run), &least));
        sheet.rows.push(row.with_one("resident", Unit::MEBIBYTES, resident));
    }
    Ok(sheet)
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

async fn wanting(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    eprintln!("match: {WANTING} automations that match the event");
    let mut run = Run::start(place, WANTING, one_that_declines).await?;
    let mut bare = Vec::new();
    for _ in effort.turns() {
        bare.push(call::bare(place, effort).await?);
        run.round(effort, 2).await?;
    }
    let title = format!("One event that matches {WANTING} automations, each with a condition");
    let mut sheet = Sheet::new(SECTION, title, &["what"]);
    let (processor, beside) = ("processor", "beside bare");
    let unit = Unit::new("us/condition");
    let row = Row::new(["bare wasmtime, a fresh instance a call".to_owned()]).with(processor, unit, bare.clone());
    sheet.rows.push(row.with_one(beside, Unit::RATIO, 1.0));
    let own = each(&run.rounds, |round| round.processor / f64::from(WANTING));
    let ratios = ratios(&own, &bare);
    let rate = each(&run.rounds, |round| round.report.rate * f64::from(WANTING));
    let row = Row::new(["Hookwright, with the decision stored".to_owned()]).with(processor, unit, own);
    let row = row.with(beside, Unit::RATIO, ratios);
    // Evaluated, and their verdicts stored.
    sheet.rows.push(row.with("rate", Unit::whole("conditions/s"), rate));
    Ok(sheet)
}
