//! The one reader of dates: whatever form a provider writes an instant in, `match`, `cel`, `event.time`, `wait.until` and
//! the lists of records read the same instant from it.
//!
//! | form | example |
//! |---|---|
//! | RFC 3339 | `2024-06-01T12:00:00.123Z`, `2024-06-01t12:00:00+02:00` |
//! | ISO 8601 with a short offset, or without seconds | `2024-06-01T12:00:00.000+0000`, `2024-06-01T12:00+02` |
//! | RFC 9557, Java | `2024-06-01T12:00:00+02:00[Europe/Berlin]` |
//! | with spaces | `2015-04-12 14:53:17 UTC`, `2015/04/12 14:53:17 -0700`, `2009-11-10 23:00:00 +0000 UTC` |
//! | RFC 5322 (formerly 2822), HTTP | `Sat, 1 Jun 2024 12:00:00 +0000`, `01 Jun 2024 12:00 GMT` |
//! | Twitter, Ruby | `Wed Oct 10 20:19:24 +0000 2018` |
//! | a day, which means its first instant in UTC | `2024-06-01` |
//! | seconds since 1970, and milliseconds from 100,000,000,000 on | `1717243200`, `1717243200.5`, `1717243200123` |
//!
//! A time without an offset is not accepted, because it is ambiguous.
//!
//! `host/model` compiles this same file, so that host and plugins cannot come to differ: it uses nothing but `core` and
//! `alloc`.

use std::fmt;

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;
/// Numbers from here on are milliseconds, since as seconds they would lie past the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;
/// The first second of the year 0 and the last of the year 9999.
const RANGE: (i64, i64) = (-62_167_219_200, 253_402_300_799);
/// Bytes of the longest text that is looked at.
const LONGEST: usize = 128;

/// An instant: seconds since 1970-01-01T00:00:00Z, and nanoseconds after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl Instant {
    /// Reads any of the forms above.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_text(text).or_else(|| Self::of_number(text))
    }

    /// Reads a date written as such, not a number.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        let read = match text.as_bytes().get(4) {
            Some(b'-' | b'/') if text.as_bytes().first().is_some_and(u8::is_ascii_digit) => iso(text),
            _ => named_month(text),
        };
        read.and_then(Self::checked)
    }

    /// Reads digits: seconds since 1970, or milliseconds where they are too many for that. To the millisecond.
    #[must_use]
    pub fn of_number(text: &str) -> Option<Self> {
        let text = text.trim();
        let begins = text.strip_prefix('-').unwrap_or(text);
        if text.len() > LONGEST || !begins.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let number = text.parse::<f64>().ok().filter(|number| number.abs() < 1e15)?;
        Self::of_millis(if number.abs() < MILLISECONDS_FROM { number * 1000.0 } else { number })
    }

    /// The instant so many milliseconds after 1970-01-01T00:00:00Z; none outside of the years 0 to 9999.
    #[must_use]
    pub fn of_millis(ms: f64) -> Option<Self> {
        if !ms.is_finite() || ms.abs() > 1e15 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)]
        let ms = ms.round() as i64;
        let nanos = u32::try_from(ms.rem_euclid(1000)).unwrap_or_default() * 1_000_000;
        Self { seconds: ms.div_euclid(1000), nanos }.checked()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; what is less than one is left out.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.seconds * 1000 + i64::from(self.nanos / 1_000_000)
    }

    /// The instant so many seconds later, or earlier.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self { seconds: self.seconds.saturating_add(seconds), ..self }
    }

    fn checked(self) -> Option<Self> {
        (RANGE.0..=RANGE.1).contains(&self.seconds).then_some(self)
    }
}

impl fmt::Display for Instant {
    /// RFC 3339 in UTC, with as many digits after the second as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Day { year, month, day } = Day::from_number(self.seconds.div_euclid(DAY_SECONDS));
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if self.nanos > 0 {
            write!(f, ".{}", format!("{:09}", self.nanos).trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// As astronomers count: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl Day {
    /// Days since 1970-01-01. Years are counted from March, so that the leap day is a year's last.
    #[must_use]
    pub fn number(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The day that is so many days after 1970-01-01.
    #[must_use]
    pub fn from_number(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self { year, month, day: of_year - (153 * from_march + 2) / 5 + 1 }
    }

    fn exists(self) -> bool {
        let is_leap = (self.year % 4 == 0 && self.year % 100 != 0) || self.year % 400 == 0;
        let length = match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=12).contains(&self.month) && (1..=length).contains(&self.day)
    }

    /// The instant of a clock time on this day.
    fn at(self, clock: Clock, east: i64) -> Option<Instant> {
        let seconds = self.number() * DAY_SECONDS + clock.second - east;
        self.exists().then_some(Instant { seconds, nanos: clock.nanos })
    }
}

/// A time of day: the second of it, and nanoseconds.
#[derive(Clone, Copy)]
struct Clock {
    second: i64,
    nanos: u32,
}

/// `2024-06-01`, alone or with a time and an offset behind it.
fn iso(text: &str) -> Option<Instant> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split(['-', '/']);
    let day = Day { year: digits(parts.next()?, 4)?, month: digits(parts.next()?, 2)?, day: digits(parts.next()?, 2)? };
    let is_mixed = date.contains('-') && date.contains('/');
    if is_mixed || parts.next().is_some() {
        return None;
    }
    if rest.is_empty() {
        return day.at(Clock { second: 0, nanos: 0 }, 0);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let end =
        rest.find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, ':' | '.' | ','))).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    day.at(time_of_day(clock)?, offset(zone.trim_start())?)
}

