//! Durable accepted events a second, beside a bare hyper server that only answers and one that only journals.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::bare_server::Kind;
use crate::load::{Order, Report};
use crate::machine::{sync_line, sync_time};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{over, ratio};
use crate::table::{Table, count, short};
use crate::{Failed, worker};

const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// Size of a body in bytes.
const BODY: usize = 1024;
const NAMES: [&str; 3] = ["hyper, echo only", "hyper + redb journal", "Hookwright"];

/// One server under load, once.
struct Round {
    report: Report,
    /// Processor time of the server for one event, in microseconds.
    processor: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let head = ["connections", "server", "events/s", "p50 ms", "p99 ms", "processor us/event", "beside the journal"];
    let mut table = Table::new("Durable accepted events, 1 KiB each", &head);
    let mut syncs = Vec::new();
    for connections in CONNECTIONS {
        eprintln!("accept: {connections} connections");
        // Fresh servers at each level, so that no level finds a larger journal than another.
        let mut contest = Contest::start(place).await?;
        for round in 0..effort.rounds {
            syncs.push(sync_time(place)?);
            contest.round(round, connections, effort).await?;
        }
        contest.rows(connections, &mut table);
    }
    println!("{table}\n{}", sync_line(&syncs));
    Ok(())
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

/// The three servers, with what was measured of each.
struct Contest {
    servers: Vec<(Server, Vec<Round>)>,
    _homes: Vec<TempDir>,
}

impl Contest {
    async fn start(place: &Place) -> Result<Self, Failed> {
        let homes = vec![place.fresh()?, place.fresh()?, place.fresh()?];
        let mut servers = Vec::with_capacity(homes.len());
        for (home, kind) in homes.iter().zip([Some(Kind::Echo), Some(Kind::Journal), None]) {
            let mut server = match kind {
                Some(kind) => Server::bare(kind, home.path())?,
                None => Server::hookwright(place, home.path())?,
            };
            server.serving().await?;
            servers.push((server, Vec::new()));
        }
        Ok(Self { servers, _homes: homes })
    }

    /// Loads one server after the other; each round begins with another.
    async fn round(&mut self, round: usize, connections: usize, effort: &Effort) -> Result<(), Failed> {
        let most = self.servers.len();
        for place in (0..most).map(|place| (place + round) % most) {
            let Some((server, rounds)) = self.servers.get_mut(place) else { continue };
            let order = Order {
                address: server.address,
                connections,
                warm_up: effort.warm_up,
                time: effort.load,
                path: "/v1/events".to_owned(),
                body: body("bench.accepted"),
            };
            let before = server.processor_time()?;
            let report: Report = worker::ask("load", &order).await?;
            let used = server.processor_time()?.saturating_sub(before);
            if report.refused > 0 {
                return Err(format!("{} of the events were refused", report.refused).into());
            }
            // The warm-up uses the processor too, and its events are not in the report.
            let share = effort.load.as_secs_f64() / (effort.load + effort.warm_up).as_secs_f64();
            let events = report.rate * effort.load.as_secs_f64();
            rounds.push(Round { report, processor: micros(used) * share / events });
        }
        Ok(())
    }

    fn rows(&self, connections: usize, table: &mut Table) {
        let Some((_, journal)) = self.servers.get(1) else { return };
        for ((_, rounds), name) in self.servers.iter().zip(NAMES) {
            table.row(vec![
                connections.to_string(),
                name.to_owned(),
                count(over(rounds, |round| round.report.rate)),
                short(over(rounds, |round| f64::from(round.report.p50) / 1e3)),
                short(over(rounds, |round| f64::from(round.report.p99) / 1e3)),
                short(over(rounds, |round| round.processor)),
                short(ratio(rounds, journal, |round| round.report.rate, |round| round.report.rate)),
            ]);
        }
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
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
