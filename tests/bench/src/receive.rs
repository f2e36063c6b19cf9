//! Deliveries end to end: events go in, in a closed loop or at set times, and each is counted when a receiver in this
//! process gets it.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex, Notify};
use tokio::task::LocalSet;

use crate::Failed;
use crate::client::{Connection, request};
use crate::latencies::Latencies;
use crate::schedule::release;
use crate::statistics::number;

/// How long the last delivery may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the answers to the last deliveries may take to go out. One that is lost is delivered again, in a later round.
const FAREWELL: Duration = Duration::from_millis(50);
/// How long before the first event of an open loop its times are set.
const LEAD: Duration = Duration::from_millis(20);

/// What to send, and what is to arrive.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Where Hookwright is; none: the same number of requests goes straight to the receiver, as many at a time.
    pub(crate) address: Option<SocketAddr>,
    /// Where the receiver listens.
    pub(crate) receiver: SocketAddr,
    pub(crate) events: usize,
    /// How many requests of ours are in flight at a time.
    pub(crate) in_flight: usize,
    /// How many deliveries are to arrive.
    pub(crate) deliveries: usize,
    /// When each event is due, in an open loop; empty: the loop is closed.
    pub(crate) due: Vec<Duration>,
    /// Latencies of the first so many events do not count.
    pub(crate) uncounted: usize,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Deliveries a second, from the first event until the last arrived.
    pub(crate) rate: f64,
    /// From an event's 202 until a delivery of it arrived.
    pub(crate) from_accepted: Latencies,
    /// From when an event was due until a delivery of it arrived; none in a closed loop.
    pub(crate) from_due: Latencies,
}

pub(crate) fn run(order: &Order) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(measure(order)))
}

/// An event, as far as it has come.
#[derive(Clone, Copy, Default)]
struct Sent {
    due: Option<Instant>,
    accepted: Option<Instant>,
}

/// What sender and receiver share. They run on one thread.
struct Shared {
    wanted: usize,
    uncounted: usize,
    arrived: Cell<usize>,
    all: Notify,
    /// Each event, by its number.
    events: RefCell<Vec<Sent>>,
    from_accepted: RefCell<Latencies>,
    from_due: RefCell<Latencies>,
    next: Cell<usize>,
    /// When the events of an open loop are due.
    due: Option<Mutex<UnboundedReceiver<Instant>>>,
}

impl Shared {
    /// The number of the next event, once it is due; `None` if all were sent.
    async fn next_event(&self) -> Option<usize> {
        let due = match &self.due {
            // Whoever is free first waits for the next event, the others wait for the lock.
            Some(due) => Some(due.lock().await.recv().await?),
            None => None,
        };
        let place = self.next.get();
        self.events.borrow_mut().get_mut(place)?.due = due;
        self.next.set(place + 1);
        Some(place)
    }

    fn accepted(&self, place: usize) {
        if let Some(sent) = self.events.borrow_mut().get_mut(place) {
            sent.accepted = Some(Instant::now());
        }
    }

    /// A delivery of an event arrived.
    fn arrived(&self, place: usize) {
        let now = Instant::now();
        let sent = self.events.borrow().get(place).copied().filter(|_| place >= self.uncounted);
        if let Some(sent) = sent {
            // One that arrives before its 202 is read took no time.
            self.from_accepted.borrow_mut().record(now.duration_since(sent.accepted.unwrap_or(now)));
            if let Some(due) = sent.due {
                self.from_due.borrow_mut().record(now.duration_since(due));
            }
        }
        self.arrived.set(self.arrived.get() + 1);
        if self.arrived.get() >= self.wanted {
            self.all.notify_one();
        }
    }
}

async fn measure(order: &Order) -> Result<Report, Failed> {
    let start = Instant::now();
    let due = if order.due.is_empty() { None } else { Some(Mutex::new(release(order.due.clone(), start + LEAD)?)) };
    let shared = Rc::new(Shared {
        wanted: order.deliveries,
        uncounted: order.uncounted,
        arrived: Cell::new(0),
        all: Notify::new(),
        events: RefCell::new(vec![Sent::default(); order.events]),
        from_accepted: RefCell::new(Latencies::new()?),
        from_due: RefCell::new(Latencies::new()?),
        next: Cell::new(0),
        due,
    });
    let listener = TcpListener::bind(order.receiver).await?;
    let receiving = tokio::task::spawn_local(receive(listener, Rc::clone(&shared)));
    let (target, path) = match order.address {
        Some(address) => (address, "/v1/events"),
        None => (order.receiver, "/"),
    };
    let mut senders = Vec::new();
    for _ in 0..order.in_flight {
        let connection = Connection::open(target).await?;
        senders.push(tokio::task::spawn_local(send(connection, path, Rc::clone(&shared))));
    }
    for sender in senders {
        sender.await??;
    }
    let all = async {
        while shared.arrived.get() < shared.wanted {
            shared.all.notified().await;
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        return Err(format!("{} of {} deliveries arrived", shared.arrived.get(), shared.wanted).into());
    }
    let took = start.elapsed();
    tokio::time::sleep(FAREWELL).await;
    receiving.abort();
    let rate = number(order.deliveries as u64) / took.as_secs_f64();
    let (from_accepted, from_due) = (shared.from_accepted.borrow().clone(), shared.from_due.borrow().clone());
    Ok(Report { rate, from_accepted, from_due })
}

async fn send(mut connection: Connection, path: &str, shared: Rc<Shared>) -> Result<(), Failed> {
    while let Some(place) = shared.next_event().await {
        let filler = "x".repeat(200);
        let body = format!("{{\"type\":\"bench.sent\",\"data\":{{\"filler\":\"{filler}\",\"n\":{place}}}}}");
        let answer = connection.exchange(&request("POST", path, "application/json", body.as_bytes())).await?;
        if !(200..300).contains(&answer.status) {
            let said = String::from_utf8_lossy(answer.body).into_owned();
            return Err(format!("an event was answered {}: {said}", answer.status).into());
        }
        shared.accepted(place);
    }
    Ok(())
}

async fn receive(listener: TcpListener, shared: Rc<Shared>) -> Result<(), std::io::Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request: Request<Incoming>| take(request, Rc::clone(&shared)));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn take(request: Request<Incoming>, shared: Rc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let number = std::str::from_utf8(&body).ok().and_then(|text| text.rsplit_once("\"n\":"));
    let digits = number.map(|(_, rest)| rest.trim_end_matches(|c: char| !c.is_ascii_digit()));
    let place = digits.and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(usize::MAX);
    shared.arrived(place);
    Ok(Response::new(Full::new(Bytes::new())))
}
