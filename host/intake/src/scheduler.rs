//! Starts what is due: mails, retries of steps, schedules, polls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::SpaceId;
use hookwright_runs::mails::Mails;
use hookwright_runs::runner::Runner;
use hookwright_runs::suspects::Suspects;
use hookwright_store::{Due, DueItem, Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::firing::Firing;
use crate::polling::Polls;

/// The longest sleep, so that a jump of the clock is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// The shortest sleep before something that is due.
const MIN_SLEEP: Duration = Duration::from_millis(1);

type Key = (SpaceId, DueItem);

/// Items in flight, so that none is started twice while its due row still exists. True: the item was found due again.
#[derive(Default)]
struct InFlight {
    items: Mutex<HashMap<Key, bool>>,
    ended: Notify,
}

impl InFlight {
    /// False: the item is in flight already.
    fn begin(&self, key: Key) -> bool {
        match self.items.lock().entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(false);
                true
            }
            Entry::Occupied(mut entry) => {
                entry.insert(true);
                false
            }
        }
    }

    /// Returns whether the item was found due again.
    fn end(&self, key: &Key) -> bool {
        let again = self.items.lock().remove(key);
        self.ended.notify_one();
        again.unwrap_or(false)
    }

    fn count(&self) -> usize {
        self.items.lock().len()
    }
}

/// Starts what is due until the pipeline stops.
pub async fn dispatch(scheduler: Arc<Scheduler>) {
    let places = scheduler.settings.concurrent_deliveries.max(1);
    let permits = Arc::new(Semaphore::new(places));
    let in_flight = Arc::new(InFlight::default());
    if let Err(error) = scheduler.suspects.load(&scheduler.store).await {
        tracing::error!(%error, "interrupted events cannot be read");
    }
    let signal = scheduler.store.due_signal();
    let mut stopping = scheduler.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        scheduler.stopping.until_recording(&scheduler.store).await;
        let now = scheduler.clock.now();
        // Rows of items in flight are still at the head, so read past them.
        let limit = in_flight.count().saturating_add(places);
        let due = scheduler.store.timetable.due(now, limit).unwrap_or_else(|error| {
            tracing::error!(%error, "the items that are due cannot be read; trying again");
            Vec::new()
        });
        let mut full = false;
        for item in due {
            let key = (item.space.clone(), item.item);
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                full = true;
                break;
            };
            if !in_flight.begin(key.clone()) {
                continue;
            }
            let (scheduler, in_flight, signal) = (Arc::clone(&scheduler), Arc::clone(&in_flight), Arc::clone(&signal));
            tokio::spawn(async move {
                let succeeded = scheduler.start_due(&item).await;
                let again = in_flight.end(&key);
                drop(permit);
                if again || !succeeded {
                    // Its row may still exist, and nothing else would check it before the next round.
                    signal.notify_one();
                }
            });
        }
        let pause = match scheduler.store.timetable.next_due(now) {
            Ok(Some(next)) => next.since(scheduler.clock.now()).clamp(MIN_SLEEP, MAX_SLEEP),
            _ => MAX_SLEEP,
        };
        tokio::select! {
            () = in_flight.ended.notified(), if full => {}
            () = signal.notified(), if !full => {}
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => {}
        }
    }
    let _ = permits.acquire_many(u32::try_from(places).unwrap_or(u32::MAX)).await;
}

/// Starts what is due at a certain time.
pub struct Scheduler {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
    pub(crate) suspects: Arc<Suspects>,
    pub(crate) mails: Arc<Mails>,
    pub(crate) polling: Arc<Polls>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) firing: Arc<Firing>,
}

impl Scheduler {
    /// Returns whether the item was done.
    async fn start_due(&self, due: &Due) -> bool {
        let result = match due.item {
            DueItem::Run(id) => self.runner.resume(&due.space, id, due.at).await,
            DueItem::Mail(id) => self.mails.send_due(&due.space, id, due.at).await,
            DueItem::Schedule(id) => self.firing.fire(&due.space, id, due.at).await,
            DueItem::Poll(number) => self.polling.poll_due(&due.space, number, due.at).await,
        };
        match result {
            Ok(()) | Err(PipelineError::Store(StoreError::Closed)) => true,
            Err(error) => {
                tracing::error!(%error, item = ?due.item, "an item that was due failed; trying again");
                tokio::time::sleep(Duration::from_millis(500)).await;
                false
            }
        }
    }
}
