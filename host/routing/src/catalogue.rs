//! What spaces have set up, in memory: automations, workflows, webhooks and sources, indexed by event type.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{
    Automation, AutomationId, Effects, Event, Failure, INCOMING, Mistake, Mistakes, Plan, Source, SourceId, SpaceId,
    Subscribers, Timestamp, Webhook, WebhookId, Workbench, Workflow, WorkflowStart,
};
use hookwright_plugin::{InputSchema, Workflows};
use hookwright_store::{ConfigChange, Store, StoreError};
use parking_lot::RwLock;
use serde_json::Value;

/// Automations, webhooks, workflows and sources in memory, indexed by the event types that they take. The store is
/// authoritative; this follows each committed change.
#[derive(Default)]
pub struct Catalogue {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    subscribers: Subscribers,
    automations: HashMap<SpaceId, HashMap<AutomationId, Arc<Automation>>>,
    webhooks: HashMap<SpaceId, HashMap<WebhookId, Arc<Webhook>>>,
    /// By the number that names their queue.
    queues: HashMap<(SpaceId, u64), Arc<Webhook>>,
    /// By the digest of the token in the confirmation link.
    links: HashMap<String, (SpaceId, u64)>,
    workflows: HashMap<SpaceId, HashMap<String, Arc<KnownWorkflow>>>,
    /// By the digests of the tokens in their URLs.
    sources: HashMap<String, Arc<Source>>,
    /// How many event sources of a space have each name.
    source_names: HashMap<SpaceId, HashMap<String, usize>>,
}

/// A workflow with its compiled parts.
struct KnownWorkflow {
    workflow: Workflow,
    procedure: Arc<Automation>,
    /// `None`: the schema could not be compiled, and no input is valid.
    input: Option<InputSchema>,
}

