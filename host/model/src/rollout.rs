//! Rollouts: a version of a plugin that is called beside the live one (shadow), or in place of it for a share of the
//! events (canary).

use serde::{Deserialize, Serialize};

use crate::{Mistakes, Timestamp};

/// A version that is rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its id in events.
    pub id: String,
    /// The version.
    pub version: String,
    /// SHA-256 of its component, in hex.
    pub digest: String,
    /// How it is called.
    pub mode: RolloutMode,
    /// Its share of the events, in percent.
    pub percent: u8,
    /// How many calls it needs before its error rate is compared with that of the live version.
    pub minimum_calls: u32,
    /// When it is rolled back.
    pub rollback_when: RollbackWhen,
    /// When it began.
    pub started_at: Timestamp,
}

/// How a version that is rolled out is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutMode {
    /// After each call of the live version. Its effects are only compared.
    Shadow,
    /// In place of the live version, for a share of the events.
    Canary,
}

/// When a canary is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackWhen {
    /// If its error rate exceeds that of the live version by more than this number of percentage points.
    #[serde(deserialize_with = "real")]
    pub percent_above_live: f64,
}

/// A number within input that serde buffers before it knows the variant: from there only a JSON value can be read.
fn real<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    value.as_f64().ok_or_else(|| serde::de::Error::custom("give a number, such as 5 or 2.5"))
}

impl Default for RollbackWhen {
    fn default() -> Self {
        Self { percent_above_live: 5.0 }
    }
}

/// The input that starts a rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RolloutInput {
    /// How it is called.
    pub mode: Option<RolloutMode>,
    /// 1 to 100. `None`: 10 for a canary, 100 for a shadow.
    pub percent: Option<u8>,
    /// `None`: 20.
    pub minimum_calls: Option<u32>,
    /// `None`: 5 percentage points.
    pub rollback_when: Option<RollbackWhen>,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutOutcome {
    /// Its version was activated.
    Promoted,
    /// Its version failed more often than the live one.
    RolledBack,
    /// It was aborted.
    Ended,
}

/// A rollout that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndedRollout {
    /// The rollout.
    #[serde(flatten)]
    pub rollout: Rollout,
    /// Its outcome.
    pub outcome: RolloutOutcome,
    /// The reason.
    pub reason: String,
    /// The time.
    pub ended_at: Timestamp,
}

/// Statistics of the calls of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallCounts {
    /// Number of calls.
    pub calls: u64,
    /// Number of failed calls.
    pub failed: u64,
    /// Number of failed calls that trapped or exceeded a limit.
    pub stopped: u64,
    /// Number of consecutive calls, up to the last one, that trapped or exceeded a limit.
    pub stopped_in_a_row: u64,
}

impl CallCounts {
    /// Counts one more call.
    #[must_use]
    pub fn with(self, failed: bool, stopped: bool) -> Self {
        Self {
            calls: self.calls.saturating_add(1),
            failed: self.failed.saturating_add(u64::from(failed)),
            stopped: self.stopped.saturating_add(u64::from(stopped)),
            stopped_in_a_row: if stopped { self.stopped_in_a_row.saturating_add(1) } else { 0 },
        }
    }

    /// The error rate in percent. `None` if there was no call.
    #[allow(clippy::cast_precision_loss, reason = "the counter does not overflow")]
    pub fn error_percent(self) -> Option<f64> {
        (self.calls > 0).then(|| self.failed as f64 * 100.0 / self.calls as f64)
    }
}

/// Number of consecutive stopped calls after which a canary is rolled back in any case.
const STRIKES: u64 = 5;

impl RolloutInput {
    /// Checks every part.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if self.mode.is_none() {
            mistakes.add("mode", "is missing: give shadow or canary");
        }
        if let Some(percent) = self.percent.filter(|percent| !(1..=100).contains(percent)) {
            mistakes.add("percent", format!("is {percent}: give 1 to 100"));
        }
        if let Some(calls) = self.minimum_calls.filter(|calls| !(1..=1_000_000).contains(calls)) {
            mistakes.add("minimum_calls", format!("is {calls}: give 1 to 1000000"));
        }
        let above = self.rollback_when.map(|when| when.percent_above_live);
        if let Some(above) = above.filter(|above| !(0.0..=100.0).contains(above)) {
            mistakes.add("rollback_when.percent_above_live", format!("is {above}: give 0 to 100"));
        }
        mistakes.check()
    }

    /// The rollout of a version.
    pub fn of(&self, version: &str, digest: &str, now: Timestamp) -> Rollout {
        let mode = self.mode.unwrap_or(RolloutMode::Shadow);
        let usual = if mode == RolloutMode::Canary { 10 } else { 100 };
        Rollout {
            id: crate::unique("rol"),
            version: version.to_owned(),
            digest: digest.to_owned(),
            mode,
            percent: self.percent.unwrap_or(usual),
            minimum_calls: self.minimum_calls.unwrap_or(20),
            rollback_when: self.rollback_when.unwrap_or_default(),
            started_at: now,
        }
    }
}

