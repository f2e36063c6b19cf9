//! Rate limits of the URLs of sources.

use std::collections::HashMap;
use std::time::Duration;

use hookwright_foundation::token_bucket::TokenBucket;
use hookwright_model::{Rate, SourceId, Timestamp};
use parking_lot::Mutex;

/// The code of a request that exceeds the rate limit.
pub(crate) const RATE_LIMITED: &str = "source.rate_limited";

/// The interval at which such requests are logged, so that they do not evict all other entries.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The rate limits of sources.
#[derive(Default)]
pub struct Gates {
    gates: Mutex<HashMap<SourceId, Gate>>,
}

struct Gate {
    bucket: TokenBucket,
    logged_at: Option<Timestamp>,
}

impl Gates {
    /// Admits a request, or returns after how many seconds one will be admitted.
    pub(crate) fn pass(&self, source: &SourceId, rate: Rate, now: Timestamp) -> Result<(), u32> {
        let mut gates = self.gates.lock();
        let new = || Gate { bucket: TokenBucket::new(rate, now), logged_at: None };
        let gate = gates.entry(source.clone()).or_insert_with(new);
        gate.bucket.set_rate(rate, now);
        gate.bucket.try_take(now).map_err(|at| {
            let wait = at.since(now);
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            u32::try_from(seconds).unwrap_or(u32::MAX)
        })
    }

    /// Whether a refusal with this code is logged now.
    pub(crate) fn should_log(&self, source: &SourceId, code: &str, now: Timestamp) -> bool {
        if code != RATE_LIMITED {
            return true;
        }
        let mut gates = self.gates.lock();
        let Some(gate) = gates.get_mut(source) else { return true };
        if gate.logged_at.is_some_and(|logged_at| now.since(logged_at) < LOG_INTERVAL) {
            return false;
        }
        gate.logged_at = Some(now);
        true
    }

    /// Removes the state of a deleted source.
    pub fn forget(&self, source: &SourceId) {
        self.gates.lock().remove(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_limited_by_the_rate_and_refusals_are_logged_once_a_second() {
        let (gates, source) = (Gates::default(), SourceId::new());
        let at = Timestamp::from_millis;
        let rate = Rate { requests: 2, per_seconds: 60 };
        assert_eq!(gates.pass(&source, rate, at(0)), Ok(()));
        assert_eq!(gates.pass(&source, rate, at(0)), Ok(()));
        assert_eq!(gates.pass(&source, rate, at(0)), Err(30));
        assert_eq!(gates.pass(&SourceId::new(), rate, at(0)), Ok(()), "each source by itself");
        assert!(gates.should_log(&source, RATE_LIMITED, at(0)));
        assert!(!gates.should_log(&source, RATE_LIMITED, at(999)));
        assert!(gates.should_log(&source, "hmac.signature_wrong", at(999)));
        assert!(gates.should_log(&source, RATE_LIMITED, at(1000)));
        assert_eq!(gates.pass(&source, rate, at(29_500)), Err(1));
        assert_eq!(gates.pass(&source, rate, at(30_000)), Ok(()));
        let more = Rate { requests: 5, per_seconds: 1 };
        assert_eq!(gates.pass(&source, more, at(30_000)), Ok(()), "another rate holds at once");
    }

    #[test]
    fn a_deleted_source_leaves_no_state_behind() {
        let (gates, source, now) = (Gates::default(), SourceId::new(), Timestamp::from_millis(0));
        let rate = Rate { requests: 1, per_seconds: 3600 };
        assert_eq!(gates.pass(&source, rate, now), Ok(()));
        assert_eq!(gates.pass(&source, rate, now), Err(3600));
        assert!(gates.should_log(&source, RATE_LIMITED, now));
        gates.forget(&source);
        assert!(gates.gates.lock().is_empty());
        assert_eq!(gates.pass(&source, rate, now), Ok(()));
        assert!(gates.should_log(&source, RATE_LIMITED, now));
    }
}
