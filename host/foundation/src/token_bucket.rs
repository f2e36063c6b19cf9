//! Rate limits.

use std::time::Duration;

use hookwright_model::{Rate, Timestamp};

/// The longest wait that is reported.
const MAX_REPORTED_WAIT: Duration = Duration::from_secs(86_400);

/// A token bucket: it holds tokens up to its capacity, gives one for each request, and gets new ones at its rate.
///
/// The crate `governor` does not fit: its limiters cannot go into debt ([`take`](Self::take)), change their rate or capacity
/// while in use, or take the time of each call from [`Timestamp`] without an adapter.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate: Rate,
    capacity: f64,
    tokens: f64,
    at: Timestamp,
}

impl TokenBucket {
    /// A full bucket, with a capacity of as many requests as the rate has.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        Self::with_capacity(rate.requests, rate, now)
    }

    /// A full bucket with another capacity than its rate has.
    pub fn with_capacity(capacity: u32, rate: Rate, now: Timestamp) -> Self {
        Self { rate, capacity: capacity.into(), tokens: capacity.into(), at: now }
    }

    /// Changes the rate. A new rate starts with a full bucket.
    pub fn set_rate(&mut self, rate: Rate, now: Timestamp) {
        if self.rate != rate {
            *self = Self::new(rate, now);
        }
    }

    /// Changes the capacity. Tokens beyond it are lost; a larger capacity fills at the rate.
    pub fn set_capacity(&mut self, capacity: u32) {
        self.capacity = capacity.into();
    }

    /// The number of available tokens.
    ///
    /// # Errors
    /// When the next token arrives, if there is none.
    pub fn available(&mut self, now: Timestamp) -> Result<usize, Timestamp> {
        let passed = now.since(self.at).as_secs_f64() * 1000.0;
        self.tokens = (self.tokens + passed * self.per_ms()).min(self.capacity);
        self.at = now;
        if self.tokens >= 1.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a u32")]
            return Ok(self.tokens as usize);
        }
        let wait = Duration::try_from_secs_f64((1.0 - self.tokens) / self.per_ms() / 1000.0);
        Err(now.after(wait.unwrap_or(MAX_REPORTED_WAIT).max(Duration::from_millis(1))))
    }

    /// Takes a token for something that has happened already, whether there is one or not: a missing token is a debt, which
    /// new tokens pay first.
    pub fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// Takes a token if there is one.
    ///
    /// # Errors
    /// When the next token arrives, if there is none.
    pub fn try_take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.available(now)?;
        self.take();
        Ok(())
    }

    fn per_ms(&self) -> f64 {
        f64::from(self.rate.requests) / (f64::from(self.rate.per_seconds.max(1)) * 1000.0)
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
        let mut bucket = TokenBucket::new(Rate { requests: 2, per_seconds: 1 }, at(0));
        assert_eq!(bucket.available(at(0)), Ok(2));
        bucket.take();
        bucket.take();
        assert_eq!(bucket.available(at(0)), Err(at(500)));
        assert_eq!(bucket.try_take(at(0)), Err(at(500)));
        assert_eq!(bucket.available(at(500)), Ok(1));
        assert_eq!(bucket.try_take(at(500)), Ok(()));
        assert_eq!(bucket.available(at(10_000)), Ok(2), "no more than the rate comes together");
    }

    #[test]
    fn what_was_taken_beyond_the_tokens_is_paid_back_first() {
        let mut bucket = TokenBucket::new(Rate { requests: 1, per_seconds: 1 }, at(0));
        bucket.take();
        bucket.take();
        assert_eq!(bucket.available(at(0)), Err(at(2000)));
        assert_eq!(bucket.available(at(2000)), Ok(1));
    }

    #[test]
    fn another_rate_begins_full_and_another_capacity_does_not() {
        let rate = Rate { requests: 2, per_seconds: 1 };
        let mut bucket = TokenBucket::with_capacity(10, rate, at(0));
        assert_eq!(bucket.available(at(0)), Ok(10));
        bucket.set_capacity(4);
        assert_eq!(bucket.available(at(0)), Ok(4));
        bucket.set_capacity(10);
        assert_eq!(bucket.available(at(1000)), Ok(6));
        bucket.set_rate(rate, at(1000));
        assert_eq!(bucket.available(at(1000)), Ok(6));
        bucket.set_rate(Rate { requests: 3, per_seconds: 1 }, at(1000));
        assert_eq!(bucket.available(at(1000)), Ok(3));
    }
}
