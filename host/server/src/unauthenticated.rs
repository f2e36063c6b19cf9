//! Connections without credentials. They have a separate limit, so that a client with many of them does not exclude
//! others: beyond the limit the oldest of them is closed for the newest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// All connections without credentials, by age.
#[derive(Debug)]
pub(crate) struct Unauthenticated {
    most: usize,
    unknown: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

impl Unauthenticated {
    /// At most `most` of them at a time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), unknown: Mutex::default() })
    }

    /// Adds a new connection. If there are too many, the oldest is closed.
    pub(crate) fn enter(self: &Arc<Self>) -> ConnectionHandle {
        let mut unknown = self.unknown.lock();
        if unknown.by_age.len() >= self.most
            && let Some((_, oldest)) = unknown.by_age.pop_first()
        {
            oldest.notify_one();
        }
        let number = unknown.next;
        unknown.next = number.saturating_add(1);
        let cut = Arc::new(Notify::new());
        unknown.by_age.insert(number, Arc::clone(&cut));
        ConnectionHandle(Arc::new(Inner { connections: Arc::clone(self), number, cut, known: AtomicBool::new(false) }))
    }
}

/// A connection, until it is dropped. Clones represent the same connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Arc<Unauthenticated>,
    number: u64,
    cut: Arc<Notify>,
    known: AtomicBool,
}

impl ConnectionHandle {
    /// Records that it has sent credentials: it is not counted any more.
    pub(crate) fn known(&self) {
        if !self.0.known.swap(true, Ordering::Relaxed) {
            self.0.leave();
        }
    }

    /// Returns when it has to close for a newer connection.
    pub(crate) async fn cut(&self) {
        self.0.cut.notified().await;
    }
}

impl Inner {
    fn leave(&self) {
        self.connections.unknown.lock().by_age.remove(&self.number);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn over_the_limit_the_oldest_connection_without_credentials_is_closed() {
        let connections = Unauthenticated::new(2);
        let (first, second) = (connections.enter(), connections.enter());
        assert!(first.cut().now_or_never().is_none());
        first.known();
        let third = connections.enter();
        assert!(second.cut().now_or_never().is_none(), "one with credentials does not count");
        let fourth = connections.enter();
        assert!(first.cut().now_or_never().is_none(), "and is not cut");
        assert!(second.cut().now_or_never().is_some());
        assert!(third.cut().now_or_never().is_none());
        drop(third);
        let fifth = connections.enter();
        assert!(fourth.cut().now_or_never().is_none() && fifth.cut().now_or_never().is_none());
    }
}
