//! Creates, changes, deletes and starts workflows. Their runs are executed like those of automations.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::hops;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::accept::Intake;
use hookwright_model::{
    Author, Cause, Creates as _, EventDraft, KeyedRequest, MAX_CHAIN, Mistake, RunId, SpaceId, Workflow, WorkflowInput,
};
use hookwright_plugin::{InputSchema, NameOf};
use hookwright_runs::stored::Runs;
use hookwright_store::{Appended, ConfigChange, Store, Swap};
use serde::Serialize;
use serde_json::Value;

use crate::automations::Automations;
use crate::check_scope::CheckScope;
use crate::lifecycle::{Lifecycle, Resource};
use crate::pending_changes::PendingChanges;
use crate::references::References;
use crate::switching::only_switched_off;

/// The most bytes of a workflow's input.
const MAX_INPUT_BYTES: usize = 1024 * 1024;

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
    /// Whether an earlier request with the same idempotency key started it: then nothing was done again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// Creates, changes, deletes and starts workflows.
pub struct Workflows {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) automations: Arc<Automations>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) references: Arc<References>,
    pub(crate) runs: Arc<Runs>,
}

impl Workflows {
    /// Creates a workflow. All validation errors are reported at once, each with its path.
    pub async fn create_workflow(&self, space: &SpaceId, input: WorkflowInput) -> Result<Workflow, PipelineError> {
        let next = || {
            let workflow = self.new_workflow(space, input.clone())?;
            if self.store.workflows.workflow(space, &workflow.name)?.is_some() {
                let message =
                    format!("there is a workflow `{}` already: change it, or choose another name", workflow.name);
                return Err(PipelineError::Conflict { code: "workflow.exists", message });
            }
            Ok((None, workflow))
        };
        Ok(self.lifecycle.put(self, space, "", next).await?.thing)
    }

    /// A new workflow. Omitted fields take their defaults.
    pub(crate) fn new_workflow(&self, space: &SpaceId, input: WorkflowInput) -> Result<Workflow, PipelineError> {
        let has = |field: &str| if field == "name" { input.name.is_some() } else { input.steps.is_some() };
        WorkflowInput::missing(&has).check()?;
        let name = input.name.unwrap_or_default();
        Workflow::check_name(&name)?;
        // Versions continue after those of a deleted workflow, because runs may still be in progress with them.
        let former = self.store.workflows.workflow_versions(space, &name, u32::MAX, 1)?;
        let now = self.clock.now();
        Ok(Workflow {
            name,
            description: input.description.flatten().unwrap_or_default(),
            version: former.first().map_or(0, |former| former.version).saturating_add(1),
            input: input.input.flatten().unwrap_or_default(),
            steps: input.steps.unwrap_or_default(),
            on_unavailable: input.on_unavailable.flatten().unwrap_or_default(),
            concurrency: input.concurrency.flatten(),
            enabled: input.enabled.flatten().unwrap_or(true),
            created_at: now,
            updated_at: now,
        })
    }

    /// Changes the fields that `input` gives, as a new version. Runs in progress finish with their version.
    pub async fn change_workflow(
        &self,
        space: &SpaceId,
        name: &str,
        input: WorkflowInput,
    ) -> Result<Workflow, PipelineError> {
        let next = || {
            let (old, input) = (self.workflow(space, name)?, input.clone());
            if input.name.as_ref().is_some_and(|new| *new != old.name) {
                let message = "cannot be changed: create another workflow, and delete this one";
                return Err(PipelineError::from(Mistake::new("name", message)));
            }
            let was = old.clone();
            let workflow = Workflow {
                description: input.description.map_or(old.description, Option::unwrap_or_default),
                input: input.input.map_or(old.input, Option::unwrap_or_default),
                steps: input.steps.unwrap_or(old.steps),
                on_unavailable: input.on_unavailable.map_or(old.on_unavailable, Option::unwrap_or_default),
                concurrency: input.concurrency.unwrap_or(old.concurrency),
                enabled: input.enabled.map_or(old.enabled, |enabled| enabled.unwrap_or(true)),
                ..old
            };
            Ok((Some(was), workflow))
        };
        Ok(self.lifecycle.put(self, space, "", next).await?.thing)
    }

    /// The workflows of a space, by name.
    pub fn workflows(&self, space: &SpaceId) -> Result<Vec<Workflow>, PipelineError> {
        Ok(self.store.workflows.workflows(space)?)
    }

