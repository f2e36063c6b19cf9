//! Retry schedules of deliveries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// Maximum number of delays in a schedule.
const MOST_DELAYS: usize = 50;
/// The longest delay, in seconds: 30 days.
const LONGEST: u64 = 30 * 24 * HOUR;

/// A retry schedule, which may be an exponential backoff. Written as `{"delays_seconds": [5, 60]}`, as `{"schedule":
/// "standard"}` with the name of a known one, or as `{"first_seconds": 5, "factor": 2, "most_seconds": 3600, "retries":
/// 10}`; each with `jitter` beside it. Shown as its delays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct RetrySchedule {
    /// Seconds to wait after the first failure, the second, and so on. After the last retry the delivery is
    /// dead-lettered.
    pub delays_seconds: Vec<u64>,
    /// Up to this share of each delay, 0 to 1, is added at random, so that retries are not synchronized.
    pub jitter: f64,
}

/// The named schedules.
const NAMED: [(&str, &[u64]); 4] = [
    // Standard Webhooks 1.0, "Retries": ten attempts over some 75 hours.
    ("standard", &[5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]),
    // Capsule's REST hooks: 36 minutes and 5 seconds in all.
    ("capsule", &[5, MINUTE, 5 * MINUTE, 15 * MINUTE, 15 * MINUTE]),
    // Amazon SNS over HTTP: three at once, two soon, ten further apart, and the rest at the largest distance.
    ("sns", &[0, 0, 0, 1, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 20, 20, 20, 20, 20]),
    ("none", &[]),
];

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a retry schedule, such as {\"delays_seconds\": [5, 60]} or {\"schedule\": \"standard\"}"
)]
struct Written {
    delays_seconds: Option<Vec<u64>>,
    schedule: Option<String>,
    first_seconds: Option<u64>,
    factor: Option<f64>,
    most_seconds: Option<u64>,
    retries: Option<usize>,
    jitter: Option<f64>,
}

impl TryFrom<Written> for RetrySchedule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { delays_seconds, schedule, first_seconds, factor, most_seconds, retries, jitter } = written;
        let growing = factor.is_some() || most_seconds.is_some() || retries.is_some();
        let delays_seconds = match (delays_seconds, schedule, first_seconds) {
            (Some(delays), None, None) if !growing => delays,
            (None, Some(name), None) if !growing => return Self::named(&name, jitter),
            (None, None, Some(first)) => {
                grow(first, factor.unwrap_or(2.0), most_seconds.unwrap_or(12 * HOUR), retries.unwrap_or(10))
            }
            _ => {
                return Err(
                    "give `delays_seconds`, or `schedule`, or `first_seconds` with `factor`, `most_seconds` and \
                            `retries`"
                        .to_owned(),
                );
            }
        };
        Ok(Self { delays_seconds, jitter: jitter.unwrap_or(DEFAULT_JITTER) })
    }
}

const DEFAULT_JITTER: f64 = 0.2;

/// Each delay is `factor` times the previous one, up to `most` seconds.
fn grow(first: u64, factor: f64, most: u64, retries: usize) -> Vec<u64> {
    let most = Duration::from_secs(most);
    // Fractions of a second are kept: if each delay was rounded first, 1 s with a factor of 1.5 would never grow.
    let next = |delay: &Duration| {
        let longer = Duration::try_from_secs_f64(delay.as_secs_f64() * factor.max(1.0));
        Some(longer.unwrap_or(most).min(most).max(*delay))
    };
    let delays = std::iter::successors(Some(Duration::from_secs(first).min(most)), next);
    delays.map(|delay| delay.as_secs()).take(retries.min(MOST_DELAYS.saturating_add(1))).collect()
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            delays_seconds: NAMED.first().map(|(_, delays)| delays.to_vec()).unwrap_or_default(),
            jitter: DEFAULT_JITTER,
        }
    }
}

