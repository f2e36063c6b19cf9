//! The signal that the pipeline stops.

use hookwright_store::Store;
use tokio::sync::watch;

/// Signals all background work to end.
#[derive(Clone, Debug, Default)]
pub struct Stopping(watch::Sender<bool>);

impl Stopping {
    /// Begins to stop: no new work starts from now on.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether the pipeline has begun to stop.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// A receiver with which to wait for it.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Waits until the store can record results, or the pipeline stops: nothing is sent or executed while its result could
    /// not be recorded.
    pub async fn until_recording(&self, store: &Store) {
        if store.health().records() {
            return;
        }
        let mut stopping = self.subscribe();
        tokio::select! {
            () = store.until_recording() => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}
