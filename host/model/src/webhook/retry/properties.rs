//! Properties that hold for every retry schedule.

use proptest::prelude::*;
use serde_json::{from_value, json, to_value};

use super::*;

/// A valid schedule.
fn schedule() -> impl Strategy<Value = RetrySchedule> {
    let delay = prop_oneof![0..10_u64, 0..=LONGEST, Just(LONGEST)];
    (prop::collection::vec(delay, 0..=MOST_DELAYS), prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0])
        .prop_map(|(delays_seconds, jitter)| RetrySchedule { delays_seconds, jitter })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_failure_has_its_delay_with_jitter_in_its_range_until_the_attempts_are_exhausted(
        schedule in schedule(),
        // Values outside of 0 to 1 are clamped.
        dice in prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0, -10.0..10.0],
    ) {
        prop_assert_eq!(schedule.mistake(), None);
        let retries = schedule.delays_seconds.len();
        let delays: Vec<Option<Duration>> = (0..=60).map(|failures| schedule.delay(failures, dice)).collect();
        prop_assert_eq!(delays[0], None, "nothing has failed yet");
        prop_assert!(delays[1..=retries].iter().all(Option::is_some));
        prop_assert!(delays[retries + 1..].iter().all(Option::is_none), "exhausted after {retries} retries");
        prop_assert_eq!(schedule.delay(u32::MAX, dice), None);
        for (base, delay) in schedule.delays_seconds.iter().zip(delays.iter().flatten()) {
            let base = Duration::from_secs(*base);
            let most = base + base.mul_f64(schedule.jitter);
            prop_assert!((base..=most).contains(delay), "{delay:?} of {base:?} with jitter {}", schedule.jitter);
            prop_assert!(*delay <= Duration::from_secs(LONGEST * 2));
        }
    }

    #[test]
    fn jitter_grows_with_the_dice(schedule in schedule(), one in 0.0..=1.0, other in 0.0..=1.0) {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        for failures in 1..=50 {
            prop_assert!(schedule.delay(failures, low) <= schedule.delay(failures, high));
        }
    }

    #[test]
    fn each_delay_of_a_growing_schedule_is_the_factor_times_the_one_before_up_to_the_most(
        first in prop_oneof![0..5_u64, 0..100_000_u64, any::<u64>()],
        factor in prop_oneof![0.0..4.0_f64, Just(1.0), Just(1.1), Just(1.5), Just(2.0), Just(1e300)],
        most in prop_oneof![0..100_000_u64, Just(LONGEST), any::<u64>()],
        retries in 0..60_usize,
    ) {
        let input = json!({"first_seconds": first, "factor": factor, "most_seconds": most, "retries": retries});
        let schedule: RetrySchedule = from_value(input).unwrap();
        let delays = &schedule.delays_seconds;
        // One more than the maximum, so that it is rejected rather than truncated.
        prop_assert_eq!(delays.len(), retries.min(MOST_DELAYS + 1));
        prop_assert!(delays.iter().all(|delay| *delay <= most));
        prop_assert!(delays.is_sorted());
        prop_assert!(delays.first().is_none_or(|delay| *delay == first.min(most)));
        let mut exact: f64 = first as f64;
        for delay in delays {
            let expected = exact.min(most as f64);
            let error = (*delay as f64 - expected).abs();
            prop_assert!(error <= 1.0 + expected * 1e-6, "{delay} instead of {expected} in {delays:?}");
            exact *= factor.max(1.0);
        }
    }

    #[test]
    fn a_schedule_reads_back_as_it_is_shown(schedule in schedule()) {
        let again: RetrySchedule = from_value(to_value(&schedule).unwrap()).unwrap();
        prop_assert_eq!(again.delays_seconds, schedule.delays_seconds);
        prop_assert!((again.jitter - schedule.jitter).abs() < 1e-12);
    }
}
