//! What a storm in one space does to another: events accepted there, quiet and while automations set one another off in the
//! first as fast as they can.

use std::time::Duration;

use serde_json::json;

use crate::Failed;
use crate::accept::body;
use crate::api::{Api, number, text};
use crate::load::{Order, Report};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{over, ratio};
use crate::table::{Table, count, short};
use crate::worker;

const CONNECTIONS: [usize; 2] = [1, 16];
/// Events that each set off thousands of others.
const ROOTS: usize = 40;
/// How many times as long another space may take, at most, while a storm rages.
const GOAL: f64 = 1.5;
/// From how many waiting events on it is a storm.
const STORM: f64 = 2000.0;

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let head = ["connections", "the other space", "events/s", "p50 ms", "p99 ms", "waiting at the end"];
    let mut table = Table::new("Accepting events in one space during an event storm in another", &head);
    let mut missed = Vec::new();
    for connections in CONNECTIONS {
        let (mut quiet, mut stormy) = (Vec::new(), Vec::new());
        let mut waiting = 0.0;
        for round in 0..effort.rounds {
            eprintln!("share: {connections} connections, round {round}");
            let home = place.fresh()?;
            let mut server = Server::hookwright(place, home.path())?;
            server.serving().await?;
            let order = Order {
                address: server.address,
                connections,
                warm_up: effort.warm_up,
                time: effort.load,
                path: "/v1/events".to_owned(),
                body: body("bench.accepted"),
            };
            quiet.push(load(&order).await?);
            let mut api = Api::connect(server.address).await?;
            begin_storm(&server, &mut api).await?;
            stormy.push(load(&order).await?);
            waiting = number(&api.get("/healthz").await?, "/backlog")?;
            if waiting < 1.0 {
                return Err("the storm was over before the load was: nothing was measured".into());
            }
            server.stop().await?;
        }
        for (name, reports, waiting) in [("quiet", &quiet, 0.0), ("in a storm", &stormy, waiting)] {
            table.row(vec![
                connections.to_string(),
                name.to_owned(),
                count(over(reports, |report| report.rate)),
                short(over(reports, |report| f64::from(report.p50) / 1e3)),
                short(over(reports, |report| f64::from(report.p99) / 1e3)),
                count(waiting),
            ]);
        }
        let rate = ratio(&stormy, &quiet, |report| report.rate, |report| report.rate);
        let p99 = ratio(&stormy, &quiet, |report| f64::from(report.p99), |report| f64::from(report.p99));
        let found = format!(
            "{connections} connections: the rate in a storm is {} of the quiet one, p99 {} times as long",
            short(rate),
            short(p99)
        );
        println!("{found}.");
        if rate * GOAL < 1.0 || p99 > GOAL {
            missed.push(found);
        }
    }
    println!("{table}");
    if !missed.is_empty() {
        return Err(format!("{}: {GOAL} times is the most", missed.join("; ")).into());
    }
    Ok(())
}

async fn load(order: &Order) -> Result<Report, Failed> {
    let report: Report = worker::ask("load", order).await?;
    if report.refused > 0 {
        return Err(format!("{} of the events were refused", report.refused).into());
    }
    Ok(report)
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
