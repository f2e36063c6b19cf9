//! How long it takes from the upload of a new version of `match` until events are decided by it, under load.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::Failed;
use crate::accept::body;
use crate::api::{Api, number, text};
use crate::client::{Connection, request};
use crate::figures::{Row, Sheet, Unit};
use crate::latencies::Latencies;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, millis, number as whole};

const SECTION: &str = "swap";
/// Senders, and how long each rests between two events: some 300 events a second.
const SENDERS: usize = 4;
const REST: Duration = Duration::from_millis(10);
/// How long load goes on before and after an upload.
const AROUND: Duration = Duration::from_millis(400);

/// One upload.
struct Swap {
    /// From the first byte of the upload to its answer, in milliseconds.
    answered: f64,
    /// From the first byte of the upload to the first event that the new version decided, in milliseconds.
    decided: f64,
    /// What the server says that loading took, in milliseconds.
    load: f64,
    /// The longest that an event waited for its 202 meanwhile, in milliseconds.
    slowest: f64,
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let home = place.fresh()?;
    let server = Server::settled(place, home.path()).await?;
    let mut api = Api::connect(server.address).await?;
    let automation = json!({
        "name": "swap", "on": ["bench.swap"],
        "when": {"condition": "match", "with": {"path": "data.status", "equals": "done"}},
        "then": [{"action": "event-emit", "with": {"type": "bench.told"}}],
    });
    api.post("/v1/automations", &automation).await?;
    let mut load = Load::start(server.address);

    let mut versions = Versions::read(place)?;
    let known = versions.next()?;
    let (mut compiled, mut cached) = (Vec::new(), Vec::new());

    swap(&mut api, &known, true).await?;
    for round in effort.turns() {
        eprintln!("swap: round {}", round + 1);
        compiled.push(swap(&mut api, &versions.next()?, true).await?);
        cached.push(swap(&mut api, &known, false).await?);
    }
    let waits = load.end().await?;
    for (swap, span) in compiled.iter_mut().chain(&mut cached) {
        swap.slowest = waits.iter().filter(|wait| wait.within(span)).map(|wait| millis(wait.took)).fold(0.0, f64::max);
    }
    let failed = failed_runs(&mut api).await?;

    let mut sheet = Sheet::new(SECTION, "Swapping `match` under load", &["new version"]);
    for (name, swaps) in [("compiled", &compiled), ("from the cache", &cached)] {
        let of = |read: fn(&Swap) -> f64| each(swaps, |(swap, _)| read(swap));
        let row = Row::new([name.to_owned()]).with("upload", Unit::MILLIS, of(|swap| swap.answered));
        let row = row.with("first decision", Unit::MILLIS, of(|swap| swap.decided));
        let row = row.with("of it loading", Unit::MILLIS, of(|swap| swap.load));
        sheet.rows.push(row.with("slowest 202 in the meantime", Unit::MILLIS, of(|swap| swap.slowest)));
    }
    let (mut during, mut otherwise) = (Latencies::new()?, Latencies::new()?);
    for wait in &waits {
        let meets = compiled.iter().chain(&cached).any(|(_, span)| wait.within(span));
        if meets { during.record(wait.took) } else { otherwise.record(wait.took) }
    }
    let mut responses = Sheet::new(SECTION, "Responses to events in the meantime", &["when"]);
    for (name, latencies) in [("while a version was installed", &during), ("otherwise", &otherwise)] {
        let row = Row::new([name.to_owned()]).with_one("sent", Unit::whole("events"), whole(latencies.count()));
        responses.rows.push(row.with_latencies([latencies])?);
    }
    let row = Row::new(["all".to_owned()]).with_one("failed", Unit::whole("runs"), whole(failed as u64));
    Ok(vec![sheet, responses, Sheet::single(SECTION, "Runs of the swapped condition", "of", row)])
}

/// When an upload was in flight.
struct Span {
    from: Instant,
    to: Instant,
}

/// Uploads a version and waits until events are decided by it.
async fn swap(api: &mut Api, version: &Version, compiles: bool) -> Result<(Swap, Span), Failed> {
    tokio::time::sleep(AROUND).await;
    let (from, clock) = (Instant::now(), SystemTime::now());
    let answer = api.put_plugin("match", &version.component).await?;
    let to = Instant::now();
    if text(&answer, "/version")? != version.name {
        return Err(format!("version {} was installed, and {answer} is live", version.name).into());
    }
    if answer.pointer("/compiled").and_then(Value::as_bool) != Some(compiles) {
        return Err(format!("`compiled` was to be {compiles}: {answer}").into());
    }
    tokio::time::sleep(AROUND).await;
    let began = clock.duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3;
    let decided = first_decided(api, &version.name, began).await?;
    let load = number(&answer, "/load_ms")?;
    Ok((Swap { answered: millis(to - from), decided, load, slowest: 0.0 }, Span { from, to }))
}

