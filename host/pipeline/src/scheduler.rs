//! Starts what is due: mails, steps that are tried again, schedules, polls.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookwright_model::SpaceId;
use hookwright_store::{Due, DueItem, StoreError};
use tokio::sync::{Notify, Semaphore};

use crate::{Pipeline, PipelineError};

/// The longest sleep, so that a clock that jumps is noticed.
const LONGEST: Duration = Duration::from_secs(30);
/// Something due in less than this is waited for by sleeping exactly so long.
const SHORTEST: Duration = Duration::from_millis(1);

type Key = (SpaceId, DueItem);

/// What is under way, so that it is not started twice while its due row still stands.
#[derive(Default)]
struct UnderWay {
    items: Mutex<HashSet<Key>>,
    ended: Notify,
}

impl UnderWay {
    fn begin(&self, key: Key) -> bool {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
    }

    fn end(&self, key: &Key) {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.ended.notify_one();
    }

    fn count(&self) -> usize {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Starts what is due until the pipeline stops.
pub(crate) async fn dispatch(pipeline: Arc<Pipeline>) {
    let places = pipeline.settings.concurrent_deliveries.max(1);
    let permits = Arc::new(Semaphore::new(places));
    let under_way = Arc::new(UnderWay::default());
    let signal = pipeline.store.due_signal();
    let mut stopping = pipeline.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        let now = pipeline.clock.now();
        // Rows of what is under way still stand at the head, so look past them.
        let limit = under_way.count().saturating_add(places);
        let due = pipeline.store.due(now, limit).unwrap_or_else(|error| {
            tracing::error!(%error, "what is due cannot be read; trying again");
            Vec::new()
        });
        let mut full = false;
        for item in due {
            let key = (item.space.clone(), item.item);
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                full = true;
                break;
            };
            if !under_way.begin(key.clone()) {
                continue;
            }
            let (pipeline, under_way) = (Arc::clone(&pipeline), Arc::clone(&under_way));
            tokio::spawn(async move {
                pipeline.start_due(&item).await;
                under_way.end(&key);
                drop(permit);
            });
        }
        let pause = match pipeline.store.next_due(now) {
            Ok(Some(next)) => next.since(pipeline.clock.now()).clamp(SHORTEST, LONGEST),
            _ => LONGEST,
        };
        tokio::select! {
            () = under_way.ended.notified(), if full => {}
            () = signal.notified(), if !full => {}
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => {}
        }
    }
    let _ = permits.acquire_many(u32::try_from(places).unwrap_or(u32::MAX)).await;
}

impl Pipeline {
    async fn start_due(&self, due: &Due) {
        let result = match due.item {
            DueItem::Run(id) => self.resume(&due.space, id, due.at).await,
            DueItem::Mail(id) => self.send_due(&due.space, id, due.at).await,
            DueItem::Schedule(id) => self.fire(&due.space, id, due.at).await,
            DueItem::Poll(number) => self.poll_due(&due.space, number, due.at).await,
        };
        match result {
            Ok(()) | Err(PipelineError::Store(StoreError::Closed)) => {}
            Err(error) => {
                tracing::error!(%error, item = ?due.item, "what was due could not be done; trying again");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}
