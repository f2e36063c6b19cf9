//! What a storm in one space does to another: events accepted there, quiet and while automations set one another off in the
//! first as fast as they can.

use std::time::Duration;

use serde_json::json;

use crate::accept::closed_loop;
use crate::api::{Api, number, text};
use crate::figures::{Row, Sheet, Unit};
use crate::load::Report;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, median, ratios};
use crate::table::short;
use crate::{Failed, worker};

const SECTION: &str = "share";
const CONNECTIONS: [usize; 2] = [1, 16];
/// Events that each set off thousands of others.
const ROOTS: usize = 40;
/// How many times as long another space may take, at most, while a storm rages.
const GOAL: f64 = 1.5;
/// From how many waiting events on it is a storm.
const STORM: f64 = 2000.0;

/// What was measured in one space, round by round.
#[derive(Default)]
struct Space {
    reports: Vec<Report>,
    /// Events that waited in the other space at the end.
    waiting: Vec<f64>,
}

impl Space {
    fn row(&self, connections: usize, name: &str) -> Result<Row, Failed> {
        let row = Row::new([connections.to_string(), name.to_owned()]);
        let row = row.with("rate", Unit::EVENTS_PER_SECOND, each(&self.reports, |report| report.rate));
        let row = row.with_latencies(self.reports.iter().map(|report| &report.latencies))?;
        Ok(row.with("waiting at the end", Unit::whole("events"), self.waiting.clone()))
    }
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let heads = ["connections", "the other space"];
    let mut sheet = Sheet::new(SECTION, "Accepting events in one space during an event storm in another", &heads);
    for connections in CONNECTIONS {
        let (mut quiet, mut stormy) = (Space::default(), Space::default());
        for round in effort.turns() {
            eprintln!("share: {connections} connections, round {}", round + 1);
            let home = place.fresh()?;
            let server = Server::settled(place, home.path()).await?;
            let order = closed_loop(&server, connections, effort.warm_up, effort);
            quiet.reports.push(worker::ask::<Report>("load", &order).await?.all_accepted()?);
            quiet.waiting.push(0.0);
            let mut api = Api::connect(server.address).await?;
            begin_storm(&server, &mut api).await?;
            stormy.reports.push(worker::ask::<Report>("load", &order).await?.all_accepted()?);
            let waiting = number(&api.get("/healthz").await?, "/backlog")?;
            if waiting < 1.0 {
                return Err("the storm was over before the load was: nothing was measured".into());
            }
            stormy.waiting.push(waiting);
            server.stop().await?;
        }
        let (quiet, stormy) = (quiet.row(connections, "quiet")?, stormy.row(connections, "in a storm")?);
        let [rate, p99] = ["rate", "p99"].map(|name| ratios(stormy.rounds(name), quiet.rounds(name)));
        sheet.missed.extend(missed(connections, median(rate.iter().copied()), median(p99.iter().copied())));
        sheet.rows.push(quiet);
        let stormy = stormy.with("rate beside quiet", Unit::RATIO, rate);
        sheet.rows.push(stormy.with("p99 beside quiet", Unit::RATIO, p99));
    }
    Ok(vec![sheet])
}

/// The goal that was missed, if it was.
fn missed(connections: usize, rate: f64, p99: f64) -> Option<String> {
    (rate * GOAL < 1.0 || p99 > GOAL).then(|| {
        let (rate, p99) = (short(rate), short(p99));
        format!(
            "{connections} connections: the rate in a storm is {rate} of the quiet one, p99 {p99} times as long: {GOAL} \
             times is the most"
        )
    })
}

/// An automation that emits, ten times over, what sets it off; and events to begin with.
async fn begin_storm(server: &Server, api: &mut Api) -> Result<(), Failed> {
    let made = api.post("/v1/keys", &json!({"name": "storm", "role": "admin", "space": "storm"})).await?;
    let mut storm = Api::connect_as(server.address, text(&made, "/key")?).await?;
    let echo = json!({"type": "echo", "data": {"list": "{{event.data.list}}"}});
    let step = json!({"action": "event-emit", "for_each": "{{event.data.list}}", "with": echo});
    storm.post("/v1/automations", &json!({"name": "echo", "on": ["echo"], "then": [step]})).await?;
    for _ in 0..ROOTS {
        storm.post("/v1/events", &json!({"type": "echo", "data": {"list": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}})).await?;
    }
    while number(&api.get("/healthz").await?, "/backlog")? < STORM {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goal_limits_the_rate_and_p99() {
        assert_eq!(missed(1, 0.7, 1.4), None);
        assert!(missed(1, 0.6, 1.0).unwrap().contains("0.60 of the quiet one"));
        assert!(missed(1, 1.0, 1.6).unwrap().contains("p99 1.60 times"));
    }
}
