//! The delivery queues of webhooks: each webhook has one of its own, with its own limits, so that a webhook whose
//! receiver is slow or dead delays no other. Only the state of a queue is in memory, never its deliveries: these are in
//! the store.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use hookwright_foundation::permits::SpacePermits;
use hookwright_foundation::token_bucket::TokenBucket;
use hookwright_model::{DeliveryId, Timestamp, Webhook};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::circuits::Circuits;
use crate::hosts::Hosts;
use crate::queue_key::{QueueKey, Queued, key_of};

/// How many requests of a webhook are in flight at once by default, when all of them succeed.
pub(crate) const DEFAULT_CONCURRENCY: usize = 64;

/// How many at first: a receiver that hangs occupies no more permits than these.
const INITIAL_CONCURRENCY: usize = 2;

/// The shortest time for which a throttled queue is held; doubled each time, up to [`MAX_HOLD`].
const MIN_HOLD: Duration = Duration::from_secs(1);

const MAX_HOLD: Duration = Duration::from_secs(300);

/// How many tests of webhooks, and deliveries that are sent again one by one, are in flight at once in one space.
const MAX_TESTS_PER_SPACE: usize = 16;

/// How many are in flight at once in all spaces.
const MAX_TESTS: usize = 256;

/// The outcome of a request, as far as it concerns its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// No request was made.
    NotSent,
    /// The receiver accepted the message.
    Succeeded,
    /// The receiver refused the message, which says nothing about its capacity.
    Refused,
    /// The receiver did not answer, or is broken.
    Failed,
    /// The receiver limits the rate of requests (429, 502, 504). It accepts none for `wait` after `since`, the time at
    /// which its answer was recorded: the next attempt is calculated from the same time.
    Throttled { since: Timestamp, wait: Duration },
}

/// A request in flight.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StartedRequest {
    /// The deliveries that it sends.
    pub(crate) rows: Vec<Queued>,
    /// Which of the webhook's receivers it goes to, for [`DeliveryQueues::end_request`].
    receiver: u64,
}

/// All delivery queues.
pub struct DeliveryQueues {
    inner: Mutex<Inner>,
    /// Notified when a request ends.
    pub(crate) ended: Notify,
    pub(crate) circuits: Circuits,
    pub(crate) hosts: Hosts,
    /// Permits for tests, and for deliveries that are sent again one by one. They are separate from those of other
    /// deliveries.
    pub(crate) tests: SpacePermits,
}

#[derive(Default)]
struct Inner {
    queues: HashMap<QueueKey, DeliveryQueue>,
    /// Which queue is to be checked when.
    agenda: BTreeSet<(Timestamp, QueueKey)>,
}

struct DeliveryQueue {
    wake: Option<Timestamp>,
    in_flight: HashSet<DeliveryId>,
    /// How many receivers the webhook had before this one: each change of its url counts.
    receiver: u64,
    /// How many requests to this receiver are in flight.
    requests: usize,
    /// How many requests may be in flight now: one more after each that succeeds, half after each that fails.
    window: usize,
    /// Whether more is due than could be started.
    more: bool,
    held_until: Option<Timestamp>,
    hold: Duration,
    bucket: Option<TokenBucket>,
    /// The host that had no capacity for this queue and has some now.
    turn: Option<String>,
}

impl Default for DeliveryQueue {
    fn default() -> Self {
        Self {
            wake: None,
            in_flight: HashSet::new(),
            receiver: 0,
            requests: 0,
            window: INITIAL_CONCURRENCY,
            more: false,
            held_until: None,
            hold: MIN_HOLD,
            bucket: None,
            turn: None,
        }
    }
}

impl Inner {
    fn look_at(&mut self, key: &QueueKey, at: Timestamp) {
        let queue = self.queues.entry(key.clone()).or_default();
        if queue.wake.is_some_and(|wake| wake <= at) {
            return;
        }
        if let Some(wake) = queue.wake.replace(at) {
            self.agenda.remove(&(wake, key.clone()));
        }
        self.agenda.insert((at, key.clone()));
    }
}

