//! Cron patterns with fixed times on days on which clocks change, by the rule of Debian's cron (cron(8)). A pattern
//! with a `*` for minutes or hours follows the clock, also through an hour that the clock repeats or skips. Any other
//! pattern names times of day, each of which occurs once: a time that the clock skips occurs at the instant when the
//! clock is set forward; a time that the clock repeats occurs the first time only.

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;

/// A change of the clock by more hours is a correction: the times that it skips do not occur.
const MAX_CHANGE_HOURS: i64 = 3;

/// How far a zone's clock is from UTC at most, in hours, with a day's change of it.
const MAX_OFFSET_HOURS: i64 = 40;

/// How many times of day are tried to find one: all seconds of three hours that the clock repeats, and more.
const MAX_STEPS: usize = 20_000;

/// Whether a pattern names times of day rather than intervals.
pub(crate) fn is_fixed(cron: &Cron) -> bool {
    !cron.pattern.minutes.from_wildcard && !cron.pattern.hours.from_wildcard
}

/// The first time after `after`.
pub(crate) fn next(cron: &Cron, zone: Tz, after: DateTime<Tz>) -> Option<DateTime<Tz>> {
    // The instants of later times of day are never earlier, so the first later one is the next.
    let mut clock = after.naive_local();
    for _ in 0..MAX_STEPS {
        clock = cron.find_next_occurrence(&clock.and_utc(), false).ok()?.naive_utc();
        if let Some(at) = instant(zone, clock).filter(|at| *at > after) {
            return Some(at);
        }
    }
    None
}

/// The last time before `before`.
pub(crate) fn previous(cron: &Cron, zone: Tz, before: DateTime<Tz>) -> Option<DateTime<Tz>> {
    let mut clock = before.naive_local();
    if let MappedLocalTime::Ambiguous(first, second) = zone.from_local_datetime(&clock)
        && before == second
    {
        // The whole range that the clock repeats has occurred once before.
        clock = clock.checked_add_signed(second.signed_duration_since(first))?;
    }
    for _ in 0..MAX_STEPS {
        clock = cron.find_previous_occurrence(&clock.and_utc(), false).ok()?.naive_utc();
        if let Some(at) = instant(zone, clock).filter(|at| *at < before) {
            return Some(at);
        }
    }
    None
}

/// When a time of day occurs. `None`: it does not.
fn instant(zone: Tz, clock: NaiveDateTime) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&clock) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at),
        MappedLocalTime::None => forward(zone, clock),
    }
}

/// The instant at which the clock is set forward over a time of day.
fn forward(zone: Tz, clock: NaiveDateTime) -> Option<DateTime<Tz>> {
    let clock_at = |seconds: i64| {
        DateTime::<Utc>::from_timestamp(seconds, 0).map(|at| at.with_timezone(&zone)).map(|at| (at.naive_local(), at))
    };
    let middle = clock.and_utc().timestamp();
    let far = Duration::hours(MAX_OFFSET_HOURS).num_seconds();
    // The clock shows an earlier time at `early` and a later one at `late`.
    let (mut early, mut late) = (middle.checked_sub(far)?, middle.checked_add(far)?);
    while late.saturating_sub(early) > 1 {
        let between = early.midpoint(late);
        if clock_at(between)?.0 < clock { early = between } else { late = between }
    }
    let left_out = clock_at(late)?.0.signed_duration_since(clock_at(early)?.0);
    (left_out <= Duration::hours(MAX_CHANGE_HOURS)).then(|| clock_at(late)).flatten().map(|(_, at)| at)
}
