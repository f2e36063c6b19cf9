//! Durable accepted events, beside bare hyper servers that only answer or only store: how many a second in a closed loop,
//! and how soon at set rates in an open loop.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::bare_server::Kind;
use crate::figures::{Row, Sheet, Unit};
use crate::load::{Order, Report};
use crate::machine::{sync_sheet, sync_time};
use crate::options::Effort;
use crate::place::Place;
use crate::schedule::Pace;
use crate::server::Server;
use crate::statistics::{each, micros, ratios};
use crate::{Failed, worker};

const SECTION: &str = "accept";
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// Connections of the open loop: enough that a request seldom waits for one.
const OPEN_CONNECTIONS: usize = 64;
/// Size of a body in bytes.
pub(crate) const BODY: usize = 1024;
const NAMES: [&str; 4] = ["hyper, echo only", "hyper + redb journal", "hyper + log, redb behind it", "Hookwright"];
/// What each is compared with: the name of the column, and which server.
const BASES: [(&str, usize); 2] = [("the journal", 1), ("the log", 2)];

/// One server under load, once.
pub(crate) struct Round {
    pub(crate) report: Report,
    /// Processor time of the server for one event, in microseconds.
    pub(crate) processor: f64,
}

impl Round {
    /// Loads a server.
    pub(crate) async fn of(server: &Server, order: &Order) -> Result<Self, Failed> {
        let before = server.processor_time()?;
        let report = worker::ask::<Report>("load", order).await?.all_accepted()?;
        let used = server.processor_time()?.saturating_sub(before);
        // The warm-up uses the processor too, and its events are not in the report.
        let share = order.time.as_secs_f64() / (order.time + order.warm_up).as_secs_f64();
        let processor = micros(used) * share / report.events();
        Ok(Self { report, processor })
    }

    /// What was measured of one server in all rounds.
    pub(crate) fn figures(row: Row, rounds: &[Self]) -> Result<Row, Failed> {
        let row = row.with("rate", Unit::EVENTS_PER_SECOND, each(rounds, |round| round.report.rate));
        let row = row.with_latencies(rounds.iter().map(|round| &round.report.latencies))?;
        Ok(row.with("processor", Unit::new("us/event"), each(rounds, |round| round.processor)))
    }
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let mut syncs = Vec::new();
    let heads = ["connections", "server"];
    let mut closed = Sheet::new(SECTION, "Durable accepted events, 1 KiB each", &heads);
    for connections in CONNECTIONS {
        eprintln!("accept: {connections} connections");
        // Fresh servers at each level, so that no level finds a larger journal than another.
        let mut contest = Contest::start(place).await?;
        for round in effort.turns() {
            syncs.push(sync_time(place)?);
            contest.round(round, connections, None, effort).await?;
        }
        closed.rows.extend(contest.rows(&connections.to_string(), "rate")?);
    }
    let heads = ["sent events/s", "server"];
    let mut open = Sheet::new(SECTION, "Accepting events at a set rate (open loop)", &heads);
    for rate in &effort.rates {
        eprintln!("accept: {rate} events/s");
        let mut contest = Contest::start(place).await?;
        for round in effort.turns() {
            syncs.push(sync_time(place)?);
            contest.round(round, OPEN_CONNECTIONS, Some(effort.pace(*rate, round)), effort).await?;
        }
        open.rows.extend(contest.rows(&rate.to_string(), "p99")?);
    }
    Ok(vec![closed, open, sync_sheet(SECTION, syncs)])
}

/// An event of exactly [`BODY`] bytes, with the kind of data that a ticket system sends.
pub(crate) fn body(event_type: &str) -> String {
    let text = |filler: usize| {
        json!({
            "type": event_type,
            "source": "bench",
            "subject": "ticket/4711",
            "data": {
                "id": 4711, "status": "done", "priority": 2, "open": false, "score": 0.25, "assignee": null,
                "requester": {"name": "Ada Example", "mail": "ada@example.com", "teams": ["support", "billing"]},
                "labels": ["invoice", "urgent", "emea"],
                "description": "x".repeat(filler),
            },
        })
        .to_string()
    };
    text(BODY.saturating_sub(text(0).len()))
}

/// The servers, with what was measured of each.
struct Contest {
    servers: Vec<(Server, Vec<Round>)>,
    _homes: Vec<TempDir>,
}

impl Contest {
    async fn start(place: &Place) -> Result<Self, Failed> {
        let kinds = [Some(Kind::Echo), Some(Kind::Journal), Some(Kind::Log), None];
        let homes = kinds.iter().map(|_| place.fresh()).collect::<Result<Vec<_>, _>>()?;
        let mut servers = Vec::with_capacity(homes.len());
        for (home, kind) in homes.iter().zip(kinds) {
            let server = match kind {
                Some(kind) => {
                    let mut server = Server::bare(kind, home.path())?;
                    server.serving().await?;
                    server
                }
                None => Server::settled(place, home.path()).await?,
            };
            servers.push((server, Vec::new()));
        }
        Ok(Self { servers, _homes: homes })
    }

    /// Loads one server after the other; each round begins with another.
    async fn round(
        &mut self,
        round: usize,
        connections: usize,
        pace: Option<Pace>,
        effort: &Effort,
    ) -> Result<(), Failed> {
        let most = self.servers.len();
        for place in (0..most).map(|place| (place + round) % most) {
            let Some((server, rounds)) = self.servers.get_mut(place) else { continue };
            let order = order(server, connections, pace, effort);
            rounds.push(Round::of(server, &order).await?);
        }
        Ok(())
    }

    /// A row for each server, with `beside` of each in terms of those that only store.
    fn rows(&self, level: &str, beside: &str) -> Result<Vec<Row>, Failed> {
        let mut rows: Vec<Row> = Vec::new();
        for ((_, rounds), name) in self.servers.iter().zip(NAMES) {
            rows.push(Round::figures(Row::new([level.to_owned(), name.to_owned()]), rounds)?);
        }
        for (base, place) in BASES {
            let base_rounds = rows.get(place).map(|row| row.rounds(beside).to_vec()).unwrap_or_default();
            let name = format!("{beside} beside {base}");
            let compared = rows.into_iter().map(|row| {
                let ratios = ratios(row.rounds(beside), &base_rounds);
                row.with(&name, Unit::RATIO, ratios)
            });
            rows = compared.collect();
        }
        Ok(rows)
    }
}

fn order(server: &Server, connections: usize, pace: Option<Pace>, effort: &Effort) -> Order {
    Order {
        address: server.address,
        connections,
        warm_up: effort.warm_up,
        time: effort.load,
        path: "/v1/events".to_owned(),
        body: body("bench.accepted"),
        pace,
    }
}

/// A closed loop of events on so many connections, as [`run`] makes it.
pub(crate) fn closed_loop(server: &Server, connections: usize, warm_up: Duration, effort: &Effort) -> Order {
    Order { warm_up, ..order(server, connections, None, effort) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_its_stated_length() {
        assert_eq!(body("bench.accepted").len(), BODY);
        assert_eq!(body("x").len(), BODY);
    }
}
