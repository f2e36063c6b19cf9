//! Starts deliveries. Each webhook has a lane of its own, which reads its own queue in the store and has its own bounds,
//! so that one whose receiver is slow or dead holds up nobody else. Only lanes lie in memory, never what waits in them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookwright_model::{DeliveryId, SpaceId, Timestamp, Webhook};
use hookwright_store::StoreError;
use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::destinations::{Destinations, Way, destination};
use crate::bucket::Bucket;
use crate::{Pipeline, PipelineError};

/// A webhook's queue.
pub(crate) type LaneKey = (SpaceId, u64);
/// What is due when.
pub(crate) type Queued = (Timestamp, DeliveryId);

/// The longest sleep, so that a clock that jumps is noticed.
const LONGEST: Duration = Duration::from_secs(30);
/// How many requests of a lane are under way at once unless its webhook says otherwise, once all of them succeed.
const USUAL: usize = 64;
/// How many at first: a receiver that hangs takes no more places than these.
const FIRST: usize = 2;
/// How many deliveries of a webhook that takes none are given up in one commit.
const GIVEN_UP: usize = 200;
/// How long a throttled lane is held at least; twice as long each time, up to [`LONGEST_HOLD`].
const HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(300);
/// How long a lane is let be whose deliveries could not be written down.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// What a request says of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// No request was made.
    Nothing,
    /// The receiver took it.
    Well,
    /// The receiver did not take it, which says nothing of how much it can take.
    Refused,
    /// It did not answer, or is broken.
    Failed,
    /// It wants fewer requests (429, 502, 504), and none for so long.
    Throttled(Duration),
}

/// All lanes.
pub(crate) struct Lanes {
    inner: Mutex<Inner>,
    /// A request has ended.
    ended: Notify,
    pub(super) destinations: Destinations,
}

#[derive(Default)]
struct Inner {
    lanes: HashMap<LaneKey, Lane>,
    /// Which lane is to be looked at when.
    agenda: BTreeSet<(Timestamp, LaneKey)>,
}

struct Lane {
    wake: Option<Timestamp>,
    under_way: HashSet<DeliveryId>,
    requests: usize,
    /// How many requests may be under way now: one more with each that succeeds, half with each that fails.
    window: usize,
    /// Whether there was more than could be started.
    more: bool,
    held_until: Option<Timestamp>,
    hold: Duration,
    bucket: Option<Bucket>,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            wake: None,
            under_way: HashSet::new(),
            requests: 0,
            window: FIRST,
            more: false,
            held_until: None,
            hold: HOLD,
            bucket: None,
        }
    }
}

impl Inner {
    fn look_at(&mut self, key: &LaneKey, at: Timestamp) {
        let lane = self.lanes.entry(key.clone()).or_default();
        if lane.wake.is_some_and(|wake| wake <= at) {
            return;
        }
        if let Some(wake) = lane.wake.replace(at) {
            self.agenda.remove(&(wake, key.clone()));
        }
        self.agenda.insert((at, key.clone()));
    }
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::default(), ended: Notify::new(), destinations: Destinations::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a lane at that time, if not earlier.
    fn look_at(&self, key: &LaneKey, at: Timestamp) {
        self.lock().look_at(key, at);
    }

    /// The next lane to be looked at by `now`.
    fn next(&self, now: Timestamp) -> Option<LaneKey> {
        let mut inner = self.lock();
        let due = inner.agenda.first().is_some_and(|(at, _)| *at <= now);
        let (_, key) = if due { inner.agenda.pop_first()? } else { return None };
        if let Some(lane) = inner.lanes.get_mut(&key) {
            lane.wake = None;
        }
        Some(key)
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.lock().agenda.first().map(|(at, _)| *at)
    }

    /// Makes room for requests of a lane; none: when to look again, if nothing ends before.
    fn room(&self, key: &LaneKey, webhook: &Webhook, now: Timestamp) -> Result<usize, Option<Timestamp>> {
        let mut inner = self.lock();
        let lane = inner.lanes.entry(key.clone()).or_default();
        if let Some(until) = lane.held_until {
            if now < until {
                return Err(Some(until));
            }
            lane.held_until = None;
        }
        let most = most(webhook);
        let mut room = lane.window.min(most).saturating_sub(lane.requests);
        if room == 0 {
            lane.more = true;
            return Err(None);
        }
        match webhook.rate {
            None => lane.bucket = None,
            Some(rate) => {
                let bucket = lane.bucket.get_or_insert_with(|| Bucket::new(rate, now));
                if bucket.rate != rate {
                    *bucket = Bucket::new(rate, now);
                }
                room = room.min(bucket.room(now).map_err(Some)?);
            }
        }
        Ok(room)
    }

