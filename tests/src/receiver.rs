//! A receiver of webhooks at `/hook`: takes requests, remembers them, answers as it is told.

use std::sync::{Mutex, PoisonError};

pub use hookwright_receiver::{Reply, Request as Received};

/// Listens at an address that the server under test may reach, until it is dropped.
pub struct Receiver(hookwright_receiver::Receiver);

impl Receiver {
    /// Answers 204 to everything.
    pub fn start() -> Self {
        Self::with(|_| Reply::status(204))
    }

    /// Answers these one after the other, and the last one for ever.
    pub fn with_replies(replies: &[Reply]) -> Self {
        let mut replies = replies.to_vec();
        Self::with(move |_| if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() })
    }

    /// Answers what `script` says.
    pub fn with(script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let script = Mutex::new(script);
        Self(hookwright_receiver::Receiver::serving(None, move |request| {
            // One request that a script cannot answer is no reason to leave the others without an answer.
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            script(request)
        }))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// What came in so far.
    pub fn received(&self) -> Vec<Received> {
        self.0.received()
    }

    /// Waits for `count` requests.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        crate::eventually(|| {
            let received = self.received();
            if received.len() >= count { Ok(received) } else { Err(format!("{} of {count} requests", received.len())) }
        })
    }
}
