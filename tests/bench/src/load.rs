//! Load: so many connections, each of which sends, waits for the answer, and sends again.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::Failed;
use crate::client::{Connection, request};
use crate::statistics::quantile;

/// What to send, and for how long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    pub(crate) path: String,
    pub(crate) body: String,
}

/// What came of it, warm-up left out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Answers 202 a second.
    pub(crate) rate: f64,
    /// Answers of any other kind.
    pub(crate) refused: u64,
    /// From the first byte sent to the whole answer, in microseconds.
    pub(crate) p50: u32,
    pub(crate) p99: u32,
    pub(crate) slowest: u32,
}

/// Sends on one thread, which leaves the servers as much of the machine as can be.
pub(crate) fn run(order: &Order) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(send(order)))
}

async fn send(order: &Order) -> Result<Report, Failed> {
    let bytes: Rc<[u8]> = request("POST", &order.path, "application/json", order.body.as_bytes()).into();
    let mut connections = Vec::with_capacity(order.connections);
    for _ in 0..order.connections {
        connections.push(Connection::open(order.address).await?);
    }
    let counts_from = Instant::now() + order.warm_up;
    let ends = counts_from + order.time;
    let refused = Rc::new(Cell::new(0));
    let senders: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            tokio::task::spawn_local(sender(connection, Rc::clone(&bytes), counts_from, ends, Rc::clone(&refused)))
        })
        .collect();
    let mut times = Vec::new();
    for sender in senders {
        times.extend(sender.await??);
    }
    times.sort_unstable();
    #[allow(clippy::cast_precision_loss)]
    let rate = times.len() as f64 / order.time.as_secs_f64();
    Ok(Report {
        rate,
        refused: refused.get(),
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
        slowest: quantile(&times, 1.0),
    })
}

async fn sender(
    mut connection: Connection,
    request: Rc<[u8]>,
    counts_from: Instant,
    ends: Instant,
    refused: Rc<Cell<u64>>,
) -> std::io::Result<Vec<u32>> {
    let mut times = Vec::with_capacity(4096);
    loop {
        let start = Instant::now();
        let accepted = connection.exchange(&request).await?.status == 202;
        let end = Instant::now();
        if end >= ends {
            return Ok(times);
        }
        if !accepted {
            refused.set(refused.get() + 1);
        } else if end >= counts_from {
            times.push(u32::try_from(end.duration_since(start).as_micros()).unwrap_or(u32::MAX));
        }
    }
}
