//! Webhooks out: deliveries a second with one, a hundred and ten thousand webhooks, with dead receivers among them, and
//! what it takes to have a million deliveries wait.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use serde_json::json;
use tempfile::TempDir;

use crate::api::Api;
use crate::options::Effort;
use crate::place::Place;
use crate::receive::{Order, Report};
use crate::server::Server;
use crate::statistics::over;
use crate::table::{Table, count, short};
use crate::{Failed, worker};

/// How many of our requests are in flight at a time.
const IN_FLIGHT: usize = 64;

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let full = effort.rounds > 3;
    rates(place, effort, full).await?;
    dead(place, effort, full).await?;
    waiting(place, full).await
}

/// A server with webhooks to one receiver.
struct Scene {
    server: Server,
    receiver: SocketAddr,
    _home: TempDir,
}

impl Scene {
    /// `dead` of the webhooks have a receiver where nobody listens.
    async fn start(place: &Place, webhooks: usize, dead: usize, more: &serde_json::Value) -> Result<Self, Failed> {
        let home = place.fresh()?;
        let mut server = Server::hookwright(place, home.path())?;
        server.serving().await?;
        let mut api = Api::connect(server.address).await?;
        let (receiver, nobody) = (free_address()?, free_address()?);
        for number in 0..webhooks {
            let target = if number < dead { nobody } else { receiver };
            let mut webhook = json!({"url": format!("http://{target}/{number}"), "events": ["bench.*"]});
            if let (Some(webhook), Some(more)) = (webhook.as_object_mut(), more.as_object()) {
                webhook.extend(more.clone());
            }
            api.post("/v1/webhooks", &webhook).await?;
        }
        Ok(Self { server, receiver, _home: home })
    }

    /// Sends events and waits until all deliveries have arrived; with the processor time of the server in seconds.
    async fn round(&self, events: usize, live: usize) -> Result<(Report, f64), Failed> {
        let order = Order {
            address: Some(self.server.address),
            receiver: self.receiver,
            events,
            in_flight: IN_FLIGHT.min(events),
            deliveries: events * live,
        };
        let before = self.server.processor_time()?;
        let report: Report = worker::ask("deliver", &order).await?;
        let used = self.server.processor_time()?.saturating_sub(before);
        Ok((report, used.as_secs_f64()))
    }
}

async fn rates(place: &Place, effort: &Effort, full: bool) -> Result<(), Failed> {
    let head =
        ["webhooks", "deliveries", "deliveries/s", "p50 ms", "p99 ms", "processor s/10,000", "beside bare requests"];
    let mut table = Table::new("Deliveries to a receiver on loopback", &head);
    let many = if full { 10_000 } else { 1000 };
    for (webhooks, events) in [(1, if full { 10_000 } else { 2000 }), (100, if full { 200 } else { 30 }), (many, 4)] {
        eprintln!("deliver: {webhooks} webhooks");
        let scene = Scene::start(place, webhooks, 0, &json!({})).await?;
        let (mut rounds, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds.min(3) {
            rounds.push(scene.round(events, webhooks).await?);
            let deliveries = events * webhooks;
            let (address, receiver) = (None, free_address()?);
            let order = Order { address, receiver, events: deliveries, in_flight: IN_FLIGHT, deliveries };
            bare.push(worker::ask::<Report>("deliver", &order).await?);
        }
        let deliveries = events * webhooks;
        let rate = over(&rounds, |(report, _)| report.rate);
        #[allow(clippy::cast_precision_loss)]
        let processor = over(&rounds, |(_, used)| used * 10_000.0 / deliveries as f64);
        table.row(vec![
            webhooks.to_string(),
            deliveries.to_string(),
            count(rate),
            short(over(&rounds, |(report, _)| f64::from(report.p50) / 1e3)),
            short(over(&rounds, |(report, _)| f64::from(report.p99) / 1e3)),
            short(processor),
            short(rate / over(&bare, |report| report.rate)),
        ]);
    }
    println!("{table}");
    Ok(())
}

async fn dead(place: &Place, effort: &Effort, full: bool) -> Result<(), Failed> {
    let head =
        ["dead of 100", "deliveries/s to the others", "p50 ms", "p99 ms", "processor s/10,000 events' deliveries"];
    let mut table = Table::new("With unreachable receivers", &head);
    let events = if full { 200 } else { 30 };
    for dead in [0, 10, 50] {
        eprintln!("deliver: {dead} of 100 dead");
        let scene = Scene::start(place, 100, dead, &json!({})).await?;
        let mut rounds = Vec::new();
        for _ in 0..effort.rounds.min(3) {
            rounds.push(scene.round(events, 100 - dead).await?);
        }
        #[allow(clippy::cast_precision_loss)]
        let processor = over(&rounds, |(_, used)| used * 10_000.0 / (events * 100) as f64);
        table.row(vec![
            dead.to_string(),
            count(over(&rounds, |(report, _)| report.rate)),
            short(over(&rounds, |(report, _)| f64::from(report.p50) / 1e3)),
            short(over(&rounds, |(report, _)| f64::from(report.p99) / 1e3)),
            short(processor),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Deliveries that wait, because each webhook takes one a day.
async fn waiting(place: &Place, full: bool) -> Result<(), Failed> {
    let (webhooks, events) = (100, if full { 10_000 } else { 500 });
    eprintln!("deliver: {} wait", webhooks * events);
    let slow = json!({"rate": {"requests": 1, "per_seconds": 86_400}});
    let scene = Scene::start(place, webhooks, 0, &slow).await?;
    let before = scene.server.status_kib("RssAnon:")?;
    // Each webhook takes the first.
    let order = Order {
        address: Some(scene.server.address),
        receiver: scene.receiver,
        events,
        in_flight: IN_FLIGHT,
        deliveries: webhooks,
    };
    let _: Report = worker::ask("deliver", &order).await?;
    let after = scene.server.status_kib("RssAnon:")?;
    let mut table = Table::new("Deliveries that wait", &["waiting", "memory before MiB", "with them MiB"]);
    #[allow(clippy::cast_precision_loss)]
    let waiting = (webhooks * (events - 1)) as f64;
    table.row(vec![count(waiting), short(before / 1024.0), short(after / 1024.0)]);
    println!("{table}\nMemory is what belongs to the server alone (RssAnon), the store's cache of 64 MiB included.");
    Ok(())
}

fn free_address() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
