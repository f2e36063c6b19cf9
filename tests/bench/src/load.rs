//! Load. Closed loop: so many connections, each of which sends, waits for the answer, and sends again. Open loop: requests
//! are due at set times, and go out on whichever connection is free.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

use crate::Failed;
use crate::client::{Connection, request};
use crate::latencies::Latencies;
use crate::schedule::{Pace, release};
use crate::statistics::number;

/// How long the last answers of an open loop may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before the first request of an open loop its times are set.
const LEAD: Duration = Duration::from_millis(5);

/// What to send, and for how long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    pub(crate) path: String,
    pub(crate) body: String,
    /// The rate of an open loop; without it the loop is closed.
    pub(crate) pace: Option<Pace>,
}

/// What came of it, warm-up left out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Answers 202 a second.
    pub(crate) rate: f64,
    /// Answers of any other kind.
    pub(crate) refused: u64,
    /// Of the answers 202. Closed loop: from the first byte sent to the whole answer. Open loop: from the time at which the
    /// request was due.
    pub(crate) latencies: Latencies,
}

impl Report {
    /// How many events were accepted.
    pub(crate) fn events(&self) -> f64 {
        number(self.latencies.count())
    }

    /// The same report, if every event was accepted.
    pub(crate) fn all_accepted(self) -> Result<Self, Failed> {
        match self.refused {
            0 => Ok(self),
            refused => Err(format!("{refused} of the events were refused").into()),
        }
    }
}

/// Sends on one thread, which leaves the servers as much of the machine as can be.
pub(crate) fn run(order: &Order) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(send(order)))
}

/// What the senders share. They run on one thread.
struct Shared {
    request: Vec<u8>,
    counts_from: Instant,
    ends: Instant,
    /// When each request of an open loop is due.
    due: Mutex<Option<UnboundedReceiver<Instant>>>,
    answered: Cell<usize>,
    refused: Cell<u64>,
    latencies: RefCell<Latencies>,
    /// When the last answer came that counts.
    last: Cell<Instant>,
}

impl Shared {
    fn answered(&self, accepted: bool, from: Instant, end: Instant) {
        self.answered.set(self.answered.get() + 1);
        if accepted {
            self.latencies.borrow_mut().record(end.duration_since(from));
            self.last.set(end);
        } else {
            self.refused.set(self.refused.get() + 1);
        }
    }
}

async fn send(order: &Order) -> Result<Report, Failed> {
    let mut connections = Vec::with_capacity(order.connections);
    for _ in 0..order.connections {
        connections.push(Connection::open(order.address).await?);
    }
    let start = Instant::now() + LEAD;
    let counts_from = start + order.warm_up;
    let offsets = order.pace.map(|pace| pace.offsets(order.warm_up + order.time));
    let requests = offsets.as_ref().map(Vec::len);
    let due = offsets.map(|offsets| release(offsets, start)).transpose()?;
    let shared = Rc::new(Shared {
        request: request("POST", &order.path, "application/json", order.body.as_bytes()),
        counts_from,
        ends: counts_from + order.time,
        due: Mutex::new(due),
        answered: Cell::new(0),
        refused: Cell::new(0),
        latencies: RefCell::new(Latencies::new()?),
        last: Cell::new(counts_from),
    });
    let senders: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            let shared = Rc::clone(&shared);
            tokio::task::spawn_local(async move {
                if requests.is_some() { open(connection, &shared).await } else { closed(connection, &shared).await }
            })
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    let mut took = order.time;
    if let (Some(requests), Some(pace)) = (requests, order.pace) {
        let answered = shared.answered.get();
        if answered < requests {
            return Err(format!(
                "{answered} of {requests} requests were answered up to {} s after the last was due: the server does not \
                 sustain {} a second, so give a lower rate with `--rates`",
                PATIENCE.as_secs(),
                pace.rate
            )
            .into());
        }
        // A server that falls behind answers the last ones after the time.
        took = took.max(shared.last.get().duration_since(counts_from));
    }
    let latencies = shared.latencies.borrow().clone();
    let rate = number(latencies.count()) / took.as_secs_f64();
    Ok(Report { rate, refused: shared.refused.get(), latencies })
}

async fn closed(mut connection: Connection, shared: &Shared) -> std::io::Result<()> {
    loop {
        let start = Instant::now();
        let accepted = connection.exchange(&shared.request).await?.status == 202;
        let end = Instant::now();
        if end >= shared.ends {
            return Ok(());
        }
        if end >= shared.counts_from || !accepted {
            shared.answered(accepted, start, end);
        }
    }
}

async fn open(mut connection: Connection, shared: &Shared) -> std::io::Result<()> {
    let gives_up = shared.ends + PATIENCE;
    loop {
        // Whoever is free first waits for the next request that is due, the others wait for the lock.
        let next = match shared.due.lock().await.as_mut() {
            Some(due) => due.recv().await,
            None => None,
        };
        let Some(due) = next else { return Ok(()) };
        let exchange = tokio::time::timeout_at(gives_up.into(), connection.exchange(&shared.request)).await;
        let Ok(answer) = exchange else { return Ok(()) };
        let accepted = answer?.status == 202;
        let end = Instant::now();
        if due >= shared.counts_from || !accepted {
            shared.answered(accepted, due, end);
        } else {
            shared.answered.set(shared.answered.get() + 1);
        }
    }
}
