//! The circuit breaker of plugins: opens after repeated traps or exceeded limits, and half-opens for one probe after a pause.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookwright_foundation::settings::BreakerSettings;
use hookwright_model::{SpaceId, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::plugin_key::PluginKey;

/// The longest pause between two probes.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(600);

/// The breaker of every plugin whose last call was stopped.
pub struct Breakers {
    settings: BreakerSettings,
    plugins: Mutex<HashMap<PluginKey, Breaker>>,
    /// How many breakers there are. Most of the time there is none, and then no call takes the lock.
    count: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Breaker {
    strikes: u32,
    /// The circuit is open until then. `None`: it is closed.
    until: Option<Timestamp>,
    /// The last pause.
    pause: Duration,
    /// A probe is in flight.
    probing: bool,
    /// When a call was last stopped.
    last: Timestamp,
}

/// Whether a plugin is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// It is called.
    Closed,
    /// It is not called before then, or not before the probe in flight has ended.
    Open(Timestamp),
    /// Half-open: one call may probe it.
    Probe,
}

impl Breaker {
    fn state(&self, now: Timestamp) -> BreakerState {
        match self.until {
            None => BreakerState::Closed,
            Some(until) if now < until || self.probing => BreakerState::Open(until),
            Some(_) => BreakerState::Probe,
        }
    }
}

/// Permission to call a plugin. If the call is dropped before it ends and was a probe, another call may be the probe.
pub struct Admitted {
    breakers: Arc<Breakers>,
    /// The plugin that this call probes. `None`: it is not a probe.
    probe: Option<PluginKey>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(key) = &self.probe else { return };
        let mut plugins = self.breakers.plugins.lock();
        if let Some(breaker) = plugins.get_mut(key) {
            breaker.probing = false;
        }
    }
}

/// How the end of a call changed the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// It did not.
    None,
    /// The circuit opened until then.
    Opened(Timestamp),
    /// The circuit closed.
    Closed,
}