impl DeliveryQueues {
    /// `permits` is the number of concurrent deliveries of the server.
    pub(crate) fn new(permits: usize) -> Self {
        Self {
            inner: Mutex::default(),
            ended: Notify::new(),
            circuits: Circuits::default(),
            hosts: Hosts::new(permits),
            tests: SpacePermits::new(MAX_TESTS_PER_SPACE, MAX_TESTS),
        }
    }

    /// Checks a queue at that time, unless an earlier check is planned.
    pub(crate) fn look_at(&self, key: &QueueKey, at: Timestamp) {
        self.inner.lock().look_at(key, at);
    }

    /// The next queue to be checked by `now`.
    pub(crate) fn next(&self, now: Timestamp) -> Option<QueueKey> {
        let mut inner = self.inner.lock();
        let due = inner.agenda.first().is_some_and(|(at, _)| *at <= now);
        let (_, key) = if due { inner.agenda.pop_first()? } else { return None };
        if let Some(queue) = inner.queues.get_mut(&key) {
            queue.wake = None;
        }
        Some(key)
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.inner.lock().agenda.first().map(|(at, _)| *at)
    }

    /// How many requests of a queue may start. `Err`: none now; with the time at which to check again, unless the end
    /// of a request does that.
    pub(crate) fn capacity(
        &self,
        key: &QueueKey,
        webhook: &Webhook,
        now: Timestamp,
    ) -> Result<usize, Option<Timestamp>> {
        let mut inner = self.inner.lock();
        let queue = inner.queues.entry(key.clone()).or_default();
        if let Some(until) = queue.held_until {
            if now < until {
                return Err(Some(until));
            }
            queue.held_until = None;
        }
        let most = max_concurrency(webhook);
        let mut capacity = queue.window.min(most).saturating_sub(queue.requests);
        if capacity == 0 {
            queue.more = true;
            return Err(None);
        }
        match webhook.rate {
            None => queue.bucket = None,
            Some(rate) => {
                let bucket = queue.bucket.get_or_insert_with(|| TokenBucket::new(rate, now));
                bucket.set_rate(rate, now);
                capacity = capacity.min(bucket.available(now).map_err(Some)?);
            }
        }
        Ok(capacity)
    }

    /// Those of `rows` that are not in flight.
    pub(crate) fn not_in_flight(&self, key: &QueueKey, rows: Vec<Queued>) -> Vec<Queued> {
        let inner = self.inner.lock();
        let Some(queue) = inner.queues.get(key) else { return rows };
        rows.into_iter().filter(|(_, id)| !queue.in_flight.contains(id)).collect()
    }

    pub(crate) fn in_flight_count(&self, key: &QueueKey) -> usize {
        self.inner.lock().queues.get(key).map_or(0, |queue| queue.in_flight.len())
    }

    /// Starts a request with those of `rows` that are not in flight: between the read of the queue and this call, one
    /// of them may have been taken out of turn. `None`: all of them are in flight. `more`: the rest of the queue could
    /// not be started. That is recorded together with the start, because a request may end at any time afterwards, and
    /// its end checks the queue only if more waits there.
    pub(crate) fn start_request(&self, key: &QueueKey, mut rows: Vec<Queued>, more: bool) -> Option<StartedRequest> {
        let mut inner = self.inner.lock();
        let queue = inner.queues.entry(key.clone()).or_default();
        rows.retain(|(_, id)| queue.in_flight.insert(*id));
        if rows.is_empty() {
            return None;
        }
        queue.requests = queue.requests.saturating_add(1);
        queue.more = more;
        if let Some(bucket) = &mut queue.bucket {
            bucket.take();
        }
        Some(StartedRequest { rows, receiver: queue.receiver })
    }

    /// Whether a delivery may be sent ahead of its queue: neither the receiver's throttling nor the webhook's rate
    /// requires a wait.
    pub(crate) fn may_send_out_of_turn(&self, webhook: &Webhook, now: Timestamp) -> bool {
        webhook.rate.is_none() && self.held_until(webhook, now).is_none()
    }

    /// Claims a delivery out of turn: true if it was not in flight. [`DeliveryQueues::unclaim`] reports its end.
    pub(crate) fn claim(&self, key: &QueueKey, id: DeliveryId) -> bool {
        self.inner.lock().queues.entry(key.clone()).or_default().in_flight.insert(id)
    }

