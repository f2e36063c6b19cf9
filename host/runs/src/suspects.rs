//! Events that may have crashed the process: they were in flight when it ended. They are processed one at a time, so that an
//! event that crashes the process repeatedly is told apart from those that were only in flight at the same time. After a few
//! crashes it is dead-lettered, so that the server does not crash at every start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hookwright_foundation::error::PipelineError;
use hookwright_store::{InFlightMark, Store};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, OwnedMutexGuard};

/// How often the process may end while an event is in flight, without a commit of the event in between.
pub(crate) const MAX_INTERRUPTIONS: u32 = 3;

/// The number of interruptions of each interrupted event, by its sequence number.
#[derive(Default)]
pub(crate) struct Suspects {
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
    pub(crate) async fn load(&self, store: &Store) -> Result<(), PipelineError> {
        let load = async || {
            let found = store.backlog.interrupted().await?;
            if !found.is_empty() {
                tracing::warn!(
                    events = found.len(),
                    "the server ended while events were being processed: these are processed one at a time"
                );
            }
            *self.times.lock().unwrap_or_else(PoisonError::into_inner) = found;
            Ok::<(), PipelineError>(())
        };
        self.loaded.get_or_try_init(load).await?;
        Ok(())
    }

    /// How often an event was interrupted.
    pub(crate) fn interruptions(&self, seq: u64) -> u32 {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).get(&seq).copied().unwrap_or(0)
    }

    /// Marks an event as in flight. An interrupted event first waits until no other interrupted event is in flight.
    pub(crate) async fn watch(&self, store: &Store, seq: u64) -> Watched {
        let suspected = self.interruptions(seq) > 0;
        let turn = if suspected { Some(Arc::clone(&self.turn).lock_owned().await) } else { None };
        Watched { interruptions: self.interruptions(seq), _turn: turn, _mark: store.backlog.in_flight(seq) }
    }

    /// Clears the interruptions of an event, since something of it was committed.
    pub(crate) async fn progressed(&self, store: &Store, seq: u64) -> Result<(), PipelineError> {
        let known = self.times.lock().unwrap_or_else(PoisonError::into_inner).remove(&seq).is_some();
        if known {
            store.backlog.progressed(seq).await?;
        }
        Ok(())
    }
}
