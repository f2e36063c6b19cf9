//! Schedules: events at certain times.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::nullable::{given, required};
use crate::{Creates, Mistakes, Timestamp, check_display_name};

/// The id of a schedule: `sch_N`, counted from 1 in each space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleId(pub u64);

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sch_{}", self.0)
    }
}

impl FromStr for ScheduleId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.strip_prefix("sch_").and_then(|number| number.parse().ok()).map(Self).ok_or(())
    }
}

impl Serialize for ScheduleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScheduleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|()| serde::de::Error::custom(format!("`{}` is not a schedule id", crate::abridged(&text))))
    }
}

/// What happens to times that were missed while the server was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are ignored.
    Skip,
    /// One event for all of them.
    #[default]
    Once,
    /// One event for each, the newest [`Missed::MOST`] of them.
    All,
}

impl Missed {
    /// Maximum number of missed events that are emitted later.
    pub const MOST: usize = 100;
}

/// The records of which each gets an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForEachRecord {
    /// Such as `ticket`.
    pub kind: String,
    /// Fields that must have these values.
    #[serde(default, rename = "where", skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// A time of the record that must be past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Past>,
    /// Each record, and each such time of it, gets one event only.
    #[serde(default)]
    pub once: bool,
}

/// A time that a record has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// The field with a time, in any form that [`Timestamp::read`] takes.
    pub field: String,
    /// A field with minutes to be added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plus_minutes: Option<String>,
}

impl Past {
    /// The time, if the record has one.
    pub fn of(&self, record: &Value) -> Option<Timestamp> {
        let at = Timestamp::read(record.get(&self.field)?.as_str()?)?;
        let Some(field) = &self.plus_minutes else { return Some(at) };
        let minutes = record.get(field)?.as_i64()?;
        Some(Timestamp::from_millis(at.millis().checked_add(minutes.checked_mul(60_000)?)?))
    }
}

impl ForEachRecord {
    /// Whether an event is due for this record at `now`.
    pub fn takes(&self, record: &Value, now: Timestamp) -> bool {
        self.fields.iter().all(|(name, value)| record.get(name).unwrap_or(&Value::Null) == value)
            && self.past.as_ref().is_none_or(|past| past.of(record).is_some_and(|at| at <= now))
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its id in the API.
    pub id: ScheduleId,
    /// Its display name.
    pub name: String,
    /// A cron pattern of five fields, or six with seconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Instead of a pattern: the interval in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u64>,
    /// The time zone of the pattern, as an IANA name.
    pub timezone: String,
    /// What happens to times that were missed while the server was down.
    pub missed: Missed,
    /// Whether an event is emitted while the runs of the last one are still in progress.
    pub overlap: bool,
    /// The type of the event.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The event's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// One event for each of these records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEachRecord>,
    /// The workflow that is started, instead of an event of that type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The workflow's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Incremented by each change.
    pub revision: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its state.
    #[serde(default)]
    pub status: ScheduleStatus,
}

/// The state of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleStatus {
    /// The next time. `None`: there is no further time, or it is disabled.
    pub next_at: Option<Timestamp>,
    /// The last time for which an event was emitted.
    pub last_at: Option<Timestamp>,
    /// Id of the last event.
    pub last_event: Option<String>,
    /// Its sequence number in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// Number of events so far.
    pub events: u64,
    /// Number of skipped times.
    pub left_out: u64,
    /// The reason for the last skipped time, and the time.
    pub last_left_out: Option<String>,
    /// The error of the last time, if it failed.
    pub last_error: Option<String>,
}

/// The input that creates or changes a schedule. An absent field keeps its value, null restores the default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleInput {
    /// See [`Schedule::name`].
    #[serde(default, deserialize_with = "required")]
    pub name: Option<String>,
    /// See [`Schedule::cron`]. Removes `every_seconds`.
    #[serde(default, deserialize_with = "given")]
    pub cron: Option<Option<String>>,
    /// See [`Schedule::every_seconds`]. Removes `cron`.
    #[serde(default, deserialize_with = "given")]
    pub every_seconds: Option<Option<u64>>,
    /// See [`Schedule::timezone`].
    #[serde(default, deserialize_with = "given")]
    pub timezone: Option<Option<String>>,
    /// See [`Schedule::missed`].
    #[serde(default, deserialize_with = "given")]
    pub missed: Option<Option<Missed>>,
    /// See [`Schedule::overlap`].
    #[serde(default, deserialize_with = "given")]
    pub overlap: Option<Option<bool>>,
    /// See [`Schedule::event_type`]. Removes `workflow`.
    #[serde(default, rename = "type", deserialize_with = "given")]
    pub event_type: Option<Option<String>>,
    /// See [`Schedule::data`].
    #[serde(default, deserialize_with = "given")]
    pub data: Option<Option<Value>>,
    /// See [`Schedule::for_each`].
    #[serde(default, deserialize_with = "given")]
    pub for_each: Option<Option<ForEachRecord>>,
    /// See [`Schedule::workflow`]. Removes `type`, `data` and `for_each`.
    #[serde(default, deserialize_with = "given")]
    pub workflow: Option<Option<String>>,
    /// See [`Schedule::input`].
    #[serde(default, deserialize_with = "given")]
    pub input: Option<Option<Value>>,
    /// See [`Schedule::enabled`].
    #[serde(default, deserialize_with = "given")]
    pub enabled: Option<Option<bool>>,
}

