//! The times of a schedule.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use hookwright_model::{Mistakes, Schedule, Timestamp};

use crate::fixed_times;

/// The times of a schedule.
pub enum Timetable {
    /// By a pattern, in a time zone.
    Cron(Box<Cron>, Tz),
    /// Every so many milliseconds from an instant on.
    Every {
        /// The first time.
        from: Timestamp,
        /// The milliseconds between two times.
        millis: i64,
    },
}

/// The times up to an instant, of which the newest are known.
pub(crate) struct Past {
    /// The oldest first.
    pub(crate) times: Vec<Timestamp>,
    /// Whether there are older ones still.
    pub(crate) more: bool,
}

impl Timetable {
    /// The times of a schedule.
    ///
    /// # Errors
    /// The pattern or the time zone is not valid.
    pub fn of(schedule: &Schedule) -> Result<Self, Mistakes> {
        Self::new(schedule.cron.as_deref(), schedule.every_seconds, &schedule.timezone, schedule.updated_at)
    }

    /// The times of a pattern in a zone, or times that are so many seconds apart, beginning at `from`.
    ///
    /// # Errors
    /// The pattern or the zone is not valid.
    pub fn new(
        cron: Option<&str>,
        every_seconds: Option<u64>,
        timezone: &str,
        from: Timestamp,
    ) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let zone: Option<Tz> = timezone.parse().ok();
        if zone.is_none() {
            let shown = hookwright_model::abridged(timezone);
            mistakes.add("timezone", format!("`{shown}` is not a time zone: give an IANA name, such as Europe/Berlin"));
        }
        let cron = match cron {
            None => None,
            Some(pattern) if pattern.len() > 256 => {
                mistakes.add("cron", format!("has {} bytes: at most 256", pattern.len()));
                None
            }
            Some(pattern) => match parser().parse(pattern) {
                Ok(cron) => Some(cron),
                Err(error) => {
                    let message = format!(
                        "`{pattern}` is not a cron pattern ({error}): give five fields, such as `*/5 * * * *`, or six with \
                         seconds first"
                    );
                    mistakes.add("cron", message);
                    None
                }
            },
        };
        mistakes.check()?;
        Ok(match (cron, zone) {
            (Some(cron), Some(zone)) => Self::Cron(Box::new(cron), zone),
            _ => {
                let seconds = i64::try_from(every_seconds.unwrap_or(1).max(1)).unwrap_or(i64::MAX);
                // From the last change on, so that the times stay the same however long the server is stopped.
                Self::Every { from, millis: seconds.saturating_mul(1000) }
            }
        })
    }

    /// The first time after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron, zone) => {
                let after = local(after, *zone)?;
                let next = if fixed_times::is_fixed(cron) {
                    fixed_times::next(cron, *zone, after)
                } else {
                    cron.find_next_occurrence(&after, false).ok()
                };
                next.map(|at| Timestamp::from_millis(at.timestamp_millis()))
            }
            Self::Every { from, millis } => {
                let passed = after.millis().saturating_sub(from.millis()).div_euclid(*millis);
                let next = passed.max(0).saturating_add(1).saturating_mul(*millis);
                Some(Timestamp::from_millis(from.millis().saturating_add(next)))
            }
        }
    }

    /// The times from `first` to `now`, the newest `most` of them. `first` is one of them.
    pub(crate) fn past(&self, first: Timestamp, now: Timestamp, most: usize) -> Past {
        let mut times = Vec::new();
        let mut more = false;
        let mut last = now.after(std::time::Duration::from_millis(1));
        while let Some(at) = self.before(last).filter(|at| *at >= first) {
            if times.len() >= most {
                more = true;
                break;
            }
            times.push(at);
            last = at;
        }
        if times.is_empty() {
            // The time itself was stored, so it counts whatever the zone's present rules say.
            times.push(first);
        }
        times.reverse();
        Past { times, more }
    }

    /// The last time before `before`.
    fn before(&self, before: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron, zone) => {
                // All times are whole seconds. A search that starts within a second skips the time at its beginning, so
                // it starts from the next second.
                let millis = before.millis().rem_euclid(1000);
                let next_second = if millis == 0 { 0 } else { 1000_i64.saturating_sub(millis) };
                let before = local(Timestamp::from_millis(before.millis().saturating_add(next_second)), *zone)?;
                let found = if fixed_times::is_fixed(cron) {
                    fixed_times::previous(cron, *zone, before)
                } else {
                    cron.find_previous_occurrence(&before, false).ok()
                };
                found.map(|at| Timestamp::from_millis(at.timestamp_millis()))
            }
            Self::Every { from, millis } => {
                let passed = before.millis().saturating_sub(1).saturating_sub(from.millis()).div_euclid(*millis);
                (passed > 0)
                    .then(|| Timestamp::from_millis(from.millis().saturating_add(passed.saturating_mul(*millis))))
            }
        }
    }
}

