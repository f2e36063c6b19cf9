//! Timestamps and durations as values of the language (its definition, "Abstract types" and "Timezones").

use std::any::Any;
use std::cmp::Ordering;
use std::fmt;

use cel::ExecutionError;
use cel::common::traits::{Adder, Comparer, Subtractor};
use cel::common::types::{DURATION_TYPE, TIMESTAMP_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};

use hookwright_sdk::dates::Instant;

/// Nanoseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// The first second of year 1 and the last of year 9999, between which timestamps lie.
const RANGE: (i64, i64) = (-62_135_596_800, 253_402_300_799);

static TIMESTAMP: Type = TIMESTAMP_TYPE;
static DURATION: Type = DURATION_TYPE;

/// An instant: seconds since 1970-01-01T00:00:00Z, and the nanoseconds after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// A length of time in nanoseconds, up to 292 years either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duration {
    pub(crate) nanos: i64,
}

impl Timestamp {
    /// `None` outside of the years 1 to 9999.
    pub(crate) fn new(seconds: i64, nanos: u32) -> Option<Self> {
        (RANGE.0..=RANGE.1).contains(&seconds).then_some(Self { seconds, nanos })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Instant::parse(text).and_then(Self::of)
    }

    pub(crate) fn of(Instant { seconds, nanos }: Instant) -> Option<Self> {
        Self::new(seconds, nanos)
    }

    fn moved(self, nanos: i128) -> Option<Self> {
        let all = i128::from(self.seconds) * i128::from(SECOND) + i128::from(self.nanos) + nanos;
        let seconds = i64::try_from(all.div_euclid(i128::from(SECOND))).ok()?;
        Self::new(seconds, u32::try_from(all.rem_euclid(i128::from(SECOND))).ok()?)
    }

    fn since(self, other: Self) -> Option<Duration> {
        let seconds = i128::from(self.seconds) - i128::from(other.seconds);
        let nanos = seconds * i128::from(SECOND) + i128::from(self.nanos) - i128::from(other.nanos);
        i64::try_from(nanos).ok().map(|nanos| Duration { nanos })
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many digits after the second as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Instant { seconds: self.seconds, nanos: self.nanos }.fmt(f)
    }
}

impl Duration {
    /// Reads `1h30m`, `-1.5s`, `300ms`: numbers with the units h, m, s, ms, us and ns.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sign, mut rest) = match text.split_at_checked(1)? {
            ("-", rest) => (-1, rest),
            ("+", rest) => (1, rest),
            _ => (1, text),
        };
        if rest == "0" {
            return Some(Self { nanos: 0 });
        }
        let mut nanos = 0_i128;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
            let (number, after) = rest.split_at(end);
            let unit_end =
                after.find(|character: char| character.is_ascii_digit() || character == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_end);
            let unit: i128 = match unit {
                "h" => 3_600_000_000_000,
                "m" => 60_000_000_000,
                "s" => 1_000_000_000,
                "ms" => 1_000_000,
                "us" | "µs" | "μs" => 1000,
                "ns" => 1,
                _ => return None,
            };
            nanos = nanos.checked_add(scaled(number, unit)?)?;
            rest = after;
        }
        i64::try_from(sign * nanos).ok().map(|nanos| Self { nanos })
    }
}

/// A decimal number times a unit; what is less than one is left out.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let has_digits = !whole.is_empty() || !part.is_empty();
    if !has_digits || part.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Twelve digits are more than the smallest part of the greatest unit has.
    let digits: String = part.chars().chain("000000000000".chars()).take(12).collect();
    let part: i128 = digits.parse().ok()?;
    Some(whole * unit + part * unit / 1_000_000_000_000)
}

impl fmt::Display for Duration {
    /// Seconds, as the language writes them: `5400s`, `-1.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        let second = SECOND.unsigned_abs();
        let part = u32::try_from(nanos % second).unwrap_or_default();
        write!(f, "{sign}{}{}s", nanos / second, fraction(part))
    }
}

/// The digits after a whole second, with the point; nothing if there are none.
fn fraction(nanos: u32) -> String {
    if nanos == 0 { String::new() } else { format!(".{nanos:09}").trim_end_matches('0').to_owned() }
}

fn overflow(operator: &str) -> ExecutionError {
    ExecutionError::function_error(operator, "the result is beyond what a timestamp or a duration can be")
}