impl Creates for ScheduleInput {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        let mut missing = Mistakes::of_missing(&[("name", "is missing: give the schedule a name")], has);
        if !has("cron") && !has("every_seconds") {
            missing.add("cron", NO_TIMES);
        }
        if !has("type") && !has("workflow") {
            missing.add("type", NO_PURPOSE);
        }
        missing
    }
}

const NO_TIMES: &str = "is missing: give a pattern such as `*/5 * * * *`, or `every_seconds`";
const NO_PURPOSE: &str = "is missing: the type of the event, or `workflow`";
/// The longest interval: 366 days, in seconds.
const MOST_SECONDS: u64 = 366 * 86_400;

/// Validates that exactly one of `cron` and `every_seconds` is given, and the interval.
pub(crate) fn check_times(cron: Option<&str>, every_seconds: Option<u64>, mistakes: &mut Mistakes) {
    match (cron, every_seconds) {
        (None, None) => mistakes.add("cron", NO_TIMES),
        (Some(_), Some(_)) => mistakes.add("every_seconds", "cannot be combined with `cron`: keep one of them"),
        (None, Some(every)) if !(1..=MOST_SECONDS).contains(&every) => {
            mistakes.add("every_seconds", format!("is {every}: give 1 to {MOST_SECONDS}"));
        }
        _ => {}
    }
}

impl Schedule {
    /// Its validation errors, except those of its pattern, its time zone and its workflow.
    pub fn check(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        check_display_name("name", &self.name, &mut mistakes);
        check_times(self.cron.as_deref(), self.every_seconds, &mut mistakes);
        match (&self.event_type, &self.workflow) {
            (None, None) => mistakes.add("type", NO_PURPOSE),
            (Some(_), Some(_)) => mistakes.add("workflow", "cannot be combined with `type`: keep one of them"),
            (None, Some(_)) => {
                for (name, given) in [("data", self.data.is_some()), ("for_each", self.for_each.is_some())] {
                    if given {
                        mistakes.add(name, "belongs to an event; a workflow is given `input`");
                    }
                }
            }
            (Some(event_type), None) => {
                if event_type.trim().is_empty()
                    || event_type.chars().count() > 256
                    || event_type.chars().any(char::is_control)
                {
                    mistakes.add("type", "give it 1 to 256 characters, such as `poll.due`");
                }
                if self.input.is_some() {
                    mistakes.add("input", "belongs to a workflow; an event is given `data`");
                }
            }
        }
        if let Some(each) = &self.for_each {
            if !crate::is_kind(&each.kind) {
                mistakes.add("for_each.kind", "a kind of record has 1 to 64 of a-z, 0-9 and -");
            }
            if each.fields.len() > 20 {
                mistakes.add("for_each.where", format!("{} fields: at most 20", each.fields.len()));
            }
        }
        let bytes = [&self.data, &self.input].into_iter().flatten().map(|value| value.to_string().len()).max();
        if let Some(bytes) = bytes.filter(|bytes| *bytes > 256 * 1024) {
            let name = if self.data.is_some() { "data" } else { "input" };
            mistakes.add(name, format!("has {bytes} bytes: at most 262144"));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_selected_by_their_fields_and_by_a_past_time() {
        let each: ForEachRecord =
            serde_json::from_value(json!({"kind": "ticket", "where": {"status": "open", "gone": null},
            "past": {"field": "created_at", "plus_minutes": "sla_solution_time"}}))
            .unwrap();
        let ticket = |status: &str, minutes: Value| json!({"status": status, "created_at": "1970-01-01T00:00:00Z", "sla_solution_time": minutes});
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        for (record, now, taken) in [
            (ticket("open", json!(10)), at(10), true),
            (ticket("open", json!(10)), at(9), false),
            (ticket("closed", json!(10)), at(10), false),
            (ticket("open", json!(null)), at(10), false),
            (json!({"status": "open"}), at(10), false),
        ] {
            assert_eq!(each.takes(&record, now), taken, "{record}");
        }
    }

    #[test]
    fn an_id_reads_back() {
        assert_eq!("sch_12".parse(), Ok(ScheduleId(12)));
        assert_eq!(("12".parse::<ScheduleId>(), "sch_x".parse::<ScheduleId>()), (Err(()), Err(())));
    }
}
