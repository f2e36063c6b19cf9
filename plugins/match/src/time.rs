//! Instants, and how far they lie from now.

use crate::json::{Json, Kind};
use crate::number::Decimal;

/// Numbers from here on are milliseconds, since as seconds they would lie past the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;

/// Seconds since 1970-01-01T00:00:00Z, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(i64, u32);

impl Instant {
    pub(crate) fn of_millis(ms: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let ms = ms as i64;
        Self(ms.div_euclid(1000), u32::try_from(ms.rem_euclid(1000)).unwrap_or_default() * 1_000_000)
    }

    pub(crate) fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds), self.1)
    }
}

/// The instant that a value names as a date: RFC 3339 with its offset, a day (its beginning in UTC), or seconds since 1970.
pub(crate) fn date(value: Json<'_>) -> Option<Instant> {
    match value.kind() {
        Kind::Number => of_number(value.0),
        Kind::Text => {
            let text = value.text()?;
            instant(&text).or_else(|| of_number(&text))
        }
        _ => None,
    }
}

/// Seconds since 1970, or milliseconds where they are too many for that.
fn of_number(text: &str) -> Option<Instant> {
    Decimal::read(text)?;
    let number: f64 = text.parse().ok().filter(|number: &f64| number.abs() < 1e15)?;
    let ms = if number.abs() < MILLISECONDS_FROM { number * 1000.0 } else { number };
    Some(Instant::of_millis(ms.round()))
}

/// The instant that a text names: an RFC 3339 date and time (section 5.6), or a full date, which is its first moment in UTC.
/// A leap second counts as the second after.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=length(year, month)).contains(&day) {
        return None;
    }
    let midnight = days(year, month, day) * 86_400;
    if text.len() == 10 {
        return Some(Instant(midnight, 0));
    }
    if !(is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(hour < 24 && minute < 60 && second <= 60) {
        return None;
    }
    let rest = text.get(19..)?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            (nanoseconds(fraction.get(..digits)?)?, fraction.get(digits..)?)
        }
    };
    Some(Instant(midnight + hour * 3600 + minute * 60 + second - offset(zone)?, nanos))
}

/// Seconds of a duration: numbers, each with its unit (w, d, h, m, s), such as `2h` or `1d12h`. At most 100 years.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = match after.as_bytes().first()? {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = after.get(1..)?;
    }
    (!text.is_empty() && total <= 100 * 366 * 86_400).then_some(total)
}

/// `now`, `now-2d` or `now+1h`: the seconds from now. None: the text is nothing of the kind.
pub(crate) fn from_now(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("now")?;
    match rest.split_at_checked(1) {
        None => Some(0),
        Some(("+", rest)) => duration(rest),
        Some(("-", rest)) => duration(rest).map(|seconds| -seconds),
        Some(_) => None,
    }
}

fn nanoseconds(digits: &str) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let kept: String = digits.chars().chain("000000000".chars()).take(9).collect();
    kept.parse().ok()
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let two = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u8>().ok())?.map(i64::from);
    Some(sign * (two(hours).filter(|hours| *hours < 24)? * 3600 + two(minutes).filter(|minutes| *minutes < 60)? * 60))
}

/// How many days a month has.
fn length(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days(next_year, next, 1) - days(year, month, 1)
}

/// Days since 1970-01-01 in the Gregorian calendar, counted with years that begin in March so that the leap day is last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_whatever_its_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2000-02-29T12:30:15.5Z", Some((951_827_415, 500_000_000))),
            ("2026-11-21T10:00:00+01:00", Some((1_795_251_600, 0))),
            ("2026-11-21T09:00:00Z", Some((1_795_251_600, 0))),
            ("2026-11-21 04:00:00-05:00", Some((1_795_251_600, 0))),
            ("1969-12-31T23:59:59.123456789999Z", Some((-1, 123_456_789))),
            ("2026-11-21", Some((1_795_219_200, 0))),
            ("2024-02-29", Some((1_709_164_800, 0))),
            ("2026-02-29", None),
            ("2026-04-31T00:00:00Z", None),
            ("2026-11-21T09:00:00", None),
            ("2026-13-21T09:00:00Z", None),
            ("2026-11-21T09:00:00.Z", None),
            ("2026-11-21T09:00:00+1:00", None),
            ("+026-11-21T09:00:00Z", None),
            ("né26-11-21T09:00:00Z", None),
            ("2026-11-2é", None),
        ] {
            assert_eq!(instant(text), expected.map(|(seconds, nanos)| Instant(seconds, nanos)), "{text}");
        }
    }

    #[test]
    fn a_date_may_be_a_number_too() {
        for (json, expected) in [
            ("1795251600", Some((1_795_251_600, 0))),
            ("1795251600.5", Some((1_795_251_600, 500_000_000))),
            ("1795251600123", Some((1_795_251_600, 123_000_000))),
            ("\"1795251600\"", Some((1_795_251_600, 0))),
            ("-1", Some((-1, 0))),
            ("1e300", None),
            ("\"soon\"", None),
            ("true", None),
        ] {
            assert_eq!(date(Json(json)), expected.map(|(seconds, nanos)| Instant(seconds, nanos)), "{json}");
        }
    }

    #[test]
    fn a_duration_is_numbers_with_their_units() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7200)),
            ("1d12h", Some(129_600)),
            ("2w", Some(1_209_600)),
            ("0s", Some(0)),
            ("", None),
            ("2", None),
            ("h", None),
            ("-2h", None),
            ("2H", None),
            ("P1D", None),
            ("99999999999999999999s", None),
            ("9999999w", None),
            ("2é", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
        for (text, seconds) in [
            ("now", Some(0)),
            ("now-2d", Some(-172_800)),
            ("now+1h", Some(3600)),
            ("now2d", None),
            ("now-", None),
            ("x", None),
        ] {
            assert_eq!(from_now(text), seconds, "{text}");
        }
    }
}
