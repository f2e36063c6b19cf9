//! Automations: creates, changes, enables, disables and deletes them, after checking them against the schemas of the plugins
//! that they use.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hookwright_foundation::error;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::loading::Loading;
use hookwright_model::{
    Automation, AutomationId, AutomationInput, Creates as _, Expected, Kind, Mistake, Mistakes, Names, SpaceId, Step,
    StepKind, Webhook, When, check_names, step_names,
};
use hookwright_plugin::Plugin;
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{ConfigChange, Store, Swap};
use serde_json::{Map, Value};

use crate::check_scope::{CheckScope, PluginUse};
use crate::lifecycle::{Lifecycle, Resource};
use crate::pending_changes::PendingChanges;
use crate::references::References;
use crate::switching::only_switched_off;

fn as_expected(automation: &Automation, expected: Option<&Expected>) -> Result<(), PipelineError> {
    let what = format!("automation `{}`", automation.id);
    error::as_expected(expected, automation.revision, &what, "automation.precondition_failed")
}

/// Creates, changes and deletes automations.
pub struct Automations {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) references: Arc<References>,
}

impl Automations {
    /// Creates an automation. All validation errors are reported at once, each with its path.
    pub async fn create_automation(
        &self,
        space: &SpaceId,
        input: AutomationInput,
        by: &str,
    ) -> Result<Automation, PipelineError> {
        let automation = self.new_automation(input)?;
        self.loading.loaded(space, &automation.plugins()).await;
        Ok(self.lifecycle.put(self, space, by, || Ok((None, automation.clone()))).await?.thing)
    }

