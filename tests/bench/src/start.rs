//! How long it takes until the server serves, with nothing compiled and with everything kept, and what it takes idle.

use std::time::Duration;

use serde_json::Value;

use crate::Failed;
use crate::api::Api;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{millis, over, ratio};
use crate::table::{Table, count, short};

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
    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        eprintln!("start: round {}", round + 1);
        let home = place.fresh()?;
        cold.push(start(place, home.path()).await?);
        cached.push(start(place, home.path()).await?);
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
    for (name, starts) in [("cold: empty data folder", &cold), ("cached: second start", &cached)] {
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
    println!("The program is one file of {} bytes, debug lines included, with its plugins inside.", count(size));
    Ok(())
}

async fn start(place: &Place, home: &std::path::Path) -> Result<Start, Failed> {
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
