//! Rate limits.

use std::time::Duration;

use hookwright_model::{Rate, Timestamp};

/// The longest wait that is told.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A rate limit: tokens that come back with time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) rate: Rate,
    pub(crate) tokens: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, tokens: f64::from(rate.requests), at: now }
    }

    fn per_ms(&self) -> f64 {
        f64::from(self.rate.requests) / (f64::from(self.rate.per_seconds.max(1)) * 1000.0)
    }

    /// How many requests may go out now; none: when the next one may.
    pub(crate) fn room(&mut self, now: Timestamp) -> Result<usize, Timestamp> {
        let passed = now.since(self.at).as_secs_f64() * 1000.0;
        self.tokens = (self.tokens + passed * self.per_ms()).min(f64::from(self.rate.requests));
        self.at = now;
        if self.tokens >= 1.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a u32")]
            return Ok(self.tokens as usize);
        }
        let wait = Duration::try_from_secs_f64((1.0 - self.tokens) / self.per_ms() / 1000.0);
        Err(now.after(wait.unwrap_or(LONGEST).max(Duration::from_millis(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_rate_lets_so_many_through_and_says_when_the_next_may_go() {
        let mut bucket = Bucket::new(Rate { requests: 2, per_seconds: 1 }, at(0));
        assert_eq!(bucket.room(at(0)), Ok(2));
        bucket.tokens -= 2.0;
        assert_eq!(bucket.room(at(0)), Err(at(500)));
        assert_eq!(bucket.room(at(500)), Ok(1));
        bucket.tokens -= 1.0;
        assert_eq!(bucket.room(at(10_000)), Ok(2), "no more than the rate comes together");
    }
}
