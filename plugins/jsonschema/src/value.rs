//! JSON values as JSON Schema compares them.

use std::cmp::Ordering;
use std::fmt::Write;

use hookwright_sdk::json;
use serde_json::{Number, Value};

/// A number without loss where that is possible: `digits` times ten to the power of `exponent`.
struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// `None` if there are too many digits.
    fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        Some(Self { digits, exponent })
    }

    /// The digits at a smaller exponent.
    fn at(&self, exponent: i32) -> Option<i128> {
        let zeros = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.digits.checked_mul(10_i128.checked_pow(zeros)?)
    }
}

/// Both numbers as whole multiples of the same power of ten.
fn aligned(a: &Number, b: &Number) -> Option<(i128, i128)> {
    let (a, b) = (Decimal::of(a)?, Decimal::of(b)?);
    let exponent = a.exponent.min(b.exponent);
    Some((a.at(exponent)?, b.at(exponent)?))
}

/// The order of two numbers, however they are written.
pub(crate) fn order(a: &Number, b: &Number) -> Ordering {
    let (a, b) = (a.to_string(), b.to_string());
    // What is a number of JSON is a decimal one.
    json::Decimal::read(&a).zip(json::Decimal::read(&b)).map_or(Ordering::Equal, |(a, b)| a.order(b))
}

/// Whether `number` divided by `divisor` is whole.
pub(crate) fn is_multiple(number: &Number, divisor: &Number) -> bool {
    if let Some((number, divisor)) = aligned(number, divisor) {
        return divisor != 0 && number % divisor == 0;
    }
    let (number, divisor) = (number.as_f64().unwrap_or(f64::NAN), divisor.as_f64().unwrap_or(f64::NAN));
    // Too far apart for exact arithmetic: the remainder of reals is exact by definition.
    (number % divisor) == 0.0
}

/// Whether a number has no fraction; 1.0 has none.
pub(crate) fn is_whole(number: &Number) -> bool {
    json::Decimal::read(&number.to_string()).is_some_and(json::Decimal::is_whole)
}

/// Whether two values are the same: numbers by their value, everything else by its parts.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A string that is equal for values that are the same, so that many can be compared by sorting.
pub(crate) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => write_number(number, text),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in members {
                // Writing to a string cannot fail.
                let _ = write!(text, "{}:", Value::from(name.as_str()));
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn write_number(number: &Number, text: &mut String) {
    let number = number.to_string();
    text.push_str(&json::Decimal::read(&number).map_or(number.clone(), json::Decimal::canonical));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn multiples_are_exact() {
        for (value, divisor, expected) in [
            ("0.0075", "0.0001", true),
            ("0.00751", "0.0001", false),
            ("4.5", "1.5", true),
            ("35", "1.5", false),
            ("1e308", "0.5", true),
            ("12391239123", "1e-8", true),
            ("7", "7.0", true),
            ("-9", "3", true),
            ("0", "5", true),
            ("18446744073709551615", "2", false),
        ] {
            assert_eq!(is_multiple(&number(value), &number(divisor)), expected, "{value} {divisor}");
        }
    }

    #[test]
    fn equal_values_have_the_same_canonical_text() {
        for (a, b, expected) in [
            (json!(1), json!(1.0), true),
            (json!(100), json!(1e2), true),
            (json!(0), json!(-0.0), true),
            (json!(true), json!(1), false),
            (json!("1"), json!(1), false),
            (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1}), true),
            (json!({"a": null}), json!({}), false),
            (json!([1, 2]), json!([2, 1]), false),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), false),
        ] {
            assert_eq!(same(&a, &b), expected, "{a} {b}");
            assert_eq!(canonical(&a) == canonical(&b), expected, "{a} {b}");
        }
    }
}