    pub(crate) fn unclaim(&self, key: &QueueKey, id: DeliveryId, now: Timestamp) {
        let mut inner = self.inner.lock();
        if let Some(queue) = inner.queues.get_mut(key) {
            queue.in_flight.remove(&id);
        }
        // A delivery that is not finished is found in the queue again.
        inner.look_at(key, now);
        drop(inner);
        self.ended.notify_one();
    }

    /// Whether a request for the delivery is in flight.
    pub(crate) fn is_in_flight(&self, key: &QueueKey, id: DeliveryId) -> bool {
        self.inner.lock().queues.get(key).is_some_and(|queue| queue.in_flight.contains(&id))
    }

    /// Marks queues for which a host has capacity now.
    fn wake(&self, host: &str, keys: &[QueueKey], now: Timestamp) {
        let mut inner = self.inner.lock();
        for key in keys {
            inner.look_at(key, now);
            if let Some(queue) = inner.queues.get_mut(key) {
                queue.turn = Some(host.to_owned());
            }
        }
        drop(inner);
        if !keys.is_empty() {
            self.ended.notify_one();
        }
    }

    /// The host that has capacity for the queue after it had none.
    pub(crate) fn take_turn(&self, key: &QueueKey) -> Option<String> {
        self.inner.lock().queues.get_mut(key)?.turn.take()
    }

    /// Releases the capacity of `count` requests to a host that ended or did not start.
    pub(crate) fn release(&self, host: &str, count: usize, now: Timestamp) {
        let turn = self.hosts.release(host, count);
        self.wake(host, &turn, now);
    }

    /// Closes a webhook's circuit and checks its queue at once. Returns whether the circuit was open.
    pub(crate) fn reset_circuit(&self, key: &QueueKey, now: Timestamp) -> bool {
        let was_open = self.circuits.reset(key);
        if was_open {
            self.look_at(key, now);
            self.ended.notify_one();
        }
        was_open
    }

    /// Discards what is known about a webhook's receiver: its circuit and its throttling. Checks the queue at once.
    pub(crate) fn reset_receiver(&self, key: &QueueKey, now: Timestamp) {
        self.circuits.reset(key);
        let mut inner = self.inner.lock();
        if let Some(queue) = inner.queues.get_mut(key) {
            (queue.held_until, queue.hold) = (None, MIN_HOLD);
        }
        inner.look_at(key, now);
        drop(inner);
        self.ended.notify_one();
    }

    /// Resets the queue of a webhook whose url was changed. The new receiver is unknown and has no requests in flight:
    /// those to the former one neither occupy its permits nor delay it when they end. Checks the queue at once.
    pub(crate) fn change_receiver(&self, key: &QueueKey, now: Timestamp) {
        if let Some(queue) = self.inner.lock().queues.get_mut(key) {
            queue.receiver = queue.receiver.wrapping_add(1);
            (queue.requests, queue.window) = (0, INITIAL_CONCURRENCY);
        }
        self.reset_receiver(key, now);
    }

    /// Records that more is due and nothing could be started.
    pub(crate) fn set_more(&self, key: &QueueKey) {
        if let Some(queue) = self.inner.lock().queues.get_mut(key) {
            queue.more = true;
        }
    }

    /// Records the end of a request, or of what was done in its place, after its outcome was saved. Returns until
    /// when the queue is throttled, if it was not before.
    pub(crate) fn end_request(
        &self,
        key: &QueueKey,
        request: &StartedRequest,
        outcome: RequestOutcome,
        most: usize,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut inner = self.inner.lock();
        let queue = inner.queues.get_mut(key)?;
        for (_, id) in &request.rows {
            queue.in_flight.remove(id);
        }
        let outcome = if queue.receiver == request.receiver {
            queue.requests = queue.requests.saturating_sub(1);
            outcome
        } else {
            RequestOutcome::NotSent
        };
        let mut throttled = None;
        match outcome {
            RequestOutcome::NotSent | RequestOutcome::Refused => {}
            RequestOutcome::Succeeded => {
                queue.hold = MIN_HOLD;
                queue.window = queue.window.saturating_add(1).min(most);
            }
            RequestOutcome::Failed => queue.window = (queue.window / 2).max(1),
            RequestOutcome::Throttled { since, wait } => {
                queue.window = 1;
                let until = since.after(wait.max(queue.hold));
                throttled = queue.held_until.is_none().then_some(until);
                queue.held_until = queue.held_until.max(Some(until));
                queue.hold = queue.hold.saturating_mul(2).min(MAX_HOLD);
            }
        }
        // A retry may have been queued, and looked for, while its delivery still counted as in flight, so the queue is
        // checked again. After a success it is checked only when half of its permits are free: then one check starts
        // many.
        let again = outcome != RequestOutcome::Succeeded || request.rows.len() > 1;
        if again || (queue.more && queue.requests <= queue.window / 2) {
            inner.look_at(key, now);
        }
        drop(inner);
        self.ended.notify_one();
        throttled
    }

