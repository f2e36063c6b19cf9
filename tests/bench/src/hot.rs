//! Events whose actions all change one record, beside the same events for a thousand records.

use serde_json::json;
use tempfile::TempDir;

use crate::api::Api;
use crate::flow::{Order, Report};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{over, ratio};
use crate::table::{Table, count, short};
use crate::{Failed, pipeline, worker};

/// How many events are in flight at a time.
const IN_FLIGHT: usize = 64;
/// The least that one record may have of the rate of distinct ones where notes are added.
const GOAL: f64 = 0.5;

/// What is done, and to how many records in turn.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    action: &'static str,
    one: bool,
}

impl Way {
    const ALL: [Self; 4] = [
        Self { action: "note-add", one: false },
        Self { action: "note-add", one: true },
        Self { action: "ticket-update", one: false },
        Self { action: "ticket-update", one: true },
    ];

    fn tickets(self, tickets: &[u64]) -> &[u64] {
        if self.one { tickets.get(..1).unwrap_or_default() } else { tickets }
    }

    fn event_type(self) -> &'static str {
        match self.action {
            "note-add" => "hot.note",
            _ => "hot.change",
        }
    }
}

struct Round {
    report: Report,
    /// Processor time of the server for one event, in microseconds.
    processor: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let home: TempDir = place.fresh()?;
    let mut server = Server::hookwright(place, home.path())?;
    server.serving().await?;
    let mut api = Api::connect(server.address).await?;
    for (event_type, action, with) in [
        ("hot.note", "note-add", json!({"id": "{{event.data.ticket}}", "text": "Closed: {{event.id}}"})),
        ("hot.change", "ticket-update", json!({"id": "{{event.data.ticket}}", "changes": {"subject": "{{event.id}}"}})),
    ] {
        let step = json!({"action": action, "with": with});
        api.post("/v1/automations", &json!({"name": action, "on": [event_type], "then": [step]})).await?;
    }
    let tickets = pipeline::make_tickets(&server).await?;
    let mut rounds: [Vec<Round>; 4] = Default::default();
    for round in 0..effort.rounds {
        for turn in 0..Way::ALL.len() {
            let place = (turn + round) % Way::ALL.len();
            let (Some(way), Some(rounds)) = (Way::ALL.get(place), rounds.get_mut(place)) else { continue };
            eprintln!("hot: {}, {}", way.action, if way.one { "one ticket" } else { "distinct tickets" });
            let bodies = way.tickets(&tickets).iter();
            let bodies = bodies.map(|id| json!({"type": way.event_type(), "data": {"ticket": id}}).to_string());
            let time = effort.load;
            let order =
                Order { address: server.address, in_flight: IN_FLIGHT, time, watchers: 0, bodies: bodies.collect() };
            let before = server.processor_time()?;
            let report: Report = worker::ask("flow", &order).await?;
            let used = server.processor_time()?.saturating_sub(before);
            #[allow(clippy::cast_precision_loss)]
            let processor = used.as_secs_f64() * 1e6 / report.events as f64;
            rounds.push(Round { report, processor });
        }
    }
    let head = ["action", "tickets", "events/s", "processor us/event", "beside distinct"];
    let mut table = Table::new("One record with many concurrent changes", &head);
    let mut noted = 0.0;
    for (place, way) in Way::ALL.iter().enumerate() {
        let (Some(own), Some(distinct)) = (rounds.get(place), rounds.get(place - place % 2)) else { continue };
        let beside = ratio(own, distinct, |round| round.report.rate, |round| round.report.rate);
        if way.one && way.action == "note-add" {
            noted = beside;
        }
        table.row(vec![
            way.action.to_owned(),
            way.tickets(&tickets).len().to_string(),
            count(over(own, |round| round.report.rate)),
            short(over(own, |round| round.processor)),
            short(beside),
        ]);
    }
    println!("{table}");
    if noted < GOAL {
        return Err(format!(
            "notes on one ticket have {noted:.2} of the rate of distinct tickets: {GOAL} is the least"
        )
        .into());
    }
    Ok(())
}
