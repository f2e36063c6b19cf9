use std::collections::HashMap;

use hookwright_model::{
    Automation, AutomationId, AutomationInput, Kind, Mistake, Mistakes, Names, SpaceId, Step, StepKind, Webhook, When,
    check_names, step_names,
};
use hookwright_plugin::Plugin;
use hookwright_store::Stored;
use serde_json::{Map, Value};

use crate::outlook::Outlook;
use crate::{Pipeline, PipelineError};

impl Pipeline {
    /// Makes an automation. Every mistake in it is reported at once, with its path.
    pub async fn create_automation(
        &self,
        space: &SpaceId,
        input: AutomationInput,
    ) -> Result<Automation, PipelineError> {
        let _changing = self.changing.lock().await;
        let automation = self.new_automation(input)?;
        self.loaded(space, &automation.plugins()).await;
        self.check_automation(space, &Outlook::default(), &automation)?;
        self.save_automation(space, automation, None).await
    }

    /// A new automation: what `input` does not give is as it is unless said otherwise.
    pub(crate) fn new_automation(&self, input: AutomationInput) -> Result<Automation, Mistakes> {
        let now = self.now();
        let mut missing = Mistakes::default();
        for (name, absent) in
            [("name", input.name.is_none()), ("on", input.on.is_none()), ("then", input.then.is_none())]
        {
            if absent {
                missing.add(name, "is missing");
            }
        }
        missing.check()?;
        Ok(Automation {
            id: AutomationId::new(),
            name: input.name.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            on: input.on.unwrap_or_default(),
            when: input.when,
            then: input.then.unwrap_or_default(),
            on_unavailable: input.on_unavailable.unwrap_or_default(),
            concurrency: input.concurrency.flatten(),
            enabled: input.enabled.unwrap_or(true),
            revision: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// Changes what `input` gives. `clear_when` takes the conditions away.
    pub async fn change_automation(
        &self,
        space: &SpaceId,
        id: &str,
        input: AutomationInput,
        clear_when: bool,
    ) -> Result<Automation, PipelineError> {
        let _changing = self.changing.lock().await;
        let old = self.automation(space, id)?;
        let was = old.revision;
        let automation = Automation {
            name: input.name.unwrap_or(old.name),
            description: input.description.unwrap_or(old.description),
            on: input.on.unwrap_or(old.on),
            when: if clear_when { None } else { input.when.or(old.when) },
            then: input.then.unwrap_or(old.then),
            on_unavailable: input.on_unavailable.unwrap_or(old.on_unavailable),
            concurrency: input.concurrency.unwrap_or(old.concurrency),
            enabled: input.enabled.unwrap_or(old.enabled),
            revision: was.saturating_add(1),
            updated_at: self.now(),
            ..old
        };
        self.loaded(space, &automation.plugins()).await;
        self.check_automation(space, &Outlook::default(), &automation)?;
        self.save_automation(space, automation, Some(was)).await
    }

    /// The automation, or an error that says there is none.
    pub fn automation(&self, space: &SpaceId, id: &str) -> Result<Automation, PipelineError> {
        self.store.automation(space, id)?.ok_or_else(|| PipelineError::not_found("automation", id))
    }

    /// Deletes an automation. Runs that are under way end by its last revision.
    pub async fn delete_automation(&self, space: &SpaceId, id: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        if !self.store.delete_automation(space, id).await? {
            return Err(PipelineError::not_found("automation", id));
        }
        self.catalogue.remove_automation(space, &AutomationId::from(id));
        Ok(())
    }

    async fn save_automation(
        &self,
        space: &SpaceId,
        automation: Automation,
        expected: Option<u32>,
    ) -> Result<Automation, PipelineError> {
        match self.store.put_automation(space, &automation, expected).await? {
            Stored::Done => {
                self.catalogue.put_automation(space, automation.clone());
                Ok(automation)
            }
            Stored::Conflict => Err(PipelineError::Conflict {
                code: "automation.changed",
                message: "somebody else changed the automation meanwhile: read it again and repeat the change"
                    .to_owned(),
            }),
        }
    }

    pub(crate) fn check_automation(
        &self,
        space: &SpaceId,
        outlook: &Outlook,
        automation: &Automation,
    ) -> Result<(), Mistakes> {
        let sight = Sight { space, outlook };
        let mut mistakes = automation.check().err().unwrap_or_default();
        mistakes.0.extend(automation.repeated_names());
        if let Some(when) = &automation.when {
            when.conditions("when", &mut |path, condition| {
                let used = Use { kind: Kind::Condition, word: "condition", name: &condition.plugin };
                mistakes.0.extend(self.check_use(sight, used, &condition.with, path, Names::default()));
            });
        }
        self.check_steps(sight, &automation.then, "then", false, &mut mistakes);
        mistakes.0.dedup();
        mistakes.check()
    }

    /// What is wrong with steps as the plugins see it.
    pub(crate) fn check_steps(
        &self,
        sight: Sight<'_>,
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
                    let used = Use { kind: Kind::Condition, word: "condition", name: &condition.plugin };
                    mistakes.0.extend(self.check_use(sight, used, &condition.with, path, names));
                });
            }
            let (kind, word) = match step.kind {
                StepKind::Action => (Kind::Action, "action"),
                StepKind::Transform => (Kind::Transform, "transform"),
                StepKind::Wait => continue,
            };
            mistakes.0.extend(self.check_use(sight, Use { kind, word, name: &step.plugin }, &step.with, &path, names));
            if let Some(input) = &step.input {
                mistakes.0.extend(check_names(input, &format!("{path}.input"), names));
            }
        }
    }

    fn check_use(
        &self,
        sight: Sight<'_>,
        used: Use<'_>,
        with: &Map<String, Value>,
        path: &str,
        names: Names<'_>,
    ) -> Vec<Mistake> {
        let Use { kind, word, name } = used;
        let Sight { space, outlook } = sight;
        let Some(plugin) = self.plugin_ahead(space, outlook, name) else {
            let shown: String = name.chars().take(80).collect();
            let known = self.names_ahead(space, outlook, kind).join(", ");
            return vec![Mistake::new(
                format!("{path}.{word}"),
                format!("there is no {kind} `{shown}`; there are: {known}"),
            )];
        };
        if !plugin.kinds().contains(&kind) {
            let known = self.names_ahead(space, outlook, kind).join(", ");
            let message = format!("`{name}` is no {kind}; there are: {known}");
            return vec![Mistake::new(format!("{path}.{word}"), message)];
        }
        let mut mistakes = parameter_mistakes(&plugin, with, &format!("{path}.with"));
        mistakes.extend(check_names(&open_to_variables(&plugin, with), &format!("{path}.with"), names));
        mistakes
    }

    /// Adds what does not fit in the conditions and the transform of a webhook.
    pub(crate) fn check_webhook_plugins(&self, outlook: &Outlook, webhook: &Webhook, mistakes: &mut Mistakes) {
        let sight = Sight { space: &webhook.space, outlook };
        if let Some(when) = &webhook.when {
            when.conditions("when", &mut |path, condition| {
                let used = Use { kind: Kind::Condition, word: "condition", name: &condition.plugin };
                mistakes.0.extend(self.check_use(sight, used, &condition.with, path, Names::default()));
            });
        }
        if let Some(transform) = &webhook.transform {
            let used = Use { kind: Kind::Transform, word: "transform", name: transform };
            let found = self.check_use(sight, used, &webhook.with, "", Names::default());
            mistakes.0.extend(found.into_iter().map(|mut mistake| {
                // Its parameters stand beside it.
                mistake.path = mistake.path.trim_start_matches('.').to_owned();
                mistake
            }));
        }
    }

    /// Which automations and webhooks use a plugin and what in them would not fit `candidate`; without one, every use.
    pub(crate) fn misfits(
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
                let mistakes = misfits_of(&automation, name, candidate);
                if !mistakes.is_empty() {
                    found.insert(format!("{} ({})", automation.name, automation.id), mistakes);
                }
            }
            for webhook in self.catalogue.webhooks(&space) {
                let mistakes = webhook_misfits(&webhook, name, candidate);
                if !mistakes.is_empty() {
                    found.insert(format!("webhook {}", webhook.id), mistakes);
                }
            }
        }
        found
    }
}

