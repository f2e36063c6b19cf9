//! One condition and one action end to end, beside accepting alone.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failed;
use crate::accept::body;
use crate::api::{Api, number};
use crate::figures::{Row, Sheet, Unit};
use crate::flow::Order;
use crate::machine::{sync_sheet, sync_time};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, ratios};
use crate::steady::{self, Round};

const SECTION: &str = "pipeline";
/// How many events are in flight at a time.
const LEVELS: [usize; 4] = [1, 16, 64, 256];
/// How many of the senders watch their event, which tells how long it took.
const WATCHERS: usize = 2;
/// Tickets that are written to in turn, so that two events in flight seldom want the same one.
const TICKETS: usize = 1000;

/// What is done about an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// No automation wants it.
    AcceptOnly,
    /// `match`, then `event-emit`.
    Emit,
    /// `match`, then `note-add`.
    Note,
}

impl Way {
    const ALL: [Self; 3] = [Self::AcceptOnly, Self::Emit, Self::Note];

    fn name(self) -> &'static str {
        match self {
            Self::AcceptOnly => "accept only",
            Self::Emit => "match, event-emit",
            Self::Note => "match, note-add",
        }
    }

    fn event_type(self) -> &'static str {
        match self {
            Self::AcceptOnly => "bench.accepted",
            Self::Emit => "bench.emitting",
            Self::Note => "bench.noting",
        }
    }

    /// The action's step.
    fn step(self) -> Option<Value> {
        match self {
            Self::AcceptOnly => None,
            Self::Emit => Some(json!({
                "action": "event-emit",
                "with": {"type": "bench.told", "subject": "{{event.subject}}", "data": {"status": "{{event.data.status}}"}},
            })),
            Self::Note => Some(
                json!({"action": "note-add", "with": {"id": "{{event.data.ticket}}", "text": "Closed: {{event.id}}"}}),
            ),
        }
    }
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let mut sheet = Sheet::new(SECTION, "One condition and one action end to end", &["in flight", "work"]);
    let mut syncs = Vec::new();
    for in_flight in LEVELS {
        eprintln!("pipeline: {in_flight} in flight");
        let mut run = Run::start(place, in_flight).await?;
        for round in effort.turns() {
            syncs.push(sync_time(place)?);
            run.round(round, effort).await?;
        }
        sheet.rows.extend(run.rows()?);
    }
    Ok(vec![sheet, sync_sheet(SECTION, syncs)])
}

struct Run {
    in_flight: usize,
    server: Server,
    tickets: Vec<u64>,
    rounds: Vec<(Way, Vec<Round>)>,
    _home: TempDir,
}

impl Run {
    async fn start(place: &Place, in_flight: usize) -> Result<Self, Failed> {
        let home = place.fresh()?;
        let server = Server::settled(place, home.path()).await?;
        let mut api = Api::connect(server.address).await?;
        for way in Way::ALL {
            if let Some(step) = way.step() {
                let condition = json!({"condition": "match", "with": {"path": "data.status", "equals": "done"}});
                let automation =
                    json!({"name": way.name(), "on": [way.event_type()], "when": condition, "then": [step]});
                api.post("/v1/automations", &automation).await?;
            }
        }
        let tickets = make_tickets(&server).await?;
        let rounds = Way::ALL.map(|way| (way, Vec::new())).into();
        Ok(Self { in_flight, server, tickets, rounds, _home: home })
    }

    /// Goes each way once; each round begins with another.
    async fn round(&mut self, round: usize, effort: &Effort) -> Result<(), Failed> {
        let most = self.rounds.len();
        for place in (0..most).map(|place| (place + round) % most) {
            let Some((way, rounds)) = self.rounds.get_mut(place) else { continue };
            let mut order = Order {
                address: self.server.address,
                in_flight: self.in_flight,
                time: effort.load,
                watchers: WATCHERS,
                bodies: bodies(*way, &self.tickets)?,
            };
            let warm_up = rounds.is_empty().then_some(effort.warm_up);
            rounds.push(steady::round(&self.server, &mut order, warm_up).await?);
        }
        Ok(())
    }

    fn rows(&self) -> Result<Vec<Row>, Failed> {
        let rate = |rounds: &[Round]| each(rounds, |round| round.report.rate);
        let alone = self.rounds.first().map(|(_, rounds)| rate(rounds)).unwrap_or_default();
        let rows = self.rounds.iter().map(|(way, rounds)| {
            let row = Row::new([self.in_flight.to_string(), way.name().to_owned()]);
            let row = row.with("rate", Unit::EVENTS_PER_SECOND, rate(rounds));
            let row = row.with_latencies(rounds.iter().map(|round| &round.report.latencies))?;
            let row = row.with("processor", Unit::new("us/event"), each(rounds, |round| round.processor));
            Ok::<_, Failed>(row.with("beside accept only", Unit::RATIO, ratios(&rate(rounds), &alone)))
        });
        rows.collect()
    }
}

/// One event for each ticket.
fn bodies(way: Way, tickets: &[u64]) -> Result<Vec<String>, Failed> {
    let mut event: Value = serde_json::from_str(&body(way.event_type()))?;
    tickets
        .iter()
        .map(|ticket| {
            let data = event.pointer_mut("/data").and_then(Value::as_object_mut).ok_or("the event has no data")?;
            data.insert("ticket".to_owned(), (*ticket).into());
            Ok(event.to_string())
        })
        .collect()
}

/// Makes the tickets that are written to.
pub(crate) async fn make_tickets(server: &Server) -> Result<Vec<u64>, Failed> {
    // Side by side, since each waits for the disk.
    let makers = (0..50).map(|_| {
        let address = server.address;
        tokio::spawn(async move {
            let mut api = Api::connect(address).await?;
            let mut ids = Vec::new();
            for _ in 0..TICKETS / 50 {
                let ticket =
                    api.post("/v1/tickets", &json!({"subject": "A ticket to write to", "status": "open"})).await?;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                ids.push(number(&ticket, "/id")? as u64);
            }
            Ok::<_, Failed>(ids)
        })
    });
    let makers: Vec<_> = makers.collect();
    let mut ids = Vec::with_capacity(TICKETS);
    for maker in makers {
        ids.extend(maker.await??);
    }
    Ok(ids)
}
