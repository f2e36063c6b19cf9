//! The usage of a plugin in a space, over all its calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hookwright_model::Limits;
use serde_json::{Map, Value, json};

/// The usage of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the instance to the result, without waiting for a free instance.
    pub duration: Duration,
    /// The computing time in it, of the plugin and of the host on its behalf.
    pub cpu: Duration,
    /// Its peak linear memory, in bytes.
    pub memory_peak: usize,
    /// Number of host calls.
    pub host_calls: u32,
    /// Number of requests that it sent, without those that an earlier try of the step had sent.
    pub requests: u32,
    /// Bytes of those requests and of their responses.
    pub egress_bytes: u64,
    /// Bytes of its result.
    pub output_bytes: u64,
    /// Bytes that it logged.
    pub log_bytes: u64,
    /// Whether an instance from an earlier call was used.
    pub warm: bool,
    /// Whether it is a re-run of a step after a write conflict.
    pub rerun: bool,
}

/// Sums and peaks over the calls of a plugin. Numbers that are read while calls end are not a consistent snapshot.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU64,
    failures: AtomicU64,
    stops: AtomicU64,
    warm_calls: AtomicU64,
    reruns: AtomicU64,
    cpu_us: AtomicU64,
    wall_us: AtomicU64,
    host_calls: AtomicU64,
    requests: AtomicU64,
    egress_bytes: AtomicU64,
    output_bytes: AtomicU64,
    log_bytes: AtomicU64,
    cpu_us_peak: AtomicU64,
    wall_us_peak: AtomicU64,
    memory_peak: AtomicU64,
    host_calls_peak: AtomicU64,
    requests_peak: AtomicU64,
    egress_peak: AtomicU64,
    output_peak: AtomicU64,
    log_peak: AtomicU64,
}

fn add(place: &AtomicU64, value: u64) {
    place.fetch_add(value, Ordering::Relaxed);
}

fn peak(place: &AtomicU64, value: u64) {
    place.fetch_max(value, Ordering::Relaxed);
}

fn read(place: &AtomicU64) -> u64 {
    place.load(Ordering::Relaxed)
}

impl Meter {
    /// Counts a call. `stopped`: the host ended it, or it trapped.
    pub(crate) fn count(&self, usage: &Usage, failed: bool, stopped: bool) {
        let wall = u64::try_from(usage.duration.as_micros()).unwrap_or(u64::MAX);
        let cpu = u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX);
        let memory = u64::try_from(usage.memory_peak).unwrap_or(u64::MAX);
        add(&self.calls, 1);
        add(&self.failures, u64::from(failed));
        add(&self.stops, u64::from(stopped));
        add(&self.warm_calls, u64::from(usage.warm));
        add(&self.reruns, u64::from(usage.rerun));
        for (sum, most, value) in [
            (Some(&self.cpu_us), &self.cpu_us_peak, cpu),
            (Some(&self.wall_us), &self.wall_us_peak, wall),
            (None, &self.memory_peak, memory),
            (Some(&self.host_calls), &self.host_calls_peak, u64::from(usage.host_calls)),
            (Some(&self.requests), &self.requests_peak, u64::from(usage.requests)),
            (Some(&self.egress_bytes), &self.egress_peak, usage.egress_bytes),
            (Some(&self.output_bytes), &self.output_peak, usage.output_bytes),
            (Some(&self.log_bytes), &self.log_peak, usage.log_bytes),
        ] {
            if let Some(sum) = sum {
                add(sum, value);
            }
            peak(most, value);
        }
    }

    /// Number of calls.
    pub fn calls(&self) -> u64 {
        read(&self.calls)
    }

    /// The numbers by name, and beside each peak the part of its limit that was left.
    pub fn report(&self, limits: &Limits) -> Value {
        let calls = read(&self.calls);
        let mut headroom = Map::new();
        for (name, used, most) in [
            ("cpu_ms", read(&self.cpu_us_peak).div_ceil(1000), limits.cpu_ms),
            ("wall_ms", read(&self.wall_us_peak).div_ceil(1000), limits.wall_ms),
            ("memory_bytes", read(&self.memory_peak), limits.memory_bytes),
            ("host_calls", read(&self.host_calls_peak), limits.host_calls),
            ("requests", read(&self.requests_peak), limits.requests),
            ("egress_bytes", read(&self.egress_peak), limits.egress_bytes),
            ("output_bytes", read(&self.output_peak), limits.output_bytes),
            ("log_bytes", read(&self.log_peak), limits.log_bytes),
        ] {
            headroom.insert(name.to_owned(), json!({"peak": used, "limit": most, "left": left(used, most)}));
        }
        json!({
            "calls": calls,
            "failures": read(&self.failures),
            "stops": read(&self.stops),
            "warm_calls": read(&self.warm_calls),
            "reruns": read(&self.reruns),
            "cpu_us": read(&self.cpu_us),
            "wall_us": read(&self.wall_us),
            "host_calls": read(&self.host_calls),
            "requests": read(&self.requests),
            "egress_bytes": read(&self.egress_bytes),
            "output_bytes": read(&self.output_bytes),
            "log_bytes": read(&self.log_bytes),
            "headroom": headroom,
        })
    }
}

/// The share of a limit that was left at the peak: 1 all of it, 0 nothing.
#[allow(clippy::cast_precision_loss, reason = "a part of a limit, shown with three digits")]
fn left(used: u64, most: u64) -> f64 {
    if most == 0 {
        return 0.0;
    }
    let part = 1.0 - used as f64 / most as f64;
    (part.max(0.0) * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sums_peaks_and_headroom_follow_the_calls() {
        let meter = Meter::default();
        for cpu in [100, 250] {
            let rerun = cpu > 200;
            let usage = Usage { cpu: Duration::from_millis(cpu), host_calls: 3, rerun, ..Usage::default() };
            meter.count(&usage, cpu > 200, false);
        }
        let report = meter.report(&Limits { cpu_ms: 1000, ..Limits::default() });
        assert_eq!((&report["calls"], &report["failures"], &report["host_calls"]), (&json!(2), &json!(1), &json!(6)));
        assert_eq!((&report["cpu_us"], &report["reruns"]), (&json!(350_000), &json!(1)));
        assert_eq!(report["headroom"]["cpu_ms"], json!({"peak": 250, "limit": 1000, "left": 0.75}));
    }
}