    /// Removes the state of an empty queue.
    pub(crate) fn close(&self, key: &QueueKey) {
        let mut inner = self.inner.lock();
        if inner.queues.get(key).is_some_and(|queue| queue.in_flight.is_empty() && queue.wake.is_none()) {
            inner.queues.remove(key);
        }
    }

    /// The queue as the API shows it.
    pub fn show(&self, webhook: &Webhook, now: Timestamp) -> Value {
        let key = key_of(webhook);
        let inner = self.inner.lock();
        let queue = inner.queues.get(&key);
        let held = queue.and_then(|queue| queue.held_until).filter(|until| now < *until);
        json!({
            "under_way": queue.map_or(0, |queue| queue.in_flight.len()),
            "concurrency": queue.map_or(INITIAL_CONCURRENCY, |queue| queue.window).min(max_concurrency(webhook)),
            "throttled_until": held.map(|until| until.to_string()),
            "breaker": self.circuits.show(&key, &webhook.url, now),
        })
    }

    /// When the throttling by the receiver ends. `None`: it is not throttled.
    pub(crate) fn held_until(&self, webhook: &Webhook, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner.lock();
        let queue = inner.queues.get(&key_of(webhook))?;
        queue.held_until.filter(|until| now < *until)
    }
}

/// The most requests to a webhook that may be in flight.
pub(crate) fn max_concurrency(webhook: &Webhook) -> usize {
    webhook.concurrency.map_or(DEFAULT_CONCURRENCY, |most| usize::try_from(most).unwrap_or(DEFAULT_CONCURRENCY)).max(1)
}

#[cfg(test)]
mod tests {
    use hookwright_model::SpaceId;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn the_agenda_contains_each_queue_once_at_its_earliest_time() {
        let delivery_queues = DeliveryQueues::new(100);
        let (a, b) = ((SpaceId::main(), 1), (SpaceId::main(), 2));
        delivery_queues.look_at(&a, at(50));
        delivery_queues.look_at(&b, at(20));
        delivery_queues.look_at(&a, at(10));
        delivery_queues.look_at(&a, at(90));
        assert_eq!(delivery_queues.next_at(), Some(at(10)));
        assert_eq!(delivery_queues.next(at(9)), None);
        assert_eq!(
            (delivery_queues.next(at(30)), delivery_queues.next(at(30)), delivery_queues.next(at(30))),
            (Some(a), Some(b), None)
        );
    }

    #[test]
    fn a_queue_is_checked_again_after_outcomes_that_may_need_a_retry() {
        let key = (SpaceId::main(), 1);
        let row = [(at(0), DeliveryId { seq: 1, ordinal: 0 })];
        for (outcome, looked_at) in [
            (RequestOutcome::Succeeded, None),
            (RequestOutcome::NotSent, Some(&key)),
            (RequestOutcome::Refused, Some(&key)),
            (RequestOutcome::Failed, Some(&key)),
            (RequestOutcome::Throttled { since: at(5), wait: Duration::ZERO }, Some(&key)),
        ] {
            let delivery_queues = DeliveryQueues::new(100);
            let request = delivery_queues.start_request(&key, row.to_vec(), false).unwrap();
            // The retry is queued and looked for before this request has ended.
            assert!(delivery_queues.not_in_flight(&key, row.to_vec()).is_empty());
            delivery_queues.end_request(&key, &request, outcome, 4, at(5));
            assert_eq!(delivery_queues.next(at(5)).as_ref(), looked_at, "{outcome:?}");
        }
    }

