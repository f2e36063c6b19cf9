//! One circuit breaker per webhook. The circuit opens when most of the webhook's recent requests fail: nothing is sent
//! for a while, then a single probe is. Webhooks that share a host have separate circuits, so one customer's broken
//! address never delays another customer; what webhooks of one host share is only the number of concurrent requests to
//! it (see `hosts.rs`).

use std::collections::HashMap;
use std::time::Duration;

use hookwright_model::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::queue_key::QueueKey;

/// How many of the most recent requests are counted.
const WINDOW_SIZE: u32 = 20;

/// How long the counted outcomes stay valid when no other follows.
const WINDOW_DURATION: Duration = Duration::from_secs(300);

/// The minimum number of outcomes before the circuit can open.
const MIN_OUTCOMES: u32 = 10;

/// The share of failures at which the circuit opens, in percent.
const FAILURE_PERCENT: u32 = 50;

/// How long the circuit stays open at first; doubled after each probe that fails, up to [`MAX_PAUSE`].
const INITIAL_PAUSE: Duration = Duration::from_secs(10);

const MAX_PAUSE: Duration = Duration::from_secs(300);

/// How many circuits are held in memory; beyond that, those without a failure are evicted.
const MAX_CIRCUITS: usize = 20_000;

/// Whether a webhook's queue may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The circuit is closed: send as many requests as there is capacity for.
    Closed,
    /// The circuit is half-open: send one request and report its outcome.
    Probe,
    /// The circuit is open until this time.
    Open(Timestamp),
}

#[derive(Clone, Debug)]
struct Circuit {
    /// The URL that the counted requests went to. Another URL is another receiver, whose outcomes are unknown.
    url: String,
    /// The most recent outcomes, the newest in the lowest bit; 1 is a failure.
    outcomes: u32,
    count: u32,
    /// When the most recent outcome was reported.
    at: Timestamp,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Timestamp,
    pause: Duration,
    probing: bool,
}

/// The circuits of all webhooks with recent requests.
#[derive(Default)]
pub(crate) struct Circuits(Mutex<HashMap<QueueKey, Circuit>>);

impl Circuit {
    fn closed(url: &str, at: Timestamp) -> Self {
        Self { url: url.to_owned(), outcomes: 0, count: 0, at, open: None }
    }
}

impl Circuits {
    /// Whether requests may go to the webhook at this URL. [`Admission::Probe`] is returned once; its end must be reported.
    pub(crate) fn admit(&self, key: &QueueKey, url: &str, now: Timestamp) -> Admission {
        let mut all = self.0.lock();
        let known = all.get_mut(key).filter(|known| known.url == url);
        let Some(open) = known.and_then(|known| known.open.as_mut()) else { return Admission::Closed };
        if now < open.until || open.probing {
            return Admission::Open(if open.probing { now.after(INITIAL_PAUSE) } else { open.until });
        }
        open.probing = true;
        Admission::Probe
    }

    /// Takes back the probe of this URL, which was not sent.
    pub(crate) fn return_probe(&self, key: &QueueKey, url: &str) {
        let mut all = self.0.lock();
        let known = all.get_mut(key).filter(|known| known.url == url);
        if let Some(open) = known.and_then(|known| known.open.as_mut()) {
            open.probing = false;
        }
    }

    /// Counts the outcome of a request. Returns the time until which the circuit is open, if this outcome opened it.
    pub(crate) fn report(&self, key: &QueueKey, url: &str, failed: bool, now: Timestamp) -> Option<Timestamp> {
        let mut all = self.0.lock();
        if all.len() >= MAX_CIRCUITS && !all.contains_key(key) {
            all.retain(|_, known| known.outcomes != 0 || known.open.is_some());
        }
        let known = all.entry(key.clone()).or_insert_with(|| Circuit::closed(url, now));
        if known.url != url || (known.open.is_none() && now.since(known.at) > WINDOW_DURATION) {
            *known = Circuit::closed(url, now);
        }
        known.at = now;
        if let Some(open) = &mut known.open {
            if !failed {
                *known = Circuit::closed(url, now);
            } else if std::mem::take(&mut open.probing) {
                open.pause = open.pause.saturating_mul(2).min(MAX_PAUSE);
                open.until = now.after(open.pause);
            }
            return None;
        }
        known.outcomes = ((known.outcomes << 1) | u32::from(failed)) & ((1 << WINDOW_SIZE) - 1);
        known.count = known.count.saturating_add(1).min(WINDOW_SIZE);
        let high = known.count >= MIN_OUTCOMES && known.outcomes.count_ones() * 100 >= known.count * FAILURE_PERCENT;
        high.then(|| {
            let until = now.after(INITIAL_PAUSE);
            known.open = Some(Open { until, pause: INITIAL_PAUSE, probing: false });
            until
        })
    }

