//! Events accepted by a server that has stored millions of them, beside one that is empty.

use std::time::Duration;

use tempfile::TempDir;

use crate::Failed;
use crate::accept::{BODY, Round, closed_loop};
use crate::figures::{Row, Sheet, Unit};
use crate::load::Order;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::start::file_mebibytes;
use crate::statistics::{each, number, ratios};

const SECTION: &str = "stored";
/// How many events are stored before it is measured.
const EVENTS: f64 = 10_000_000.0;
const QUICK_EVENTS: f64 = 30_000.0;
/// Connections that store them, and how long they send between two looks at how many there are.
const FILLERS: usize = 256;
const FILL: Duration = Duration::from_secs(5);
const QUICK_FILL: Duration = Duration::from_millis(500);
/// Connections while it is measured.
const CONNECTIONS: [usize; 2] = [16, 64];

/// A server.
struct Side {
    /// How many events were stored before.
    stored: f64,
    /// How many were sent since.
    sent: f64,
    home: TempDir,
    server: Server,
}

impl Side {
    async fn start(place: &Place) -> Result<Self, Failed> {
        let home = place.fresh()?;
        let server = Server::settled(place, home.path()).await?;
        Ok(Self { stored: 0.0, sent: 0.0, home, server })
    }

    /// Sends events until so many were accepted.
    async fn fill(&mut self, events: f64, effort: &Effort) -> Result<(), Failed> {
        let time = if effort.full { FILL } else { QUICK_FILL };
        while self.stored < events {
            let order = Order { time, ..closed_loop(&self.server, FILLERS, Duration::ZERO, effort) };
            self.stored += Round::of(&self.server, &order).await?.report.events();
        }
        Ok(())
    }

    async fn round(&mut self, connections: usize, effort: &Effort) -> Result<Round, Failed> {
        let round = Round::of(&self.server, &closed_loop(&self.server, connections, effort.warm_up, effort)).await?;
        self.sent += round.report.events();
        Ok(round)
    }

    fn name(&self) -> String {
        format!("{:.0}", self.stored)
    }

    fn sizes(&self) -> Result<Row, Failed> {
        let file = file_mebibytes(self.home.path());
        let each = file * 1024.0 * 1024.0 / (self.stored + self.sent).max(1.0);
        let row = Row::new([self.name()]).with_one("file", Unit::MEBIBYTES, file);
        let row = row.with_one("of an event", Unit::BYTES, each);
        let row = row.with_one("its body", Unit::BYTES, number(BODY as u64));
        let row = row.with_one("resident", Unit::MEBIBYTES, self.server.status_kib("VmRSS:")? / 1024.0);
        Ok(row.with_one("of it own", Unit::MEBIBYTES, self.server.status_kib("RssAnon:")? / 1024.0))
    }
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let events = if effort.full { EVENTS } else { QUICK_EVENTS };
    let (mut empty, mut full) = (Side::start(place).await?, Side::start(place).await?);
    eprintln!("stored: storing {events} events");
    full.fill(events, effort).await?;
    let mut rates = Sheet::new(SECTION, "Accepting with many events stored", &["connections", "stored before"]);
    for connections in CONNECTIONS {
        eprintln!("stored: {connections} connections");
        let (mut of_empty, mut of_full) = (Vec::new(), Vec::new());
        for round in effort.turns() {
            if round % 2 == 0 {
                of_empty.push(empty.round(connections, effort).await?);
            }
            of_full.push(full.round(connections, effort).await?);
            if round % 2 == 1 {
                of_empty.push(empty.round(connections, effort).await?);
            }
        }
        let base = each(&of_empty, |round| round.report.rate);
        for (side, rounds) in [(&empty, of_empty), (&full, of_full)] {
            let row = Round::figures(Row::new([connections.to_string(), side.name()]), &rounds)?;
            let rate = each(&rounds, |round| round.report.rate);
            rates.rows.push(row.with("beside empty", Unit::RATIO, ratios(&rate, &base)));
        }
    }
    let mut sizes = Sheet::new(SECTION, "What the stored events take", &["stored before"]);
    for side in [&empty, &full] {
        sizes.rows.push(side.sizes()?);
    }
    Ok(vec![rates, sizes])
}
