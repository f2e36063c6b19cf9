//! Open-loop load: when each request is due, whatever became of those before it.
//!
//! A closed loop sends the next request once the last was answered, so a server that stalls is asked less often, and the
//! stall counts once instead of for each request that would have met it (coordinated omission). Here the times are set
//! in advance, and a latency counts from the time at which its request was due.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Failed;

/// How far apart requests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// Always the same interval.
    Constant,
    /// Exponentially distributed intervals, as of callers that know nothing of one another (a Poisson process).
    Exponential,
}

impl Arrivals {
    pub(crate) const ALL: [Self; 2] = [Self::Constant, Self::Exponential];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
        }
    }
}

/// A set rate of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Requests a second; at least one.
    pub(crate) rate: u32,
    pub(crate) arrivals: Arrivals,
    /// The same seed gives the same times.
    pub(crate) seed: u64,
}

impl Pace {
    /// When each request is due, counted from the start: ascending, and before `time` has passed.
    pub(crate) fn offsets(self, time: Duration) -> Vec<Duration> {
        let interval = 1.0 / f64::from(self.rate.max(1));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut at = 0.0;
        let mut offsets = Vec::new();
        while at < time.as_secs_f64() {
            offsets.push(Duration::from_secs_f64(at));
            at += match self.arrivals {
                Arrivals::Constant => interval,
                Arrivals::Exponential => -interval * fraction(random.next_u64()).ln(),
            };
        }
        offsets
    }
}

/// A number above 0 and up to 1, from the upper 53 bits, which are all that an `f64` holds.
#[allow(clippy::cast_precision_loss)]
fn fraction(bits: u64) -> f64 {
    const VALUES: u64 = 1 << 53;
    ((bits >> 11) + 1) as f64 / VALUES as f64
}

/// Releases each request when it is due, as the time at which it was due: late ones at once.
///
/// A thread of its own sleeps until then, since the timers of the runtime are no finer than a millisecond.
pub(crate) fn release(offsets: Vec<Duration>, start: Instant) -> Result<UnboundedReceiver<Instant>, Failed> {
    let (sender, receiver) = unbounded_channel();
    std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        for offset in offsets {
            let due = start + offset;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(arrivals: Arrivals, seed: u64) -> Pace {
        Pace { rate: 1000, arrivals, seed }
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        let offsets = pace(Arrivals::Constant, 1).offsets(Duration::from_millis(100));
        assert!((100..=101).contains(&offsets.len()), "{}", offsets.len());
        for (number, offset) in (0_u32..).zip(&offsets) {
            let off = offset.abs_diff(Duration::from_millis(1) * number);
            assert!(off < Duration::from_micros(1), "request {number} is due at {offset:?}");
        }
    }

    #[test]
    fn exponential_arrivals_have_the_set_rate_and_depend_on_the_seed_alone() {
        let offsets = pace(Arrivals::Exponential, 7).offsets(Duration::from_secs(20));
        assert!((19_000..=21_000).contains(&offsets.len()), "{}", offsets.len());
        assert!(offsets.is_sorted());
        assert!(offsets.iter().all(|offset| *offset < Duration::from_secs(20)));
        // Of exponential intervals the share 1 - 1/e is shorter than the mean.
        let short = offsets.windows(2).filter(|pair| pair[1] - pair[0] < Duration::from_millis(1)).count();
        let share = f64::from(u32::try_from(short).unwrap()) / f64::from(u32::try_from(offsets.len()).unwrap());
        assert!((0.61..0.66).contains(&share), "{share}");
        assert_eq!(pace(Arrivals::Exponential, 7).offsets(Duration::from_secs(20)), offsets);
        assert_ne!(pace(Arrivals::Exponential, 8).offsets(Duration::from_secs(20)), offsets);
    }

    #[test]
    fn fractions_are_never_zero() {
        assert!(fraction(0) > 0.0);
        assert!((fraction(u64::MAX) - 1.0).abs() < f64::EPSILON);
    }

    #[tokio::test]
    async fn a_late_request_is_released_with_the_time_at_which_it_was_due() {
        let start = Instant::now().checked_sub(Duration::from_millis(200)).unwrap();
        let offsets = vec![Duration::ZERO, Duration::from_millis(50)];
        let mut due = release(offsets, start).unwrap();
        assert_eq!(due.recv().await, Some(start));
        assert_eq!(due.recv().await, Some(start + Duration::from_millis(50)));
        assert_eq!(due.recv().await, None);
    }
}
