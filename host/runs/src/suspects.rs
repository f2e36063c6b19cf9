//! Events that may have crashed the process: they were in flight when it ended. They are processed one at a time, so that an
//! event that crashes the process repeatedly is told apart from those that were only in flight at the same time. After a few
//! crashes it is dead-lettered, so that the server does not crash at every start.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_store::{InFlightMark, Store};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OnceCell, OwnedMutexGuard};

/// How often the process may end while an event is in flight, without a commit of a step of it in between.
pub(crate) const MAX_INTERRUPTIONS: u32 = 3;

/// The number of interruptions of each interrupted event, by its sequence number.
#[derive(Default)]
pub struct Suspects {
    loaded: OnceCell<()>,
    times: Mutex<HashMap<u64, u32>>,
    turn: Arc<AsyncMutex<()>>,
}

/// An event in flight, until this is dropped.
pub(crate) struct Watched {
    /// How often it was interrupted.
    pub(crate) interruptions: u32,
    _turn: Option<OwnedMutexGuard<()>>,
    _mark: InFlightMark,
}

impl Suspects {
    /// Loads the interrupted events once. Concurrent calls wait for the first.
    pub async fn load(&self, store: &Store) -> Result<(), PipelineError> {
        let load = async || {
            let found = store.backlog.interrupted().await?;
            if !found.is_empty() {
                tracing::warn!(
                    events = found.len(),
                    "the server ended while events were being processed: these are processed one at a time"
                );
            }
            *self.times.lock() = found;
            Ok::<(), PipelineError>(())
        };
        self.loaded.get_or_try_init(load).await?;
        Ok(())
    }

    /// How often an event was interrupted.
    pub(crate) fn interruptions(&self, seq: u64) -> u32 {
        self.times.lock().get(&seq).copied().unwrap_or(0)
    }

    /// Marks an event as in flight. An interrupted event first waits until no other interrupted event is in flight.
    pub(crate) async fn watch(&self, store: &Store, seq: u64) -> Watched {
        let suspected = self.interruptions(seq) > 0;
        let turn = if suspected { Some(Arc::clone(&self.turn).lock_owned().await) } else { None };
        Watched { interruptions: self.interruptions(seq), _turn: turn, _mark: store.backlog.in_flight(seq) }
    }

    /// Clears the interruptions of an event, since something of it was committed.
    pub(crate) async fn progressed(&self, store: &Store, seq: u64) -> Result<(), PipelineError> {
        let known = self.times.lock().remove(&seq).is_some();
        if known {
            store.backlog.progressed(seq).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tempfile::TempDir;

    use super::*;
    use hookwright_samples as samples;

    /// A store whose process ended while these events were in flight.
    fn after_a_crash(seqs: &[u64]) -> (TempDir, Store) {
        let (crashed, store) = samples::store();
        for seq in seqs {
            std::mem::forget(store.backlog.in_flight(*seq));
        }
        let in_flight = |folder: &TempDir| samples::store_options(folder.path()).path.with_extension("in-flight");
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(in_flight(&crashed), in_flight(&folder)).unwrap();
        let store = Store::open(&samples::store_options(folder.path())).unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn an_interrupted_event_counts_until_something_of_it_is_committed() {
        let (_folder, store) = after_a_crash(&[7, 9]);
        let suspects = Suspects::default();
        suspects.load(&store).await.unwrap();
        assert_eq!([7, 8, 9].map(|seq| suspects.interruptions(seq)), [1, 0, 1]);
        assert_eq!(suspects.watch(&store, 7).await.interruptions, 1);
        suspects.progressed(&store, 7).await.unwrap();
        assert_eq!(suspects.interruptions(7), 0);
        let stored = Suspects::default();
        stored.load(&store).await.unwrap();
        assert_eq!([7, 9].map(|seq| stored.interruptions(seq)), [0, 1]);
    }

    #[tokio::test]
    async fn interrupted_events_are_processed_one_at_a_time_and_others_beside_them() {
        let (_folder, store) = after_a_crash(&[7, 9]);
        let suspects = Suspects::default();
        suspects.load(&store).await.unwrap();
        let first = suspects.watch(&store, 7).await;
        assert!(suspects.watch(&store, 8).now_or_never().is_some());
        assert!(suspects.watch(&store, 9).now_or_never().is_none());
        drop(first);
        assert!(suspects.watch(&store, 9).now_or_never().is_some());
    }
}
