//! What objects of a space refer to by name: workflows and kinds of record. An unknown name is refused when the object
//! is saved, and nothing is deleted to which an object refers.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_invoke::loading::Loading;
use hookwright_model::{
    Automation, Kind, Mistake, Mistakes, RecordKind, Schedule, SigningPolicy, SpaceId, StepKind, Webhook, abridged,
    builtin_kind, is_kind,
};
use hookwright_plugin::{Listed, NameOf, Plugin, Registry};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::Store;
use serde_json::{Map, Value};

use crate::check_scope::CheckScope;
use crate::pending_changes::{PendingChanges, Unread};

/// How many names a message lists.
const MAX_LISTED: usize = 20;

/// A name in the parameters of a plugin.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reference<'a> {
    /// The parameter that it is in.
    parameter: &'a str,
    /// What the name refers to.
    what: NameOf,
    /// The name.
    name: &'a str,
}

/// The names in the parameters. The value of a variable is not known before a run.
fn references<'a>(plugin: &'a Plugin, with: &'a Map<String, Value>) -> Vec<Reference<'a>> {
    let written = |parameter: &str| with.get(parameter).and_then(Value::as_str);
    let is_known = |name: &&str| !name.contains("{{");
    let names = plugin.names().iter().filter_map(|(parameter, what)| {
        let name = written(parameter).filter(is_known)?;
        Some(Reference { parameter: parameter.as_str(), what: *what, name })
    });
    let record = plugin.record_parameter().and_then(|parameter| {
        // `ticket/7`: of the record only the kind is known.
        let (name, _) = written(parameter)?.split_once('/')?;
        is_known(&name).then_some(Reference { parameter, what: NameOf::Kind, name })
    });
    names.chain(record).collect()
}

/// The error for an unknown name.
pub(crate) fn unknown(what: NameOf, name: &str) -> String {
    let shown = abridged(name);
    match what {
        NameOf::Workflow => {
            format!("there is no workflow `{shown}` in this space: correct the name, or create the workflow first")
        }
        NameOf::Kind => format!(
            "there is no kind of record `{shown}` in this space: correct the name, or declare the kind first \
             (PUT /v1/kinds/{{kind}})"
        ),
    }
}

