//! Medians and quantiles.

use std::time::Duration;

/// The value at `quantile` (0 to 1) of sorted `values`, by nearest rank; 0 if there are none.
pub(crate) fn quantile<T: Copy + Default>(values: &[T], quantile: f64) -> T {
    let last = values.len().saturating_sub(1);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let place = (last as f64 * quantile.clamp(0.0, 1.0)).round() as usize;
    values.get(place).copied().unwrap_or_default()
}

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

/// The median over the rounds of what `read` takes from each.
pub(crate) fn over<R>(rounds: &[R], read: impl Fn(&R) -> f64) -> f64 {
    median(rounds.iter().map(read))
}

/// The median over the rounds of one thing divided by another, both of the same round.
pub(crate) fn ratio<A, B>(these: &[A], those: &[B], this: impl Fn(&A) -> f64, that: impl Fn(&B) -> f64) -> f64 {
    median(these.iter().zip(those).map(|(a, b)| this(a) / that(b)))
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_match_the_reference() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
        let values: Vec<u32> = (0..=100).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)), (50, 99, 100));
        assert_eq!(quantile::<u32>(&[], 0.5), 0);
        assert_eq!(ratio(&[2.0, 9.0, 4.0], &[1.0, 3.0, 4.0], |a| *a, |b| *b), 2.0);
    }
}