    /// The versions of a workflow that are older than `before`, newest first.
    ///
    /// # Errors
    /// [`PipelineError::NotFound`]: there is no such workflow.
    pub fn workflow_versions(
        &self,
        space: &SpaceId,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<Workflow>, PipelineError> {
        self.workflow(space, name)?;
        Ok(self.store.workflows.workflow_versions(space, name, before, limit)?)
    }

    /// The workflow, or an error if it does not exist.
    pub fn workflow(&self, space: &SpaceId, name: &str) -> Result<Workflow, PipelineError> {
        self.store.workflows.workflow(space, name)?.ok_or_else(|| PipelineError::not_found("workflow", name))
    }

    /// Deletes a workflow. Its runs continue.
    ///
    /// # Errors
    /// Something refers to the workflow: `workflow.in_use`.
    pub async fn delete_workflow(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        self.lifecycle.delete(self, space, || self.workflow(space, name)).await
    }

    /// Starts a workflow: when this returns, the start is durable. `by` is who starts it. With an idempotency key, a
    /// retry starts nothing.
    pub async fn start_workflow(
        &self,
        space: &SpaceId,
        name: &str,
        input: &Value,
        by: &Author,
        request: Option<&KeyedRequest>,
    ) -> Result<StartedWorkflow, PipelineError> {
        if let Some(made) = self.intake.made_before(space, request)? {
            return self.started(space, name, self.intake.accepted_before(space, &made)?, None);
        }
        if hops::loops() {
            let message = format!(
                "the request came at the end of a chain of more than {MAX_CHAIN} (Hookwright-Hops): no workflow is started"
            );
            return Err(PipelineError::Conflict { code: "chain.too_long", message });
        }
        let start = self.runs.workflow_start(space, name, input)?;
        let version = start.version;
        let source = format!("hookwright/workflows/{}", start.name);
        let draft = EventDraft::start(start, &source, input, Some(Cause::api().by(by)));
        if draft.payload.len() > MAX_INPUT_BYTES {
            return Err(
                Mistake::new("input", format!("has {} bytes: at most {MAX_INPUT_BYTES}", draft.payload.len())).into()
            );
        }
        let accepted = self.intake.accept_once(space, vec![draft], request).await?;
        self.started(space, name, accepted, Some(version))
    }

    /// What the accepted event started: now, in this version, or by an earlier request.
    fn started(
        &self,
        space: &SpaceId,
        name: &str,
        accepted: Vec<Appended>,
        version: Option<u32>,
    ) -> Result<StartedWorkflow, PipelineError> {
        let not_found = || PipelineError::not_found("workflow", name);
        let Appended { seq, id: event, repeat: duplicate, .. } = accepted.into_iter().next().ok_or_else(not_found)?;
        let version = match version.filter(|_| !duplicate) {
            Some(version) => version,
            None => {
                let data = self.store.events.event_at(space, seq)?.ok_or_else(not_found)?.data_value();
                let version = data.get("version").and_then(Value::as_u64);
                version.and_then(|version| u32::try_from(version).ok()).unwrap_or_default()
            }
        };
        Ok(StartedWorkflow { id: RunId { seq, ordinal: 0 }, event, workflow: name.to_owned(), version, duplicate })
    }
}

impl Resource for Workflows {
    type Thing = Workflow;
    const CHANGED: &'static str = "workflow.changed";
    const IS_REFERRED_TO: bool = true;

    fn successor(&self, old: Option<&Workflow>, workflow: Workflow, _by: &str) -> Result<Workflow, PipelineError> {
        let Some(old) = old else { return Ok(workflow) };
        let version = old.version.saturating_add(1);
        Ok(Workflow { version, created_at: old.created_at, updated_at: self.clock.now(), ..workflow })
    }

    fn plugins(workflow: &Workflow) -> BTreeSet<&str> {
        workflow.plugins()
    }

    fn is_only_disabled(old: &Workflow, new: &Workflow) -> bool {
        only_switched_off(old, new, new.enabled)
    }

    fn check(&self, space: &SpaceId, pending: &PendingChanges, workflow: &mut Workflow) -> Result<(), PipelineError> {
        let mut mistakes = workflow.check().err().unwrap_or_default();
        if let Err(wrong) = InputSchema::new(&workflow.input) {
            mistakes.add("input", wrong);
        }
        let scope = CheckScope { space, pending, itself: Some(&workflow.name) };
        self.automations.check_steps(scope, &workflow.steps, "steps", true, &mut mistakes);
        mistakes.0.dedup();
        Ok(mistakes.check()?)
    }

    fn check_deletion(&self, space: &SpaceId, workflow: &Workflow) -> Result<(), PipelineError> {
        self.references.check_unused(space, NameOf::Workflow, &workflow.name)
    }

    fn changes(swap: Swap<Workflow>) -> Vec<ConfigChange> {
        vec![ConfigChange::Workflow(swap)]
    }
}
