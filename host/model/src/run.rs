use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AutomationId, Change, Event, Failure, Lane, RunId, SpaceId, StepKind, Timestamp};

/// A run: one automation for one event, with the decision, its reasons, and what each step did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its id in the API.
    pub id: RunId,
    /// The space of the event and the automation.
    pub space: SpaceId,
    /// Id of the event.
    pub event: String,
    /// Type of the event.
    pub event_type: String,
    /// What the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The automation.
    pub automation: AutomationId,
    /// The automation's name at that time.
    pub automation_name: String,
    /// The automation's revision at that time.
    pub revision: u32,
    /// Whether it fired, and why.
    pub decision: Decision,
    /// Its state.
    pub state: RunState,
    /// The record of each step so far.
    pub steps: Vec<StepRecord>,
    /// The next step, counted from 0.
    pub next_step: u32,
    /// Number of failed attempts of the next step.
    #[serde(default)]
    pub tries: u32,
    /// When the next step is retried, while waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// When `retry_at` was set, from which times set by a wrong clock are recognized. `None`: it waits until a
    /// configured time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// The plugin that it waits for, while parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Open steps, and items of steps: not finished yet while later ones are executed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_steps: Vec<OpenStep>,
    /// The progress of a step with `for_each`.
    #[serde(default, skip_serializing_if = "Progress::is_none")]
    pub progress: Progress,
    /// When the wait of its next step ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_until: Option<Timestamp>,
    /// Its concurrency group, if its automation limits the number of runs in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Whether it has waited, parked or queued before. Then it is no longer part of its event's open work, and has a
    /// row of its own until it ends. Set by the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// Its version: how often it was saved after it was decided. A commit compares it to detect concurrent changes. Set
    /// by the store.
    #[serde(default)]
    pub version: u64,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When its last step ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A step, or an item of one, that failed and is retried, or that waits for the result of such a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStep {
    /// The step, counted from 0.
    pub step: u32,
    /// The index of its item, counted from 0, if it has `for_each` and has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Number of failed attempts.
    pub tries: u32,
    /// When it is retried. `None`: once the steps that it refers to have finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// When `retry_at` was set.
    pub since: Timestamp,
}

/// The progress of a step with `for_each`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The next item, counted from 0.
    pub item: u32,
    /// Number of items. 0: the next step has not begun, or has no items.
    pub items: u32,
    /// Bytes of the results that are recorded of the items so far.
    #[serde(default)]
    pub bytes: u64,
}

impl Progress {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Run {
    /// A run of an automation for an event that is not decided yet.
    pub fn undecided_for(event: &Event, id: RunId, automation: AutomationId, automation_name: String) -> Self {
        Self {
            id,
            space: event.space.clone(),
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            automation,
            automation_name,
            revision: 0,
            decision: Decision {
                fired: false,
                reason: "its event has not been processed yet".to_owned(),
                conditions: Vec::new(),
            },
            state: RunState::Running,
            steps: Vec::new(),
            next_step: 0,
            tries: 0,
            retry_at: None,
            waiting_since: None,
            waits_for: None,
            open_steps: Vec::new(),
            progress: Progress::default(),
            wait_until: None,
            lane: None,
            resumed: false,
            version: 0,
            created_at: event.received_at,
            finished_at: None,
        }
    }

    /// The name of the workflow that it is a run of, if it is.
    pub fn workflow(&self) -> Option<&str> {
        self.automation.workflow()
    }

    /// The errors so far: each failed step as a sentence, and the reason if a condition failed.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter().filter_map(|step| match &step.outcome {
            StepOutcome::Failed { code, message, .. } => Some([code.as_str(), message.as_str()]),
            _ => None,
        });
        let broken = self.state == RunState::Failed && !self.decision.fired;
        steps.flatten().chain(broken.then_some(self.decision.reason.as_str()))
    }

    /// Whether it is executed as part of its event's open work.
    pub fn in_work(&self) -> bool {
        self.state == RunState::Running && !self.resumed
    }

    /// When it is due, if it continues by itself: at its time while it waits; at once if it is in progress and is not
    /// part of its event's work. "At once" is the earliest instant, so that it does not depend on the clock.
    pub fn due_at(&self) -> Option<Timestamp> {
        let open = self.open_steps.iter().filter_map(|open| open.retry_at).min();
        match self.state {
            RunState::Waiting => Some(self.retry_at.into_iter().chain(open).min().unwrap_or_default()),
            RunState::Running if self.resumed => Some(Timestamp::default()),
            // Its next step waits for a plugin; open steps do not wait for that.
            RunState::Parked => open,
            _ => None,
        }
    }

    /// Whether its conditions are still to be evaluated, because a plugin of one of them was unavailable.
    pub fn undecided(&self) -> bool {
        matches!(self.state, RunState::Parked | RunState::Waiting) && !self.decision.fired
    }
}