fn local(at: Timestamp, zone: Tz) -> Option<DateTime<Tz>> {
    DateTime::<Utc>::from_timestamp_millis(at.millis()).map(|at| at.with_timezone(&zone))
}

/// Reads patterns of five fields, or six with seconds first. Without years: undocumented fields would be accepted too.
fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use hookwright_model::{Missed, ScheduleId, ScheduleStatus};

    use super::*;

    fn schedule(cron: Option<&str>, every_seconds: Option<u64>, timezone: &str) -> Schedule {
        Schedule {
            id: ScheduleId(1),
            name: "s".into(),
            cron: cron.map(str::to_owned),
            every_seconds,
            timezone: timezone.into(),
            missed: Missed::Once,
            overlap: false,
            event_type: Some("a".into()),
            data: None,
            for_each: None,
            workflow: None,
            input: None,
            enabled: true,
            revision: 1,
            created_at: at("2026-01-01T00:00:00Z"),
            updated_at: at("2026-01-01T00:00:00Z"),
            status: ScheduleStatus::default(),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_next_time_is_that_of_the_pattern_in_its_zone() {
        for (cron, zone, after, next) in [
            ("*/5 * * * *", "UTC", "2026-11-21T10:02:00Z", "2026-11-21T10:05:00.000Z"),
            ("*/5 * * * *", "UTC", "2026-11-21T10:05:00Z", "2026-11-21T10:10:00.000Z"),
            ("*/10 * * * * *", "UTC", "2026-11-21T10:02:03.500Z", "2026-11-21T10:02:10.000Z"),
            ("0 9 * * MON-FRI", "Europe/Berlin", "2026-11-20T12:00:00Z", "2026-11-23T08:00:00.000Z"),
            // Summer and winter: nine o'clock is nine o'clock.
            ("0 9 * * *", "Europe/Berlin", "2026-07-01T12:00:00Z", "2026-07-02T07:00:00.000Z"),
            ("0 9 * * *", "America/New_York", "2026-11-21T10:00:00Z", "2026-11-21T14:00:00.000Z"),
        ] {
            let table = Timetable::of(&schedule(Some(cron), None, zone)).unwrap();
            assert_eq!(table.next(at(after)).unwrap().to_string(), next, "{cron} {zone}");
        }
        // The 30th of February never comes.
        assert!(
            Timetable::of(&schedule(Some("0 0 30 2 *"), None, "UTC"))
                .unwrap()
                .next(at("2026-01-01T00:00:00Z"))
                .is_none()
        );
    }

    #[test]
    fn a_skipped_or_repeated_hour_gives_one_time_a_day() {
        // 2026-03-29: 02:00 becomes 03:00. 2026-10-25: 03:00 becomes 02:00.
        for (first, last) in
            [("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"), ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z")]
        {
            let table = Timetable::of(&schedule(Some("30 2 * * *"), None, "Europe/Berlin")).unwrap();
            let (mut time, mut count) = (at(first), 0);
            while let Some(next) = table.next(time).filter(|next| *next < at(last)) {
                (time, count) = (next, count + 1);
            }
            assert_eq!(count, 2, "{first}");
        }
    }

    /// Every time of a pattern in a range of instants, forwards; backwards it gives the same.
    fn times(cron: &str, zone: &str, first: &str, last: &str) -> Vec<String> {
        let table = Timetable::of(&schedule(Some(cron), None, zone)).unwrap();
        let (first, last) = (at(first), at(last));
        let forwards: Vec<_> = std::iter::successors(table.next(first), |time| table.next(*time))
            .take_while(|time| *time < last)
            .collect();
        let mut backwards: Vec<_> = std::iter::successors(table.before(last), |time| table.before(*time))
            .take_while(|time| *time > first)
            .collect();
        backwards.reverse();
        assert_eq!(forwards, backwards, "{cron} {zone}");
        forwards.into_iter().map(|time| time.to_string().replace(":00.000Z", "Z")).collect()
    }

    #[test]
    fn on_the_days_when_clocks_change_times_follow_the_rule_of_debians_cron() {
        // New York: 2027-03-14 07:00Z, 02:00 becomes 03:00; 2027-11-07 06:00Z, 02:00 becomes 01:00.
        let (spring, autumn) =
            (("2027-03-14T05:00:00Z", "2027-03-15T03:59:00Z"), ("2027-11-07T04:00:00Z", "2027-11-08T04:59:00Z"));
        let spring = |cron| times(cron, "America/New_York", spring.0, spring.1);
        let autumn = |cron| times(cron, "America/New_York", autumn.0, autumn.1);
        for (cron, expected) in [
            // Fixed times come once.
            ("0 1,13 * * *", vec!["05:00", "18:00"]),
            ("15,45 1 * * *", vec!["05:15", "05:45"]),
            ("0 0-2 * * *", vec!["05:00", "07:00"]),
            ("30 1 * * *", vec!["05:30"]),
            ("0 1-5/2 * * *", vec!["05:00", "08:00", "10:00"]),
            // With a `*` they follow the clock.
            ("30 */12 * * *", vec!["04:30", "17:30"]),
            ("*/30 1 * * *", vec!["05:00", "05:30", "06:00", "06:30"]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(|time| format!("2027-11-07T{time}Z")).collect();
            assert_eq!(autumn(cron), expected, "{cron}");
        }
        assert_eq!(autumn("30 * * * *").len(), 25);
        for (cron, expected) in [
            // What the clock leaves out comes when it goes forward.
            ("0 1,13 * * *", vec!["06:00", "17:00"]),
            ("30 2 * * *", vec!["07:00"]),
            ("15,45 2 * * *", vec!["07:00"]),
            ("15,45 2,3 * * *", vec!["07:00", "07:15", "07:45"]),
            ("0 2-4 * * *", vec!["07:00", "08:00"]),
            ("*/30 2 * * *", vec![]),
            ("*/30 1-3 * * *", vec!["06:00", "06:30", "07:00", "07:30"]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(|time| format!("2027-03-14T{time}Z")).collect();
            assert_eq!(spring(cron), expected, "{cron}");
        }
        assert_eq!(spring("30 * * * *").len(), 23);
        // A time of day comes on every day, whatever the clock does: half an hour at Lord Howe, across midnight in Beirut.
        for (zone, cron) in [
            ("Europe/Berlin", "15,45 2 * * *"),
            ("Australia/Lord_Howe", "50 1 * * *"),
            ("Australia/Lord_Howe", "10,20 2 * * *"),
            ("Asia/Beirut", "0,30 0 * * *"),
            ("America/St_Johns", "0,30 0-2 * * *"),
            ("Africa/Casablanca", "30 2 * * *"),
        ] {
            let found = times(cron, zone, "2026-12-31T12:00:00Z", "2028-01-01T12:00:00Z");
            let zone: Tz = zone.parse().unwrap();
            let mut days: Vec<_> =
                found.iter().map(|time| local(at(&time.replace('Z', ":00Z")), zone).unwrap().date_naive()).collect();
            days.dedup();
            assert!((366..=367).contains(&days.len()), "{cron} {zone}: {}", days.len());
        }
        // A correction by more than three hours: Samoa had no 30th of December 2011.
        let found = times("30 2 * * *", "Pacific/Apia", "2011-12-28T00:00:00Z", "2012-01-01T00:00:00Z");
        assert_eq!(found, ["2011-12-28T12:30Z", "2011-12-29T12:30Z", "2011-12-30T12:30Z", "2011-12-31T12:30Z"]);
    }

    /// What every pattern promises, looked up minute by minute through a year of changes.
    #[test]
    fn times_of_any_pattern_are_those_that_the_clock_shows() {
        use chrono::Timelike as _;
        let changes = [
            ("America/New_York", "2027-03-14T00:00:00Z"),
            ("America/New_York", "2027-11-07T00:00:00Z"),
            ("Europe/Berlin", "2027-03-28T00:00:00Z"),
            ("Europe/Berlin", "2027-10-31T00:00:00Z"),
            ("Australia/Lord_Howe", "2027-04-03T00:00:00Z"),
            ("Australia/Lord_Howe", "2027-10-02T00:00:00Z"),
            ("America/St_Johns", "2027-11-07T00:00:00Z"),
            ("Asia/Beirut", "2027-03-27T12:00:00Z"),
            ("Asia/Kolkata", "2027-03-27T12:00:00Z"),
        ];
        let minutes: [(&str, &[u32], bool); 4] = [
            ("0", &[0], false),
            ("10-20/5", &[10, 15, 20], false),
            ("7,37", &[7, 37], false),
            ("*/20", &[0, 20, 40], true),
        ];
        let hours: [(&str, &[u32], bool); 4] = [
            ("1", &[1], false),
            ("0-3", &[0, 1, 2, 3], false),
            ("2,14", &[2, 14], false),
            ("*/2", &[0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22], true),
        ];
        for (zone, first) in changes {
            let (name, first) = (zone, at(first));
            let zone: Tz = zone.parse().unwrap();
            let clock = |minute: i64| local(Timestamp::from_millis(first.millis() + minute * 60_000), zone).unwrap();
            for (minute, in_hour, minute_star) in minutes {
                for (hour, in_day, hour_star) in hours {
                    let cron = format!("{minute} {hour} * * *");
                    let fits = |hour, minute| in_day.contains(&hour) && in_hour.contains(&minute);
                    let fixed = !minute_star && !hour_star;
                    let mut expected = Vec::new();
                    let mut shown = clock(0).naive_local();
                    for minute in 1..2 * 1440 {
                        let now = clock(minute);
                        let naive = now.naive_local();
                        // Each minute that the clock passes, in a step forward all that it leaves out.
                        let mut passed = shown + chrono::Duration::minutes(1);
                        let mut comes = !fixed && fits(naive.hour(), naive.minute());
                        while fixed && passed <= naive {
                            comes |= fits(passed.hour(), passed.minute());
                            passed += chrono::Duration::minutes(1);
                        }
                        shown = if fixed { shown.max(naive) } else { naive };
                        if comes {
                            expected.push(now.to_utc().format("%Y-%m-%dT%H:%MZ").to_string());
                        }
                    }
                    let last = Timestamp::from_millis(first.millis() + 2 * 1440 * 60_000);
                    assert_eq!(times(&cron, name, &first.to_string(), &last.to_string()), expected, "{cron} {name}");
                }
            }
        }
    }

    #[test]
    fn an_interval_keeps_its_phase() {
        let table = Timetable::of(&schedule(None, Some(60), "UTC")).unwrap();
        assert_eq!(table.next(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:01:00Z")));
        assert_eq!(table.next(at("2026-01-05T10:00:59.999Z")), Some(at("2026-01-05T10:01:00Z")));
        assert_eq!(table.next(at("2026-01-05T10:01:00Z")), Some(at("2026-01-05T10:02:00Z")));
    }

    #[test]
    fn the_newest_past_times_are_returned() {
        for one in [schedule(None, Some(60), "UTC"), schedule(Some("* * * * *"), None, "UTC")] {
            let table = Timetable::of(&one).unwrap();
            let (first, now) = (at("2026-01-01T00:01:00Z"), at("2026-01-01T00:05:30Z"));
            let past = table.past(first, now, 100);
            assert_eq!(
                (past.times.first(), past.times.last(), past.times.len()),
                (Some(&first), Some(&at("2026-01-01T00:05:00Z")), 5)
            );
            assert!(!past.more);
            let past = table.past(first, now, 2);
            assert_eq!((past.times, past.more), (vec![at("2026-01-01T00:04:00Z"), at("2026-01-01T00:05:00Z")], true));
            assert_eq!(table.past(first, first, 100).times, [first]);
            // At the very second of a time it has passed as well.
            for now in ["2026-01-01T00:05:00Z", "2026-01-01T00:05:00.999Z"] {
                assert_eq!(table.past(first, at(now), 100).times.last(), Some(&at("2026-01-01T00:05:00Z")), "{now}");
            }
        }
    }

    #[test]
    fn invalid_schedules_are_rejected_with_the_field_name() {
        for (cron, zone, path) in [
            ("x", "UTC", "cron"),
            ("61 * * * *", "UTC", "cron"),
            ("* * * *", "UTC", "cron"),
            ("* * * * *", "Mars/Base", "timezone"),
        ] {
            let mistakes = Timetable::of(&schedule(Some(cron), None, zone)).err().unwrap();
            assert_eq!(mistakes.0.iter().map(|m| m.path.as_str()).collect::<Vec<_>>(), [path], "{cron}");
        }
    }
}
