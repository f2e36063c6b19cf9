//! A thousand plugins: how long each adds to a start, and what it takes while nobody calls it.

use std::path::Path;
use std::time::Duration;

use crate::Failed;
use crate::api::Api;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::millis;
use crate::table::{Table, short};

/// How long a server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_millis(1500);

/// One start.
struct Start {
    serving: f64,
    /// In KiB.
    resident: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let plugins: u32 = if effort.rounds > 3 { 1000 } else { 100 };
    let component = std::fs::read(&place.small)?;
    let home = place.fresh()?;
    eprintln!("many: installing {plugins} plugins");
    put_in(place, home.path(), &component, 0).await?;
    let none = starts(place, home.path(), effort).await?;
    put_in(place, home.path(), &component, plugins).await?;
    let all = starts(place, home.path(), effort).await?;
    let head = ["plugins besides the server's own", "serves after ms", "resident MiB idle"];
    let mut table = Table::new(format!("{plugins} plugins, compiled before"), &head);
    for (count, start) in [(0, &none), (plugins, &all)] {
        table.row(vec![count.to_string(), short(start.serving), short(start.resident / 1024.0)]);
    }
    println!("{table}");
    let each = f64::from(plugins);
    println!(
        "A plugin of {} bytes adds {} ms to a start and {} KiB of resident memory while idle.",
        component.len(),
        short((all.serving - none.serving) / each),
        short((all.resident - none.resident) / each)
    );
    Ok(())
}

/// Puts in so many plugins, each another component, so that no two share their code.
async fn put_in(place: &Place, home: &Path, component: &[u8], plugins: u32) -> Result<(), Failed> {
    let mut server = Server::hookwright(place, home)?;
    server.serving().await?;
    let mut api = Api::connect(server.address).await?;
    for number in 0..plugins {
        let labelled = labelled(component, &format!("many-{number}"));
        api.put_plugin(&format!("many-{number}"), &labelled).await?;
    }
    // The listing waits until everything is loaded, so that the next start finds it compiled.
    api.get("/v1/plugins").await?;
    server.stop().await?;
    Ok(())
}

/// The median of some starts.
async fn starts(place: &Place, home: &Path, effort: &Effort) -> Result<Start, Failed> {
    let mut starts = Vec::new();
    for _ in 0..effort.rounds.min(5) {
        let mut server = Server::hookwright(place, home)?;
        let serving = millis(server.serving().await?);
        tokio::time::sleep(IDLE).await;
        starts.push(Start { serving, resident: server.status_kib("VmRSS:")? });
        server.stop().await?;
    }
    starts.sort_by(|a, b| a.serving.total_cmp(&b.serving));
    let middle = starts.len() / 2;
    starts.into_iter().nth(middle).ok_or_else(|| "nothing was started".into())
}

/// The component with a custom section more (WebAssembly core specification, section 5.5.3), so that its digest is another.
fn labelled(component: &[u8], label: &str) -> Vec<u8> {
    let name = label.as_bytes();
    // Labels are short: each length fits one byte of LEB128.
    let length = u8::try_from(name.len()).unwrap_or(0).min(100);
    let mut labelled = component.to_vec();
    labelled.extend_from_slice(&[0, length + 1, length]);
    labelled.extend(name.iter().take(usize::from(length)));
    labelled
}