    /// A new automation. Omitted fields take their defaults.
    pub(crate) fn new_automation(&self, input: AutomationInput) -> Result<Automation, Mistakes> {
        let now = self.clock.now();
        let has = |field: &str| match field {
            "name" => input.name.is_some(),
            "on" => input.on.is_some(),
            _ => input.then.is_some(),
        };
        AutomationInput::missing(&has).check()?;
        Ok(Automation {
            id: AutomationId::new(),
            name: input.name.unwrap_or_default(),
            description: input.description.flatten().unwrap_or_default(),
            on: input.on.unwrap_or_default(),
            when: input.when.flatten(),
            then: input.then.unwrap_or_default(),
            on_unavailable: input.on_unavailable.flatten().unwrap_or_default(),
            concurrency: input.concurrency.flatten(),
            enabled: input.enabled.flatten().unwrap_or(true),
            switched: None,
            revision: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// Changes the fields that `input` gives. `by` is who changes them.
    pub async fn change_automation(
        &self,
        space: &SpaceId,
        id: &str,
        input: AutomationInput,
        expected: Option<&Expected>,
        by: &str,
    ) -> Result<Automation, PipelineError> {
        let next = || {
            let (old, input) = (self.automation(space, id)?, input.clone());
            as_expected(&old, expected)?;
            let was = old.clone();
            let automation = Automation {
                name: input.name.unwrap_or(old.name),
                description: input.description.map_or(old.description, Option::unwrap_or_default),
                on: input.on.unwrap_or(old.on),
                when: input.when.unwrap_or(old.when),
                then: input.then.unwrap_or(old.then),
                on_unavailable: input.on_unavailable.map_or(old.on_unavailable, Option::unwrap_or_default),
                concurrency: input.concurrency.unwrap_or(old.concurrency),
                enabled: input.enabled.map_or(old.enabled, |enabled| enabled.unwrap_or(true)),
                ..old
            };
            Ok::<_, PipelineError>((Some(was), automation))
        };
        Ok(self.lifecycle.put(self, space, by, next).await?.thing)
    }

    /// The automations of a space.
    pub fn automations(&self, space: &SpaceId) -> Result<Vec<Automation>, PipelineError> {
        Ok(self.store.automations.automations(space)?)
    }

    /// The automation, or an error if it does not exist.
    pub fn automation(&self, space: &SpaceId, id: &str) -> Result<Automation, PipelineError> {
        self.store.automations.automation(space, id)?.ok_or_else(|| PipelineError::not_found("automation", id))
    }

    /// Deletes an automation. Runs in progress finish with its last revision.
    pub async fn delete_automation(
        &self,
        space: &SpaceId,
        id: &str,
        expected: Option<&Expected>,
    ) -> Result<(), PipelineError> {
        let read = || {
            let automation = self.automation(space, id)?;
            as_expected(&automation, expected)?;
            Ok::<_, PipelineError>(automation)
        };
        self.lifecycle.delete(self, space, read).await
    }

    /// Validates steps against the plugins that they use.
    pub(crate) fn check_steps(
        &self,
        scope: CheckScope<'_>,
        steps: &[Step],
        path: &str,
        input: bool,
        mistakes: &mut Mistakes,
    ) {
        let known = step_names(steps);
        for (place, step) in steps.iter().enumerate() {
            let path = format!("{path}[{place}]");
            let names = step.names(known.get(..place).unwrap_or_default(), input);
            if let Some(when) = &step.when {
                when.conditions(&format!("{path}.if"), &mut |path, condition| {
                    let used = PluginUse { kind: Kind::Condition, word: "condition", name: &condition.plugin };
                    mistakes.0.extend(self.check_use(scope, used, &condition.with, path, names));
                });
            }
            let (kind, word) = match step.kind {
                StepKind::Action => (Kind::Action, "action"),
                StepKind::Transform => (Kind::Transform, "transform"),
                StepKind::Wait => continue,
            };
            mistakes.0.extend(self.check_use(
                scope,
                PluginUse { kind, word, name: &step.plugin },
                &step.with,
                &path,
                names,
            ));
            if let Some(input) = &step.input {
                mistakes.0.extend(check_names(input, &format!("{path}.input"), names));
            }
        }
    }

    fn check_use(
        &self,
        scope: CheckScope<'_>,
        used: PluginUse<'_>,
        with: &Map<String, Value>,
        path: &str,
        names: Names<'_>,
    ) -> Vec<Mistake> {
        let PluginUse { kind, word, name } = used;
        let CheckScope { space, pending, .. } = scope;
        if self.references.is_unread(space, pending, name) {
            return Vec::new();
        }
        let Some(plugin) = self.references.plugin_ahead(space, pending, name) else {
            let shown = hookwright_model::abridged(name);
            let known = self.references.names_ahead(space, pending, kind).join(", ");
            return vec![Mistake::new(
                format!("{path}.{word}"),
                format!("there is no {kind} `{shown}`; available: {known}"),
            )];
        };
        if !plugin.kinds().contains(&kind) {
            let known = self.references.names_ahead(space, pending, kind).join(", ");
            let message = format!("plugin `{name}` does not export `{kind}`; available: {known}");
            return vec![Mistake::new(format!("{path}.{word}"), message)];
        }
        let mut mistakes = parameter_mistakes(&plugin, with, &format!("{path}.with"));
        mistakes.extend(check_names(&open_to_variables(&plugin, with), &format!("{path}.with"), names));
        mistakes.extend(self.references.unknown_names(scope, &plugin, with, &format!("{path}.with")));
        mistakes
    }

    /// Adds what is wrong with the conditions and the transform of a webhook.
    pub(crate) fn check_webhook_plugins(&self, pending: &PendingChanges, webhook: &Webhook, mistakes: &mut Mistakes) {
        let scope = CheckScope { space: &webhook.space, pending, itself: None };
        if let Some(when) = &webhook.when {
            when.conditions("when", &mut |path, condition| {
                let used = PluginUse { kind: Kind::Condition, word: "condition", name: &condition.plugin };
                mistakes.0.extend(self.check_use(scope, used, &condition.with, path, Names::default()));
            });
        }
        if let Some(transform) = &webhook.transform {
            let used = PluginUse { kind: Kind::Transform, word: "transform", name: transform };
            let found = self.check_use(scope, used, &webhook.with, "", Names::default());
            mistakes.0.extend(found.into_iter().map(|mut mistake| {
                // The parameters are a field beside it.
                mistake.path = mistake.path.trim_start_matches('.').to_owned();
                mistake
            }));
        } else if !webhook.with.is_empty() {
            // The message of Standard Webhooks is made without a plugin, so nothing would read parameters.
            let message = "has parameters, but there is no transform that takes them: name it in `transform`, such as \
                           `standard`, or remove them with `\"with\": null`";
            mistakes.add("with", message);
        }
    }

    /// Which automations and webhooks use a plugin, and what in them is incompatible with `candidate`. Without a
    /// candidate, every use counts.
    pub(crate) fn incompatibilities(
        &self,
        space: Option<&SpaceId>,
        name: &str,
        candidate: Option<&Plugin>,
    ) -> HashMap<String, Vec<Mistake>> {
        let spaces = match space {
            Some(space) => vec![space.clone()],
            None => self.store.spaces(),
        };
        let mut found: HashMap<String, Vec<Mistake>> = HashMap::new();
        for space in spaces {
            for automation in self.catalogue.automations(&space).into_iter().chain(self.catalogue.procedures(&space)) {
                let mistakes = incompatibilities_of(&automation, name, candidate);
                if !mistakes.is_empty() {
                    found.insert(format!("{} ({})", automation.name, automation.id), mistakes);
                }
            }
            for webhook in self.catalogue.webhooks(&space) {
                let mistakes = webhook_incompatibilities(&webhook, name, candidate);
                if !mistakes.is_empty() {
                    found.insert(format!("webhook {}", webhook.id), mistakes);
                }
            }
        }
        found
    }
}

impl Resource for Automations {
    type Thing = Automation;
    const CHANGED: &'static str = "automation.changed";

    fn successor(
        &self,
        old: Option<&Automation>,
        mut automation: Automation,
        by: &str,
    ) -> Result<Automation, PipelineError> {
        if let Some(old) = old {
            automation = Automation {
                id: old.id.clone(),
                switched: old.switched.clone(),
                revision: old.revision.saturating_add(1),
                created_at: old.created_at,
                updated_at: self.clock.now(),
                ..automation
            };
        }
        automation.switched_from(old.map(|old| old.enabled), by);
        Ok(automation)
    }

    fn plugins(automation: &Automation) -> BTreeSet<&str> {
        automation.plugins()
    }

    fn is_only_disabled(old: &Automation, new: &Automation) -> bool {
        only_switched_off(old, new, new.enabled)
    }

    fn check(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        automation: &mut Automation,
    ) -> Result<(), PipelineError> {
        let scope = CheckScope { space, pending, itself: None };
        let mut mistakes = automation.check().err().unwrap_or_default();
        mistakes.0.extend(automation.repeated_names());
        if let Some(when) = &automation.when {
            when.conditions("when", &mut |path, condition| {
                let used = PluginUse { kind: Kind::Condition, word: "condition", name: &condition.plugin };
                mistakes.0.extend(self.check_use(scope, used, &condition.with, path, Names::default()));
            });
        }
        self.check_steps(scope, &automation.then, "then", false, &mut mistakes);
        mistakes.0.dedup();
        Ok(mistakes.check()?)
    }

    fn changes(swap: Swap<Automation>) -> Vec<ConfigChange> {
        vec![ConfigChange::Automation(swap)]
    }
}

/// What in an automation is incompatible with `candidate` as a replacement of a plugin. Without a candidate, every use
/// counts.
pub(crate) fn incompatibilities_of(automation: &Automation, name: &str, candidate: Option<&Plugin>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(when) = &automation.when {
        when_incompatibilities(when, "when", name, candidate, &mut mistakes);
    }
    for (place, step) in automation.then.iter().enumerate() {
        let path = format!("then[{place}]");
        if step.calls(name) {
            let kind = if step.kind == StepKind::Action { Kind::Action } else { Kind::Transform };
            add_incompatibility(candidate, &path, kind, &step.with, &mut mistakes);
        }
        if let Some(when) = &step.when {
            when_incompatibilities(when, &format!("{path}.if"), name, candidate, &mut mistakes);
        }
    }
    mistakes
}

/// The same for a webhook.
pub(crate) fn webhook_incompatibilities(webhook: &Webhook, name: &str, candidate: Option<&Plugin>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(when) = &webhook.when {
        when_incompatibilities(when, "when", name, candidate, &mut mistakes);
    }
    if webhook.transform.as_deref() == Some(name) {
        add_incompatibility(candidate, "", Kind::Transform, &webhook.with, &mut mistakes);
    }
    mistakes
}

fn when_incompatibilities(
    when: &When,
    path: &str,
    name: &str,
    candidate: Option<&Plugin>,
    mistakes: &mut Vec<Mistake>,
) {
    when.conditions(path, &mut |path, condition| {
        if condition.plugin == name {
            add_incompatibility(candidate, path, Kind::Condition, &condition.with, mistakes);
        }
    });
}

/// What in a use is incompatible with `candidate`; without one, the use itself.
fn add_incompatibility(
    candidate: Option<&Plugin>,
    path: &str,
    kind: Kind,
    with: &Map<String, Value>,
    mistakes: &mut Vec<Mistake>,
) {
    match candidate {
        Some(plugin) if plugin.kinds().contains(&kind) => {
            mistakes.extend(parameter_mistakes(plugin, with, &format!("{path}.with")));
        }
        Some(_) => {
            mistakes.push(Mistake::new(path, format!("it is used as `{kind}`, which this version does not export")));
        }
        None => mistakes.push(Mistake::new(path, "it is used")),
    }
}

fn parameter_mistakes(plugin: &Plugin, with: &Map<String, Value>, path: &str) -> Vec<Mistake> {
    let join = |inner: &str| match inner {
        "" => path.to_owned(),
        inner if inner.starts_with('[') => format!("{path}{inner}"),
        inner => format!("{path}.{inner}"),
    };
    let found = plugin.check_template_parameters(&Value::Object(with.clone()));
    let mut mistakes: Vec<Mistake> =
        found.into_iter().map(|mistake| Mistake::new(join(&mistake.path), mistake.message)).collect();
    for (_, filled) in plugin.paths().iter().filter(|(_, filled)| with.contains_key(filled)) {
        mistakes.push(Mistake::new(join(filled), "is filled in by the server: leave it out"));
    }
    mistakes
}

/// The parameters in which `{{...}}` is a variable of Hookwright rather than of the plugin.
fn open_to_variables(plugin: &Plugin, with: &Map<String, Value>) -> Value {
    let open = with.iter().filter(|(name, _)| !plugin.verbatim().contains(name));
    Value::Object(open.map(|(name, value)| (name.clone(), value.clone())).collect())
}
