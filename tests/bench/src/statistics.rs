//! Medians, and how far rounds are apart.

use std::time::Duration;

/// The median; the mean of the two in the middle where their number is even.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half), half.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
        (Some(middle), _) => *middle,
        _ => 0.0,
    }
}

/// What the rounds of a figure come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Summary {
    /// Of the values of all rounds; all 0 if there are none.
    pub(crate) fn of(rounds: &[f64]) -> Self {
        let least = rounds.iter().copied().min_by(f64::total_cmp).unwrap_or_default();
        let greatest = rounds.iter().copied().max_by(f64::total_cmp).unwrap_or_default();
        Self { median: median(rounds.iter().copied()), least, greatest }
    }
}

/// One thing divided by another, both of the same round.
pub(crate) fn ratios(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}

/// What `read` takes from each round.
pub(crate) fn each<R>(rounds: &[R], read: impl Fn(&R) -> f64) -> Vec<f64> {
    rounds.iter().map(read).collect()
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A number of things; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn number(things: u64) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios_match_the_reference() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
        assert_eq!(ratios(&[2.0, 9.0, 4.0], &[1.0, 3.0, 4.0]), [2.0, 3.0, 1.0]);
        assert_eq!(ratios(&[2.0, 9.0], &[1.0]), [2.0]);
    }

    #[test]
    fn a_summary_has_the_least_and_the_greatest_round() {
        assert_eq!(Summary::of(&[3.0, 1.0, 2.0]), Summary { median: 2.0, least: 1.0, greatest: 3.0 });
        assert_eq!(Summary::of(&[]), Summary::default());
    }
}
