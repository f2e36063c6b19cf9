//! The times of a schedule.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use hookwright_model::{Mistakes, Schedule, Timestamp};

/// The times of a schedule.
pub(crate) enum Timetable {
    /// By a pattern, in a time zone.
    Cron(Box<Cron>, Tz),
    /// Every so many milliseconds from an instant on.
    Every { from: Timestamp, millis: i64 },
}

/// The times up to an instant, of which the newest are known.
pub(crate) struct Past {
    /// The oldest first.
    pub(crate) times: Vec<Timestamp>,
    /// Whether there are older ones still.
    pub(crate) more: bool,
}

impl Timetable {
    /// The times that a schedule says.
    ///
    /// # Errors
    /// What is wrong with its pattern or its zone.
    pub(crate) fn of(schedule: &Schedule) -> Result<Self, Mistakes> {
        Self::new(schedule.cron.as_deref(), schedule.every_seconds, &schedule.timezone, schedule.updated_at)
    }

    /// The times of a pattern in a zone, or so many seconds apart from `from` on.
    ///
    /// # Errors
    /// What is wrong with the pattern or the zone.
    pub(crate) fn new(
        cron: Option<&str>,
        every_seconds: Option<u64>,
        timezone: &str,
        from: Timestamp,
    ) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let zone: Option<Tz> = timezone.parse().ok();
        if zone.is_none() {
            let shown: String = timezone.chars().take(80).collect();
            mistakes.add("timezone", format!("`{shown}` is no time zone: give an IANA name, such as Europe/Berlin"));
        }
        let cron = match cron {
            None => None,
            Some(pattern) if pattern.len() > 256 => {
                mistakes.add("cron", format!("has {} bytes: at most 256", pattern.len()));
                None
            }
            Some(pattern) => match CronParser::builder().seconds(Seconds::Optional).build().parse(pattern) {
                Ok(cron) => Some(cron),
                Err(error) => {
                    let message = format!(
                        "`{pattern}` is no pattern ({error}): give five fields, such as `*/5 * * * *`, or six with \
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
                // From the last change on, so that the times stay the same however long the server is away.
                Self::Every { from, millis: seconds.saturating_mul(1000) }
            }
        })
    }

    /// The first time after `after`.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron, zone) => {
                let after = local(after, *zone)?;
                cron.find_next_occurrence(&after, false).ok().map(|at| Timestamp::from_millis(at.timestamp_millis()))
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
            // The time itself was kept, so it counts whatever the zone's rules say now.
            times.push(first);
        }
        times.reverse();
        Past { times, more }
    }

    /// The last time before `before`.
    fn before(&self, before: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron, zone) => {
                let before = local(before, *zone)?;
                let found = cron.find_previous_occurrence(&before, false).ok()?;
                Some(Timestamp::from_millis(found.timestamp_millis()))
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
    fn an_hour_that_the_clock_leaves_out_or_repeats_gives_one_time_a_day() {
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

    #[test]
    fn an_interval_keeps_its_beat() {
        let table = Timetable::of(&schedule(None, Some(60), "UTC")).unwrap();
        assert_eq!(table.next(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:01:00Z")));
        assert_eq!(table.next(at("2026-01-05T10:00:59.999Z")), Some(at("2026-01-05T10:01:00Z")));
        assert_eq!(table.next(at("2026-01-05T10:01:00Z")), Some(at("2026-01-05T10:02:00Z")));
    }

    #[test]
    fn of_the_times_that_passed_the_newest_are_known() {
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
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_field() {
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
