//! Runs as people see them, and how they are ended early.

use std::time::Duration;

use hookwright_model::{Effects, Run, RunId, RunState, SpaceId, WORKFLOW_STARTED};
use hookwright_store::{Committed, EventLookup, StepCommit};

use crate::{Pipeline, PipelineError};

/// How often a run is tried to be ended while it goes on.
const TRIES: u32 = 20;
/// How long a run is let to be decided before it is tried to be ended again.
const PAUSE: Duration = Duration::from_millis(50);

impl Pipeline {
    /// A run, with what its steps did for their items.
    pub fn run(&self, space: &SpaceId, id: &str) -> Result<Run, PipelineError> {
        let key = self.run_id(space, id)?;
        match self.store.run(space, key)? {
            Some(run) => self.with_items(run),
            None => self.undecided(space, key)?.ok_or_else(|| PipelineError::not_found("run", id)),
        }
    }

    /// A run whose event was accepted and whose turn is yet to come.
    fn undecided(&self, space: &SpaceId, id: RunId) -> Result<Option<Run>, PipelineError> {
        let work = self.store.work_of(id.seq)?.filter(|work| work.space == *space);
        let place = usize::try_from(id.ordinal).unwrap_or(usize::MAX);
        let Some(automation) = work.and_then(|work| work.automations.get(place).cloned()) else { return Ok(None) };
        let Some(event) = self.store.event_at(space, id.seq)? else { return Ok(None) };
        let name = match automation.workflow() {
            Some(name) => Some(name.to_owned()),
            None => self.catalogue.automation(space, &automation).map(|found| found.name.clone()),
        };
        Ok(Some(Run::undecided_for(&event, id, automation, name.unwrap_or_default())))
    }

    /// Ends a run before its last step. What its steps have done stays done; a step that is under way changes nothing any
    /// more.
    pub async fn cancel_run(&self, space: &SpaceId, id: &str) -> Result<Run, PipelineError> {
        let key = self.run_id(space, id)?;
        for _ in 0..TRIES {
            let Some(run) = self.store.run(space, key)? else {
                if self.undecided(space, key)?.is_none() {
                    return Err(PipelineError::not_found("run", id));
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if !run.state.live() {
                let state = serde_json::to_value(run.state).unwrap_or_default();
                let state = state.as_str().unwrap_or_default();
                let message = format!("the run has ended: it is {state}");
                return Err(PipelineError::Conflict { code: "run.ended", message });
            }
            let (expected_step, expected_tries, expected_item) = (run.next_step, run.tries, run.progress.item);
            // The others of its event may still be under way: then the last of them closes the event's work.
            let others = self.store.runs_of(space, key.seq)?;
            let close = !others.iter().any(|other| other.id != key && other.state == RunState::Running);
            let cancelled = Run {
                state: RunState::Cancelled,
                retry_at: None,
                waits_for: None,
                finished_at: Some(self.now()),
                ..run
            };
            let commit = StepCommit {
                run: cancelled.clone(),
                expected_step,
                expected_tries,
                expected_item,
                item: None,
                effects: Effects::default(),
                close,
                due_was: None,
            };
            if self.store.complete_step(commit).await? == Committed::Done {
                return self.with_items(cancelled);
            }
        }
        let message = "the run goes on too fast to be ended: try again".to_owned();
        Err(PipelineError::Conflict { code: "run.busy", message })
    }

    /// The run that is meant: by its id, or by that of the event that started it as a workflow's.
    fn run_id(&self, space: &SpaceId, id: &str) -> Result<RunId, PipelineError> {
        if let Ok(id) = id.parse() {
            return Ok(id);
        }
        match self.store.event(space, id, None)? {
            EventLookup::One(seq, event) if event.event_type == WORKFLOW_STARTED => Ok(RunId { seq, ordinal: 0 }),
            _ => Err(PipelineError::not_found("run", id)),
        }
    }

    /// Adds what steps did for their items.
    pub(crate) fn with_items(&self, mut run: Run) -> Result<Run, PipelineError> {
        for (step, item) in self.store.items(&run.space, run.id)? {
            let step = usize::try_from(step).ok().and_then(|step| run.steps.get_mut(step));
            if let Some(step) = step {
                step.items.push(item);
            }
        }
        Ok(run)
    }
}
