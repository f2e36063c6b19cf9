//! Events end to end: so many in flight at a time, each counted from its request until its last step is committed.
//!
//! The server's backlog (`/healthz`) says how many accepted events are not done, which tells when to send the next. Some
//! of the senders watch their own event instead: they ask for its story until it says `done`, and so measure the time.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, LocalSet};

use crate::Failed;
use crate::client::{Connection, request};
use crate::latencies::Latencies;
use crate::statistics::number;

/// How often the server is asked how far it is. Timers are not finer.
const ASK: Duration = Duration::from_millis(1);
/// How long the last events may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to send, and how many at a time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) in_flight: usize,
    pub(crate) time: Duration,
    /// How many of the senders watch their event, which costs the server something too.
    pub(crate) watchers: usize,
    /// Sent in turn.
    pub(crate) bodies: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) events: u64,
    /// Events a second, from the first request until nothing is left to be done.
    pub(crate) rate: f64,
    /// Of the events that were watched: from the request until the story says `done`.
    pub(crate) latencies: Latencies,
}

pub(crate) fn run(order: &Order) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(send(order)))
}

/// What the senders share. They run on one thread.
struct Shared {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    /// One for each event that may be in flight.
    room: Semaphore,
    ends: Instant,
    sent: Cell<usize>,
    accepted: Cell<u64>,
    latencies: RefCell<Latencies>,
}

async fn send(order: &Order) -> Result<Report, Failed> {
    let requests = order.bodies.iter().map(|body| request("POST", "/v1/events", "application/json", body.as_bytes()));
    let mut connections = Vec::with_capacity(order.in_flight);
    for _ in 0..order.in_flight {
        connections.push(Connection::open(order.address).await?);
    }
    let start = Instant::now();
    let shared = Rc::new(Shared {
        address: order.address,
        requests: requests.collect(),
        room: Semaphore::new(order.in_flight),
        ends: start + order.time,
        sent: Cell::new(0),
        accepted: Cell::new(0),
        latencies: RefCell::new(Latencies::new()?),
    });
    let watchers = order.watchers.min(order.in_flight);
    let senders: Vec<JoinHandle<Result<(), Failed>>> = connections
        .into_iter()
        .enumerate()
        .map(|(place, connection)| tokio::task::spawn_local(sender(connection, Rc::clone(&shared), place < watchers)))
        .collect();
    let asking = tokio::task::spawn_local(ask(Rc::clone(&shared)));
    for sender in senders {
        sender.await??;
    }
    asking.await??;
    let took = start.elapsed();
    let events = shared.accepted.get();
    let latencies = shared.latencies.borrow().clone();
    Ok(Report { events, rate: number(events) / took.as_secs_f64(), latencies })
}

async fn sender(mut connection: Connection, shared: Rc<Shared>, watches: bool) -> Result<(), Failed> {
    loop {
        // Given back by `ask`, once the event is done.
        shared.room.acquire().await?.forget();
        if Instant::now() >= shared.ends {
            shared.room.add_permits(1);
            return Ok(());
        }
        let turn = shared.sent.get();
        shared.sent.set(turn + 1);
        let request = shared.requests.get(turn % shared.requests.len().max(1)).ok_or("there is nothing to send")?;
        let start = Instant::now();
        let answer = connection.exchange(request).await?;
        if answer.status != 202 {
            let said = String::from_utf8_lossy(answer.body).into_owned();
            return Err(format!("an event was answered {}: {said}", answer.status).into());
        }
        shared.accepted.set(shared.accepted.get() + 1);
        if watches {
            let accepted: Accepted = serde_json::from_slice(answer.body)?;
            watch(&mut connection, &accepted.id).await?;
            shared.latencies.borrow_mut().record(start.elapsed());
        }
    }
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Deserialize)]
struct Story {
    state: String,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    state: String,
}

#[derive(Deserialize)]
struct Health {
    backlog: u64,
}

/// Asks for the story of an event until it is at its end, which must be a good one.
async fn watch(connection: &mut Connection, id: &str) -> Result<(), Failed> {
    let asked = request("GET", &format!("/v1/events/{id}"), "application/json", b"");
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let answer = connection.exchange(&asked).await?;
        let story: Story = serde_json::from_slice(answer.body)?;
        if story.state == "done" {
            return match story.runs.iter().find(|run| run.state != "done") {
                None => Ok(()),
                Some(run) => Err(format!("a run of the event {id} ended as {}", run.state).into()),
            };
        }
        tokio::time::sleep(ASK).await;
    }
    Err(format!("the event {id} is not done").into())
}

/// Makes room for as many events as were done, until all are.
async fn ask(shared: Rc<Shared>) -> Result<(), Failed> {
    let mut connection = Connection::open(shared.address).await?;
    let healthz = request("GET", "/healthz", "text/plain", b"");
    let mut done = 0;
    loop {
        // Read before the backlog is, so what counts as done is done: the difference is never too large.
        let accepted = shared.accepted.get();
        let answer = connection.exchange(&healthz).await?;
        let health: Health = serde_json::from_slice(answer.body)?;
        let now_done = accepted.saturating_sub(health.backlog);
        if now_done > done {
            shared.room.add_permits(usize::try_from(now_done - done)?);
            done = now_done;
        }
        if Instant::now() >= shared.ends {
            if health.backlog == 0 && done == shared.accepted.get() && shared.sent.get() as u64 == done {
                return Ok(());
            }
            if Instant::now() >= shared.ends + PATIENCE {
                return Err(format!("{} events are not done", health.backlog).into());
            }
        }
        tokio::time::sleep(ASK).await;
    }
}
