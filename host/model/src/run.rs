use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AutomationId, Change, Event, Failure, Lane, RunId, SpaceId, StepKind, Timestamp};

/// One automation carried out, or not, for one event: the decision with its reasons, and what each step did.
///
/// It is stored and shown in a flat form, which `run_row.rs` defines.
#[derive(Clone, Debug)]
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
    /// How often the next step was tried in vain. No part of the state: it counts on while the run waits, is parked and is
    /// carried out again.
    pub tries: u32,
    /// Steps, and items of steps, that are yet to be settled while later ones are carried out, or wait, or are parked.
    pub open_steps: Vec<OpenStep>,
    /// How far a step with `for_each` is.
    pub progress: Progress,
    /// How long the next step lets time pass, once that has begun. No part of the state: while the time passes, open steps
    /// are tried again, and the run is carried out for that.
    pub wait: Option<StepWait>,
    /// Its concurrency group, if its automation bounds how many runs there are at a time. No part of the state: the run has
    /// a position there from the acceptance of its event until it has ended, and not only while it is queued.
    pub lane: Option<Lane>,
    /// Whether it has waited, parked or queued before: it is no longer part of its event's open work, and is found by a row
    /// of its own for as long as it lives. Set by the store.
    pub resumed: bool,
    /// How often it was saved after it was decided, by which a commit knows that nobody else was here before. Set by the
    /// store.
    pub version: u64,
    /// When it was decided.
    pub created_at: Timestamp,
}

/// How long a step lets time pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepWait {
    /// Until when.
    pub until: Timestamp,
    /// Since when, if `until` is so long after that: a clock that was wrong then is noticed by it. None: it waits until a
    /// time that somebody named.
    pub since: Option<Timestamp>,
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

impl OpenStep {
    /// When the first of these is tried again.
    pub(crate) fn first_retry(open: &[Self]) -> Option<Timestamp> {
        open.iter().filter_map(|open| open.retry_at).min()
    }
}

/// How far a step with `for_each` is.
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
    pub(crate) fn is_none(&self) -> bool {
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
            open_steps: Vec::new(),
            progress: Progress::default(),
            wait: None,
            lane: None,
            resumed: false,
            version: 0,
            created_at: event.received_at,
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
        let broken = matches!(self.state, RunState::Failed { .. }) && !self.decision.fired;
        steps.flatten().chain(broken.then_some(self.decision.reason.as_str()))
    }

    /// Whether it is executed as part of its event's open work.
    pub fn in_work(&self) -> bool {
        self.state.in_work(self.resumed)
    }

    /// When it is due, if it continues by itself: at its time while it waits; at once if it is in progress and is not
    /// part of its event's work. "At once" is the earliest instant, so that it does not depend on the clock.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.state.due_at(self.resumed, self.first_retry())
    }

    /// When the first of its open steps is tried again.
    pub fn first_retry(&self) -> Option<Timestamp> {
        OpenStep::first_retry(&self.open_steps)
    }

    /// Whether its conditions are still to be asked: a plugin for one of them could not be called.
    pub fn undecided(&self) -> bool {
        self.state.undecided(self.decision.fired)
    }

    /// The run, failed for good: none of its open steps is tried again.
    #[must_use]
    pub fn failed(self, at: Timestamp) -> Self {
        Self { state: RunState::Failed { at }, open_steps: Vec::new(), ..self }
    }

    /// The run, ended by somebody: none of its open steps is tried again.
    #[must_use]
    pub fn cancelled(self, at: Timestamp) -> Self {
        Self { state: RunState::Cancelled { at }, open_steps: Vec::new(), ..self }
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

/// Where a run stands, with the data that only this state has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// The conditions do not hold: nothing is done.
    Skipped {
        /// When that was decided.
        at: Timestamp,
    },
    /// Steps are being carried out.
    Running,
    /// It goes on by itself: a step is tried again, or lets time pass, or was released.
    Waiting {
        /// When.
        until: Timestamp,
        /// Since when, if `until` is so long after that: a clock that was wrong then is noticed by it. None: that is known
        /// of what it waits for, the next step's `wait` or the open steps.
        since: Option<Timestamp>,
        /// The plugin that has no capacity for it at the moment.
        plugin: Option<String>,
    },
    /// It goes on when a plugin can be called.
    Parked {
        /// The plugin.
        plugin: String,
    },
    /// It goes on when earlier runs of its concurrency group have ended.
    Queued,
    /// Every step is done or skipped.
    Done {
        /// When the last one was.
        at: Timestamp,
    },
    /// At least one step failed for good, or a condition could not be evaluated.
    Failed {
        /// When its last step was done.
        at: Timestamp,
    },
    /// Somebody ended it before its last step.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

impl RunState {
    /// [`Run::in_work`] of a run in this state.
    pub fn in_work(&self, resumed: bool) -> bool {
        *self == Self::Running && !resumed
    }

    /// [`Run::due_at`] of a run in this state, of whose open steps the first is tried again at `first_retry`.
    pub fn due_at(&self, resumed: bool, first_retry: Option<Timestamp>) -> Option<Timestamp> {
        match *self {
            Self::Waiting { until, .. } => Some(first_retry.map_or(until, |retry| retry.min(until))),
            Self::Running if resumed => Some(Timestamp::default()),
            // Its next step waits for a plugin; those that later ones went past do not wait for that.
            Self::Parked { .. } => first_retry,
            _ => None,
        }
    }

    /// [`Run::undecided`] of a run in this state.
    pub fn undecided(&self, fired: bool) -> bool {
        matches!(self, Self::Parked { .. } | Self::Waiting { .. }) && !fired
    }

    /// Whether something is still to come.
    pub fn live(&self) -> bool {
        self.finished_at().is_none()
    }

    /// When the run ended, if it has.
    pub fn finished_at(&self) -> Option<Timestamp> {
        match *self {
            Self::Skipped { at } | Self::Done { at } | Self::Failed { at } | Self::Cancelled { at } => Some(at),
            Self::Running | Self::Waiting { .. } | Self::Parked { .. } | Self::Queued => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> RunStateName {
        match self {
            Self::Skipped { .. } => RunStateName::Skipped,
            Self::Running => RunStateName::Running,
            Self::Waiting { .. } => RunStateName::Waiting,
            Self::Parked { .. } => RunStateName::Parked,
            Self::Queued => RunStateName::Queued,
            Self::Done { .. } => RunStateName::Done,
            Self::Failed { .. } => RunStateName::Failed,
            Self::Cancelled { .. } => RunStateName::Cancelled,
        }
    }
}

/// The name of a [`RunState`], as the API shows it and filters by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStateName {
    /// [`RunState::Skipped`].
    Skipped,
    /// [`RunState::Running`].
    Running,
    /// [`RunState::Waiting`].
    Waiting,
    /// [`RunState::Parked`].
    Parked,
    /// [`RunState::Queued`].
    Queued,
    /// [`RunState::Done`].
    Done,
    /// [`RunState::Failed`].
    Failed,
    /// [`RunState::Cancelled`].
    Cancelled,
}

impl RunStateName {
    /// The name as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Queued => "queued",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
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