/// The objects that refer to something, for a message.
pub(crate) fn listed(users: &[String]) -> String {
    let first = users.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(MAX_LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// How messages name the objects that refer to something.
pub(crate) fn label(what: &str, name: &str, id: &str) -> String {
    format!("the {what} `{}` ({id})", abridged(name))
}

/// What refers to which plugin, workflow or kind of record.
pub(crate) struct References {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Store,
    pub(crate) loading: Arc<Loading>,
}

impl References {
    /// Whether a workflow or a kind of this name will exist, or is unknown because the document cannot be read.
    pub(crate) fn exists_ahead(&self, space: &SpaceId, pending: &PendingChanges, what: NameOf, name: &str) -> bool {
        let (unread, is_there) = match what {
            NameOf::Workflow => {
                let ahead = pending.workflows.get(name).map(Option::is_some);
                let is_coming = pending.coming_workflows.contains(name);
                let is_there = || ahead.unwrap_or_else(|| self.catalogue.procedure(space, name).is_some());
                (&pending.unread_workflows, is_coming || is_there())
            }
            NameOf::Kind => {
                // What cannot be looked up is not refused for that.
                let is_own =
                    || is_kind(name) && self.store.kinds.own_kind(space, name).map_or(true, |kind| kind.is_some());
                let is_there = || pending.kinds.get(name).copied().unwrap_or_else(is_own);
                let is_coming = || pending.coming_kinds.contains(name);
                (&pending.unread_kinds, builtin_kind(name).is_some() || is_coming() || is_there())
            }
        };
        is_there || unread.any || unread.names.contains(name)
    }

    /// The unknown names in the parameters of a plugin; `path` is that of the parameters.
    pub(crate) fn unknown_names(
        &self,
        scope: CheckScope<'_>,
        plugin: &Plugin,
        with: &Map<String, Value>,
        path: &str,
    ) -> Vec<Mistake> {
        let is_unknown = |found: &Reference<'_>| {
            // A workflow may start itself.
            let is_itself = found.what == NameOf::Workflow && scope.itself == Some(found.name);
            !is_itself && !self.exists_ahead(scope.space, scope.pending, found.what, found.name)
        };
        let unknown_ones = references(plugin, with).into_iter().filter(is_unknown);
        unknown_ones
            .map(|found| Mistake::new(format!("{path}.{}", found.parameter), unknown(found.what, found.name)))
            .collect()
    }

    /// Fails if fields of a kind refer to kinds that do not exist. A kind may refer to itself.
    pub(crate) fn check_kind_references(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        kind: &RecordKind,
    ) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        for (path, name) in kind.references() {
            if name != kind.name() && !self.exists_ahead(space, pending, NameOf::Kind, name) {
                mistakes.add(path, unknown(NameOf::Kind, name));
            }
        }
        mistakes.check()
    }

    /// Calls `found` with each name in the parameters of a plugin.
    fn names_in_parameters(
        &self,
        scope: CheckScope<'_>,
        plugin: &str,
        with: &Map<String, Value>,
        found: &mut dyn FnMut(NameOf, &str),
    ) {
        let Some(plugin) = self.plugin_ahead(scope.space, scope.pending, plugin) else { return };
        for reference in references(&plugin, with) {
            found(reference.what, reference.name);
        }
    }

    /// Calls `found` with each name that an automation, or a workflow as a run executes it, refers to.
    pub(crate) fn names_in_automation(
        &self,
        scope: CheckScope<'_>,
        automation: &Automation,
        found: &mut dyn FnMut(NameOf, &str),
    ) {
        let conditions = automation.when.iter().chain(automation.then.iter().filter_map(|step| step.when.as_ref()));
        for when in conditions {
            when.conditions("", &mut |_, condition| {
                self.names_in_parameters(scope, &condition.plugin, &condition.with, found);
            });
        }
        for step in automation.then.iter().filter(|step| step.kind != StepKind::Wait) {
            self.names_in_parameters(scope, &step.plugin, &step.with, found);
        }
    }

    /// Calls `found` with each name that a webhook refers to.
    pub(crate) fn names_in_webhook(
        &self,
        scope: CheckScope<'_>,
        webhook: &Webhook,
        found: &mut dyn FnMut(NameOf, &str),
    ) {
        if let Some(when) = &webhook.when {
            when.conditions("", &mut |_, condition| {
                self.names_in_parameters(scope, &condition.plugin, &condition.with, found);
            });
        }
        if let Some(transform) = &webhook.transform {
            self.names_in_parameters(scope, transform, &webhook.with, found);
        }
    }

    /// Whether an automation, or a workflow as a run executes it, refers to something.
    fn automation_refers(&self, scope: CheckScope<'_>, automation: &Automation, to: (NameOf, &str)) -> bool {
        let mut refers = false;
        self.names_in_automation(scope, automation, &mut |what, name| refers |= (what, name) == to);
        refers
    }

    /// Whether a webhook refers to something.
    fn webhook_refers(&self, scope: CheckScope<'_>, webhook: &Webhook, to: (NameOf, &str)) -> bool {
        let mut refers = false;
        self.names_in_webhook(scope, webhook, &mut |what, name| refers |= (what, name) == to);
        refers
    }

    /// The objects of a space that refer to a workflow or a kind, except that workflow itself.
    fn users_of(&self, space: &SpaceId, to: (NameOf, &str)) -> Result<Vec<String>, PipelineError> {
        let pending = PendingChanges::default();
        let scope = CheckScope { space, pending: &pending, itself: None };
        let mut users = Vec::new();
        for automation in self.catalogue.automations(space) {
            if self.automation_refers(scope, &automation, to) {
                users.push(label("automation", &automation.name, automation.id.as_str()));
            }
        }
        for workflow in self.catalogue.procedures(space) {
            if to != (NameOf::Workflow, workflow.name.as_str()) && self.automation_refers(scope, &workflow, to) {
                users.push(format!("the workflow `{}`", workflow.name));
            }
        }
        for webhook in self.catalogue.webhooks(space) {
            if self.webhook_refers(scope, &webhook, to) {
                users.push(label("webhook", &webhook.name, webhook.id.as_str()));
            }
        }
        for schedule in self.store.schedules.schedules(space)? {
            if names_in_schedule(&schedule).any(|found| found == to) {
                users.push(label("schedule", &schedule.name, &schedule.id.to_string()));
            }
        }
        for kind in self.store.kinds.own_kinds(space)? {
            if to.0 == NameOf::Kind && kinds_in_kind(&kind).any(|name| name == to.1) {
                users.push(format!("the kind `{}`", kind.name()));
            }
        }
        users.sort();
        Ok(users)
    }

    /// Fails if an object of the space refers to this.
    pub(crate) async fn check_unused(&self, space: &SpaceId, what: NameOf, name: &str) -> Result<(), PipelineError> {
        // Which parameters are names is known only once a plugin is loaded.
        self.loading.all_loaded().await;
        let users = self.users_of(space, (what, name))?;
        if users.is_empty() {
            return Ok(());
        }
        let (code, noun) = match what {
            NameOf::Workflow => ("workflow.in_use", "workflow"),
            NameOf::Kind => ("kind.in_use", "kind"),
        };
        let message =
            format!("the {noun} `{}` is used by {}: change or delete those first", abridged(name), listed(&users));
        Err(PipelineError::Conflict { code, message })
    }
}

