//! How long each part of an exchange took, and how far it has come.
//!
//! A request and the connection that it travels on are not one: a connection may have been opened by another request, or
//! in vain, because an older one became free first. So the times of opening stand in the [`Link`] that every connection
//! carries, with the mark of the request that asked for it; a request claims them only if the mark is its own. The
//! [`Trace`] of a request says how far opening has come while there is no link yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy::connect::CaptureConnection;
use serde::Serialize;
use tokio::time::Instant;

use crate::EgressError;

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The URL and the settings are checked; nothing has left.
    #[default]
    Check,
    /// The name's addresses.
    #[serde(rename = "dns")]
    Resolve,
    /// The TCP connection.
    Connect,
    /// The proxy's word that it has connected.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The head of the answer.
    Headers,
    /// The end of its body.
    Body,
}

impl Stage {
    /// The name that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Resolve => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Headers => "headers",
            Self::Body => "body",
        }
    }

    /// What did not come, for people.
    pub(crate) fn awaited(self) -> &'static str {
        match self {
            Self::Check | Self::Connect => "no connection",
            Self::Resolve => "no address",
            Self::Proxy => "no connection through the proxy",
            Self::Tls => "no end of the TLS handshake",
            Self::Headers => "no answer",
            Self::Body => "no end of the answer",
        }
    }
}

/// How long each part took, in microseconds. A part that was not reached, or not needed, has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// Looking up the name; none for an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<u64>,
    /// Connecting, with the proxy's part if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<u64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<u64>,
    /// From a connection at hand to the head of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<u64>,
    /// From the start to the last byte that was read, or to the failure.
    pub total: u64,
    /// Whether the connection had been opened before, so that `dns`, `connect` and `tls` are none.
    pub reused: bool,
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What opening a connection took so far.
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

/// What a connection carries with it.
#[derive(Debug)]
pub(crate) struct Link {
    /// The [`Trace::id`] of the request that asked for it.
    opened_by: u64,
    opening: Opening,
    /// How TLS on it ended, if badly. The library that works on the connection may say no more than that it is closed.
    pub(crate) broken: OnceLock<EgressError>,
}

/// One try of one request.
#[derive(Debug)]
pub(crate) struct Trace {
    id: u64,
    began: Instant,
    /// When the request's own time is over.
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

    /// A connection is begun.
    pub(crate) fn open(&self) {
        let again = self.capture.connection_metadata().is_some();
        self.change(|opening| *opening = Opening { again, ..Opening::default() });
    }

    /// Opening comes to a further stage.
    pub(crate) fn enter(&self, stage: Stage) {
        self.change(|opening| opening.stage = stage);
    }

    /// Writes down what a part of opening took.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Opening)) {
        let opening = self.opening.get_or_init(Mutex::default);
        change(&mut opening.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The connection is open; what it shall carry.
    pub(crate) fn opened(&self) -> Arc<Link> {
        self.change(|opening| {
            opening.stage = Stage::Headers;
            opening.ready = Some(Instant::now());
        });
        Arc::new(Link { opened_by: self.id, opening: self.opening(), broken: OnceLock::new() })
    }

    /// What opening came to; all of it empty if no connection was begun.
    fn opening(&self) -> Opening {
        let opening = self.opening.get();
        opening.map(|opening| *opening.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
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

    /// Sees to it that the connection carries no further request.
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

    /// How far it had come, and the times up to there, of an exchange that failed before the head of an answer.
    pub(crate) fn unanswered(&self) -> (Stage, Timing) {
        let opening = self.opening();
        let link = self.link();
        let begun = self.opening.get().is_some();
        // The connection that it was given is closed, and it waits for the one that it has begun since.
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
