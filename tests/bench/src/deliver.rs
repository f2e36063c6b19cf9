//! Webhooks out: deliveries a second with one, a hundred and ten thousand webhooks, how soon they arrive at a set rate, with
//! dead receivers among them, and what it takes to have a million deliveries wait.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::api::Api;
use crate::figures::{Row, Sheet, Unit};
use crate::options::Effort;
use crate::place::Place;
use crate::receive::{Order, Report};
use crate::schedule::Pace;
use crate::server::{Server, free_address};
use crate::statistics::{each, number, ratios};
use crate::{Failed, worker};

const SECTION: &str = "deliver";
/// How many of our requests are in flight at a time.
const IN_FLIGHT: usize = 64;
/// The least time of an open loop, since its rate is low: below it, p99 would be one of the slowest few.
const LEAST_OPEN: Duration = Duration::from_secs(5);

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    Ok(vec![
        rates(place, effort).await?,
        at_a_rate(place, effort).await?,
        dead(place, effort).await?,
        waiting(place, effort).await?,
    ])
}

/// A server with webhooks to one receiver.
struct Scene {
    server: Server,
    receiver: SocketAddr,
    _home: TempDir,
}

/// What a round found.
struct Round {
    report: Report,
    /// Processor time of the server, in seconds.
    processor: f64,
}

