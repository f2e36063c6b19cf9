//! RFC 3339 times as instants, so that different offsets compare rightly.

/// Seconds since 1970-01-01T00:00:00Z, and the digits of the fraction padded to nanoseconds.
pub(crate) type Instant = (i64, u32);

/// The instant that a text names, if it is an RFC 3339 date and time (section 5.6). A leap second counts as the second after.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|byte| wanted.contains(byte));
    let separated = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    if !separated {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !in_range {
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
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some((seconds, nanos))
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
            ("2026-11-21", None),
            ("2026-11-21T09:00:00", None),
            ("2026-13-21T09:00:00Z", None),
            ("2026-11-21T09:00:00.Z", None),
            ("2026-11-21T09:00:00+1:00", None),
            ("+026-11-21T09:00:00Z", None),
            ("né26-11-21T09:00:00Z", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }
}
