//! Workflows: made, changed, started. Their runs are carried out as those of automations are.

use std::sync::Arc;

use hookwright_model::{
    Automation, Cause, Event, EventDraft, Mistake, Mistakes, RunId, SpaceId, Workflow, WorkflowInput, WorkflowStart,
};
use hookwright_plugin::InputSchema;
use serde::Serialize;
use serde_json::Value;

use crate::automations::Sight;
use crate::catalogue::NotStarted;
use crate::outlook::Outlook;
use crate::{Pipeline, PipelineError};

/// The most bytes of what a workflow is started with.
const MAX_INPUT: usize = 1024 * 1024;

/// A workflow that was started.
#[derive(Clone, Debug, Serialize)]
pub struct StartedWorkflow {
    /// Its run.
    pub id: RunId,
    /// Id of the event that started it.
    pub event: String,
    /// The workflow's name.
    pub workflow: String,
    /// Its version.
    pub version: u32,
}

impl Pipeline {
    /// Makes a workflow. Every mistake in it is reported at once, with its path.
    pub async fn create_workflow(&self, space: &SpaceId, input: WorkflowInput) -> Result<Workflow, PipelineError> {
        let _changing = self.changing.lock().await;
        let workflow = self.new_workflow(space, input)?;
        if self.store.workflow(space, &workflow.name)?.is_some() {
            let message = format!("there is a workflow `{}` already: change it, or choose another name", workflow.name);
            return Err(PipelineError::Conflict { code: "workflow.exists", message });
        }
        self.save_workflow(space, workflow).await
    }

    /// A new workflow: what `input` does not give is as it is unless said otherwise.
    pub(crate) fn new_workflow(&self, space: &SpaceId, input: WorkflowInput) -> Result<Workflow, PipelineError> {
        let mut missing = Mistakes::default();
        for (name, absent) in [("name", input.name.is_none()), ("steps", input.steps.is_none())] {
            if absent {
                missing.add(name, "is missing");
            }
        }
        missing.check()?;
        let name = input.name.unwrap_or_default();
        Workflow::check_name(&name)?;
        // Runs of one that was deleted may still be under way by its versions.
        let former = self.store.workflow_versions(space, &name, u32::MAX, 1)?;
        let now = self.now();
        Ok(Workflow {
            name,
            description: input.description.unwrap_or_default(),
            version: former.first().map_or(0, |former| former.version).saturating_add(1),
            input: input.input.unwrap_or_default(),
            steps: input.steps.unwrap_or_default(),
            on_unavailable: input.on_unavailable.unwrap_or_default(),
            concurrency: input.concurrency.flatten(),
            enabled: input.enabled.unwrap_or(true),
            created_at: now,
            updated_at: now,
        })
    }

    /// Changes what `input` gives, as a new version. Runs that are under way end by theirs.
    pub async fn change_workflow(
        &self,
        space: &SpaceId,
        name: &str,
        input: WorkflowInput,
    ) -> Result<Workflow, PipelineError> {
        let _changing = self.changing.lock().await;
        let old = self.workflow(space, name)?;
        if input.name.as_ref().is_some_and(|new| *new != old.name) {
            let message = "a workflow keeps its name: make another, and delete this one";
            return Err(Mistake::new("name", message).into());
        }
        let workflow = Workflow {
            description: input.description.unwrap_or(old.description),
            version: old.version.saturating_add(1),
            input: input.input.unwrap_or(old.input),
            steps: input.steps.unwrap_or(old.steps),
            on_unavailable: input.on_unavailable.unwrap_or(old.on_unavailable),
            concurrency: input.concurrency.unwrap_or(old.concurrency),
            enabled: input.enabled.unwrap_or(old.enabled),
            updated_at: self.now(),
            ..old
        };
        self.save_workflow(space, workflow).await
    }

    async fn save_workflow(&self, space: &SpaceId, workflow: Workflow) -> Result<Workflow, PipelineError> {
        self.loaded(space, &workflow.plugins()).await;
        self.check_workflow(space, &Outlook::default(), &workflow)?;
        self.store.put_workflow(space, &workflow).await?;
        self.catalogue.put_workflow(space, workflow.clone());
        Ok(workflow)
    }

    pub(crate) fn check_workflow(
        &self,
        space: &SpaceId,
        outlook: &Outlook,
        workflow: &Workflow,
    ) -> Result<(), Mistakes> {
        let mut mistakes = workflow.check().err().unwrap_or_default();
        if let Err(wrong) = InputSchema::new(&workflow.input) {
            mistakes.add("input", wrong);
        }
        self.check_steps(Sight { space, outlook }, &workflow.steps, "steps", true, &mut mistakes);
        mistakes.0.dedup();
        mistakes.check()
    }

    /// The workflow, or an error that says there is none.
    pub fn workflow(&self, space: &SpaceId, name: &str) -> Result<Workflow, PipelineError> {
        self.store.workflow(space, name)?.ok_or_else(|| PipelineError::not_found("workflow", name))
    }

    /// Deletes a workflow. Its runs that were started go on.
    pub async fn delete_workflow(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        if !self.store.delete_workflow(space, name).await? {
            return Err(PipelineError::not_found("workflow", name));
        }
        self.catalogue.remove_workflow(space, name);
        Ok(())
    }

    /// Starts a workflow: when this returns, that is durable.
    pub async fn start_workflow(
        &self,
        space: &SpaceId,
        name: &str,
        input: &Value,
    ) -> Result<StartedWorkflow, PipelineError> {
        let start = self.workflow_start(space, name, input)?;
        let (workflow, version) = (start.name.clone(), start.version);
        let source = format!("hookwright/workflows/{workflow}");
        let draft = EventDraft::start(start, &source, input, Some(Cause::api()));
        if draft.payload.len() > MAX_INPUT {
            return Err(Mistake::new("input", format!("has {} bytes: at most {MAX_INPUT}", draft.payload.len())).into());
        }
        let accepted = self.accept(space, vec![draft]).await?;
        let started = accepted.into_iter().next().ok_or_else(|| PipelineError::not_found("workflow", name))?;
        let id = RunId { seq: started.seq, ordinal: 0 };
        Ok(StartedWorkflow { id, event: started.id, workflow, version })
    }

    /// What starts a workflow with this input.
    pub(crate) fn workflow_start(
        &self,
        space: &SpaceId,
        name: &str,
        input: &Value,
    ) -> Result<WorkflowStart, PipelineError> {
        self.catalogue.workflow_start(space, name, input).map_err(|why| match why {
            NotStarted::Unknown => PipelineError::not_found("workflow", name),
            NotStarted::Disabled => {
                let message = format!("the workflow `{name}` is switched off: switch it on");
                PipelineError::Conflict { code: "workflow.disabled", message }
            }
            NotStarted::Wrong(mistakes) => PipelineError::Invalid(mistakes),
        })
    }

    /// The steps that an event started.
    pub(crate) fn started_version(&self, space: &SpaceId, name: &str, event: &Event) -> Option<Arc<Automation>> {
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
        let kept = self.store.workflow_version(space, name, version)?;
        Ok(kept.map(|kept| Arc::new(kept.procedure())))
    }
}
