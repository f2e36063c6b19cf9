//! The Gregorian calendar and RFC 3339 texts, in seconds since 1970-01-01T00:00:00Z.

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is a year's last.
pub(crate) fn days(date: Date) -> i64 {
    let year = if date.month <= 2 { date.year - 1 } else { date.year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The day that is so many days after 1970-01-01.
pub(crate) fn date(days: i64) -> Date {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Date { year, month, day: of_year - (153 * from_march + 2) / 5 + 1 }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds and nanoseconds of an RFC 3339 date and time (section 5.6). A leap second counts as the second after.
pub(crate) fn instant(text: &str) -> Option<(i64, u32)> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let date = Date { year: number(0, 4)?, month: number(5, 7)?, day: number(8, 10)? };
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_date = (1..=12).contains(&date.month) && (1..=length(date.year, date.month)).contains(&date.day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let digits = fraction.get(..count).filter(|digits| !digits.is_empty())?;
            let padded: String = digits.chars().chain("000000000".chars()).take(9).collect();
            (padded.parse().ok()?, fraction.get(count..)?)
        }
    };
    let east = if matches!(zone, "Z" | "z") { 0 } else { offset(zone)? };
    Some((days(date) * DAY + hour * 3600 + minute * 60 + second - east, nanos))
}

/// Seconds east of UTC that a text such as `+02:00` or `-05:30` says; a missing sign is a plus.
pub(crate) fn offset(zone: &str) -> Option<i64> {
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => (1, zone),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let two = |digits: &str, most: i64| -> Option<i64> {
        let is_two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| digits.parse::<i64>().ok())?.filter(|number| *number <= most)
    };
    Some(sign * (two(hours, 23)? * 3600 + two(minutes, 59)? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_found_again() {
        for day in (-800_000..800_000).step_by(37) {
            assert_eq!(days(date(day)), day);
        }
        assert_eq!(date(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(date(11_016), Date { year: 2000, month: 2, day: 29 });
        assert_eq!(date(-1), Date { year: 1969, month: 12, day: 31 });
    }

    #[test]
    fn a_text_is_an_instant_whatever_its_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2000-02-29T12:30:15.5Z", Some((951_827_415, 500_000_000))),
            ("2026-11-21T10:00:00+01:00", Some((1_795_251_600, 0))),
            ("2026-11-21t04:00:00-05:00", Some((1_795_251_600, 0))),
            ("2026-02-29T00:00:00Z", None),
            ("2026-11-31T00:00:00Z", None),
            ("2026-11-21T24:00:00Z", None),
            ("2026-11-21", None),
            ("2026-11-21T09:00:00", None),
            ("2026-11-21T09:00:00.Z", None),
            ("né26-11-21T09:00:00Z", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }
}
