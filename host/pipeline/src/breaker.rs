//! Stops calling a plugin that was stopped again and again, and tries it once in a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Whether a plugin is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is.
    Closed,
    /// Not before then, or not before the probe has ended.
    Open(Timestamp),
    /// One call may try it.
    Probe,
}

impl Breaker {
    fn standing(&self, now: Timestamp) -> Standing {
        match self.until {
            None => Standing::Closed,
            Some(until) if now < until || self.probing => Standing::Open(until),
            Some(_) => Standing::Probe,
        }
    }
}

/// Leave to call a plugin. If the call is given up before it ends, the probe that it may have been is open to another.
pub(crate) struct Admitted {
    breakers: Arc<Breakers>,
    /// Whose probe this is.
    probe: Option<Place>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(place) = &self.probe else { return };
        let mut plugins = self.breakers.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = plugins.get_mut(place) {
            breaker.probing = false;
        }
    }
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
    pub(crate) fn admit(self: &Arc<Self>, space: &SpaceId, name: &str, now: Timestamp) -> Result<Admitted, Timestamp> {
        let admitted = |probe| Admitted { breakers: Arc::clone(self), probe };
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(admitted(None));
        }
        let place = (space.clone(), name.to_owned());
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = plugins.get_mut(&place) else { return Ok(admitted(None)) };
        match breaker.standing(now) {
            Standing::Closed => Ok(admitted(None)),
            Standing::Open(until) => Err(until),
            Standing::Probe => {
                breaker.probing = true;
                Ok(admitted(Some(place)))
            }
        }
    }

    /// Whether the plugin is called.
    pub(crate) fn standing(&self, space: &SpaceId, name: &str, now: Timestamp) -> Standing {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = plugins.get(&(space.clone(), name.to_owned()));
        breaker.map_or(Standing::Closed, |breaker| breaker.standing(now))
    }

    /// Takes down how an admitted call ended.
    pub(crate) fn report(
        &self,
        mut admitted: Admitted,
        space: &SpaceId,
        name: &str,
        stopped: bool,
        now: Timestamp,
    ) -> Change {
        admitted.probe = None;
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
        let state = match breaker.standing(now) {
            Standing::Closed => "closed",
            Standing::Open(until) if now < until => "open",
            Standing::Open(_) | Standing::Probe => "probing",
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

    const NAME: &str = "p";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn breakers(strikes: u32) -> Arc<Breakers> {
        Arc::new(Breakers::new(BreakerSettings { strikes, pause: Duration::from_secs(10) }))
    }

    /// A call from its admission to its end.
    fn call(breakers: &Arc<Breakers>, stopped: bool, now: i64) -> Change {
        let main = SpaceId::main();
        let admitted = breakers.admit(&main, NAME, at(now)).unwrap();
        breakers.report(admitted, &main, NAME, stopped, at(now))
    }

    #[test]
    fn it_opens_after_strikes_in_a_row_and_a_probe_closes_it_or_doubles_the_pause() {
        let (breakers, main) = (breakers(3), SpaceId::main());
        let admit = |name: &str, now| breakers.admit(&main, name, at(now)).map(drop);
        assert_eq!((call(&breakers, true, 0), call(&breakers, true, 0)), (Change::None, Change::None));
        assert_eq!(call(&breakers, false, 0), Change::None, "one that ends well begins the count anew");
        assert_eq!((call(&breakers, true, 1), call(&breakers, true, 1)), (Change::None, Change::None));
        assert_eq!(call(&breakers, true, 1), Change::Opened(at(11)));
        assert_eq!(admit(NAME, 10), Err(at(11)));
        assert_eq!(admit("q", 10), Ok(()));
        let probe = breakers.admit(&main, NAME, at(11)).unwrap();
        assert_eq!(admit(NAME, 11), Err(at(11)), "only one at a time");
        assert_eq!(breakers.report(probe, &main, NAME, true, at(12)), Change::Opened(at(32)));
        assert_eq!(call(&breakers, false, 32), Change::Closed);
        assert_eq!(admit(NAME, 33), Ok(()));
        assert_eq!(breakers.show(&main, NAME, at(33))["state"], "closed");
    }

    #[test]
    fn a_probe_that_is_given_up_is_open_to_another() {
        let (breakers, main) = (breakers(1), SpaceId::main());
        assert_eq!(call(&breakers, true, 0), Change::Opened(at(10)));
        let probe = breakers.admit(&main, NAME, at(10)).unwrap();
        assert_eq!(breakers.standing(&main, NAME, at(1000)), Standing::Open(at(10)), "however long it takes");
        drop(probe);
        assert_eq!(breakers.standing(&main, NAME, at(10)), Standing::Probe);
        assert_eq!(call(&breakers, false, 10), Change::Closed);
        assert_eq!(breakers.standing(&main, NAME, at(10)), Standing::Closed);
    }

    #[test]
    fn another_version_begins_without_strikes() {
        let (breakers, main) = (breakers(1), SpaceId::main());
        assert_eq!(call(&breakers, true, 0), Change::Opened(at(10)));
        breakers.reset(Some(&main), NAME);
        assert_eq!(call(&breakers, false, 1), Change::None);
    }
}
