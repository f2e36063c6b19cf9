//! Numbers in the decimal notation of JSON, compared digit by digit however many there are.

use std::cmp::Ordering;

/// A decimal number: its digits without zeros around them, and where the point stands.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// The number that a string is, and nothing else: sign, digits, point, exponent. Words such as `inf` are none.
    #[must_use]
    pub fn read(text: &'t str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        let (mantissa, exponent) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            None => (digits, 0),
            Some(at) => {
                let (mantissa, rest) = digits.split_at_checked(at)?;
                (mantissa, exponent(rest.get(1..)?)?)
            }
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            None => (mantissa, [].as_slice()),
            Some(at) => (mantissa.get(..at)?, mantissa.get(at.saturating_add(1)..)?),
        };
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        (all_digits && !(whole.is_empty() && fraction.is_empty())).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// The digits from the first that is not 0 on.
    fn digits(self) -> impl Iterator<Item = u8> + 't {
        self.whole.iter().chain(self.fraction).copied().skip_while(|digit| *digit == b'0')
    }

    /// Number of digits before the point, counted from the first that is not 0. Negative: zeros follow the point.
    fn size(self) -> i64 {
        let count = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
        let zeros = self.whole.iter().chain(self.fraction).take_while(|digit| **digit == b'0').count();
        count(self.whole.len()).saturating_sub(count(zeros)).saturating_add(self.exponent)
    }

    /// Whether it has no fraction; 1.0 has none.
    #[must_use]
    pub fn is_whole(self) -> bool {
        let mut significant = 0_i64;
        for (at, digit) in (1..).zip(self.digits()) {
            if digit != b'0' {
                significant = at;
            }
        }
        significant == 0 || significant <= self.size()
    }

    /// The number as a whole one. `None` if it has a fraction, or is too large.
    #[must_use]
    pub fn to_i128(self) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        // More digits than any has.
        let size = usize::try_from(self.size()).ok().filter(|size| *size < 40)?;
        if !self.is_whole() {
            return None;
        }
        let digits = self.digits().chain(std::iter::repeat(b'0')).take(size);
        digits.map(|digit| i128::from(digit.saturating_sub(b'0'))).try_fold(0_i128, |whole, digit| {
            let digit = if self.negative { digit.checked_neg()? } else { digit };
            whole.checked_mul(10)?.checked_add(digit)
        })
    }

    /// A string that is the same for numbers that are the same.
    #[must_use]
    pub fn canonical(self) -> String {
        let mut digits: Vec<u8> = self.digits().collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return "0".to_owned();
        }
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0.{}e{}", String::from_utf8_lossy(&digits), self.size())
    }

    fn is_zero(self) -> bool {
        self.digits().next().is_none()
    }

    /// The order of two numbers, however they are written: `300`, `300.0` and `3.0e2` are the same.
    #[must_use]
    pub fn order(self, other: Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        if self.negative != other.negative {
            return if self.negative { Ordering::Less } else { Ordering::Greater };
        }
        let sizes = self.size().cmp(&other.size()).then_with(|| {
            let (mut a, mut b) = (self.digits(), other.digits());
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return Ordering::Equal,
                    (a, b) => {
                        let order = a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0'));
                        if order != Ordering::Equal {
                            return order;
                        }
                    }
                }
            }
        });
        if self.negative { sizes.reverse() } else { sizes }
    }
}

/// Whether two texts are the same number, however it is written.
#[must_use]
pub fn same_number(a: &str, b: &str) -> bool {
    a == b || Decimal::read(a).zip(Decimal::read(b)).is_some_and(|(a, b)| a.order(b).is_eq())
}

/// The exponent, within bounds that leave room for adding to it.
fn exponent(digits: &[u8]) -> Option<i64> {
    const MOST: i64 = 1_000_000_000_000;
    let text = std::str::from_utf8(digits).ok()?;
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let most = if text.starts_with('-') { -MOST } else { MOST };
    Some(text.parse().map_or(most, |exponent: i64| exponent.clamp(-MOST, MOST)))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(a: &str, b: &str) -> Option<Ordering> {
        Some(Decimal::read(a)?.order(Decimal::read(b)?))
    }

    #[test]
    fn numbers_are_compared_digit_by_digit() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, wanted) in [
            ("1", "1.0", Equal),
            ("100", "1e2", Equal),
            ("1.5", "15E-1", Equal),
            ("0", "-0.00", Equal),
            ("0e99999999999999999999", "0", Equal),
            ("+7", "007", Equal),
            ("9007199254740993", "9007199254740992", Greater),
            ("123456789012345678901234567890.1", "123456789012345678901234567890.10", Equal),
            ("123456789012345678901234567890.1", "123456789012345678901234567890.2", Less),
            ("0.1", "0.1000000000000000055511151231257827", Less),
            ("-2", "-1", Less),
            ("-1", "0.001", Less),
            ("0.001", "0.01", Less),
            ("1e400", "1e401", Less),
            ("10", "9", Greater),
            ("1e99999999999999999999", "5", Greater),
            (".5", "5e-1", Equal),
        ] {
            assert_eq!(order(a, b), Some(wanted), "{a} {b}");
            assert_eq!(order(b, a), Some(wanted.reverse()), "{b} {a}");
            let canonical = |text| Decimal::read(text).map(Decimal::canonical);
            assert_eq!(canonical(a) == canonical(b), wanted == Equal, "{a} {b}");
        }
    }

    #[test]
    fn a_number_without_a_fraction_is_whole() {
        for (text, whole) in [
            ("1", true),
            ("1.0", true),
            ("0", true),
            ("-0.00", true),
            ("1e3", true),
            ("1.5e1", true),
            ("120", true),
            ("12345678901234567890123456789", true),
            ("0.5", false),
            ("1.5", false),
            ("15e-1", false),
            ("1e-1", false),
            ("12345678901234567890123456789.5", false),
            ("100e-2", true),
            ("0e-5", true),
        ] {
            assert_eq!(Decimal::read(text).map(Decimal::is_whole), Some(whole), "{text}");
        }
    }

    #[test]
    fn an_integer_has_its_value_in_any_notation() {
        for (text, whole) in [
            ("0", Some(0)),
            ("-0.00e9", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("007", Some(7)),
            ("-1.20e2", Some(-120)),
            ("1e18", Some(1_000_000_000_000_000_000)),
            ("18446744073709551615.0", Some(18_446_744_073_709_551_615)),
            ("-170141183460469231731687303715884105728", Some(i128::MIN)),
            ("170141183460469231731687303715884105727", Some(i128::MAX)),
            ("170141183460469231731687303715884105728", None),
            ("1e39", None),
            ("1e99999999999999999999", None),
            ("0.5", None),
            ("12345.5", None),
            ("1e-1", None),
        ] {
            assert_eq!(Decimal::read(text).and_then(Decimal::to_i128), whole, "{text}");
        }
    }

    #[test]
    fn strings_that_are_not_decimal_numbers_are_refused() {
        for text in ["", "-", ".", "1e", "1e+", "inf", "NaN", "0x10", "1_000", "1,5", " 1", "1.2.3", "e5", "--1", "1é"]
        {
            assert!(Decimal::read(text).is_none(), "{text}");
        }
    }
}