/// `[Sat,] 1 Jun 2024 12:00:00 +0000` (RFC 5322, section 3.3 and the zones and years of 4.3), and
/// `Wed Oct 10 20:19:24 +0000 2018`.
fn named_month(text: &str) -> Option<Instant> {
    // Text in parentheses is a comment.
    let text = text.split_once('(').map_or(text, |(before, _)| before);
    let mut words: Vec<&str> = text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).collect();
    if words.first().is_some_and(|word| is_weekday(word)) {
        words.remove(0);
    }
    let (day, month_name, year, clock, zone) = match words.as_slice() {
        [month_name, day, clock, zone, year] if month(month_name).is_some() => (day, month_name, year, clock, zone),
        [day, month_name, year, clock, zone] => (day, month_name, year, clock, zone),
        _ => return None,
    };
    let number: i64 = year.bytes().all(|byte| byte.is_ascii_digit()).then(|| year.parse().ok())??;
    let year = match (year.len(), number) {
        (2, 0..=49) => number + 2000,
        (2 | 3, _) => number + 1900,
        (4, _) => number,
        _ => return None,
    };
    let day = Day { year, month: month(month_name)?, day: digits(day, 2).or_else(|| digits(day, 1))? };
    day.at(time_of_day(clock)?, offset(zone)?)
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let word = word.to_ascii_lowercase();
    word.len() >= 3 && DAYS.iter().any(|day| *day == word || day.get(..3) == Some(word.as_str()))
}

fn month(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let place = MONTHS.iter().position(|month| word.eq_ignore_ascii_case(month))?;
    i64::try_from(place).ok().map(|place| place + 1)
}

/// `12:00`, `12:00:00` or `12:00:00.123`. A leap second counts as the second after.
fn time_of_day(text: &str) -> Option<Clock> {
    let (whole, nanos) = match text.split_once(['.', ',']) {
        None => (text, 0),
        Some((whole, fraction)) if whole.len() == 8 => (whole, nanoseconds(fraction)?),
        Some(_) => return None,
    };
    let mut parts = whole.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    let fits = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    fits.then_some(Clock { second: hour * 3600 + minute * 60 + second, nanos })
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    kept.parse().ok()
}

/// Seconds east of UTC: `Z`, `UTC`, `+02:00`, `+0200`, `+02`, a zone of RFC 5322; a name behind an offset says nothing more.
fn offset(zone: &str) -> Option<i64> {
    let zone = zone.split_once('[').filter(|(_, name)| name.ends_with(']')).map_or(zone, |(offset, _)| offset);
    let Some((sign, clock)) =
        zone.strip_prefix('+').map(|clock| (1, clock)).or_else(|| Some((-1, zone.strip_prefix('-')?)))
    else {
        return named_zone(zone);
    };
    let (clock, name) = clock.split_once(' ').unwrap_or((clock, ""));
    if !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let (hours, minutes) = match (clock.len(), clock.split_once(':')) {
        (5, Some((hours, minutes))) => (hours, minutes),
        (4, None) => clock.split_at_checked(2)?,
        (2, None) => (clock, "00"),
        _ => return None,
    };
    let hours = digits(hours, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(minutes, 2).filter(|minutes| *minutes < 60)?;
    Some(sign * (hours * 3600 + minutes * 60))
}

fn named_zone(name: &str) -> Option<i64> {
    let hours = match name.to_ascii_uppercase().as_str() {
        "Z" | "UTC" | "GMT" | "UT" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 3600)
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_as_its_instant_and_nothing_else_is() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../dates.json")).unwrap();
        for row in table["read"].as_array().unwrap() {
            let (written, instant) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
            assert_eq!(Instant::parse(written).map(|read| read.to_string()).as_deref(), Some(instant), "{written}");
        }
        for row in table["refused"].as_array().unwrap() {
            assert_eq!(Instant::parse(row.as_str().unwrap()), None, "{row}");
        }
    }

    #[test]
    fn every_day_is_found_again() {
        for day in (-719_528..2_932_896).step_by(37) {
            assert_eq!(Day::from_number(day).number(), day);
        }
        assert_eq!(Day::from_number(11_016), Day { year: 2000, month: 2, day: 29 });
        assert_eq!(Day::from_number(-1), Day { year: 1969, month: 12, day: 31 });
    }

    #[test]
    fn instants_are_compared_by_time_and_not_as_strings() {
        let (earlier, later) =
            (Instant::parse("2024-06-01T12:00:00.9+02:00"), Instant::parse("Sat, 1 Jun 2024 10:00:01 GMT"));
        assert!(earlier.unwrap() < later.unwrap());
        assert_eq!(Instant::of_millis(-1.0).unwrap().to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Instant::of_millis(-1.0).unwrap().millis(), -1);
        assert_eq!((Instant::of_millis(f64::NAN), Instant::of_millis(1e15)), (None, None));
    }
}
