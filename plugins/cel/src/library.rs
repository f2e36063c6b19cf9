//! The language's functions that the interpreter leaves to its user: those about time, and regular expressions.

use cel::common::types::{CelBool, CelInt, CelString, DURATION_TYPE, TIMESTAMP_TYPE};
use cel::{DeclarationError, Env, ExecutionError};
use regex_lite::Regex;

use hookwright_sdk::dates::{DAY_SECONDS, Day, Instant};

use crate::calendar;
use crate::time::{Duration, SECOND, Timestamp};

/// The standard functions and these.
///
/// # Errors
/// Two functions share a name, which would be a fault of this program.
pub(crate) fn environment() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_type(TIMESTAMP_TYPE)?;
    env.add_type(DURATION_TYPE)?;
    regular_expressions(&mut env)?;
    conversions(&mut env)?;
    parts(&mut env)?;
    parts_in_zone(&mut env)?;
    Ok(env)
}

fn regular_expressions(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>, id = "matches")?;
    cel::add_member_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>, id = "matches_string")
}

fn conversions(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_overload!(env, fn timestamp_of_text: (CelString) -> Result<Timestamp>, name = "timestamp", id = "string_to_timestamp")?;
    cel::add_overload!(env, fn timestamp_of_int: (CelInt) -> Result<Timestamp>, name = "timestamp", id = "int64_to_timestamp")?;
    cel::add_overload!(env, fn same_timestamp: (Timestamp) -> Timestamp, name = "timestamp", id = "timestamp_to_timestamp")?;
    cel::add_overload!(env, fn int_of_timestamp: (Timestamp) -> CelInt, name = "int", id = "timestamp_to_int64")?;
    cel::add_overload!(env, fn text_of_timestamp: (Timestamp) -> CelString, name = "string", id = "timestamp_to_string")?;
    cel::add_overload!(env, fn duration_of_text: (CelString) -> Result<Duration>, name = "duration", id = "string_to_duration")?;
    cel::add_overload!(env, fn same_duration: (Duration) -> Duration, name = "duration", id = "duration_to_duration")?;
    cel::add_overload!(env, fn text_of_duration: (Duration) -> CelString, name = "string", id = "duration_to_string")
}

fn parts(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_member_overload!(env, fn get_full_year: (Timestamp) -> CelInt, id = "timestamp_to_year")?;
    cel::add_member_overload!(env, fn get_month: (Timestamp) -> CelInt, id = "timestamp_to_month")?;
    cel::add_member_overload!(env, fn get_date: (Timestamp) -> CelInt, id = "timestamp_to_day_of_month_1_based")?;
    cel::add_member_overload!(env, fn get_day_of_month: (Timestamp) -> CelInt, id = "timestamp_to_day_of_month")?;
    cel::add_member_overload!(env, fn get_day_of_week: (Timestamp) -> CelInt, id = "timestamp_to_day_of_week")?;
    cel::add_member_overload!(env, fn get_day_of_year: (Timestamp) -> CelInt, id = "timestamp_to_day_of_year")?;
    cel::add_member_overload!(env, fn get_hours: (Timestamp) -> CelInt, id = "timestamp_to_hours")?;
    cel::add_member_overload!(env, fn get_minutes: (Timestamp) -> CelInt, id = "timestamp_to_minutes")?;
    cel::add_member_overload!(env, fn get_seconds: (Timestamp) -> CelInt, id = "timestamp_to_seconds")?;
    cel::add_member_overload!(env, fn get_milliseconds: (Timestamp) -> CelInt, id = "timestamp_to_millis")?;
    cel::add_member_overload!(env, fn all_hours: (Duration) -> CelInt, name = "getHours", id = "duration_to_hours")?;
    cel::add_member_overload!(env, fn all_minutes: (Duration) -> CelInt, name = "getMinutes", id = "duration_to_minutes")?;
    cel::add_member_overload!(env, fn all_seconds: (Duration) -> CelInt, name = "getSeconds", id = "duration_to_seconds")?;
    cel::add_member_overload!(env, fn all_milliseconds: (Duration) -> CelInt, name = "getMilliseconds", id = "duration_to_milliseconds")
}