    /// What of `rows` is not under way.
    fn fresh(&self, key: &LaneKey, rows: Vec<Queued>) -> Vec<Queued> {
        let inner = self.lock();
        let Some(lane) = inner.lanes.get(key) else { return rows };
        rows.into_iter().filter(|(_, id)| !lane.under_way.contains(id)).collect()
    }

    fn under_way(&self, key: &LaneKey) -> usize {
        self.lock().lanes.get(key).map_or(0, |lane| lane.under_way.len())
    }

    fn began(&self, key: &LaneKey, ids: &[Queued]) {
        let mut inner = self.lock();
        let lane = inner.lanes.entry(key.clone()).or_default();
        lane.under_way.extend(ids.iter().map(|(_, id)| *id));
        lane.requests = lane.requests.saturating_add(1);
        if let Some(bucket) = &mut lane.bucket {
            bucket.tokens -= 1.0;
        }
    }

    fn set_more(&self, key: &LaneKey, more: bool) {
        if let Some(lane) = self.lock().lanes.get_mut(key) {
            lane.more = more;
        }
    }

    /// A request, or what stood in its place, has ended and is written down. Returns whether the lane is held from now
    /// on that was not before.
    fn ended(&self, key: &LaneKey, ids: &[Queued], said: Said, most: usize, now: Timestamp) -> bool {
        let mut inner = self.lock();
        let Some(lane) = inner.lanes.get_mut(key) else { return false };
        for (_, id) in ids {
            lane.under_way.remove(id);
        }
        lane.requests = lane.requests.saturating_sub(1);
        let mut newly = false;
        match said {
            Said::Nothing | Said::Refused => {}
            Said::Well => {
                lane.hold = HOLD;
                lane.window = lane.window.saturating_add(1).min(most);
            }
            Said::Failed => lane.window = (lane.window / 2).max(1),
            Said::Throttled(wait) => {
                newly = lane.held_until.is_none();
                lane.window = 1;
                let until = now.after(wait.max(lane.hold));
                lane.held_until = lane.held_until.max(Some(until));
                lane.hold = lane.hold.saturating_mul(2).min(LONGEST_HOLD);
            }
        }
        // What is to be tried again may have been queued, and looked for, while it still counted as under way. Otherwise
        // it is looked at only when half of its places are free: then one look starts many.
        let again = said != Said::Well || ids.len() > 1;
        if again || (lane.more && lane.requests <= lane.window / 2) {
            inner.look_at(key, now);
        }
        drop(inner);
        self.ended.notify_one();
        newly
    }

    /// Forgets a lane in which nothing lies.
    fn close(&self, key: &LaneKey) {
        let mut inner = self.lock();
        if inner.lanes.get(key).is_some_and(|lane| lane.under_way.is_empty() && lane.wake.is_none()) {
            inner.lanes.remove(key);
        }
    }

    /// As an operator sees it.
    pub(super) fn show(&self, webhook: &Webhook, now: Timestamp) -> Value {
        let inner = self.lock();
        let lane = inner.lanes.get(&(webhook.space.clone(), webhook.number));
        let held = lane.and_then(|lane| lane.held_until).filter(|until| now < *until);
        json!({
            "under_way": lane.map_or(0, |lane| lane.under_way.len()),
            "concurrency": lane.map_or(FIRST, |lane| lane.window).min(most(webhook)),
            "throttled_until": held.map(|until| until.to_string()),
            "breaker": self.destinations.show(&destination(&webhook.url), now),
        })
    }

    /// Until when nothing is sent, because the receiver wanted so.
    pub(super) fn held_until(&self, webhook: &Webhook, now: Timestamp) -> Option<Timestamp> {
        let inner = self.lock();
        let lane = inner.lanes.get(&(webhook.space.clone(), webhook.number))?;
        lane.held_until.filter(|until| now < *until)
    }
}

/// How many requests to a webhook may be under way.
fn most(webhook: &Webhook) -> usize {
    webhook.concurrency.map_or(USUAL, |most| usize::try_from(most).unwrap_or(USUAL)).max(1)
}

