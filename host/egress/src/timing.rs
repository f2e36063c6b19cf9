//! The duration of each part of an exchange, and the stage that it has reached.
//!
//! A request does not always use the connection that was opened for it: the connection may have been opened by another
//! request, or may be unused because an older one became free first. So the times of opening are in the [`Link`] of the
//! connection, with the id of the request that opened it, and a request uses them only if the id is its own. Until
//! a request has a link, its [`Trace`] is in the stage of opening.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::client::legacy::connect::CaptureConnection;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::EgressError;
use crate::stage::{Stage, Timing};

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The times of opening a connection so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    pub(crate) stage: Stage,
    pub(crate) dns: Option<u64>,
    pub(crate) connect: Option<u64>,
    pub(crate) tls: Option<u64>,
    /// Whether the request had another connection, which turned out to be closed, before this one was begun.
    again: bool,
    /// When it was ready.
    ready: Option<Instant>,
}

/// State of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// The [`Trace::id`] of the request that it was opened for.
    opened_by: u64,
    opening: Opening,
    /// The TLS error that ended it, if any. The HTTP library may only report that the connection is closed.
    pub(crate) broken: OnceLock<EgressError>,
}

/// One try of one request.
#[derive(Debug)]
pub(crate) struct Trace {
    id: u64,
    began: Instant,
    /// The request's own deadline.
    pub(crate) deadline: Instant,
    opening: OnceLock<Mutex<Opening>>,
    capture: CaptureConnection,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Trace {
    pub(crate) fn new(began: Instant, deadline: Instant, capture: CaptureConnection) -> Arc<Self> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, began, deadline, opening: OnceLock::new(), capture })
    }

    /// Records that opening a connection begins.
    pub(crate) fn open(&self) {
        let again = self.capture.connection_metadata().is_some();
        self.change(|opening| *opening = Opening { again, ..Opening::default() });
    }

    /// Records that opening has reached a stage.
    pub(crate) fn enter(&self, stage: Stage) {
        self.change(|opening| opening.stage = stage);
    }

    /// Records the duration of a part of opening.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Opening)) {
        let opening = self.opening.get_or_init(Mutex::default);
        change(&mut opening.lock());
    }

    /// Records that the connection is open; returns its link.
    pub(crate) fn opened(&self) -> Arc<Link> {
        self.change(|opening| {
            opening.stage = Stage::Headers;
            opening.ready = Some(Instant::now());
        });
        Arc::new(Link { opened_by: self.id, opening: self.opening(), broken: OnceLock::new() })
    }

    /// The times of opening; empty if no connection was begun.
    fn opening(&self) -> Opening {
        let opening = self.opening.get();
        opening.map(|opening| *opening.lock()).unwrap_or_default()
    }

    /// The connection that the request was last given.
    fn link(&self) -> Option<Arc<Link>> {
        let connected = self.capture.connection_metadata();
        let mut extras = http::Extensions::new();
        connected.as_ref()?.get_extras(&mut extras);
        extras.remove::<Arc<Link>>()
    }

    /// A better reason than `error`, if the connection has one.
    pub(crate) fn reason(&self, error: EgressError) -> EgressError {
        let link = if error.is_closed() { self.link() } else { None };
        link.and_then(|link| link.broken.get().cloned()).unwrap_or(error)
    }

    /// Excludes the connection from reuse.
    pub(crate) fn retire(&self) {
        if let Some(connected) = self.capture.connection_metadata().as_ref() {
            connected.poison();
        }
    }

    /// The times of an exchange whose head came at `head` on `link`, as of now.
    pub(crate) fn timing(&self, link: Option<&Link>, head: Option<Instant>) -> Timing {
        let own = link.filter(|link| link.opened_by == self.id).map(|link| link.opening);
        let mut timing = self.spread(own, own.is_none());
        let ready = own.and_then(|opening| opening.ready).unwrap_or(self.began);
        timing.first_byte = head.map(|head| micros(head.saturating_duration_since(ready)));
        timing
    }

    /// The stage that an exchange reached, with the times up to it, if it failed before the head of a response.
    pub(crate) fn unanswered(&self) -> (Stage, Timing) {
        let opening = self.opening();
        let link = self.link();
        let begun = self.opening.get().is_some();
        // The first connection is closed, and the request waits for the one that it has begun to open since.
        let waits_again = begun && opening.again && opening.ready.is_none();
        match link {
            Some(link) if !waits_again => (Stage::Headers, self.timing(Some(&link), None)),
            _ => (opening.stage, self.spread(Some(opening), false)),
        }
    }

    fn spread(&self, opening: Option<Opening>, reused: bool) -> Timing {
        let opening = opening.unwrap_or_default();
        Timing {
            dns: opening.dns,
            connect: opening.connect,
            tls: opening.tls,
            first_byte: None,
            total: micros(self.began.elapsed()),
            reused,
        }
    }
}