impl Scene {
    /// `dead` of the webhooks have a receiver where nobody listens.
    async fn start(place: &Place, webhooks: usize, dead: usize, more: &serde_json::Value) -> Result<Self, Failed> {
        let home = place.fresh()?;
        let server = Server::settled(place, home.path()).await?;
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

    /// Events as fast as they are accepted, each to so many receivers that listen.
    fn closed_loop(&self, events: usize, live: usize) -> Order {
        Order {
            address: Some(self.server.address),
            receiver: self.receiver,
            events,
            in_flight: IN_FLIGHT.min(events),
            deliveries: events * live,
            due: Vec::new(),
            uncounted: 0,
        }
    }

    /// Events at set times, to one receiver.
    fn open_loop(&self, pace: Pace, effort: &Effort) -> Order {
        let due = pace.offsets(effort.warm_up + effort.load.max(LEAST_OPEN));
        let uncounted = due.iter().filter(|due| **due < effort.warm_up).count();
        let order = self.closed_loop(due.len(), 1);
        Order { due, uncounted, ..order }
    }

    /// Sends events and waits until all deliveries have arrived.
    async fn round(&self, order: &Order) -> Result<Round, Failed> {
        let before = self.server.processor_time()?;
        let report: Report = worker::ask("deliver", order).await?;
        let used = self.server.processor_time()?.saturating_sub(before);
        Ok(Round { report, processor: used.as_secs_f64() })
    }

    /// The same events, not counted: the first deliveries open connections and find nothing cached.
    async fn warm_up(&self, events: usize, live: usize) -> Result<(), Failed> {
        let _: Round = self.round(&self.closed_loop(events.div_ceil(10), live)).await?;
        Ok(())
    }
}

async fn rates(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    let mut sheet = Sheet::new(SECTION, "Deliveries to a receiver on loopback", &["webhooks", "deliveries"]);
    let full = effort.full;
    let many = if full { 10_000 } else { 1000 };
    for (webhooks, events) in [(1, if full { 10_000 } else { 2000 }), (100, if full { 200 } else { 30 }), (many, 4)] {
        eprintln!("deliver: {webhooks} webhooks");
        let scene = Scene::start(place, webhooks, 0, &json!({})).await?;
        scene.warm_up(events, webhooks).await?;
        let deliveries = events * webhooks;
        let (mut rounds, mut bare) = (Vec::new(), Vec::new());
        for _ in effort.turns() {
            let order = scene.closed_loop(events, webhooks);
            rounds.push(scene.round(&order).await?);
            let (address, receiver) = (None, free_address()?);
            let direct = Order { address, receiver, events: deliveries, in_flight: IN_FLIGHT, ..order };
            bare.push(worker::ask::<Report>("deliver", &direct).await?);
        }
        let rate = each(&rounds, |round| round.report.rate);
        let beside = ratios(&rate, &each(&bare, |report| report.rate));
        let row = Row::new([webhooks.to_string(), deliveries.to_string()]);
        let row = row.with("rate", Unit::whole("deliveries/s"), rate);
        let row = row.with_latencies(rounds.iter().map(|round| &round.report.from_accepted))?;
        let row = row.with("processor", Unit::new("s/10,000"), processor(&rounds, deliveries));
        sheet.rows.push(row.with("beside bare requests", Unit::RATIO, beside));
    }
    Ok(sheet)
}

/// How soon deliveries arrive when nothing queues.
async fn at_a_rate(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    let rate = effort.deliver_pace(0).rate;
    eprintln!("deliver: {rate} events/s");
    let title = format!("From an event to its delivery at {rate} events/s (open loop), one webhook");
    let mut sheet = Sheet::new(SECTION, title, &["from"]);
    let scene = Scene::start(place, 1, 0, &json!({})).await?;
    let mut rounds = Vec::new();
    for round in effort.turns() {
        rounds.push(scene.round(&scene.open_loop(effort.deliver_pace(round), effort)).await?.report);
    }
    let accepted = Row::new(["its 202".to_owned()]);
    sheet.rows.push(accepted.with_latencies(rounds.iter().map(|report| &report.from_accepted))?);
    let due = Row::new(["when it was to be sent".to_owned()]);
    sheet.rows.push(due.with_latencies(rounds.iter().map(|report| &report.from_due))?);
    Ok(sheet)
}

async fn dead(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    let mut sheet = Sheet::new(SECTION, "With unreachable receivers", &["dead of 100"]);
    let events = if effort.full { 200 } else { 30 };
    for dead in [0, 10, 50] {
        eprintln!("deliver: {dead} of 100 dead");
        let scene = Scene::start(place, 100, dead, &json!({})).await?;
        let live = 100 - dead;
        scene.warm_up(events, live).await?;
        let mut rounds = Vec::new();
        for _ in effort.turns() {
            rounds.push(scene.round(&scene.closed_loop(events, live)).await?);
        }
        let rate = each(&rounds, |round| round.report.rate);
        let row = Row::new([dead.to_string()]).with("rate", Unit::whole("deliveries/s to the others"), rate);
        let row = row.with_latencies(rounds.iter().map(|round| &round.report.from_accepted))?;
        let unit = Unit::new("s/10,000 events' deliveries");
        sheet.rows.push(row.with("processor", unit, processor(&rounds, events * 100)));
    }
    Ok(sheet)
}

/// Processor time of the server for ten thousand deliveries, in seconds.
fn processor(rounds: &[Round], deliveries: usize) -> Vec<f64> {
    each(rounds, |round| round.processor * 10_000.0 / number(deliveries as u64))
}

/// Deliveries that wait, because each webhook takes one a day. Memory is what belongs to the server alone (`RssAnon`), the
/// store's cache of 64 MiB included.
async fn waiting(place: &Place, effort: &Effort) -> Result<Sheet, Failed> {
    let (webhooks, events) = (100, if effort.full { 10_000 } else { 500 });
    eprintln!("deliver: {} wait", webhooks * events);
    let slow = json!({"rate": {"requests": 1, "per_seconds": 86_400}});
    let scene = Scene::start(place, webhooks, 0, &slow).await?;
    let before = scene.server.status_kib("RssAnon:")?;
    // Each webhook takes the first.
    let order = Order { deliveries: webhooks, ..scene.closed_loop(events, webhooks) };
    let _: Report = worker::ask("deliver", &order).await?;
    let after = scene.server.status_kib("RssAnon:")?;
    let waiting = webhooks * (events - 1);
    let row = Row::new([waiting.to_string()]).with_one("own memory before", Unit::MEBIBYTES, before / 1024.0);
    let row = row.with_one("own memory with them", Unit::MEBIBYTES, after / 1024.0);
    Ok(Sheet::single(SECTION, "Deliveries that wait", "waiting", row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_scaled_to_ten_thousand_deliveries() {
        let report = || Report {
            rate: 1.0,
            from_accepted: crate::latencies::Latencies::new().unwrap(),
            from_due: crate::latencies::Latencies::new().unwrap(),
        };
        let rounds = [1.0, 2.0].map(|processor| Round { report: report(), processor });
        assert_eq!(processor(&rounds, 5000), [2.0, 4.0]);
    }
}