/// Starts deliveries until the pipeline stops.
pub(crate) async fn dispatch(pipeline: Arc<Pipeline>) {
    let lanes = Arc::clone(&pipeline.lanes);
    let places = pipeline.settings.concurrent_deliveries.max(1);
    let permits = Arc::new(Semaphore::new(places));
    let touched = pipeline.store.touched_signal();
    let mut stopping = pipeline.stopping.subscribe();
    match pipeline.store.queues() {
        Ok(queues) => {
            for (space, queue, at) in queues {
                lanes.look_at(&(space, queue), at);
            }
        }
        Err(error) => tracing::error!(%error, "what waits to be delivered cannot be read"),
    }
    while !*stopping.borrow_and_update() {
        let now = pipeline.clock.now();
        for key in pipeline.store.touched() {
            lanes.look_at(&key, now);
        }
        let mut full = false;
        while let Some(key) = lanes.next(now) {
            match serve(&pipeline, &key, &permits, now) {
                Ok(true) => {}
                Ok(false) => {
                    // Behind the others, so that each has its turn.
                    lanes.look_at(&key, now);
                    full = true;
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, queue = key.1, "what waits for a webhook cannot be read; trying again");
                    lanes.look_at(&key, now.after(AFTER_ERROR));
                }
            }
        }
        let pause = lanes.next_at().map_or(LONGEST, |next| next.since(pipeline.clock.now()).min(LONGEST));
        tokio::select! {
            () = lanes.ended.notified() => {}
            () = touched.notified(), if !full => {}
            () = tokio::time::sleep(pause), if !full => {}
            _ = stopping.changed() => {}
        }
    }
    let _ = permits.acquire_many(u32::try_from(places).unwrap_or(u32::MAX)).await;
}

/// Starts what can be started of a lane. False: no place is free, so that it must be looked at again.
fn serve(
    pipeline: &Arc<Pipeline>,
    key: &LaneKey,
    permits: &Arc<Semaphore>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (space, queue) = key;
    let lanes = &pipeline.lanes;
    let webhook = pipeline.catalogue.webhook_of_queue(space, *queue);
    let Some(webhook) = webhook.filter(|webhook| webhook.delivers()) else {
        return shut(pipeline, key, permits, now);
    };
    let room = match lanes.room(key, &webhook, now) {
        Ok(room) => room,
        Err(later) => {
            if let Some(later) = later {
                lanes.look_at(key, later);
            }
            return Ok(true);
        }
    };
    let batch = webhook.batching.as_ref().map_or(1, |batching| usize::try_from(batching.most).unwrap_or(1));
    let wanted = room.saturating_mul(batch);
    let limit = wanted.saturating_add(lanes.under_way(key)).saturating_add(1);
    let rows = pipeline.store.queued(space, *queue, Timestamp::from_millis(i64::MAX), limit)?;
    let last = rows.len() < limit;
    let mut rows = lanes.fresh(key, rows);
    if rows.is_empty() {
        lanes.close(key);
        return Ok(true);
    }
    let target = destination(&webhook.url);
    let (room, probe) = match lanes.destinations.way(&target, now) {
        Way::Open => (room, false),
        Way::Probe => (1, true),
        Way::Shut(until) => {
            lanes.look_at(key, until);
            return Ok(true);
        }
    };
    let mut started = 0;
    let mut placed = true;
    while started < room && rows.first().is_some_and(|(at, _)| *at <= now || (batch > 1 && rows.len() >= batch)) {
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
            placed = false;
            break;
        };
        let taken: Vec<Queued> = rows.drain(..batch.min(rows.len())).collect();
        start(pipeline, key, &webhook, taken, permit);
        started += 1;
    }
    if probe && started == 0 {
        lanes.destinations.give_back(&target);
    }
    match rows.first() {
        Some((at, _)) if *at > now => lanes.look_at(key, *at),
        Some(_) => lanes.set_more(key, true),
        None => lanes.set_more(key, !last),
    }
    Ok(placed)
}

/// Gives up what is due to a webhook that takes nothing, but for what goes out all the same: tests and confirmations.
fn shut(pipeline: &Arc<Pipeline>, key: &LaneKey, permits: &Arc<Semaphore>, now: Timestamp) -> Result<bool, StoreError> {
    let (space, queue) = key;
    let lanes = &pipeline.lanes;
    let limit = GIVEN_UP.saturating_add(lanes.under_way(key));
    let rows = pipeline.store.queued(space, *queue, now, limit)?;
    let rows = lanes.fresh(key, rows);
    if rows.is_empty() {
        match pipeline.store.next_queued(space, *queue)? {
            Some(at) if at > now => lanes.look_at(key, at),
            _ => lanes.close(key),
        }
        return Ok(true);
    }
    let Ok(permit) = Arc::clone(permits).try_acquire_owned() else { return Ok(false) };
    let webhook = pipeline.catalogue.webhook_of_queue(space, *queue);
    lanes.began(key, &rows);
    // Looked at once more at the end, for what is due later.
    lanes.set_more(key, true);
    let (pipeline, key) = (Arc::clone(pipeline), key.clone());
    tokio::spawn(async move {
        let done = pipeline.give_up_or_send(&key, webhook, &rows, now).await;
        let later = done.as_ref().ok().copied().flatten();
        end(&pipeline, &key, &rows, done.map(|_| Said::Nothing), USUAL).await;
        if let Some(later) = later {
            pipeline.lanes.look_at(&key, later);
        }
        drop(permit);
    });
    Ok(true)
}

