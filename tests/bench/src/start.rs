//! How long it takes until the server serves, with nothing compiled and with everything kept, and what it takes idle.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::accept::closed_loop;
use crate::api::Api;
use crate::figures::{Row, Sheet, Unit};
use crate::load::{Order, Report};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, millis, number, ratios};
use crate::{Failed, worker};

const SECTION: &str = "start";

/// How long a server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_millis(1500);

/// Stores of which the start after a crash is compared, in MiB.
const STORES: [f64; 2] = [10.0, 1024.0];
const QUICK_STORES: [f64; 2] = [10.0, 128.0];
/// The bytes of an event that fills a store, and how long they are sent between two looks at its size.
const FILLER: usize = 32 * 1024;
const FILL: Duration = Duration::from_millis(100);

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
        events.push(kill_under_load(place, home.path(), effort.load, effort).await?);
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
    Ok(vec![sheet, Sheet::single(SECTION, "What was started", "what", row), after_a_crash(place, effort).await?])
}

/// Whether a start after kill -9 takes longer if more is stored.
async fn after_a_crash(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    let mut stores = Vec::new();
    for mebibytes in if effort.full { STORES } else { QUICK_STORES } {
        eprintln!("start: filling a store of {mebibytes} MiB");
        let home = place.fresh()?;
        fill(place, home.path(), mebibytes, effort).await?;
        stores.push((mebibytes, home, Vec::new()));
    }
    for round in effort.turns() {
        eprintln!("start: after kill -9, round {}", round + 1);
        let most = stores.len();
        for turn in (0..most).map(|turn| (turn + round) % most) {
            let Some((_, home, starts)) = stores.get_mut(turn) else { continue };
            // Little, so that the stores stay as different as they are.
            kill_under_load(place, home.path(), FILL, effort).await?;
            starts.push(start(place, home.path()).await?);
        }
    }
    let mut sheet = Sheet::new(SECTION, "After kill -9 under load, by what is stored", &["store"]);
    let serving = |starts: &[Start]| each(starts, |start| start.serving);
    let least = stores.first().map(|(_, _, starts)| serving(starts)).unwrap_or_default();
    for (mebibytes, home, starts) in &stores {
        let row = Row::new([format!("{mebibytes:.0} MiB and what came since")]);
        let row = row.with("serves after", Unit::MILLIS, serving(starts));
        let row = row.with("beside the smaller", Unit::RATIO, ratios(&serving(starts), &least));
        let row = row.with("resident idle", Unit::MEBIBYTES, each(starts, |start| start.resident));
        sheet.rows.push(row.with_one("file", Unit::MEBIBYTES, file_mebibytes(home.path())));
    }
    Ok(sheet)
}

/// Sends events to a server until its store has this size.
async fn fill(place: &Place, home: &Path, mebibytes: f64, effort: &Effort) -> Result<(), Failed> {
    let mut server = Server::hookwright(place, home)?;
    server.serving().await?;
    while file_mebibytes(home) < mebibytes {
        let body = json!({"type": "bench.filled", "data": "x".repeat(FILLER)}).to_string();
        let order = Order { time: FILL, body, ..closed_loop(&server, 16, Duration::ZERO, effort) };
        worker::ask::<Report>("load", &order).await?.all_accepted()?;
    }
    server.stop().await.map(drop)
}

/// The size of a server's store.
pub(crate) fn file_mebibytes(home: &Path) -> f64 {
    let bytes = std::fs::metadata(home.join("data").join("hookwright.redb")).map_or(0, |file| file.len());
    number(bytes) / 1024.0 / 1024.0
}

/// Kills a server right after 64 connections sent to it, with no chance to close its store; returns how many events it had accepted.
async fn kill_under_load(place: &Place, home: &Path, time: Duration, effort: &Effort) -> Result<f64, Failed> {
    let mut server = Server::hookwright(place, home)?;
    server.serving().await?;
    let order = Order { time, ..closed_loop(&server, 64, Duration::ZERO, effort) };
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
