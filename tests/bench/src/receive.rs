//! Deliveries end to end: events go in, and each is counted when a receiver in this process gets it.

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
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::Failed;
use crate::client::{Connection, request};
use crate::statistics::quantile;

/// How long the last delivery may take.
const PATIENCE: Duration = Duration::from_secs(180);

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
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Deliveries a second, from the first event until the last arrived.
    pub(crate) rate: f64,
    /// From an event's 202 until a delivery of it arrived, in microseconds.
    pub(crate) p50: u32,
    pub(crate) p99: u32,
}

pub(crate) fn run(order: &Order) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(measure(order)))
}

/// What sender and receiver share. They run on one thread.
struct Shared {
    wanted: usize,
    arrived: Cell<usize>,
    all: Notify,
    /// When each event was accepted, by its number.
    accepted: RefCell<Vec<Option<Instant>>>,
    times: RefCell<Vec<u32>>,
    next: Cell<usize>,
}

async fn measure(order: &Order) -> Result<Report, Failed> {
    let shared = Rc::new(Shared {
        wanted: order.deliveries,
        arrived: Cell::new(0),
        all: Notify::new(),
        accepted: RefCell::new(vec![None; order.events]),
        times: RefCell::new(Vec::with_capacity(order.deliveries)),
        next: Cell::new(0),
    });
    let listener = TcpListener::bind(order.receiver).await?;
    let receiving = tokio::task::spawn_local(receive(listener, Rc::clone(&shared)));
    let (target, path) = match order.address {
        Some(address) => (address, "/v1/events"),
        None => (order.receiver, "/"),
    };
    let start = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..order.in_flight {
        let connection = Connection::open(target).await?;
        senders.push(tokio::task::spawn_local(send(connection, path, Rc::clone(&shared), order.events)));
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
    receiving.abort();
    let mut times = shared.times.borrow_mut();
    times.sort_unstable();
    #[allow(clippy::cast_precision_loss)]
    let rate = order.deliveries as f64 / took.as_secs_f64();
    Ok(Report { rate, p50: quantile(&times, 0.5), p99: quantile(&times, 0.99) })
}

async fn send(mut connection: Connection, path: &str, shared: Rc<Shared>, events: usize) -> Result<(), Failed> {
    loop {
        let place = shared.next.get();
        if place >= events {
            return Ok(());
        }
        shared.next.set(place + 1);
        let filler = "x".repeat(200);
        let body = format!("{{\"type\":\"bench.sent\",\"data\":{{\"filler\":\"{filler}\",\"n\":{place}}}}}");
        let answer = connection.exchange(&request("POST", path, "application/json", body.as_bytes())).await?;
        if !(200..300).contains(&answer.status) {
            let said = String::from_utf8_lossy(answer.body).into_owned();
            return Err(format!("an event was answered {}: {said}", answer.status).into());
        }
        if let Some(accepted) = shared.accepted.borrow_mut().get_mut(place) {
            *accepted = Some(Instant::now());
        }
    }
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
    // One that arrives before its 202 is read counts as none.
    let accepted = shared.accepted.borrow().get(place).copied().flatten();
    let time = accepted.map_or(0, |accepted| u32::try_from(accepted.elapsed().as_micros()).unwrap_or(u32::MAX));
    shared.times.borrow_mut().push(time);
    shared.arrived.set(shared.arrived.get() + 1);
    if shared.arrived.get() >= shared.wanted {
        shared.all.notify_one();
    }
    Ok(Response::new(Full::new(Bytes::new())))
}