fn start(
    pipeline: &Arc<Pipeline>,
    key: &LaneKey,
    webhook: &Arc<Webhook>,
    rows: Vec<Queued>,
    permit: OwnedSemaphorePermit,
) {
    pipeline.lanes.began(key, &rows);
    let (pipeline, key, webhook) = (Arc::clone(pipeline), key.clone(), Arc::clone(webhook));
    tokio::spawn(async move {
        let said = pipeline.deliver(&webhook, &rows).await;
        let target = destination(&webhook.url);
        match said {
            Ok(Said::Well | Said::Refused | Said::Throttled(_)) => {
                pipeline.lanes.destinations.report(&target, false, pipeline.clock.now());
            }
            Ok(Said::Failed) => {
                if pipeline.lanes.destinations.report(&target, true, pipeline.clock.now()) {
                    tracing::warn!(destination = target, "most requests fail: it is let be for a while");
                }
            }
            Ok(Said::Nothing) | Err(_) => pipeline.lanes.destinations.give_back(&target),
        }
        if end(&pipeline, &key, &rows, said, most(&webhook)).await {
            pipeline.notice_throttled(&webhook).await;
        }
        drop(permit);
    });
}

/// Takes down what a try came to. Returns whether its lane is held that was not before.
async fn end(
    pipeline: &Pipeline,
    key: &LaneKey,
    rows: &[Queued],
    said: Result<Said, PipelineError>,
    most: usize,
) -> bool {
    let failed = match &said {
        Ok(_) | Err(PipelineError::Store(StoreError::Closed)) => false,
        Err(error) => {
            tracing::error!(%error, queue = key.1, "a delivery could not be done; trying again");
            tokio::time::sleep(AFTER_ERROR).await;
            true
        }
    };
    let newly = pipeline.lanes.ended(key, rows, said.unwrap_or(Said::Nothing), most, pipeline.clock.now());
    if failed {
        pipeline.lanes.look_at(key, pipeline.clock.now());
        pipeline.lanes.ended.notify_one();
    }
    newly
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn the_agenda_has_each_lane_once_at_its_earliest_time() {
        let lanes = Lanes::new();
        let (a, b) = ((SpaceId::main(), 1), (SpaceId::main(), 2));
        lanes.look_at(&a, at(50));
        lanes.look_at(&b, at(20));
        lanes.look_at(&a, at(10));
        lanes.look_at(&a, at(90));
        assert_eq!(lanes.next_at(), Some(at(10)));
        assert_eq!(lanes.next(at(9)), None);
        assert_eq!((lanes.next(at(30)), lanes.next(at(30)), lanes.next(at(30))), (Some(a), Some(b), None));
    }

    #[test]
    fn a_lane_is_looked_at_again_after_what_may_have_to_be_tried_again() {
        let key = (SpaceId::main(), 1);
        let row = [(at(0), DeliveryId { seq: 1, ordinal: 0 })];
        for (said, looked_at) in [
            (Said::Well, None),
            (Said::Nothing, Some(&key)),
            (Said::Refused, Some(&key)),
            (Said::Failed, Some(&key)),
            (Said::Throttled(Duration::ZERO), Some(&key)),
        ] {
            let lanes = Lanes::new();
            lanes.began(&key, &row);
            // The next attempt is queued and looked for before this one has ended.
            assert!(lanes.fresh(&key, row.to_vec()).is_empty());
            lanes.ended(&key, &row, said, 4, at(5));
            assert_eq!(lanes.next(at(5)).as_ref(), looked_at, "{said:?}");
        }
    }

    #[test]
    fn the_window_grows_with_success_and_shrinks_with_failure() {
        let lanes = Lanes::new();
        let key = (SpaceId::main(), 1);
        let row = [(at(0), DeliveryId { seq: 1, ordinal: 0 })];
        let window = || lanes.lock().lanes.get(&key).map(|lane| lane.window);
        let once = |said| {
            lanes.began(&key, &row);
            lanes.ended(&key, &row, said, 4, at(0))
        };
        for _ in 0..10 {
            once(Said::Well);
        }
        assert_eq!(window(), Some(4), "up to what the webhook takes");
        once(Said::Refused);
        assert_eq!(window(), Some(4));
        once(Said::Failed);
        assert_eq!(window(), Some(2));
        assert!(once(Said::Throttled(Duration::ZERO)) && !once(Said::Throttled(Duration::ZERO)), "said once");
        assert_eq!(window(), Some(1));
    }
}
