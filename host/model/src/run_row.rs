//! The flat form of a run, in which it is stored and shown by the API: the data of its state beside the name of the state.
//! Nothing else knows this form.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    AutomationId, Decision, Lane, OpenStep, Progress, Run, RunId, RunState, RunStateName, SpaceId, StepRecord,
    StepWait, Timestamp,
};

/// A run in its flat form; what is large is borrowed while it is written.
#[derive(Serialize, Deserialize)]
struct RunRow<'a> {
    id: RunId,
    space: SpaceId,
    event: Cow<'a, str>,
    event_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    automation: AutomationId,
    automation_name: Cow<'a, str>,
    revision: u32,
    decision: Cow<'a, Decision>,
    state: RunStateName,
    steps: Cow<'a, [StepRecord]>,
    next_step: u32,
    #[serde(default)]
    tries: u32,
    /// When it goes on, while waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
    /// Since when the next step waits, if that has begun, or else the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting_since: Option<Timestamp>,
    /// The plugin that it waits for, while parked or waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits_for: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "none_open")]
    open_steps: Cow<'a, [OpenStep]>,
    #[serde(default, skip_serializing_if = "Progress::is_none")]
    progress: Progress,
    /// Until when the next step waits, if that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<Cow<'a, Lane>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    resumed: bool,
    #[serde(default)]
    version: u64,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
}

fn none_open(open_steps: &[OpenStep]) -> bool {
    open_steps.is_empty()
}

impl<'a> From<&'a Run> for RunRow<'a> {
    fn from(run: &'a Run) -> Self {
        let (retry_at, since, waits_for) = match &run.state {
            RunState::Waiting { until, since, plugin } => (Some(*until), *since, plugin.as_deref()),
            RunState::Parked { plugin } => (None, None, Some(plugin.as_str())),
            _ => (None, None, None),
        };
        Self {
            id: run.id,
            space: run.space.clone(),
            event: Cow::Borrowed(run.event.as_str()),
            event_type: Cow::Borrowed(run.event_type.as_str()),
            subject: run.subject.as_deref().map(Cow::Borrowed),
            automation: run.automation.clone(),
            automation_name: Cow::Borrowed(run.automation_name.as_str()),
            revision: run.revision,
            decision: Cow::Borrowed(&run.decision),
            state: run.state.name(),
            steps: Cow::Borrowed(run.steps.as_slice()),
            next_step: run.next_step,
            tries: run.tries,
            retry_at,
            waiting_since: run.wait.map_or(since, |wait| wait.since),
            waits_for: waits_for.map(Cow::Borrowed),
            open_steps: Cow::Borrowed(run.open_steps.as_slice()),
            progress: run.progress,
            wait_until: run.wait.map(|wait| wait.until),
            lane: run.lane.as_ref().map(Cow::Borrowed),
            resumed: run.resumed,
            version: run.version,
            created_at: run.created_at,
            finished_at: run.state.finished_at(),
        }
    }
}

impl From<RunRow<'_>> for Run {
    fn from(row: RunRow<'_>) -> Self {
        let state = row.run_state();
        Self {
            id: row.id,
            space: row.space,
            event: row.event.into_owned(),
            event_type: row.event_type.into_owned(),
            subject: row.subject.map(Cow::into_owned),
            automation: row.automation,
            automation_name: row.automation_name.into_owned(),
            revision: row.revision,
            decision: row.decision.into_owned(),
            state,
            steps: row.steps.into_owned(),
            next_step: row.next_step,
            tries: row.tries,
            open_steps: row.open_steps.into_owned(),
            progress: row.progress,
            wait: row.wait_until.map(|until| StepWait { until, since: row.waiting_since }),
            lane: row.lane.map(Cow::into_owned),
            resumed: row.resumed,
            version: row.version,
            created_at: row.created_at,
        }
    }
}

impl RunRow<'_> {
    /// The state. A row that contradicts itself gets one in which the run goes on, or has ended, as its name says: data of
    /// other states is left out, and what is missing never makes a run wait for ever.
    fn run_state(&self) -> RunState {
        let at = self.finished_at.unwrap_or(self.created_at);
        match (self.state, &self.waits_for) {
            (RunStateName::Parked, Some(plugin)) => RunState::Parked { plugin: plugin.to_string() },
            // No plugin would release it, so it is due at once.
            (RunStateName::Parked, None) => {
                RunState::Waiting { until: Timestamp::default(), since: None, plugin: None }
            }
            (RunStateName::Waiting, plugin) => RunState::Waiting {
                until: self.retry_at.or_else(|| OpenStep::first_retry(&self.open_steps)).unwrap_or_default(),
                since: self.waiting_since.filter(|_| self.wait_until.is_none()),
                plugin: plugin.as_ref().map(ToString::to_string),
            },
            (RunStateName::Running, _) => RunState::Running,
            (RunStateName::Queued, _) => RunState::Queued,
            (RunStateName::Skipped, _) => RunState::Skipped { at },
            (RunStateName::Done, _) => RunState::Done { at },
            (RunStateName::Failed, _) => RunState::Failed { at },
            (RunStateName::Cancelled, _) => RunState::Cancelled { at },
        }
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RunRow::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RunRow::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests;