/// What in an automation would not fit `candidate` in the place of a plugin; without one, every use of that.
pub(crate) fn misfits_of(automation: &Automation, name: &str, candidate: Option<&Plugin>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(when) = &automation.when {
        when_misfits(when, "when", name, candidate, &mut mistakes);
    }
    for (place, step) in automation.then.iter().enumerate() {
        let path = format!("then[{place}]");
        if step.calls(name) {
            let kind = if step.kind == StepKind::Action { Kind::Action } else { Kind::Transform };
            misfit(candidate, &path, kind, &step.with, &mut mistakes);
        }
        if let Some(when) = &step.when {
            when_misfits(when, &format!("{path}.if"), name, candidate, &mut mistakes);
        }
    }
    mistakes
}

/// The same for a webhook.
pub(crate) fn webhook_misfits(webhook: &Webhook, name: &str, candidate: Option<&Plugin>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(when) = &webhook.when {
        when_misfits(when, "when", name, candidate, &mut mistakes);
    }
    if webhook.transform.as_deref() == Some(name) {
        misfit(candidate, "", Kind::Transform, &webhook.with, &mut mistakes);
    }
    mistakes
}

fn when_misfits(when: &When, path: &str, name: &str, candidate: Option<&Plugin>, mistakes: &mut Vec<Mistake>) {
    when.conditions(path, &mut |path, condition| {
        if condition.plugin == name {
            misfit(candidate, path, Kind::Condition, &condition.with, mistakes);
        }
    });
}

/// For which space something is checked, and what will be there.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) space: &'a SpaceId,
    pub(crate) outlook: &'a Outlook,
}

/// Which plugin is used as what.
#[derive(Clone, Copy)]
struct Use<'a> {
    kind: Kind,
    /// The field that names it.
    word: &'static str,
    name: &'a str,
}

/// What of a use would not fit `candidate`; without one, the use itself.
fn misfit(candidate: Option<&Plugin>, path: &str, kind: Kind, with: &Map<String, Value>, mistakes: &mut Vec<Mistake>) {
    match candidate {
        Some(plugin) if plugin.kinds().contains(&kind) => {
            mistakes.extend(parameter_mistakes(plugin, with, &format!("{path}.with")));
        }
        Some(_) => mistakes.push(Mistake::new(path, format!("it is used as {kind}, which it no longer is"))),
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

/// The parameters in which `{{...}}` belongs to Hookwright rather than to the plugin.
fn open_to_variables(plugin: &Plugin, with: &Map<String, Value>) -> Value {
    let open = with.iter().filter(|(name, _)| !plugin.verbatim().contains(name));
    Value::Object(open.map(|(name, value)| (name.clone(), value.clone())).collect())
}
