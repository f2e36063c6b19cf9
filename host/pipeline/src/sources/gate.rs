//! How often each source's URL may be called.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookwright_model::{Rate, SourceId, Timestamp};

use crate::bucket::Bucket;

/// The code of a request that came too soon.
pub(super) const RATE_LIMITED: &str = "source.rate_limited";
/// How often such requests are written into a source's log, so that they do not push out all others.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// The rate limits of sources.
#[derive(Default)]
pub(crate) struct Gates {
    gates: Mutex<HashMap<SourceId, Gate>>,
}

struct Gate {
    bucket: Bucket,
    noted: Option<Timestamp>,
}

impl Gates {
    /// Lets a request through, or says in how many seconds one may come.
    pub(super) fn pass(&self, source: &SourceId, rate: Rate, now: Timestamp) -> Result<(), u32> {
        let mut gates = self.lock();
        let new = || Gate { bucket: Bucket::new(rate, now), noted: None };
        let gate = gates.entry(source.clone()).or_insert_with(new);
        if gate.bucket.rate != rate {
            gate.bucket = Bucket::new(rate, now);
        }
        match gate.bucket.room(now) {
            Ok(_) => {
                gate.bucket.tokens -= 1.0;
                Ok(())
            }
            Err(at) => {
                let wait = at.since(now);
                let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
                Err(u32::try_from(seconds).unwrap_or(u32::MAX))
            }
        }
    }

    /// Whether a refusal with this code is written down now.
    pub(super) fn is_noted(&self, source: &SourceId, code: &str, now: Timestamp) -> bool {
        if code != RATE_LIMITED {
            return true;
        }
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(source) else { return true };
        if gate.noted.is_some_and(|noted| now.since(noted) < NOTED_EVERY) {
            return false;
        }
        gate.noted = Some(now);
        true
    }

    /// Forgets a source that is gone.
    pub(super) fn forget(&self, source: &SourceId) {
        self.lock().remove(source);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SourceId, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_called_as_often_as_its_rate_says_and_floods_are_noted_once_a_second() {
        let (gates, source) = (Gates::default(), SourceId::new());
        let at = Timestamp::from_millis;
        let rate = Rate { requests: 2, per_seconds: 60 };
        assert_eq!(gates.pass(&source, rate, at(0)), Ok(()));
        assert_eq!(gates.pass(&source, rate, at(0)), Ok(()));
        assert_eq!(gates.pass(&source, rate, at(0)), Err(30));
        assert_eq!(gates.pass(&SourceId::new(), rate, at(0)), Ok(()), "each source by itself");
        assert!(gates.is_noted(&source, RATE_LIMITED, at(0)));
        assert!(!gates.is_noted(&source, RATE_LIMITED, at(999)));
        assert!(gates.is_noted(&source, "hmac.signature_wrong", at(999)));
        assert!(gates.is_noted(&source, RATE_LIMITED, at(1000)));
        assert_eq!(gates.pass(&source, rate, at(29_500)), Err(1));
        assert_eq!(gates.pass(&source, rate, at(30_000)), Ok(()));
        let more = Rate { requests: 5, per_seconds: 1 };
        assert_eq!(gates.pass(&source, more, at(30_000)), Ok(()), "another rate holds at once");
    }
}
