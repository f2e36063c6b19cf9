//! How long it takes until the server serves, with nothing compiled and with everything kept, and what it takes idle.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::accept::body;
use crate::api::Api;
use crate::load::{Order, Report};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{millis, over, ratio};
use crate::table::{Table, count, short};
use crate::{Failed, worker};

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
    plugins: usize,
    compiled: usize,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let (mut cold, mut cached, mut killed, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        eprintln!("start: round {}", round + 1);
        let home = place.fresh()?;
        cold.push(start(place, home.path()).await?);
        cached.push(start(place, home.path()).await?);
        events.push(kill_under_load(place, home.path(), effort).await?);
        killed.push(start(place, home.path()).await?);
    }
    let head = [
        "start",
        "serves after ms",
        "beside cold",
        "resident MiB idle",
        "of it own",
        "stops within ms",
        "plugins",
        "compiled",
    ];
    let mut table = Table::new("Start-up and rest", &head);
    for (name, starts) in [
        ("cold: empty data folder", &cold),
        ("cached: second start", &cached),
        ("after kill -9, right after load", &killed),
    ] {
        let last = starts.last().ok_or("nothing was started")?;
        table.row(vec![
            name.to_owned(),
            short(over(starts, |start| start.serving)),
            short(ratio(starts, &cold, |start| start.serving, |start| start.serving)),
            short(over(starts, |start| start.resident)),
            short(over(starts, |start| start.own)),
            short(over(starts, |start| start.stopped)),
            last.plugins.to_string(),
            last.compiled.to_string(),
        ]);
    }
    println!("{table}");
    #[allow(clippy::cast_precision_loss)]
    let size = std::fs::metadata(&place.binary)?.len() as f64;
    println!("The server that was killed had accepted {} events.", count(over(&events, |events| *events)));
    println!("The program is one file of {} bytes, debug lines included, with its plugins inside.", count(size));
    Ok(())
}

/// Kills a server right after 64 connections sent to it, with no chance to close its store; returns how many events it had accepted.
async fn kill_under_load(place: &Place, home: &Path, effort: &Effort) -> Result<f64, Failed> {
    let mut server = Server::hookwright(place, home)?;
    server.serving().await?;
    let order = Order {
        address: server.address,
        connections: 64,
        warm_up: Duration::ZERO,
        time: effort.load,
        path: "/v1/events".to_owned(),
        body: body("bench.accepted"),
    };
    let report: Report = worker::ask("load", &order).await?;
    // Which kills it.
    drop(server);
    Ok(report.rate * effort.load.as_secs_f64())
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
        plugins: plugins.len(),
        compiled: plugins.iter().filter(is("/compiled")).count(),
        stopped: millis(server.stop().await?),
    })
}