fn parts_in_zone(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_member_overload!(env, fn year_at: (Timestamp, CelString) -> Result<CelInt>, name = "getFullYear", id = "timestamp_to_year_with_tz")?;
    cel::add_member_overload!(env, fn month_at: (Timestamp, CelString) -> Result<CelInt>, name = "getMonth", id = "timestamp_to_month_with_tz")?;
    cel::add_member_overload!(env, fn date_at: (Timestamp, CelString) -> Result<CelInt>, name = "getDate", id = "timestamp_to_day_of_month_1_based_with_tz")?;
    cel::add_member_overload!(env, fn day_of_month_at: (Timestamp, CelString) -> Result<CelInt>, name = "getDayOfMonth", id = "timestamp_to_day_of_month_with_tz")?;
    cel::add_member_overload!(env, fn day_of_week_at: (Timestamp, CelString) -> Result<CelInt>, name = "getDayOfWeek", id = "timestamp_to_day_of_week_with_tz")?;
    cel::add_member_overload!(env, fn day_of_year_at: (Timestamp, CelString) -> Result<CelInt>, name = "getDayOfYear", id = "timestamp_to_day_of_year_with_tz")?;
    cel::add_member_overload!(env, fn hours_at: (Timestamp, CelString) -> Result<CelInt>, name = "getHours", id = "timestamp_to_hours_with_tz")?;
    cel::add_member_overload!(env, fn minutes_at: (Timestamp, CelString) -> Result<CelInt>, name = "getMinutes", id = "timestamp_to_minutes_with_tz")?;
    cel::add_member_overload!(env, fn seconds_at: (Timestamp, CelString) -> Result<CelInt>, name = "getSeconds", id = "timestamp_to_seconds_with_tz")?;
    cel::add_member_overload!(env, fn milliseconds_at: (Timestamp, CelString) -> Result<CelInt>, name = "getMilliseconds", id = "timestamp_to_millis_with_tz")
}

fn matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    let regex = Regex::new(pattern.inner()).map_err(|error| {
        ExecutionError::function_error("matches", format!("`{}` is not a regular expression: {error}", pattern.inner()))
    })?;
    Ok(CelBool::from(regex.is_match(text.inner())))
}

fn timestamp_of_text(text: &CelString<'_>) -> Result<Timestamp, ExecutionError> {
    Timestamp::parse(text.inner()).ok_or_else(|| {
        let problem = format!(
            "\"{}\" is not a date with an offset, of the years 1 to 9999, such as \"2026-01-31T08:00:00Z\"",
            text.inner()
        );
        ExecutionError::function_error("timestamp", problem)
    })
}

/// Seconds since 1970, as the language has it, and milliseconds from 10^11 on, as everywhere else in Hookwright.
fn timestamp_of_int(number: &CelInt) -> Result<Timestamp, ExecutionError> {
    Instant::of_number(&number.inner().to_string()).and_then(Timestamp::of).ok_or_else(|| {
        let problem =
            format!("{} since 1970, in seconds or milliseconds, is not in the years 1 to 9999", number.inner());
        ExecutionError::function_error("timestamp", problem)
    })
}

fn same_timestamp(instant: &Timestamp) -> Timestamp {
    *instant
}

fn int_of_timestamp(instant: &Timestamp) -> CelInt {
    CelInt::from(instant.seconds)
}

fn text_of_timestamp(instant: &Timestamp) -> CelString<'static> {
    CelString::from(instant.to_string())
}

fn duration_of_text(text: &CelString<'_>) -> Result<Duration, ExecutionError> {
    Duration::parse(text.inner()).ok_or_else(|| {
        let problem = format!(
            "\"{}\" is not a duration: write numbers with h, m, s, ms, us or ns, such as \"1h30m\"",
            text.inner()
        );
        ExecutionError::function_error("duration", problem)
    })
}

