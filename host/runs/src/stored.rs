//! Reads runs, and ends them early.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Automation, Effects, Event, Run, RunId, SpaceId, Timestamp, WORKFLOW_STARTED, WorkflowStart};
use hookwright_routing::catalogue::{Catalogue, NotStarted};
use hookwright_store::{EventLookup, Listing, Page, StepCommit, StepCommitted, Store};
use serde_json::Value;

/// How often ending a run is attempted while it makes progress.
const MAX_ATTEMPTS_TO_END: u32 = 20;

/// The pause before the next attempt to end a run that is not decided yet.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The runs, and the automations that they execute.
pub struct Runs {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
}

impl Runs {
    /// The runs for which `keep` returns true, newest first, without the records of items.
    pub fn runs(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Run) -> bool,
    ) -> Result<Listing<Run>, PipelineError> {
        Ok(self.store.runs.runs(space, page, keep)?)
    }

    /// A run, with the records of items.
    pub fn run(&self, space: &SpaceId, id: &str) -> Result<Run, PipelineError> {
        let key = self.run_id(space, id)?;
        match self.store.runs.run(space, key)? {
            Some(run) => self.with_items(run),
            None => self.undecided(space, key)?.ok_or_else(|| PipelineError::not_found("run", id)),
        }
    }

    /// A run whose event was accepted, and which is not decided yet.
    fn undecided(&self, space: &SpaceId, id: RunId) -> Result<Option<Run>, PipelineError> {
        let work = self.store.backlog.work_of(id.seq)?.filter(|work| work.space == *space);
        let place = usize::try_from(id.ordinal).unwrap_or(usize::MAX);
        let Some(automation) = work.and_then(|work| work.automations.get(place).cloned()) else { return Ok(None) };
        let Some(event) = self.store.events.event_at(space, id.seq)? else { return Ok(None) };
        let name = match automation.workflow() {
            Some(name) => Some(name.to_owned()),
            None => self.catalogue.automation(space, &automation).map(|found| found.name.clone()),
        };
        Ok(Some(Run::undecided_for(&event, id, automation, name.unwrap_or_default())))
    }

    /// Ends a run before its last step. The effects of earlier steps remain; a step in progress has no effects any more.
    pub async fn cancel_run(&self, space: &SpaceId, id: &str) -> Result<Run, PipelineError> {
        let key = self.run_id(space, id)?;
        self.end_run(space, key, &Run::cancelled).await
    }

    /// Ends a run that has not ended: `end` does so, at the time that it is given.
    pub(crate) async fn end_run(
        &self,
        space: &SpaceId,
        key: RunId,
        end: &(dyn Fn(Run, Timestamp) -> Run + Sync),
    ) -> Result<Run, PipelineError> {
        for _ in 0..MAX_ATTEMPTS_TO_END {
            let Some(run) = self.store.runs.run(space, key)? else {
                if self.undecided(space, key)?.is_none() {
                    return Err(PipelineError::not_found("run", &key.to_string()));
                }
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            };
            if !run.state.live() {
                let message = format!("the run has ended: it is {}", run.state.name().as_str());
                return Err(PipelineError::Conflict { code: "run.ended", message });
            }
            let commit = StepCommit { run: end(run, self.clock.now()), item: None, effects: Effects::default() };
            if let StepCommitted::Done(ended) = self.store.runs.complete_step(commit).await? {
                return self.with_items(*ended);
            }
        }
        let message = "the run changed too often to be ended: try again".to_owned();
        Err(PipelineError::Conflict { code: "run.busy", message })
    }

    /// The id of a run, from its text or from the id of the event that started it as a run of a workflow.
    fn run_id(&self, space: &SpaceId, id: &str) -> Result<RunId, PipelineError> {
        if let Ok(id) = id.parse() {
            return Ok(id);
        }
        match self.store.events.event(space, id, None)? {
            EventLookup::One(seq, event) if event.event_type == WORKFLOW_STARTED => Ok(RunId { seq, ordinal: 0 }),
            _ => Err(PipelineError::not_found("run", id)),
        }
    }

    /// Adds the records of items.
    pub fn with_items(&self, mut run: Run) -> Result<Run, PipelineError> {
        for (step, item) in self.store.runs.items(&run.space, run.id)? {
            let step = usize::try_from(step).ok().and_then(|step| run.steps.get_mut(step));
            if let Some(step) = step {
                step.items.push(item);
            }
        }
        Ok(run)
    }

    /// The start of a workflow with this input.
    pub fn workflow_start(&self, space: &SpaceId, name: &str, input: &Value) -> Result<WorkflowStart, PipelineError> {
        self.catalogue.workflow_start(space, name, input).map_err(|why| match why {
            NotStarted::Unknown => PipelineError::not_found("workflow", name),
            NotStarted::Disabled => {
                let message = format!("the workflow `{name}` is disabled: enable it");
                PipelineError::Conflict { code: "workflow.disabled", message }
            }
            NotStarted::Wrong(mistakes) => PipelineError::Invalid(mistakes),
        })
    }

    /// The steps of the version of a workflow that an event started.
    pub fn started_version(&self, space: &SpaceId, name: &str, event: &Event) -> Option<Arc<Automation>> {
        let version = event.data_value().get("version")?.as_u64()?;
        let found = self.version_of(space, name, u32::try_from(version).ok()?);
        found.inspect_err(|error| tracing::error!(%error, workflow = name, "a workflow cannot be read")).ok().flatten()
    }

    /// The steps of a version of a workflow.
    pub(crate) fn version_of(
        &self,
        space: &SpaceId,
        name: &str,
        version: u32,
    ) -> Result<Option<Arc<Automation>>, PipelineError> {
        if let Some(newest) = self.catalogue.procedure(space, name).filter(|found| found.revision == version) {
            return Ok(Some(newest));
        }
        let kept = self.store.workflows.workflow_version(space, name, version)?;
        Ok(kept.map(|kept| Arc::new(kept.procedure())))
    }

    /// The steps that a run executes: those of the revision that decided it.
    pub fn procedure(&self, run: &Run) -> Result<Arc<Automation>, PipelineError> {
        if let Some(name) = run.workflow() {
            let version = self.version_of(&run.space, name, run.revision)?;
            return version.ok_or_else(|| {
                let gone = format!("{} of the workflow {name}", run.revision);
                PipelineError::not_found("version", &gone)
            });
        }
        match self.catalogue.automation(&run.space, &run.automation) {
            Some(automation) if automation.revision == run.revision => Ok(automation),
            _ => {
                let kept =
                    self.store.automations.automation_revision(&run.space, run.automation.as_str(), run.revision)?;
                let gone = || {
                    let gone = format!("{} of the automation {}", run.revision, run.automation.as_str());
                    PipelineError::not_found("version", &gone)
                };
                Ok(Arc::new(kept.ok_or_else(gone)?))
            }
        }
    }

    /// A revision of an automation, switched on: it is executed even if the automation was off then, since the caller names it.
    pub fn pinned_revision(
        &self,
        space: &SpaceId,
        id: &str,
        revision: u32,
    ) -> Result<Option<Automation>, PipelineError> {
        let found = self.store.automations.automation_revision(space, id, revision)?;
        Ok(found.map(|found| Automation { enabled: true, ..found }))
    }
}
