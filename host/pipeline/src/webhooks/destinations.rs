//! Which destinations answer. One whose rolling rate of failures is high is let be for a while; then one request tries
//! it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookwright_model::Timestamp;
use serde_json::{Value, json};
use url::Url;

/// How many of the last requests count.
const ROLLING: u32 = 20;
/// For how long an outcome counts, if no other comes.
const LASTING: Duration = Duration::from_secs(300);
/// How many there must be before any rate is judged.
const LEAST: u32 = 10;
/// The part of failures from which on a destination is let be, in percent.
const RATE: u32 = 50;
/// For how long at first; twice as long after each probe that fails, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// How many destinations are remembered; past it those that answer are forgotten.
const MOST: usize = 20_000;

/// Whether requests may go to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They may.
    Open,
    /// One may, to see whether it is answered.
    Probe,
    /// None before then.
    Shut(Timestamp),
}

#[derive(Clone, Copy, Debug)]
struct Destination {
    /// The last outcomes, the newest in the lowest bit; 1 is a failure.
    outcomes: u32,
    count: u32,
    /// When the last one was.
    at: Timestamp,
    shut: Option<Shut>,
}

#[derive(Clone, Copy, Debug)]
struct Shut {
    until: Timestamp,
    pause: Duration,
    probing: bool,
}

/// Every destination that was asked lately, by scheme, host and port.
#[derive(Default)]
pub(crate) struct Destinations(Mutex<HashMap<String, Destination>>);

/// The destination of a URL.
pub(crate) fn destination(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

impl Destinations {
    /// Whether requests may go there. [`Way::Probe`] is said once; its end must be reported.
    pub(crate) fn way(&self, destination: &str, now: Timestamp) -> Way {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shut) = all.get_mut(destination).and_then(|known| known.shut.as_mut()) else { return Way::Open };
        if now < shut.until || shut.probing {
            return Way::Shut(if shut.probing { now.after(PAUSE) } else { shut.until });
        }
        shut.probing = true;
        Way::Probe
    }

    /// The probe was not sent after all.
    pub(crate) fn give_back(&self, destination: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shut) = all.get_mut(destination).and_then(|known| known.shut.as_mut()) {
            shut.probing = false;
        }
    }

    /// Takes down how a request ended. Returns whether the destination is let be from now on.
    pub(crate) fn report(&self, destination: &str, failed: bool, now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(destination) {
            all.retain(|_, known| known.outcomes != 0);
        }
        let fresh = Destination { outcomes: 0, count: 0, at: now, shut: None };
        let known = all.entry(destination.to_owned()).or_insert(fresh);
        if known.shut.is_none() && now.since(known.at) > LASTING {
            *known = fresh;
        }
        known.at = now;
        if let Some(shut) = &mut known.shut {
            if !failed {
                *known = fresh;
            } else if std::mem::take(&mut shut.probing) {
                shut.pause = shut.pause.saturating_mul(2).min(LONGEST);
                shut.until = now.after(shut.pause);
            }
            return false;
        }
        known.outcomes = ((known.outcomes << 1) | u32::from(failed)) & ((1 << ROLLING) - 1);
        known.count = known.count.saturating_add(1).min(ROLLING);
        let high = known.count >= LEAST && known.outcomes.count_ones() * 100 >= known.count * RATE;
        if high {
            known.shut = Some(Shut { until: now.after(PAUSE), pause: PAUSE, probing: false });
        }
        high
    }

    /// As an operator sees it.
    pub(crate) fn show(&self, destination: &str, now: Timestamp) -> Value {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.get(destination) else { return json!({"state": "closed"}) };
        match known.shut {
            None => json!({
                "state": "closed",
                "requests": known.count,
                "failures": known.outcomes.count_ones(),
            }),
            Some(shut) => json!({
                "state": if now < shut.until && !shut.probing { "open" } else { "half-open" },
                "until": shut.until.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_high_rate_of_failures_shuts_and_one_probe_opens_or_doubles_the_pause() {
        let all = Destinations::default();
        let d = destination("https://example.com:8443/a/b?c");
        assert_eq!(d, "https://example.com:8443");
        for place in 0..9 {
            assert!(!all.report(&d, place % 2 == 0, at(0)), "too few to judge");
        }
        assert!(all.report(&d, true, at(0)), "six of ten");
        assert_eq!(all.way(&d, at(9)), Way::Shut(at(10)));
        assert_eq!(all.way("https://example.org", at(9)), Way::Open, "another destination");
        assert!(!all.report(&d, true, at(9)), "one that was under way changes nothing");
        assert_eq!(all.way(&d, at(10)), Way::Probe);
        assert!(matches!(all.way(&d, at(10)), Way::Shut(_)), "one at a time");
        assert!(!all.report(&d, true, at(11)));
        assert_eq!(all.way(&d, at(12)), Way::Shut(at(31)));
        assert_eq!(all.way(&d, at(31)), Way::Probe);
        all.give_back(&d);
        assert_eq!(all.way(&d, at(31)), Way::Probe, "a probe that was not sent is open to another");
        assert!(!all.report(&d, false, at(31)));
        assert_eq!(all.way(&d, at(31)), Way::Open);
        assert!(!all.report(&d, true, at(31)), "what was before is forgotten");
    }

    #[test]
    fn failures_that_lie_far_apart_are_no_rate() {
        let all = Destinations::default();
        for hour in 0..100 {
            assert!(!all.report("https://example.com", true, at(hour * 3600)));
        }
        assert_eq!(all.way("https://example.com", at(360_000)), Way::Open);
    }
}
