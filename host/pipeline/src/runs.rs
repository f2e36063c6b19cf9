//! Runs as people see them, and how they are ended early.

use hookwright_model::{Effects, Run, RunId, RunState, SpaceId};
use hookwright_store::{Committed, StepCommit};

use crate::{Pipeline, PipelineError};

/// How often a run is tried to be ended while it goes on.
const TRIES: u32 = 20;

impl Pipeline {
    /// A run, with what its steps did for their items.
    pub fn run(&self, space: &SpaceId, id: &str) -> Result<Run, PipelineError> {
        let run = self.run_id(id)?;
        let run = self.store.run(space, run)?.ok_or_else(|| PipelineError::not_found("run", id))?;
        self.with_items(run)
    }

    /// Ends a run before its last step. What its steps have done stays done; a step that is under way changes nothing any
    /// more.
    pub async fn cancel_run(&self, space: &SpaceId, id: &str) -> Result<Run, PipelineError> {
        let key = self.run_id(id)?;
        for _ in 0..TRIES {
            let run = self.store.run(space, key)?.ok_or_else(|| PipelineError::not_found("run", id))?;
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

    fn run_id(&self, id: &str) -> Result<RunId, PipelineError> {
        id.parse().map_err(|()| PipelineError::not_found("run", id))
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