/// The names of the other kinds to which fields of a kind refer.
pub(crate) fn kinds_in_kind(kind: &RecordKind) -> impl Iterator<Item = &str> {
    kind.references().into_iter().map(|(_, name)| name).filter(move |name| *name != kind.name())
}

/// What a schedule refers to.
pub(crate) fn names_in_schedule(schedule: &Schedule) -> impl Iterator<Item = (NameOf, &str)> {
    let workflow = schedule.workflow.as_deref().map(|name| (NameOf::Workflow, name));
    let kind = schedule.for_each.as_ref().map(|each| (NameOf::Kind, each.kind.as_str()));
    workflow.into_iter().chain(kind)
}

impl References {
    /// The plugin that will have this name.
    pub(crate) fn plugin_ahead(&self, space: &SpaceId, pending: &PendingChanges, name: &str) -> Option<Arc<Plugin>> {
        match pending.plugins.get(name) {
            Some(ahead) => ahead.clone(),
            None => self.registry.get(space, name),
        }
    }

    /// Whether a use of this plugin cannot be validated because the document's object is unknown.
    pub(crate) fn is_unread(&self, space: &SpaceId, pending: &PendingChanges, plugin: &str) -> bool {
        let Unread { names, any } = &pending.unread_plugins;
        names.contains(plugin) || (*any && self.plugin_ahead(space, pending, plugin).is_none())
    }

    /// The names of the plugins of a kind that will exist.
    pub(crate) fn names_ahead(&self, space: &SpaceId, pending: &PendingChanges, kind: Kind) -> Vec<String> {
        let listed = self.registry.list(space);
        let fits = |l: &Listed| !l.shadowed && l.plugin.as_ref().is_some_and(|p| p.kinds().contains(&kind));
        let present = listed.into_iter().filter(fits).map(|l| l.name);
        let mut names: Vec<String> = present.filter(|name| !pending.plugins.contains_key(name)).collect();
        let ahead =
            pending.plugins.iter().filter(|(_, plugin)| plugin.as_ref().is_some_and(|p| p.kinds().contains(&kind)));
        names.extend(ahead.map(|(name, _)| name.clone()));
        names.sort();
        names
    }

    /// How a webhook's messages will be signed. `None`: there is no such policy.
    pub(crate) fn signing_ahead(
        &self,
        pending: &PendingChanges,
        webhook: &Webhook,
    ) -> Result<Option<SigningPolicy>, PipelineError> {
        let Some(number) = webhook.policy else { return Ok(Some(webhook.signing.clone())) };
        if let Some(signing) = pending.policies.get(&number) {
            return Ok(Some(signing.clone()));
        }
        Ok(self.store.webhooks.webhook_policy(&webhook.space, number)?.map(|policy| policy.signing))
    }
}