impl Rollout {
    /// Whether the version is called for the event with this id. The result is always the same, so that one version
    /// makes all tries of a step, and the events of a larger share include those of a smaller one.
    pub fn takes(&self, event: &str) -> bool {
        // FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. The high bits are the well mixed ones.
        let hash = event
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) % 100 < u64::from(self.percent)
    }

    /// Why the version is rolled back, if it is.
    pub fn fails(&self, live: CallCounts, candidate: CallCounts) -> Option<String> {
        if candidate.stopped_in_a_row >= STRIKES {
            return Some(format!("{STRIKES} calls of it in a row trapped or went past a limit"));
        }
        if candidate.calls < u64::from(self.minimum_calls) {
            return None;
        }
        let (rate, usual) = (candidate.error_percent()?, live.error_percent().unwrap_or(0.0));
        (rate > usual + self.rollback_when.percent_above_live).then(|| {
            format!(
                "{rate:.1} % of its {} calls failed, and {usual:.1} % of the {} calls of the version in use",
                candidate.calls, live.calls
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(percent: u8) -> Rollout {
        let input = RolloutInput { mode: Some(RolloutMode::Canary), percent: Some(percent), ..RolloutInput::default() };
        input.of("0.2.0", "ab", Timestamp::from_millis(0))
    }

    fn counts(calls: u64, failed: u64) -> CallCounts {
        CallCounts { calls, failed, ..CallCounts::default() }
    }

    #[test]
    fn an_ended_rollout_reads_back_as_it_was_written() {
        for (percent_above_live, outcome, name) in [
            (5.0, RolloutOutcome::Ended, "ended"),
            (2.5, RolloutOutcome::Promoted, "promoted"),
            (2.5, RolloutOutcome::RolledBack, "rolled_back"),
        ] {
            let mut rollout = rollout(10);
            rollout.rollback_when = RollbackWhen { percent_above_live };
            let ended = EndedRollout { rollout, outcome, reason: "test".into(), ended_at: Timestamp::from_millis(0) };
            let written = serde_json::to_string(&ended).unwrap();
            assert!(written.contains(&format!("\"outcome\":\"{name}\"")), "{written}");
            assert_eq!(serde_json::from_str::<EndedRollout>(&written).unwrap(), ended, "{written}");
        }
    }

    #[test]
    fn a_share_of_events_is_near_its_percentage_and_stays_as_it_is_when_it_grows() {
        let events: Vec<String> = (0..10_000).map(|_| crate::unique("evt")).collect();
        for percent in [1, 10, 50, 100] {
            let share = events.iter().filter(|event| rollout(percent).takes(event)).count();
            let wanted = usize::from(percent) * 100;
            assert!(share.abs_diff(wanted) <= 250, "{share} of 10000 for {percent} %");
        }
        assert!(events.iter().filter(|event| rollout(10).takes(event)).all(|event| rollout(30).takes(event)));
    }

    #[test]
    fn a_version_is_rolled_back_when_it_fails_more_than_the_live_one() {
        let canary = rollout(10);
        assert_eq!(canary.fails(counts(100, 0), counts(19, 19)), None, "too few calls to tell");
        assert!(canary.fails(counts(100, 0), counts(20, 2)).unwrap().contains("10.0 % of its 20 calls"));
        assert_eq!(canary.fails(counts(100, 50), counts(20, 11)), None, "the one in use fails as often");
        assert!(canary.fails(counts(0, 0), counts(20, 2)).is_some());
        let stopped = (0..5).fold(CallCounts::default(), |counts, _| counts.with(true, true));
        assert!(canary.fails(counts(100, 0), stopped).unwrap().contains("in a row"));
        assert_eq!(canary.fails(counts(100, 0), stopped.with(false, false)), None);
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let input = RolloutInput { percent: Some(0), minimum_calls: Some(0), ..RolloutInput::default() };
        let paths: Vec<String> = input.check().unwrap_err().0.into_iter().map(|mistake| mistake.path).collect();
        assert_eq!(paths, ["mode", "percent", "minimum_calls"]);
    }
}
