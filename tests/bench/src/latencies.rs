//! Latencies in an HDR histogram: every one is counted, with three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::Failed;

/// The longest latency that is distinguished: an hour, in nanoseconds. A longer one counts as this.
const MOST_NANOS: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// The percentiles that are reported, with their names.
const PERCENTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// The counts of the values, in nanoseconds, which make the same histogram again.
type Counts = Vec<(u64, u64)>;

/// How long some calls took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Counts", try_from = "Counts")]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Failed> {
        Ok(Self(Histogram::new_with_max(MOST_NANOS, DIGITS)?))
    }

    /// All latencies of several histograms.
    pub(crate) fn merged<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Result<Self, Failed> {
        let mut all = Self::new()?;
        for part in parts {
            all.add(part)?;
        }
        Ok(all)
    }

    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failed> {
        Ok(self.0.add(&other.0)?)
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value at a quantile, 0 to 1, in milliseconds; 0 if there are no values.
    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let nanos = self.0.value_at_quantile(quantile) as f64;
        nanos / 1e6
    }

    /// The percentiles that are reported, in milliseconds.
    pub(crate) fn percentiles(&self) -> [(&'static str, f64); 5] {
        PERCENTILES.map(|(name, quantile)| (name, self.millis(quantile)))
    }
}

impl From<Latencies> for Counts {
    fn from(latencies: Latencies) -> Self {
        latencies.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

impl TryFrom<Counts> for Latencies {
    type Error = Failed;

    fn try_from(counts: Counts) -> Result<Self, Failed> {
        let mut latencies = Self::new()?;
        for (value, count) in counts {
            latencies.0.record_n(value, count)?;
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        millis.into_iter().for_each(|millis| latencies.record(Duration::from_millis(millis)));
        latencies
    }

    fn is_about(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected * 1e-3
    }

    #[test]
    fn percentiles_are_exact_to_three_digits() {
        let latencies = of(1..=1000);
        let names = latencies.percentiles().map(|(name, _)| name);
        assert_eq!(names, ["p50", "p90", "p99", "p99.9", "max"]);
        for ((name, value), expected) in latencies.percentiles().into_iter().zip([500.0, 900.0, 990.0, 999.0, 1000.0]) {
            assert!(is_about(value, expected), "{name} is {value}");
        }
        assert!(Latencies::new().unwrap().millis(0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn merging_counts_every_latency_and_averages_none() {
        // One worker saw 99 short ones, another a long one: the mean of their medians would be 500.5.
        let (quick, slow) = (of(std::iter::repeat_n(1, 99)), of([1000]));
        let merged = Latencies::merged([&quick, &slow]).unwrap();
        assert_eq!(merged.count(), 100);
        assert!(is_about(merged.millis(0.5), 1.0) && is_about(merged.millis(1.0), 1000.0));
        assert!(is_about(merged.millis(0.99), 1.0));
        assert_eq!(Latencies::merged([&slow, &quick]).unwrap(), merged);
    }

    #[test]
    fn a_worker_passes_its_histogram_on_unchanged() {
        let mut latencies = of([0, 3, 3, 250, 70_000]);
        latencies.record(Duration::from_nanos(1_234_567));
        latencies.record(Duration::from_secs(100_000));
        let text = serde_json::to_string(&latencies).unwrap();
        let read: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(read, latencies);
        assert_eq!(read.percentiles(), latencies.percentiles());
        assert!(is_about(read.millis(1.0), 3_600_000.0));
    }
}
