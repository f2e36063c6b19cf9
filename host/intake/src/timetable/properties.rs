//! Whatever patterns, zones and instants there are.

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;
/// How many days are looked through minute by minute.
const DAYS: i64 = 3;

/// Days on which a clock changes, and days like any other.
const STARTS: [(&str, &str); 14] = [
    ("UTC", "2027-02-28T00:00:00Z"),
    ("Asia/Kolkata", "2028-02-28T12:00:00Z"),
    ("Europe/Berlin", "2027-03-27T00:00:00Z"),
    ("Europe/Berlin", "2027-10-30T00:00:00Z"),
    ("America/New_York", "2027-03-13T00:00:00Z"),
    ("America/New_York", "2027-11-06T00:00:00Z"),
    ("America/St_Johns", "2027-03-13T00:00:00Z"),
    ("America/St_Johns", "2027-11-06T00:00:00Z"),
    // By half an hour.
    ("Australia/Lord_Howe", "2027-04-02T12:00:00Z"),
    ("Australia/Lord_Howe", "2027-10-01T12:00:00Z"),
    // At midnight.
    ("Asia/Beirut", "2027-03-27T00:00:00Z"),
    ("Asia/Beirut", "2027-10-30T00:00:00Z"),
    ("Africa/Casablanca", "2027-02-06T00:00:00Z"),
    ("America/Santiago", "2027-09-04T00:00:00Z"),
];

/// One field of a pattern: how it is written, what it takes, and whether it has a `*`.
#[derive(Clone, Debug)]
struct Field {
    written: String,
    takes: Vec<u32>,
    has_star: bool,
}

fn fixed(least: u32, most: u32) -> impl Strategy<Value = Field> {
    let list = prop::collection::btree_set(least..=most, 1..4).prop_map(|values| {
        let written: Vec<String> = values.iter().map(u32::to_string).collect();
        Field { written: written.join(","), takes: values.into_iter().collect(), has_star: false }
    });
    let range = (least..=most, least..=most, 1..6_u32).prop_map(|(one, other, step)| {
        let (first, last) = (one.min(other), one.max(other));
        let written = if step == 1 { format!("{first}-{last}") } else { format!("{first}-{last}/{step}") };
        Field { written, takes: (first..=last).step_by(step as usize).collect(), has_star: false }
    });
    prop_oneof![list, range]
}

fn every(least: u32, most: u32) -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field { written: "*".to_owned(), takes: (least..=most).collect(), has_star: true }),
        (2..20_u32).prop_map(move |step| Field {
            written: format!("*/{step}"),
            takes: (least..=most).step_by(step as usize).collect(),
            has_star: true
        }),
    ]
}

/// A field that takes everything three times out of four.
fn mostly_every(least: u32, most: u32) -> impl Strategy<Value = Field> {
    let all = Field { written: "*".to_owned(), takes: (least..=most).collect(), has_star: true };
    prop_oneof![3 => Just(all), 1 => fixed(least, most)]
}

/// A pattern of five fields, by what it takes.
#[derive(Clone, Debug)]
struct Pattern {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Pattern {
    fn written(&self) -> String {
        let Self { minute, hour, day, month, weekday } = self;
        [minute, hour, day, month, weekday].map(|field| field.written.as_str()).join(" ")
    }

    fn takes(&self, clock: NaiveDateTime) -> bool {
        let day = self.day.takes.contains(&clock.day());
        let weekday = self.weekday.takes.contains(&clock.weekday().num_days_from_sunday());
        // crontab(5): where both are given, one of them is enough.
        let is_day = if self.day.has_star || self.weekday.has_star { day && weekday } else { day || weekday };
        is_day
            && self.month.takes.contains(&clock.month())
            && self.hour.takes.contains(&clock.hour())
            && self.minute.takes.contains(&clock.minute())
    }