    #[test]
    fn the_end_of_a_request_checks_a_queue_with_more_to_start() {
        let delivery_queues = DeliveryQueues::new(100);
        let key = (SpaceId::main(), 1);
        let row = [(at(0), DeliveryId { seq: 1, ordinal: 0 })];
        let request = delivery_queues.start_request(&key, row.to_vec(), true).unwrap();
        delivery_queues.end_request(&key, &request, RequestOutcome::Succeeded, 4, at(5));
        assert_eq!(delivery_queues.next(at(5)), Some(key));
    }

    #[test]
    fn a_delivery_claimed_after_the_queue_was_read_is_not_sent_twice() {
        let delivery_queues = DeliveryQueues::new(100);
        let key = (SpaceId::main(), 1);
        let [one, other] = [1, 2].map(|seq| (at(0), DeliveryId { seq, ordinal: 0 }));
        let read = delivery_queues.not_in_flight(&key, vec![one, other]);
        assert!(delivery_queues.claim(&key, one.1));
        assert_eq!(delivery_queues.start_request(&key, vec![one], false), None);
        let request = delivery_queues.start_request(&key, read, false).unwrap();
        assert_eq!(request.rows, [other]);
        delivery_queues.end_request(&key, &request, RequestOutcome::Succeeded, 4, at(0));
        assert!(delivery_queues.is_in_flight(&key, one.1), "it is in flight until its own request ends");
    }

    #[test]
    fn requests_to_the_former_receiver_neither_occupy_nor_throttle_the_new_one() {
        let delivery_queues = DeliveryQueues::new(100);
        let key = (SpaceId::main(), 1);
        let begin =
            |seq| delivery_queues.start_request(&key, vec![(at(0), DeliveryId { seq, ordinal: 0 })], false).unwrap();
        let seen = || {
            delivery_queues.inner.lock().queues.get(&key).map(|queue| (queue.requests, queue.window, queue.held_until))
        };
        let (first, second) = (begin(1), begin(2));
        // The answer is recorded for a second: the wait is reckoned from its arrival, as that of the next attempt is.
        let minute = RequestOutcome::Throttled { since: at(0), wait: Duration::from_secs(60) };
        assert_eq!(delivery_queues.end_request(&key, &first, minute, 4, at(1000)), Some(at(60_000)));
        assert_eq!(seen(), Some((1, 1, Some(at(60_000)))));
        delivery_queues.change_receiver(&key, at(0));
        assert_eq!(
            seen(),
            Some((0, INITIAL_CONCURRENCY, None)),
            "what it knew of the former receiver, and has in flight to it"
        );
        let third = begin(3);
        assert_eq!(delivery_queues.end_request(&key, &second, minute, 4, at(0)), None);
        assert_eq!(seen(), Some((1, INITIAL_CONCURRENCY, None)), "one in flight to the new one");
        assert_eq!(delivery_queues.end_request(&key, &third, minute, 4, at(0)), Some(at(60_000)));
        assert_eq!(seen(), Some((0, 1, Some(at(60_000)))));
    }

    #[test]
    fn the_window_grows_with_success_and_shrinks_with_failure() {
        let delivery_queues = DeliveryQueues::new(100);
        let key = (SpaceId::main(), 1);
        let row = [(at(0), DeliveryId { seq: 1, ordinal: 0 })];
        let window = || delivery_queues.inner.lock().queues.get(&key).map(|queue| queue.window);
        let once = |outcome| {
            let request = delivery_queues.start_request(&key, row.to_vec(), false).unwrap();
            delivery_queues.end_request(&key, &request, outcome, 4, at(0))
        };
        for _ in 0..10 {
            once(RequestOutcome::Succeeded);
        }
        assert_eq!(window(), Some(4), "up to what the webhook takes");
        once(RequestOutcome::Refused);
        assert_eq!(window(), Some(4));
        once(RequestOutcome::Failed);
        assert_eq!(window(), Some(2));
        let throttled = RequestOutcome::Throttled { since: at(0), wait: Duration::ZERO };
        assert_eq!((once(throttled), once(throttled)), (Some(at(1000)), None), "reported once");
        assert_eq!(window(), Some(1));
    }
}