impl Breakers {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, plugins: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Admits a call.
    ///
    /// # Errors
    /// The time until which the circuit is open.
    pub(crate) fn admit(self: &Arc<Self>, space: &SpaceId, name: &str, now: Timestamp) -> Result<Admitted, Timestamp> {
        let admitted = |probe| Admitted { breakers: Arc::clone(self), probe };
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(admitted(None));
        }
        let key = (space.clone(), name.to_owned());
        let mut plugins = self.plugins.lock();
        let Some(breaker) = plugins.get_mut(&key) else { return Ok(admitted(None)) };
        match breaker.state(now) {
            BreakerState::Closed => Ok(admitted(None)),
            BreakerState::Open(until) => Err(until),
            BreakerState::Probe => {
                breaker.probing = true;
                Ok(admitted(Some(key)))
            }
        }
    }

    /// The state of the circuit.
    pub(crate) fn state(&self, space: &SpaceId, name: &str, now: Timestamp) -> BreakerState {
        let plugins = self.plugins.lock();
        let breaker = plugins.get(&(space.clone(), name.to_owned()));
        breaker.map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// Records how an admitted call ended.
    pub(crate) fn report(
        &self,
        mut admitted: Admitted,
        space: &SpaceId,
        name: &str,
        stopped: bool,
        now: Timestamp,
    ) -> Transition {
        admitted.probe = None;
        if !stopped && self.count.load(Ordering::Relaxed) == 0 {
            return Transition::None;
        }
        let key = (space.clone(), name.to_owned());
        let mut plugins = self.plugins.lock();
        let transition = if stopped {
            let new = Breaker { strikes: 0, until: None, pause: self.settings.pause, probing: false, last: now };
            let breaker = plugins.entry(key).or_insert(new);
            breaker.strikes = breaker.strikes.saturating_add(1);
            breaker.last = now;
            let probe_failed = std::mem::take(&mut breaker.probing);
            if probe_failed {
                breaker.pause = breaker.pause.saturating_mul(2).min(MAX_PAUSE);
            }
            if probe_failed || (breaker.until.is_none() && breaker.strikes >= self.settings.strikes) {
                let until = now.after(breaker.pause);
                breaker.until = Some(until);
                Transition::Opened(until)
            } else {
                Transition::None
            }
        } else {
            match plugins.remove(&key) {
                Some(Breaker { until: Some(_), .. }) => Transition::Closed,
                _ => Transition::None,
            }
        };
        self.count.store(plugins.len(), Ordering::Relaxed);
        transition
    }

    /// Forgets a plugin's strikes: another version of it is active.
    pub(crate) fn reset(&self, space: Option<&SpaceId>, name: &str) {
        let mut plugins = self.plugins.lock();
        plugins.retain(|(of, other), _| other != name || space.is_some_and(|space| space != of));
        self.count.store(plugins.len(), Ordering::Relaxed);
    }

    /// Forgets every plugin's strikes.
    pub fn forget(&self) {
        let mut plugins = self.plugins.lock();
        plugins.clear();
        self.count.store(0, Ordering::Relaxed);
    }

    /// The breaker as the API shows it.
    pub fn show(&self, space: &SpaceId, name: &str, now: Timestamp) -> Value {
        let plugins = self.plugins.lock();
        let Some(breaker) = plugins.get(&(space.clone(), name.to_owned())) else {
            return json!({"state": "closed", "strikes": 0});
        };
        let state = match breaker.state(now) {
            BreakerState::Closed => "closed",
            BreakerState::Open(until) if now < until => "open",
            BreakerState::Open(_) | BreakerState::Probe => "probing",
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
    fn call(breakers: &Arc<Breakers>, stopped: bool, now: i64) -> Transition {
        let main = SpaceId::main();
        let admitted = breakers.admit(&main, NAME, at(now)).unwrap();
        breakers.report(admitted, &main, NAME, stopped, at(now))
    }

    #[test]
    fn it_opens_after_strikes_in_a_row_and_a_probe_closes_it_or_doubles_the_pause() {
        let (breakers, main) = (breakers(3), SpaceId::main());
        let admit = |name: &str, now| breakers.admit(&main, name, at(now)).map(drop);
        assert_eq!((call(&breakers, true, 0), call(&breakers, true, 0)), (Transition::None, Transition::None));
        assert_eq!(call(&breakers, false, 0), Transition::None, "a successful call resets the count");
        assert_eq!((call(&breakers, true, 1), call(&breakers, true, 1)), (Transition::None, Transition::None));
        assert_eq!(call(&breakers, true, 1), Transition::Opened(at(11)));
        assert_eq!(admit(NAME, 10), Err(at(11)));
        assert_eq!(admit("q", 10), Ok(()));
        let probe = breakers.admit(&main, NAME, at(11)).unwrap();
        assert_eq!(admit(NAME, 11), Err(at(11)), "only one at a time");
        assert_eq!(breakers.report(probe, &main, NAME, true, at(12)), Transition::Opened(at(32)));
        assert_eq!(call(&breakers, false, 32), Transition::Closed);
        assert_eq!(admit(NAME, 33), Ok(()));
        assert_eq!(breakers.show(&main, NAME, at(33))["state"], "closed");
    }

    #[test]
    fn after_a_dropped_probe_another_call_may_probe() {
        let (breakers, main) = (breakers(1), SpaceId::main());
        assert_eq!(call(&breakers, true, 0), Transition::Opened(at(10)));
        let probe = breakers.admit(&main, NAME, at(10)).unwrap();
        assert_eq!(breakers.state(&main, NAME, at(1000)), BreakerState::Open(at(10)), "however long it takes");
        drop(probe);
        assert_eq!(breakers.state(&main, NAME, at(10)), BreakerState::Probe);
        assert_eq!(call(&breakers, false, 10), Transition::Closed);
        assert_eq!(breakers.state(&main, NAME, at(10)), BreakerState::Closed);
    }

    #[test]
    fn another_version_begins_without_strikes() {
        let (breakers, main) = (breakers(1), SpaceId::main());
        assert_eq!(call(&breakers, true, 0), Transition::Opened(at(10)));
        breakers.reset(Some(&main), NAME);
        assert_eq!(call(&breakers, false, 1), Transition::None);
    }
}