    /// The times in a range of instants, looked up minute by minute. A pattern with a `*` for minutes or hours follows
    /// the clock; any other stands for times of day, each of which comes once, also on a day whose clock leaves it out.
    fn times(&self, zone: Tz, first: i64, last: i64) -> Vec<i64> {
        let follows_the_clock = self.minute.has_star || self.hour.has_star;
        let clock = |at: i64| local(Timestamp::from_millis(at), zone).unwrap().naive_local();
        let minute = chrono::Duration::minutes(1);
        // Two days before, so that what the clock has shown is known.
        let mut shown = clock(first - 2 * DAY);
        let mut times = Vec::new();
        let mut at = first - 2 * DAY;
        while at < last - MINUTE {
            at += MINUTE;
            let now = clock(at);
            let comes = if follows_the_clock {
                self.takes(now)
            } else {
                let passed = std::iter::successors(Some(shown + minute), |time| Some(*time + minute));
                passed.take_while(|time| *time <= now).any(|time| self.takes(time))
            };
            shown = shown.max(now);
            if comes && at > first {
                times.push(at);
            }
        }
        times
    }
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let minute = prop_oneof![fixed(0, 59), every(0, 59)];
    // Most changes of clocks are at night.
    let hour = prop_oneof![2 => fixed(0, 3), 1 => fixed(0, 23), 2 => every(0, 23)];
    (minute, hour, mostly_every(1, 31), mostly_every(1, 12), mostly_every(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| Pattern { minute, hour, day, month, weekday })
}

fn table(cron: &str, zone: &str) -> Timetable {
    Timetable::new(Some(cron), None, zone, Timestamp::from_millis(0)).unwrap()
}

/// Texts that look like patterns, more or less.
fn hostile_cron() -> impl Strategy<Value = String> {
    let time = "([0-9]{1,2}|\\*|\\*/[0-9]{1,2}|[0-9]-[0-9]{1,2}|[0-9],[0-9]{1,2})";
    let day = "([0-9]{1,2}|L|[0-9]W|LW|\\?|\\*)";
    let month = "([0-9]{1,2}|FEB|\\*)";
    let weekday = "([0-9]|[0-9]#[0-9]|FRI|[0-9]L|\\*)";
    let plausible =
        proptest::string::string_regex(&format!("({time} )?{time} {time} {day} {month} {weekday}")).unwrap();
    prop_oneof![4 => plausible, 1 => "[0-9*/,-]{1,6}( [0-9*/,LW#?-]{1,6}){4,5}", 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn times_are_those_of_the_clock_minute_by_minute_forwards_and_backwards(
        pattern in pattern(),
        (name, start) in select(STARTS.to_vec()),
        offset in 0..DAY,
        probes in prop::collection::vec((any::<Index>(), -1001..=1001_i64), 8),
        most in 1..40_usize,
    ) {
        let first = Timestamp::parse(start).unwrap().millis();
        let last = first + DAYS * DAY;
        let zone: Tz = name.parse().unwrap();
        let cron = pattern.written();
        let table = table(&cron, name);
        let expected = pattern.times(zone, first, last);
        let next = |at: i64| table.next(Timestamp::from_millis(at)).map(Timestamp::millis);
        let before = |at: i64| table.before(Timestamp::from_millis(at)).map(Timestamp::millis);

        let forwards: Vec<i64> =
            std::iter::successors(next(first), |at| next(*at)).take_while(|at| *at < last).collect();
        prop_assert_eq!(&forwards, &expected, "{} {}", cron, name);
        let mut backwards: Vec<i64> =
            std::iter::successors(before(last), |at| before(*at)).take_while(|at| *at > first).collect();
        backwards.reverse();
        prop_assert_eq!(&backwards, &expected, "{} {}", cron, name);

        // From instants close to a time, also within its second, and from one that has nothing to do with any.
        let near = probes.iter().filter(|_| !expected.is_empty());
        let near = near.map(|(place, by)| expected[place.index(expected.len())] + by);
        for at in near.chain([first + offset]) {
            let earlier = expected.iter().rev().find(|time| **time < at);
            let later = expected.iter().find(|time| **time > at);
            prop_assert!(next(at).is_none_or(|time| time > at));
            prop_assert!(before(at).is_none_or(|time| time < at));
            if let Some(later) = later {
                prop_assert_eq!(next(at), Some(*later), "{} {} after {}", cron, name, Timestamp::from_millis(at));
            }
            if let Some(earlier) = earlier {
                prop_assert_eq!(before(at), Some(*earlier), "{} {} before {}", cron, name, Timestamp::from_millis(at));
            }
            // All times since one of them, the newest of them if they are too many.
            if let Some((from, _)) = expected.first().zip(earlier.filter(|earlier| **earlier >= expected[0])) {
                let passed: Vec<Timestamp> = expected
                    .iter()
                    .filter(|time| **time <= at)
                    .map(|time| Timestamp::from_millis(*time))
                    .collect();
                let past = table.past(Timestamp::from_millis(*from), Timestamp::from_millis(at), most);
                prop_assert_eq!(past.more, passed.len() > most);
                prop_assert_eq!(&past.times, &passed[passed.len().saturating_sub(most)..], "{} {}", cron, name);
            }
        }
    }

    #[test]
    fn a_hostile_pattern_is_refused_or_has_times_that_go_on(
        cron in hostile_cron(),
        (name, start) in select(STARTS.to_vec()),
        offset in 0..DAY,
    ) {
        let Ok(table) = Timetable::new(Some(&cron), None, name, Timestamp::from_millis(0)) else { return Ok(()) };
        let start = Timestamp::from_millis(Timestamp::parse(start).unwrap().millis() + offset);
        let mut at = start;
        for _ in 0..5 {
            let Some(next) = table.next(at) else { break };
            prop_assert!(next > at, "{cron} {name}: {next} after {at}");
            prop_assert!(table.before(next).is_none_or(|before| before <= at), "{cron} {name}: {next} after {at}");
            let just_after = next.after(std::time::Duration::from_millis(1));
            prop_assert_eq!(table.before(just_after), Some(next), "{} {}", cron, name);
            at = next;
        }
    }

    #[test]
    fn an_interval_has_one_time_in_each_of_its_periods(
        from in -4_000_000_000_000..4_000_000_000_000_i64,
        seconds in prop_oneof![1..100_u64, 1..=366 * 86_400_u64],
        after in -4_000_000_000_000..4_000_000_000_000_i64,
        most in 1..20_usize,
    ) {
        let table = Timetable::new(None, Some(seconds), "UTC", Timestamp::from_millis(from)).unwrap();
        let period = i64::try_from(seconds).unwrap() * 1000;
        let next = table.next(Timestamp::from_millis(after)).unwrap().millis();
        prop_assert!(next > after && next > from);
        prop_assert_eq!((next - from).rem_euclid(period), 0);
        prop_assert!(next - after.max(from) <= period);
        let before = table.before(Timestamp::from_millis(next)).map(Timestamp::millis);
        prop_assert_eq!(before, (next - period > from).then_some(next - period));
        let past = table.past(Timestamp::from_millis(next), Timestamp::from_millis(next + 10 * period), most);
        let times: Vec<i64> = past.times.iter().map(|time| time.millis()).collect();
        let all: Vec<i64> = (0..=10).map(|count| next + count * period).collect();
        prop_assert_eq!(&times, &all[all.len().saturating_sub(most)..]);
        prop_assert_eq!(past.more, most < all.len());
    }
}