    /// Closes the circuit and discards its counts. Returns whether it was open.
    pub(crate) fn reset(&self, key: &QueueKey) -> bool {
        self.0.lock().remove(key).is_some_and(|known| known.open.is_some())
    }

    /// When the next probe may be sent. `None`: the circuit is closed.
    pub(crate) fn open_until(&self, key: &QueueKey, url: &str) -> Option<Timestamp> {
        let all = self.0.lock();
        let known = all.get(key).filter(|known| known.url == url)?;
        known.open.map(|open| open.until)
    }

    /// The circuit as the API shows it.
    pub(crate) fn show(&self, key: &QueueKey, url: &str, now: Timestamp) -> Value {
        let all = self.0.lock();
        let Some(known) = all.get(key).filter(|known| known.url == url) else { return json!({"state": "closed"}) };
        match known.open {
            None => json!({
                "state": "closed",
                "requests": known.count,
                "failures": known.outcomes.count_ones(),
            }),
            Some(open) => json!({
                "state": if now < open.until && !open.probing { "open" } else { "half-open" },
                "until": open.until.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::SpaceId;

    use super::*;

    const URL: &str = "https://example.com/a";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn key(number: u64) -> QueueKey {
        (SpaceId::main(), number)
    }

    fn opened(all: &Circuits, key: &QueueKey) {
        for place in 0..9 {
            assert_eq!(all.report(key, URL, place % 2 == 0, at(0)), None, "too few to judge");
        }
        assert_eq!(all.report(key, URL, true, at(0)), Some(at(10)), "six of ten");
    }

    #[test]
    fn circuit_opens_on_failures_and_closes_after_a_successful_probe() {
        let (all, k) = (Circuits::default(), key(1));
        opened(&all, &k);
        assert_eq!(all.admit(&k, URL, at(9)), Admission::Open(at(10)));
        assert_eq!(all.report(&k, URL, true, at(9)), None, "a request that was in flight changes nothing");
        assert_eq!(all.admit(&k, URL, at(10)), Admission::Probe);
        assert!(matches!(all.admit(&k, URL, at(10)), Admission::Open(_)), "one probe at a time");
        assert_eq!(all.report(&k, URL, true, at(11)), None);
        assert_eq!(all.admit(&k, URL, at(12)), Admission::Open(at(31)), "a failed probe doubles the pause");
        assert_eq!(all.admit(&k, URL, at(31)), Admission::Probe);
        all.return_probe(&k, URL);
        assert_eq!(all.admit(&k, URL, at(31)), Admission::Probe, "a probe that was not sent can be taken again");
        assert_eq!(all.report(&k, URL, false, at(31)), None);
        assert_eq!(all.admit(&k, URL, at(31)), Admission::Closed);
        assert_eq!(all.report(&k, URL, true, at(31)), None, "counting starts again");
    }

    #[test]
    fn a_circuit_belongs_to_one_webhook_and_one_url() {
        let all = Circuits::default();
        opened(&all, &key(1));
        assert_eq!(all.admit(&key(2), URL, at(1)), Admission::Closed, "another webhook of the same URL");
        let other: QueueKey = ("other".parse().unwrap(), 1);
        assert_eq!(all.admit(&other, URL, at(1)), Admission::Closed, "another space");
        assert_eq!(all.admit(&key(1), "https://example.com/b", at(1)), Admission::Closed, "the URL was changed");
        assert_eq!(all.open_until(&key(1), URL), Some(at(10)));
        assert!(all.reset(&key(1)) && !all.reset(&key(1)));
        assert_eq!(all.admit(&key(1), URL, at(1)), Admission::Closed);
    }

    #[test]
    fn failures_far_apart_do_not_open_the_circuit() {
        let all = Circuits::default();
        for hour in 0..100 {
            assert_eq!(all.report(&key(1), URL, true, at(hour * 3600)), None);
        }
        assert_eq!(all.admit(&key(1), URL, at(360_000)), Admission::Closed);
    }
}