fn same_duration(duration: &Duration) -> Duration {
    *duration
}

fn text_of_duration(duration: &Duration) -> CelString<'static> {
    CelString::from(duration.to_string())
}

fn date(instant: &Timestamp) -> Day {
    Day::from_number(instant.seconds.div_euclid(DAY_SECONDS))
}

fn of_day(instant: &Timestamp) -> i64 {
    instant.seconds.rem_euclid(DAY_SECONDS)
}

fn get_full_year(instant: &Timestamp) -> CelInt {
    CelInt::from(date(instant).year)
}

/// 0 to 11, as the language has it.
fn get_month(instant: &Timestamp) -> CelInt {
    CelInt::from(date(instant).month - 1)
}

/// 1 to 31.
fn get_date(instant: &Timestamp) -> CelInt {
    CelInt::from(date(instant).day)
}

/// 0 to 30, as the language has it.
fn get_day_of_month(instant: &Timestamp) -> CelInt {
    CelInt::from(date(instant).day - 1)
}

/// 0 is Sunday; 1970-01-01 was a Thursday.
fn get_day_of_week(instant: &Timestamp) -> CelInt {
    CelInt::from((instant.seconds.div_euclid(DAY_SECONDS) + 4).rem_euclid(7))
}

/// 0 to 365.
fn get_day_of_year(instant: &Timestamp) -> CelInt {
    let first = Day { month: 1, day: 1, ..date(instant) };
    CelInt::from(instant.seconds.div_euclid(DAY_SECONDS) - first.number())
}

fn get_hours(instant: &Timestamp) -> CelInt {
    CelInt::from(of_day(instant) / 3600)
}

fn get_minutes(instant: &Timestamp) -> CelInt {
    CelInt::from(of_day(instant) / 60 % 60)
}

fn get_seconds(instant: &Timestamp) -> CelInt {
    CelInt::from(of_day(instant) % 60)
}

fn get_milliseconds(instant: &Timestamp) -> CelInt {
    CelInt::from(i64::from(instant.nanos) / 1_000_000)
}

fn all_hours(duration: &Duration) -> CelInt {
    CelInt::from(duration.nanos / (3600 * SECOND))
}

fn all_minutes(duration: &Duration) -> CelInt {
    CelInt::from(duration.nanos / (60 * SECOND))
}

fn all_seconds(duration: &Duration) -> CelInt {
    CelInt::from(duration.nanos / SECOND)
}

fn all_milliseconds(duration: &Duration) -> CelInt {
    CelInt::from(duration.nanos / 1_000_000)
}

/// The instant whose parts in UTC are the parts of `instant` in the zone.
fn moved(instant: &Timestamp, zone: &CelString<'_>) -> Result<Timestamp, ExecutionError> {
    let text = zone.inner();
    let east = if matches!(text, "" | "UTC" | "Z") { Some(0) } else { calendar::offset(text) };
    let east = east.ok_or_else(|| {
        let problem = format!("the time zone \"{text}\" is not known: write an offset such as \"+02:00\", or \"UTC\"");
        ExecutionError::function_error("timezone", problem)
    })?;
    Ok(Timestamp { seconds: instant.seconds + east, nanos: instant.nanos })
}

fn year_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_full_year(&instant))
}

fn month_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_month(&instant))
}

fn date_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_date(&instant))
}

fn day_of_month_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_day_of_month(&instant))
}

fn day_of_week_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_day_of_week(&instant))
}

fn day_of_year_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_day_of_year(&instant))
}

fn hours_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_hours(&instant))
}

fn minutes_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_minutes(&instant))
}

fn seconds_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_seconds(&instant))
}

fn milliseconds_at(instant: &Timestamp, zone: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    moved(instant, zone).map(|instant| get_milliseconds(&instant))
}