impl Catalogue {
    /// The webhook as events and deliveries see it. Once it is disabled here, no event that is accepted afterwards is planned
    /// for it.
    ///
    /// # Errors
    /// [`PipelineError::NotFound`]: there is no such webhook.
    pub fn existing_webhook(&self, space: &SpaceId, id: &str) -> Result<Webhook, PipelineError> {
        let found = self.webhook(space, id);
        found.map(Arc::unwrap_or_clone).ok_or_else(|| PipelineError::not_found("webhook", id))
    }

    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let catalogue = Self::default();
        for (space, automation) in store.automations.all_automations()? {
            catalogue.put_automation(&space, automation);
        }
        for (space, workflow) in store.workflows.all_workflows()? {
            catalogue.put_workflow(&space, workflow);
        }
        for webhook in store.webhooks.all_webhooks()? {
            catalogue.put_webhook(webhook);
        }
        for source in store.sources.all_sources()? {
            catalogue.put_source(source);
        }
        Ok(catalogue)
    }

    /// The automations and webhooks that an event triggers.
    pub fn plan(&self, event: &Event) -> Plan {
        self.inner.read().subscribers.plan(event)
    }

    /// The plan of an event for these automations, and for webhooks only if `deliver`.
    pub fn plan_for(&self, event: &Event, automations: Vec<AutomationId>, deliver: bool) -> Plan {
        self.inner.read().subscribers.plan_for(event, automations, deliver)
    }

    /// The effects of a finished step; the events that it emits get their plans.
    pub fn finish(&self, workbench: Workbench) -> Effects {
        workbench.finish(&self.inner.read().subscribers)
    }

    /// An automation, by its id.
    pub fn automation(&self, space: &SpaceId, id: &AutomationId) -> Option<Arc<Automation>> {
        self.inner.read().automations.get(space)?.get(id).cloned()
    }

    /// The steps of a workflow in its newest version.
    pub fn procedure(&self, space: &SpaceId, name: &str) -> Option<Arc<Automation>> {
        Some(Arc::clone(&self.inner.read().workflows.get(space)?.get(name)?.procedure))
    }

    /// The steps of all workflows in their newest versions.
    pub fn procedures(&self, space: &SpaceId) -> Vec<Arc<Automation>> {
        let inner = self.inner.read();
        let known = inner.workflows.get(space).into_iter().flat_map(HashMap::values);
        known.map(|known| Arc::clone(&known.procedure)).collect()
    }

    pub(crate) fn put_workflow(&self, space: &SpaceId, workflow: Workflow) {
        let known = KnownWorkflow::new(workflow);
        self.inner.write().put_workflow(space, known);
    }

    /// Follows changes that were committed together. A reader sees all of them or none.
    pub fn follow(&self, space: &SpaceId, changes: &[ConfigChange]) {
        // Schemas are compiled before the lock is taken, so that readers do not wait for it.
        let workflows: Vec<KnownWorkflow> = changes.iter().filter_map(KnownWorkflow::changed).collect();
        let mut inner = self.inner.write();
        for known in workflows {
            inner.put_workflow(space, known);
        }
        for change in changes {
            inner.follow(space, change);
        }
    }

    /// The start of a workflow with this input.
    pub fn workflow_start(&self, space: &SpaceId, name: &str, input: &Value) -> Result<WorkflowStart, NotStarted> {
        let known = self.inner.read().workflows.get(space).and_then(|all| all.get(name)).cloned();
        let known = known.ok_or(NotStarted::Unknown)?;
        if !known.workflow.enabled {
            return Err(NotStarted::Disabled);
        }
        let mistakes = match &known.input {
            Some(schema) => schema.check(input),
            None => vec![Mistake::new("input", "the workflow's input schema is not valid: change the workflow")],
        };
        if mistakes.is_empty() { Ok(known.workflow.start()) } else { Err(NotStarted::Wrong(Mistakes(mistakes))) }
    }

    /// Every automation of a space.
    pub fn automations(&self, space: &SpaceId) -> Vec<Arc<Automation>> {
        self.inner.read().automations.get(space).map(|all| all.values().cloned().collect()).unwrap_or_default()
    }

    /// The webhook whose queue has this number.
    pub fn webhook_of_queue(&self, space: &SpaceId, queue: u64) -> Option<Arc<Webhook>> {
        self.inner.read().queues.get(&(space.clone(), queue)).cloned()
    }

    /// The webhook whose confirmation link has the token with this digest.
    pub fn webhook_by_token(&self, digest: &str) -> Option<Arc<Webhook>> {
        let inner = self.inner.read();
        inner.links.get(digest).and_then(|queue| inner.queues.get(queue)).cloned()
    }

    /// A webhook, by its id.
    pub fn webhook(&self, space: &SpaceId, id: &str) -> Option<Arc<Webhook>> {
        self.inner.read().webhooks.get(space)?.get(&WebhookId::from(id)).cloned()
    }

    /// Every webhook of a space.
    pub fn webhooks(&self, space: &SpaceId) -> Vec<Arc<Webhook>> {
        self.inner.read().webhooks.get(space).map(|all| all.values().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn put_automation(&self, space: &SpaceId, automation: Automation) {
        self.inner.write().put_automation(space, automation);
    }

    /// Adds a stored webhook, or replaces it.
    pub fn put_webhook(&self, webhook: Webhook) {
        self.inner.write().put_webhook(webhook);
    }

    /// Removes a deleted webhook.
    pub fn remove_webhook(&self, space: &SpaceId, id: &WebhookId) {
        self.inner.write().remove_webhook(space, id);
    }

    /// The source whose URL has the token with this digest now.
    pub fn source_by_token(&self, digest: &str, now: Timestamp) -> Option<Arc<Source>> {
        self.inner.read().sources.get(digest).filter(|source| source.has_url(digest, now)).cloned()
    }

    /// Every source of all spaces.
    pub fn sources(&self) -> Vec<Arc<Source>> {
        let inner = self.inner.read();
        let present = inner.sources.iter().filter(|(digest, source)| source.token_digest == **digest);
        present.map(|(_, source)| Arc::clone(source)).collect()
    }

    /// Whether an event source of the space has this name. Only events that its URL receives may have it as `source`.
    pub fn is_source(&self, space: &SpaceId, name: &str) -> bool {
        self.inner.read().source_names.get(space).is_some_and(|names| names.contains_key(name))
    }

    pub(crate) fn put_source(&self, source: Source) {
        self.inner.write().put_source(source);
    }
}

/// Why a workflow is not started.
pub enum NotStarted {
    /// There is no workflow with this name.
    Unknown,
    /// It is switched off.
    Disabled,
    /// The input is not valid.
    Wrong(Mistakes),
}

impl Workflows for Catalogue {
    fn start(&self, space: &SpaceId, name: &str, input: &Value) -> Result<WorkflowStart, Failure> {
        let shown = || hookwright_model::abridged(name);
        self.workflow_start(space, name, input).map_err(|why| match why {
            NotStarted::Unknown => {
                Failure::permanent("workflow.not_found", format!("there is no workflow `{}` in this space", shown()))
            }
            NotStarted::Disabled => {
                Failure::permanent("workflow.disabled", format!("the workflow `{}` is disabled", shown()))
            }
            NotStarted::Wrong(mistakes) => Failure::permanent("workflow.input_invalid", mistakes.to_string()),
        })
    }
}

impl KnownWorkflow {
    fn new(workflow: Workflow) -> Self {
        let input = InputSchema::new(&workflow.input)
            .inspect_err(|error| {
                tracing::error!(workflow = workflow.name, error, "the workflow's input schema cannot be compiled");
            })
            .ok();
        Self { procedure: Arc::new(workflow.procedure()), workflow, input }
    }

    /// The workflow that a change created or replaced.
    fn changed(change: &ConfigChange) -> Option<Self> {
        let ConfigChange::Workflow(swap) = change else { return None };
        swap.is.clone().map(Self::new)
    }
}

impl Inner {
    /// Adds a source under each of its URLs.
    fn put_source(&mut self, source: Source) {
        self.remove_source(&source.id);
        if source.kind != INCOMING {
            let names = self.source_names.entry(source.space.clone()).or_default();
            *names.entry(source.name.clone()).or_default() += 1;
        }
        let source = Arc::new(source);
        if let Some(former) = &source.former {
            self.sources.insert(former.token_digest.clone(), Arc::clone(&source));
        }
        self.sources.insert(source.token_digest.clone(), source);
    }

    fn remove_source(&mut self, id: &SourceId) {
        let gone = self.sources.values().find(|known| known.id == *id && known.kind != INCOMING).cloned();
        if let Some(gone) = gone
            && let Some(names) = self.source_names.get_mut(&gone.space)
            && let Some(count) = names.get_mut(&gone.name)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                names.remove(&gone.name);
            }
        }
        self.sources.retain(|_, known| known.id != *id);
    }

    fn follow(&mut self, space: &SpaceId, change: &ConfigChange) {
        match change {
            ConfigChange::Automation(swap) => match (&swap.is, &swap.was) {
                (Some(is), _) => self.put_automation(space, is.clone()),
                (None, Some(was)) => self.remove_automation(space, &was.id),
                (None, None) => {}
            },
            ConfigChange::Workflow(swap) => {
                if let (None, Some(was)) = (&swap.is, &swap.was) {
                    self.remove_workflow(space, &was.name);
                }
            }
            ConfigChange::Webhook(swap) => match (&swap.is, &swap.was) {
                (Some(is), _) => self.put_webhook(is.clone()),
                (None, Some(was)) => self.remove_webhook(space, &was.id),
                (None, None) => {}
            },
            ConfigChange::Source(swap) => match (&swap.is, &swap.was) {
                (Some(is), _) => self.put_source(is.clone()),
                (None, Some(was)) => self.remove_source(&was.id),
                (None, None) => {}
            },
            _ => {}
        }
    }

    fn put_workflow(&mut self, space: &SpaceId, known: KnownWorkflow) {
        let name = known.workflow.name.clone();
        self.workflows.entry(space.clone()).or_default().insert(name, Arc::new(known));
    }

    fn remove_workflow(&mut self, space: &SpaceId, name: &str) {
        if let Some(all) = self.workflows.get_mut(space) {
            all.remove(name);
        }
    }

    fn put_automation(&mut self, space: &SpaceId, automation: Automation) {
        self.remove_automation(space, &automation.id);
        self.subscribers.add_automation(space, &automation);
        self.automations.entry(space.clone()).or_default().insert(automation.id.clone(), Arc::new(automation));
    }

    fn put_webhook(&mut self, webhook: Webhook) {
        self.remove_webhook(&webhook.space, &webhook.id);
        self.subscribers.add_webhook(&webhook);
        let webhook = Arc::new(webhook);
        let queue = (webhook.space.clone(), webhook.number);
        if let Some(digest) = &webhook.confirmation.token_digest {
            self.links.insert(digest.clone(), queue.clone());
        }
        self.queues.insert(queue, Arc::clone(&webhook));
        self.webhooks.entry(webhook.space.clone()).or_default().insert(webhook.id.clone(), webhook);
    }

    fn remove_automation(&mut self, space: &SpaceId, id: &AutomationId) {
        if let Some(old) = self.automations.get_mut(space).and_then(|all| all.remove(id)) {
            self.subscribers.remove_automation(space, &old);
        }
    }

    fn remove_webhook(&mut self, space: &SpaceId, id: &WebhookId) {
        if let Some(old) = self.webhooks.get_mut(space).and_then(|all| all.remove(id)) {
            self.subscribers.remove_webhook(&old);
            self.queues.remove(&(space.clone(), old.number));
            if let Some(digest) = &old.confirmation.token_digest {
                self.links.remove(digest);
            }
        }
    }
}