impl RetrySchedule {
    /// A named schedule. Without `jitter`, that of Standard Webhooks has some and the others have none, as in the
    /// systems that they imitate.
    pub fn named(name: &str, jitter: Option<f64>) -> Result<Self, String> {
        let Some((found, delays)) = NAMED.iter().find(|(known, _)| *known == name) else {
            let known = NAMED.map(|(known, _)| known).join(", ");
            let shown = crate::abridged(name);
            return Err(format!("there is no schedule `{shown}`; there are: {known}"));
        };
        let usual = if *found == "standard" { DEFAULT_JITTER } else { 0.0 };
        Ok(Self { delays_seconds: delays.to_vec(), jitter: jitter.unwrap_or(usual) })
    }

    /// The delay after failure number `failures` (counted from 1). `dice` is a random number from 0 to 1.
    pub fn delay(&self, failures: u32, dice: f64) -> Option<Duration> {
        let place = usize::try_from(failures).ok()?.checked_sub(1)?;
        let seconds = Duration::from_secs(*self.delays_seconds.get(place)?);
        Some(seconds + seconds.mul_f64(self.jitter.clamp(0.0, 1.0) * dice.clamp(0.0, 1.0)))
    }

    /// Its validation errors.
    pub fn mistake(&self) -> Option<String> {
        if self.delays_seconds.len() > MOST_DELAYS {
            return Some(format!("{} delays: at most {MOST_DELAYS}", self.delays_seconds.len()));
        }
        if let Some(long) = self.delays_seconds.iter().find(|delay| **delay > LONGEST) {
            return Some(format!("a delay of {long} s: at most 30 days ({LONGEST})"));
        }
        (!(0.0..=1.0).contains(&self.jitter)).then(|| format!("jitter {}: give 0 to 1", self.jitter))
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn the_default_schedule_is_that_of_standard_webhooks() {
        let schedule = RetrySchedule::default();
        let total: u64 = schedule.delays_seconds.iter().sum();
        assert!((75..=76).contains(&(total / 3600)), "{total}");
        assert_eq!(schedule.delay(1, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(schedule.delay(1, 1.0), Some(Duration::from_secs(6)));
        assert_eq!(schedule.delay(9, 0.0), Some(Duration::from_secs(86_400)));
        assert_eq!(schedule.delay(10, 0.0), None);
        assert_eq!(schedule.delay(0, 0.0), None);
    }

    #[test]
    fn jitter_only_adds() {
        let schedule = RetrySchedule { delays_seconds: vec![10], jitter: 0.5 };
        for dice in [0.0, 0.3, 1.0] {
            let delay = schedule.delay(1, dice).unwrap();
            assert!((10.0..=15.0).contains(&delay.as_secs_f64()));
        }
        assert!(RetrySchedule { delays_seconds: vec![], jitter: 1.5 }.mistake().is_some());
    }

    #[test]
    fn a_schedule_is_written_in_three_ways() {
        let read = |written| from_value::<RetrySchedule>(written);
        assert_eq!(read(json!({"delays_seconds": [1, 2]})).unwrap().delays_seconds, [1, 2]);
        let capsule = read(json!({"schedule": "capsule"})).unwrap();
        assert_eq!(capsule.delays_seconds.iter().sum::<u64>(), 36 * 60 + 5);
        assert_eq!(capsule.delay(1, 1.0), Some(Duration::from_secs(5)), "no jitter");
        let growing = read(json!({"first_seconds": 5, "factor": 3, "most_seconds": 100, "retries": 5, "jitter": 0}));
        assert_eq!(growing.unwrap().delays_seconds, [5, 15, 45, 100, 100]);
        let slowly = read(json!({"first_seconds": 1, "factor": 1.5, "most_seconds": 9, "retries": 7})).unwrap();
        assert_eq!(slowly.delays_seconds, [1, 1, 2, 3, 5, 7, 9]);
        for (wrong, part) in [
            (json!({"schedule": "x"}), "standard"),
            (json!({"schedule": "capsule", "delays_seconds": []}), "give"),
            (json!({}), "give"),
            (json!({"factor": 2}), "give"),
            (json!({"delay": [1]}), "unknown field"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(read(json!({"first_seconds": 1, "retries": 99})).unwrap().mistake().is_some(), "bounded, and said so");
    }
}