/// Whether a run fired, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the steps are executed.
    pub fired: bool,
    /// The reason, in one sentence.
    pub reason: String,
    /// Each condition that was evaluated.
    pub conditions: Vec<ConditionRecord>,
}

/// The result of one condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConditionRecord {
    /// Its path, such as `when.all[0]`.
    pub path: String,
    /// The plugin.
    pub condition: String,
    /// The plugin's version, if it could be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its verdict. `None` if it failed.
    pub holds: Option<bool>,
    /// Its reason, or its error.
    pub reason: String,
    /// The value that the host read for it from the record that the event is about, if its path refers to it. A value
    /// of more than 1024 bytes of JSON is omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Duration in microseconds.
    pub duration_us: u64,
}

/// The result of a path into a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A value.
    Value(Value),
    /// The record does not have it; the sentence names what it has.
    Missing(String),
    /// There is no such record; the sentence contains the reason.
    NoRecord(String),
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// The conditions are false: nothing is executed.
    Skipped,
    /// Steps are being executed.
    Running,
    /// It continues at `retry_at`: a step is retried, or waits (`wait_until`).
    Waiting,
    /// It continues when the plugin that it waits for is available.
    Parked,
    /// It continues when earlier runs of its concurrency group have ended.
    Queued,
    /// Every step succeeded or was skipped.
    Done,
    /// At least one step failed permanently.
    Failed,
    /// It was cancelled before its last step.
    Cancelled,
}

impl RunState {
    /// Whether it has not ended yet.
    pub fn live(self) -> bool {
        matches!(self, Self::Running | Self::Waiting | Self::Parked | Self::Queued)
    }
}

/// The record of one step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepRecord {
    /// The name by which later steps refer to it.
    pub name: String,
    /// The plugin.
    pub plugin: String,
    /// Action, transform or wait.
    pub kind: StepKind,
    /// The plugin's version, if it could be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its outcome.
    pub outcome: StepOutcome,
    /// Its changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Change>,
    /// The events that it emitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EmittedEvent>,
    /// The plugin's log lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// The record of each item, if it has `for_each`. Stored beside the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemRecord>,
    /// Number of attempts so far.
    pub attempts: u32,
    /// How often the last try was repeated because of write conflicts.
    #[serde(default, skip_serializing_if = "none_at_all")]
    pub reruns: u32,
    /// When the last try began.
    pub started_at: Timestamp,
    /// Duration of the last try, in microseconds.
    pub duration_us: u64,
}

impl StepRecord {
    /// The record of a try that failed at its commit.
    #[must_use]
    pub fn without_changes(self) -> Self {
        Self { effects: Vec::new(), events: Vec::new(), ..self }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde requires the signature")]
fn none_at_all(count: &u32) -> bool {
    *count == 0
}

/// The record of one item of a step with `for_each`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemRecord {
    /// The item's index in the list, counted from 0.
    pub index: u32,
    /// Its outcome.
    pub outcome: StepOutcome,
    /// Its changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Change>,
    /// The events that it emitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EmittedEvent>,
    /// The plugin's log lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Number of attempts so far.
    pub attempts: u32,
    /// How often the last try was repeated because of write conflicts.
    #[serde(default, skip_serializing_if = "none_at_all")]
    pub reruns: u32,
    /// When the last try began.
    pub started_at: Timestamp,
    /// Duration of the last try, in microseconds.
    pub duration_us: u64,
}

/// An event that a step emitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmittedEvent {
    /// Its id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its source.
    pub source: String,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum StepOutcome {
    /// It succeeded.
    Done {
        /// Its result, for later steps `steps.NAME.result`.
        result: Value,
    },
    /// There was nothing to do.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// It is executed when these earlier steps, to whose results it refers, have finished.
    Waiting {
        /// Their names.
        steps: Vec<String>,
    },
    /// It failed.
    Failed {
        /// The stable code.
        code: String,
        /// The message.
        message: String,
        /// Whether it will be retried.
        retrying: bool,
    },
}

impl StepOutcome {
    /// A permanent failure.
    pub fn failed(failure: &Failure) -> Self {
        Self::Failed { code: failure.code.clone(), message: failure.message.clone(), retrying: false }
    }
}
