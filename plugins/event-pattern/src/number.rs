//! Numbers in order, integers without loss.

use std::cmp::Ordering;

use serde_json::Number;

/// The order of two JSON numbers. `300`, `300.0` and `3.0e2` are the same.
pub(crate) fn order(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // JSON has no NaN, so there is always an order.
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_whatever_way_they_are_written() {
        for (a, b, expected) in [
            ("300", "3.0e2", Ordering::Equal),
            ("-0", "0.0", Ordering::Equal),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("-1", "18446744073709551615", Ordering::Less),
            ("0.1", "0.2", Ordering::Less),
            ("1e308", "5", Ordering::Greater),
        ] {
            assert_eq!(order(&a.parse().unwrap(), &b.parse().unwrap()), expected, "{a} {b}");
        }
    }
}
