//! Polling: sources that the server queries on a schedule.

use serde::{Deserialize, Serialize};

use crate::schedule::check_times;
use crate::{Mistakes, SourceId, Timestamp};

/// The schedule of a source's polls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollTimes {
    /// A cron pattern of five fields, or six with seconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Instead of a pattern: the interval in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u64>,
    /// The time zone of the pattern, as an IANA name.
    #[serde(default = "utc")]
    pub timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl PollTimes {
    /// Its validation errors, except those of the pattern and the time zone.
    pub fn check(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        check_times(self.cron.as_deref(), self.every_seconds, &mut mistakes);
        mistakes
    }
}

/// The polling of a source: its schedule and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Polling {
    /// Counted from 1 in each space.
    pub number: u64,
    /// The source.
    pub source: SourceId,
    /// Its schedule.
    pub times: PollTimes,
    /// Incremented by each change of the schedule.
    pub revision: u32,
    /// When the schedule last changed.
    pub since: Timestamp,
    /// Its state.
    #[serde(default)]
    pub status: PollStatus,
}

/// The state of a source's polls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PollStatus {
    /// The next time. `None`: there is no further time, or the source is disabled.
    pub next_at: Option<Timestamp>,
    /// When it was last polled.
    pub last_at: Option<Timestamp>,
    /// When it was last polled successfully.
    pub last_success_at: Option<Timestamp>,
    /// The error of the last time, if it failed.
    pub last_error: Option<String>,
    /// Number of consecutive failures.
    #[serde(default)]
    pub failures: u64,
    /// Total number of events.
    pub events: u64,
    /// Id of the last one.
    pub last_event: Option<String>,
}
