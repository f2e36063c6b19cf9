//! Stops calling a plugin that was stopped again and again, and tries it once in a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookwright_model::{SpaceId, Timestamp};
use serde_json::{Value, json};

use crate::access::Place;

/// When a plugin is no longer called.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// After how many calls in a row that trapped or went past a limit.
    pub strikes: u32,
    /// For how long at first; twice as long each time that the probe fails too, up to [`LONGEST`].
    pub pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { strikes: 5, pause: Duration::from_secs(30) }
    }
}

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(600);

/// Every plugin that was stopped lately.
pub(crate) struct Breakers {
    settings: BreakerSettings,
    plugins: Mutex<HashMap<Place, Breaker>>,
    /// How many there are: none, most of the time, and then no call takes the lock.
    count: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Breaker {
    strikes: u32,
    /// Open until then; none: closed.
    until: Option<Timestamp>,
    /// How long it was open last.
    pause: Duration,
    /// A call was let through to see whether it ends well.
    probing: bool,
    last: Timestamp,
}

/// What a call that ended changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Calls wait from now on, until then.
    Opened(Timestamp),
    /// They no longer do.
    Closed,
}

impl Breakers {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, plugins: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Whether a call may begin; the error says from when on one may.
    pub(crate) fn admit(&self, space: &SpaceId, name: &str, now: Timestamp) -> Result<(), Timestamp> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = plugins.get_mut(&(space.clone(), name.to_owned())) else { return Ok(()) };
        match breaker.until {
            None => Ok(()),
            Some(until) if now < until => Err(until),
            // A probe whose end nobody reported, since its call was given up, does not keep the breaker open for ever.
            Some(until) if breaker.probing && now < until.after(breaker.pause) => Err(until.after(breaker.pause)),
            Some(_) => {
                breaker.probing = true;
                Ok(())
            }
        }
    }

    /// Whether calls wait.
    pub(crate) fn is_open(&self, space: &SpaceId, name: &str, now: Timestamp) -> bool {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = plugins.get(&(space.clone(), name.to_owned()));
        breaker.is_some_and(|breaker| breaker.probing || breaker.until.is_some_and(|until| now < until))
    }

    /// Takes down how a call ended.
    pub(crate) fn report(&self, space: &SpaceId, name: &str, stopped: bool, now: Timestamp) -> Change {
        if !stopped && self.count.load(Ordering::Relaxed) == 0 {
            return Change::None;
        }
        let place = (space.clone(), name.to_owned());
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let change = if stopped {
            let fresh = Breaker { strikes: 0, until: None, pause: self.settings.pause, probing: false, last: now };
            let breaker = plugins.entry(place).or_insert(fresh);
            breaker.strikes = breaker.strikes.saturating_add(1);
            breaker.last = now;
            let probe_failed = std::mem::take(&mut breaker.probing);
            if probe_failed {
                breaker.pause = breaker.pause.saturating_mul(2).min(LONGEST);
            }
            if probe_failed || (breaker.until.is_none() && breaker.strikes >= self.settings.strikes) {
                let until = now.after(breaker.pause);
                breaker.until = Some(until);
                Change::Opened(until)
            } else {
                Change::None
            }
        } else {
            match plugins.remove(&place) {
                Some(Breaker { until: Some(_), .. }) => Change::Closed,
                _ => Change::None,
            }
        };
        self.count.store(plugins.len(), Ordering::Relaxed);
        change
    }

    /// Forgets what happened: another version is there.
    pub(crate) fn reset(&self, space: Option<&SpaceId>, name: &str) {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.retain(|(of, other), _| other != name || space.is_some_and(|space| space != of));
        self.count.store(plugins.len(), Ordering::Relaxed);
    }

    /// As an operator sees it.
    pub(crate) fn show(&self, space: &SpaceId, name: &str, now: Timestamp) -> Value {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = plugins.get(&(space.clone(), name.to_owned())) else {
            return json!({"state": "closed", "strikes": 0});
        };
        let state = match breaker.until {
            None => "closed",
            Some(until) if now < until => "open",
            Some(_) => "probing",
        };
        json!({
            "state": state,
            "strikes": breaker.strikes,
            "until": breaker.until.map(|until| until.to_string()),
            "last_stop_at": breaker.last.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn it_opens_after_strikes_in_a_row_and_a_probe_closes_it_or_doubles_the_pause() {
        let breakers = Breakers::new(BreakerSettings { strikes: 3, pause: Duration::from_secs(10) });
        let main = SpaceId::main();
        let stopped = |now| breakers.report(&main, "p", true, at(now));
        assert_eq!((stopped(0), stopped(0)), (Change::None, Change::None));
        assert_eq!(breakers.report(&main, "p", false, at(0)), Change::None, "one that ends well begins the count anew");
        assert_eq!((stopped(1), stopped(1), stopped(1)), (Change::None, Change::None, Change::Opened(at(11))));
        assert_eq!(breakers.admit(&main, "p", at(10)), Err(at(11)));
        assert_eq!(breakers.admit(&main, "q", at(10)), Ok(()));
        assert_eq!(breakers.admit(&main, "p", at(11)), Ok(()), "the probe");
        assert!(breakers.admit(&main, "p", at(11)).is_err(), "only one at a time");
        assert_eq!(stopped(12), Change::Opened(at(32)));
        assert_eq!(breakers.admit(&main, "p", at(32)), Ok(()));
        assert_eq!(breakers.report(&main, "p", false, at(33)), Change::Closed);
        assert_eq!(breakers.admit(&main, "p", at(33)), Ok(()));
        assert_eq!(breakers.show(&main, "p", at(33))["state"], "closed");
    }

    #[test]
    fn another_version_begins_without_strikes() {
        let breakers = Breakers::new(BreakerSettings { strikes: 1, pause: Duration::from_secs(10) });
        let main = SpaceId::main();
        assert_eq!(breakers.report(&main, "p", true, at(0)), Change::Opened(at(10)));
        breakers.reset(Some(&main), "p");
        assert_eq!(breakers.admit(&main, "p", at(1)), Ok(()));
    }
}
