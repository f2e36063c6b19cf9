//! How long it takes until the server serves, with nothing compiled and with everything kept, and what it takes idle.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::accept::closed_loop;
use crate::api::Api;
use crate::figures::{Row, Sheet, Unit};
use crate::load::Report;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, millis, number, ratios};
use crate::{Failed, worker};

const SECTION: &str = "start";

/// How long a server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_millis(1500);

/// One start.
struct Start {
    serving: f64,
    stopped: f64,
    /// In MiB.
    resident: f64,
    /// The part of it that is not pages of files.
    own: f64,
    plugins: f64,
    compiled: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let (mut cold, mut cached, mut killed, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in effort.turns() {
        eprintln!("start: round {}", round + 1);
        let home = place.fresh()?;
        cold.push(start(place, home.path()).await?);
        cached.push(start(place, home.path()).await?);
        events.push(kill_under_load(place, home.path(), effort).await?);
        killed.push(start(place, home.path()).await?);
    }
    let mut sheet = Sheet::new(SECTION, "Start-up and rest", &["start"]);
    let plugins = Unit::whole("plugins");
    let cold_serving = each(&cold, |start| start.serving);
    for (name, starts) in [
        ("cold: empty data folder", &cold),
        ("cached: second start", &cached),
        ("after kill -9, right after load", &killed),
    ] {
        let serving = each(starts, |start| start.serving);
        let beside = ratios(&serving, &cold_serving);
        let row = Row::new([name.to_owned()]).with("serves after", Unit::MILLIS, serving);
        let row = row.with("beside cold", Unit::RATIO, beside);
        let row = row.with("resident idle", Unit::MEBIBYTES, each(starts, |start| start.resident));
        let row = row.with("of it own", Unit::MEBIBYTES, each(starts, |start| start.own));
        let row = row.with("stops within", Unit::MILLIS, each(starts, |start| start.stopped));
        let row = row.with("all", plugins, each(starts, |start| start.plugins));
        sheet.rows.push(row.with("compiled", plugins, each(starts, |start| start.compiled)));
    }
    let bytes = number(std::fs::metadata(&place.binary)?.len());
    let row = Row::new(["the program, with its plugins inside".to_owned()]).with_one("size", Unit::BYTES, bytes);
    let row = row.with("accepted before kill -9", Unit::whole("events"), events);
    Ok(vec![sheet, Sheet::single(SECTION, "What was started", "what", row)])
}

/// Kills a server right after 64 connections sent to it, with no chance to close its store; returns how many events it had accepted.
async fn kill_under_load(place: &Place, home: &Path, effort: &Effort) -> Result<f64, Failed> {
    let mut server = Server::hookwright(place, home)?;
    server.serving().await?;
    let order = closed_loop(&server, 64, Duration::ZERO, effort);
    let report: Report = worker::ask("load", &order).await?;
    // Which kills it.
    drop(server);
    Ok(report.events())
}

async fn start(place: &Place, home: &Path) -> Result<Start, Failed> {
    let mut server = Server::hookwright(place, home)?;
    let serving = millis(server.serving().await?);
    let plugins = {
        let listed = Api::connect(server.address).await?.get("/v1/plugins").await?;
        listed.pointer("/data").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    tokio::time::sleep(IDLE).await;
    let resident = server.status_kib("VmRSS:")? / 1024.0;
    let own = server.status_kib("RssAnon:")? / 1024.0;
    let is = |name: &'static str| move |plugin: &&Value| plugin.pointer(name) == Some(&Value::Bool(true));
    Ok(Start {
        serving,
        resident,
        own,
        plugins: number(plugins.len() as u64),
        compiled: number(plugins.iter().filter(is("/compiled")).count() as u64),
        stopped: millis(server.stop().await?),
    })
}