fn unsupported(operator: &str, a: &dyn Val, b: &dyn Val) -> ExecutionError {
    ExecutionError::no_such_overload(operator, vec![a.get_type().name().into(), b.get_type().name().into()])
}

impl Val for Timestamp {
    fn get_type(&self) -> &Type {
        &TIMESTAMP
    }

    fn cel_type() -> &'static Type {
        &TIMESTAMP
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Timestamp {}

impl Adder for Timestamp {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(duration) = other.downcast_ref::<Duration>() else { return Err(unsupported("_+_", self, other)) };
        self.moved(duration.nanos.into()).map(CowVal::owned).ok_or_else(|| overflow("_+_"))
    }
}

impl Subtractor for Timestamp {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        if let Some(duration) = other.downcast_ref::<Duration>() {
            return self.moved(-i128::from(duration.nanos)).map(CowVal::owned).ok_or_else(|| overflow("_-_"));
        }
        let Some(instant) = other.downcast_ref::<Self>() else { return Err(unsupported("_-_", self, other)) };
        self.since(*instant).map(CowVal::owned).ok_or_else(|| overflow("_-_"))
    }
}

impl Comparer for Timestamp {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        other.downcast_ref::<Self>().map(|other| self.cmp(other)).ok_or_else(|| unsupported("_<_", self, other))
    }
}

impl Val for Duration {
    fn get_type(&self) -> &Type {
        &DURATION
    }

    fn cel_type() -> &'static Type {
        &DURATION
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Duration {}

impl Adder for Duration {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        if let Some(instant) = other.downcast_ref::<Timestamp>() {
            return instant.moved(self.nanos.into()).map(CowVal::owned).ok_or_else(|| overflow("_+_"));
        }
        let Some(other) = other.downcast_ref::<Self>() else { return Err(unsupported("_+_", self, other)) };
        let sum = self.nanos.checked_add(other.nanos).ok_or_else(|| overflow("_+_"))?;
        Ok(CowVal::owned(Self { nanos: sum }))
    }
}

impl Subtractor for Duration {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(other) = other.downcast_ref::<Self>() else { return Err(unsupported("_-_", self, other)) };
        let difference = self.nanos.checked_sub(other.nanos).ok_or_else(|| overflow("_-_"))?;
        Ok(CowVal::owned(Self { nanos: difference }))
    }
}

impl Comparer for Duration {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        other.downcast_ref::<Self>().map(|other| self.cmp(other)).ok_or_else(|| unsupported("_<_", self, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_and_written() {
        for (text, expected) in [
            ("1h30m", Some("5400s")),
            ("-1.5s", Some("-1.5s")),
            ("300ms", Some("0.3s")),
            ("1h2m3s4ms5us6ns", Some("3723.004005006s")),
            (".5m", Some("30s")),
            ("0", Some("0s")),
            ("-0", Some("0s")),
            ("", None),
            ("-", None),
            ("5", None),
            ("5d", None),
            ("h", None),
            ("1.2.3s", None),
            ("99999999999999h", None),
        ] {
            assert_eq!(Duration::parse(text).map(|duration| duration.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_date_is_read_as_everywhere_else() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../sdk/dates.json")).unwrap();
        for row in table["read"].as_array().unwrap() {
            let read = Timestamp::parse(row[0].as_str().unwrap()).map(|read| read.to_string());
            assert_eq!(read.as_deref(), row[1].as_str(), "{row}");
        }
        for row in table["refused"].as_array().unwrap() {
            assert_eq!(Timestamp::parse(row.as_str().unwrap()), None, "{row}");
        }
    }

    #[test]
    fn a_timestamp_is_written_in_utc() {
        for (text, expected) in [
            ("2026-11-21T10:00:00+01:00", Some("2026-11-21T09:00:00Z")),
            ("1969-12-31T23:59:59.25Z", Some("1969-12-31T23:59:59.25Z")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("0000-12-31T00:00:00Z", None),
            ("0001-01-01T00:00:00+01:00", None),
            ("9999-12-31T23:59:59.999999999Z", Some("9999-12-31T23:59:59.999999999Z")),
        ] {
            assert_eq!(Timestamp::parse(text).map(|instant| instant.to_string()).as_deref(), expected, "{text}");
        }
    }
}