/// Milliseconds from `began` until the first run whose condition this version decided.
async fn first_decided(api: &mut Api, version: &str, began: f64) -> Result<f64, Failed> {
    let mut first = None;
    let mut path = "/v1/runs?limit=500".to_owned();
    loop {
        let page = api.get(&path).await?;
        for run in page.pointer("/data").and_then(Value::as_array).into_iter().flatten() {
            let at = clock_time(text(run, "/created_at")?)?;
            if at < began {
                return first.ok_or_else(|| format!("no event was decided by version {version}").into());
            }
            if text(run, "/decision/conditions/0/version")? == version {
                first = Some(at - began);
            }
        }
        path = match page.pointer("/next").and_then(Value::as_str) {
            Some(next) => format!("/v1/runs?limit=500&cursor={next}"),
            None => return first.ok_or_else(|| format!("no event was decided by version {version}").into()),
        };
    }
}

async fn failed_runs(api: &mut Api) -> Result<usize, Failed> {
    let page = api.get("/v1/runs?limit=500&state=failed").await?;
    Ok(page.pointer("/data").and_then(Value::as_array).map_or(0, Vec::len))
}

/// Milliseconds since 1970 of an RFC 3339 time in UTC.
fn clock_time(text: &str) -> Result<f64, Failed> {
    let at = hookwright_model::Timestamp::parse(text).ok_or_else(|| format!("`{text}` is no time"))?;
    #[allow(clippy::cast_precision_loss)]
    Ok(at.millis() as f64)
}

/// How long one event waited for its 202.
struct Wait {
    from: Instant,
    took: Duration,
}

impl Wait {
    fn within(&self, span: &Span) -> bool {
        self.from <= span.to && self.from + self.took >= span.from
    }
}

/// The senders of the load.
struct Load {
    senders: Vec<tokio::task::JoinHandle<Result<Vec<Wait>, Failed>>>,
    stop: watch::Sender<bool>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, stopped) = watch::channel(false);
        let senders = (0..SENDERS).map(|_| tokio::spawn(send(address, stopped.clone()))).collect();
        Self { senders, stop }
    }

    async fn end(&mut self) -> Result<Vec<Wait>, Failed> {
        self.stop.send_replace(true);
        let mut waits = Vec::new();
        for sender in self.senders.drain(..) {
            waits.extend(sender.await??);
        }
        Ok(waits)
    }
}

async fn send(address: SocketAddr, stopped: watch::Receiver<bool>) -> Result<Vec<Wait>, Failed> {
    let request = request("POST", "/v1/events", "application/json", body("bench.swap").as_bytes());
    let mut connection = Connection::open(address).await?;
    let mut waits = Vec::new();
    while !*stopped.borrow() {
        let from = Instant::now();
        let status = connection.exchange(&request).await?.status;
        if status != 202 {
            return Err(format!("an event was answered {status} during a swap").into());
        }
        waits.push(Wait { from, took: from.elapsed() });
        tokio::time::sleep(REST).await;
    }
    Ok(waits)
}

/// A version of `match`.
struct Version {
    name: String,
    component: Vec<u8>,
}

/// Versions made of the built one by writing another number over its own: equal in everything else, new to any cache.
struct Versions {
    component: Vec<u8>,
    place: usize,
    made: u32,
}

/// What the built component says of its version.
const OWN: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();

impl Versions {
    fn read(place: &Place) -> Result<Self, Failed> {
        let component = std::fs::read(&place.component)?;
        let place = version_place(&component).ok_or("the version of the built `match` is not found in it")?;
        Ok(Self { component, place, made: 0 })
    }

    fn next(&mut self) -> Result<Version, Failed> {
        self.made += 1;
        let name = format!("9.{}.{}", self.made / 10, self.made % 10);
        let mut component = self.component.clone();
        let own = component.get_mut(self.place..self.place + OWN.len()).filter(|own| own.len() == name.len());
        own.ok_or("the version numbers differ in length")?.copy_from_slice(name.as_bytes());
        Ok(Version { name, component })
    }
}

/// Where the manifest's version stands: names of interfaces have theirs after an `@`.
fn version_place(component: &[u8]) -> Option<usize> {
    let mut places = component
        .windows(OWN.len() + 1)
        .enumerate()
        .filter(|(_, window)| window.split_first().is_some_and(|(first, rest)| *first != b'@' && rest == OWN));
    let (place, _) = places.next()?;
    places.next().is_none().then_some(place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_distinguished_from_interface_versions() {
        let own = String::from_utf8(OWN.to_vec()).unwrap();
        let text = format!("clock@{own} match{own} x@{own}");
        assert_eq!(version_place(text.as_bytes()), text.find("match").map(|at| at + 5));
        assert_eq!(version_place(format!("a{own} b{own}").as_bytes()), None);
    }
}
