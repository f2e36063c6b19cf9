//! A thousand plugins: how long each adds to a start, and what it takes while nobody calls it.

use std::path::Path;
use std::time::Duration;

use crate::Failed;
use crate::api::Api;
use crate::figures::{Row, Sheet, Unit};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, millis, number};

const SECTION: &str = "many";
/// How long a server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_millis(1500);

/// One start.
struct Start {
    serving: f64,
    /// In KiB.
    resident: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let plugins: u32 = if effort.full { 1000 } else { 100 };
    let component = std::fs::read(&place.small)?;
    let home = place.fresh()?;
    eprintln!("many: installing {plugins} plugins");
    put_in(place, home.path(), &component, 0).await?;
    let none = starts(place, home.path(), effort).await?;
    put_in(place, home.path(), &component, plugins).await?;
    let all = starts(place, home.path(), effort).await?;
    let title = format!("{plugins} plugins, compiled before");
    let mut sheet = Sheet::new(SECTION, title, &["plugins besides the server's own"]);
    for (count, starts) in [(0, &none), (plugins, &all)] {
        let row = Row::new([count.to_string()]);
        let row = row.with("serves after", Unit::MILLIS, each(starts, |start| start.serving));
        sheet.rows.push(row.with("resident idle", Unit::MEBIBYTES, each(starts, |start| start.resident / 1024.0)));
    }
    // Of a round without them and one with them.
    let adds = |read: fn(&Start) -> f64| {
        let pairs = none.iter().zip(&all);
        pairs.map(|(without, with)| (read(with) - read(without)) / f64::from(plugins)).collect::<Vec<_>>()
    };
    let row = Row::new(["one plugin".to_owned()]).with_one("size", Unit::BYTES, number(component.len() as u64));
    let row = row.with("adds to a start", Unit::MILLIS, adds(|start| start.serving));
    let row = row.with("adds idle", Unit::KIBIBYTES, adds(|start| start.resident));
    Ok(vec![sheet, Sheet::single(SECTION, "What each plugin adds", "what", row)])
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

/// A start for each round.
async fn starts(place: &Place, home: &Path, effort: &Effort) -> Result<Vec<Start>, Failed> {
    let mut starts = Vec::new();
    for _ in effort.turns() {
        let mut server = Server::hookwright(place, home)?;
        let serving = millis(server.serving().await?);
        tokio::time::sleep(IDLE).await;
        starts.push(Start { serving, resident: server.status_kib("VmRSS:")? });
        server.stop().await?;
    }
    Ok(starts)
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
