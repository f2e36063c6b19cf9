//! Sources that the server asks for news by itself, at times of their own.

use serde::{Deserialize, Serialize};

use crate::schedule::check_times;
use crate::{Mistakes, SourceId, Timestamp};

/// When a source is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollTimes {
    /// A cron pattern of five fields, or six with seconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Instead of it, so many seconds from one time to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u64>,
    /// The time zone that the pattern is read in, by its IANA name.
    #[serde(default = "utc")]
    pub timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl PollTimes {
    /// What is wrong with them, apart from the pattern and the zone.
    pub fn check(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        check_times(self.cron.as_deref(), self.every_seconds, &mut mistakes);
        mistakes
    }
}

/// A source's times, and how it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Polling {
    /// Counted from 1 in each space.
    pub number: u64,
    /// The source.
    pub source: SourceId,
    /// When it is asked.
    pub times: PollTimes,
    /// Counts the changes of the times.
    pub revision: u32,
    /// When they last changed.
    pub since: Timestamp,
    /// How it goes.
    #[serde(default)]
    pub status: PollStatus,
}

/// How the polls of a source go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PollStatus {
    /// The next time; none: there is none any more, or the source is off.
    pub next_at: Option<Timestamp>,
    /// When it was last asked.
    pub last_at: Option<Timestamp>,
    /// When it was last asked with success.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong the last time, if it did.
    pub last_error: Option<String>,
    /// How often in a row it went wrong.
    #[serde(default)]
    pub failures: u64,
    /// How many events there were in all.
    pub events: u64,
    /// Id of the last one.
    pub last_event: Option<String>,
}
