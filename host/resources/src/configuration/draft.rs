//! Compares a document with the space: the result is all its validation errors, or the changes to commit.

use std::collections::{BTreeMap, HashMap};

use hookwright_foundation::error::PipelineError;
use hookwright_model::{KeyId, Mistake, Mistakes, SpaceId, Webhook, WebhookId, WebhookPolicy, abridged};
use hookwright_store::{ConfigChange, Swap};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::automations::{incompatibilities_of, webhook_incompatibilities};
use crate::configuration::compare::differences;
use crate::configuration::configurations::Configurations;
use crate::configuration::document::{
    ChangeKind, ConfigurationInput, ConfigurationPlan, MAX_OBJECTS, PlannedChange, Summary,
};
use crate::configuration::mend::{MAX_ROUNDS, Mending};
use crate::configuration::objects::ObjectSet;
use crate::configuration::part::{Draft, Live, MAX_MISTAKES, Made, Part, Thing};
use crate::configuration::state::{LeftAlone, Section, State, several};
use crate::configuration::{outgoing, plugins, things};
use crate::lifecycle::Resource;
use crate::pending_changes::{PendingChanges, Unread};
use crate::webhook_policies::field_conflicts;

impl Configurations {
    /// Compares a document with the space. The caller holds `changing`.
    pub(crate) async fn draft<'a>(
        &'a self,
        space: &'a SpaceId,
        state: &'a State,
        input: ConfigurationInput,
        caller: &'a KeyId,
    ) -> Result<Draft<'a>, PipelineError> {
        let ConfigurationInput { mut configuration, prune, incomplete, .. } = input;
        let incomplete = incomplete.iter().map(|name| section_named(name)).collect::<Result<Vec<_>, _>>()?;
        let count = configuration.count();
        if count > MAX_OBJECTS {
            return Err(Mistake::new("configuration", format!("{count} things: at most {MAX_OBJECTS} at once")).into());
        }
        let empty = || ConfigurationPlan {
            fingerprint: String::new(),
            summary: Summary::default(),
            changes: Vec::new(),
            left_alone: Vec::new(),
        };
        let name_of_item = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
        let coming_workflows = configuration.workflows.iter().flatten().filter_map(name_of_item).collect();
        let coming_kinds = configuration.kinds.iter().flatten().filter_map(name_of_item).collect();
        let mut draft = Draft {
            configurations: self,
            space,
            state,
            caller,
            pending: PendingChanges { coming_workflows, coming_kinds, ..PendingChanges::default() },
            policies: state.policy_names().into_iter().map(|(number, name)| (name, number)).collect(),
            policies_gone: Vec::new(),
            candidates: plugins::candidates(self, space, configuration.plugins.as_deref().unwrap_or_default()).await?,
            swaps: Vec::new(),
            pending_keys: Vec::new(),
            shown: Vec::new(),
            plan: empty(),
            mistakes: Mistakes::default(),
            unsettled: ObjectSet::default(),
            prune,
            incomplete,
        };
        for section in draft.incomplete.clone() {
            draft.lacks(section);
        }
        for section in Section::ALL {
            let Some(items) = configuration.take(section) else { continue };
            match section {
                Section::Plugins => draft.part::<plugins::PluginsPart>(items)?,
                Section::Kinds => draft.part::<things::KindsPart>(items)?,
                Section::EventTypes => draft.part::<things::EventTypesPart>(items)?,
                Section::Workflows => draft.part::<things::WorkflowsPart>(items)?,
                Section::WebhookPolicies => draft.part::<outgoing::PoliciesPart>(items)?,
                Section::Automations => draft.part::<things::AutomationsPart>(items)?,
                Section::Schedules => draft.part::<things::SchedulesPart>(items)?,
                Section::Webhooks => draft.part::<outgoing::WebhooksPart>(items)?,
                Section::Sources => draft.part::<things::SourcesPart>(items)?,
                Section::Keys => draft.part::<things::Keys>(items)?,
            }
        }
        draft.check_the_rest();
        std::mem::take(&mut draft.mistakes).check()?;
        draft.plan.fingerprint = draft.fingerprint()?;
        Ok(draft)
    }
}

impl<'a> Draft<'a> {
    fn part<P: Part>(&mut self, items: Vec<Value>) -> Result<(), PipelineError> {
        let mut live: BTreeMap<String, Vec<Live<'a, Thing<P>>>> = BTreeMap::new();
        for one in P::live(self.state) {
            live.entry(one.name.clone()).or_default().push(one);
        }
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            let path = format!("{}[{place}]", P::SECTION.name());
            let Value::Object(item) = item else {
                self.mistakes.add(path, "is not an object: give its fields by name");
                self.lacks(P::SECTION);
                continue;
            };
            let mut mending = Mending::new(P::SECTION, item);
            let name = match name_of(mending.name()) {
                Ok(name) => name,
                Err(message) => {
                    self.mistakes.add(format!("{path}.name"), message);
                    self.lacks(P::SECTION);
                    mending.rename();
                    self.object::<P>(&path, "", mending, None)?;
                    continue;
                }
            };
            let same = live.get(&name).map(Vec::as_slice).unwrap_or_default();
            let mut known = same.first();
            if let Some(first) = given.insert(name.clone(), place) {
                let shown = abridged(&name);
                let message = format!("`{shown}` is the name of {}[{first}] too: give it once", P::SECTION.name());
                self.mistakes.add(format!("{path}.name"), message);
                self.mark_unread(P::SECTION, &name);
                mending.rename();
            } else if same.len() > 1 {
                let ids: Vec<String> = same.iter().map(|one| one.id.clone()).collect();
                for id in &ids {
                    self.unsettled.insert(P::SECTION, id.clone());
                }
                self.mistakes.add(format!("{path}.name"), several(P::SECTION, &name, &ids));
                self.mark_unread(P::SECTION, &name);
                mending.rename();
                known = None;
            }
            self.object::<P>(&path, &name, mending, known)?;
        }
        if self.prune && !self.incomplete.contains(&P::SECTION) {
            for (name, things) in live.into_iter().filter(|(name, _)| !given.contains_key(name)) {
                self.prune::<P>(&name, things)?;
            }
        }
        Ok(())
    }

    /// Adds an object of the document, or all its validation errors.
    fn object<P: Part>(
        &mut self,
        path: &str,
        name: &str,
        mut mending: Mending,
        old: Option<&Live<'_, Thing<P>>>,
    ) -> Result<(), PipelineError> {
        for round in 0..MAX_ROUNDS {
            let Err(error) = self.item::<P>(name, mending.item(), old) else { break };
            if round == 0 {
                self.mark_unread(P::SECTION, name);
                if let Some(old) = old {
                    self.unsettled.insert(P::SECTION, old.id.clone());
                }
            }
            let PipelineError::Invalid(mistakes) = error else {
                self.wrong(path, error)?;
                break;
            };
            let (found, goes_on) = mending.remove_invalid(mistakes.0);
            self.wrong(path, PipelineError::Invalid(Mistakes(found)))?;
            if !goes_on || self.mistakes.0.len() >= MAX_MISTAKES {
                break;
            }
        }
        Ok(())
    }

    /// References to this name cannot be validated.
    fn mark_unread(&mut self, section: Section, name: &str) {
        if let Some(unread) = self.unread(section) {
            unread.names.insert(name.to_owned());
        }
    }

    /// References to unknown names of this section cannot be validated.
    fn lacks(&mut self, section: Section) {
        if let Some(unread) = self.unread(section) {
            unread.any = true;
        }
    }

    fn unread(&mut self, section: Section) -> Option<&mut Unread> {
        match section {
            Section::Plugins => Some(&mut self.pending.unread_plugins),
            Section::Kinds => Some(&mut self.pending.unread_kinds),
            Section::Workflows => Some(&mut self.pending.unread_workflows),
            Section::WebhookPolicies => Some(&mut self.pending.unread_policies),
            _ => None,
        }
    }

    fn item<P: Part>(
        &mut self,
        name: &str,
        item: Map<String, Value>,
        old: Option<&Live<'_, Thing<P>>>,
    ) -> Result<(), PipelineError> {
        let former = old.map(|old| old.thing);
        let resource = P::resource(self.configurations);
        let Made { thing, mut fields, pending_key, shown } = P::make(self, item, former)?;
        let mut thing = resource.successor(former, thing, &format!("key {}", self.caller))?;
        if P::IS_ALWAYS_CHECKED {
            resource.check(self.space, &self.pending, &mut thing)?;
        }
        let shape = P::shape(self, &thing);
        let was = former.map(|old| P::shape(self, old)).unwrap_or_default();
        fields.splice(0..0, differences(&was, &shape));
        let action = match former {
            None => ChangeKind::Create,
            Some(old) if !P::counts(old) => ChangeKind::Create,
            Some(_) if fields.is_empty() && pending_key.is_none() => ChangeKind::Unchanged,
            Some(_) => ChangeKind::Change,
        };
        let id = old.map(|old| old.id.clone());
        if action != ChangeKind::Unchanged {
            if !P::IS_ALWAYS_CHECKED {
                resource.check(self.space, &self.pending, &mut thing)?;
            }
            P::add(self, &thing, former)?;
            if let Some(pending_key) = pending_key {
                self.pending_keys.push((self.swaps.len(), pending_key));
            }
            self.swaps.extend(<P::Of as Resource>::changes(Swap { was: former.cloned(), is: Some(thing) }));
            self.shown.extend(shown);
        }
        self.planned(PlannedChange { kind: P::SECTION.thing(), name: name.to_owned(), id, action, fields });
        Ok(())
    }

    fn prune<P: Part>(&mut self, name: &str, mut things: Vec<Live<'_, Thing<P>>>) -> Result<(), PipelineError> {
        let kind = P::SECTION.thing();
        let ids = |things: &[Live<'_, Thing<P>>]| things.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        if name.is_empty() || things.len() > 1 {
            let ids = ids(&things);
            let reason = if name.is_empty() { "has no name".to_owned() } else { several(P::SECTION, name, &ids) };
            self.plan.left_alone.push(LeftAlone { kind, ids, reason });
            return Ok(());
        }
        let Some(old) = things.pop().filter(|old| P::counts(old.thing)) else { return Ok(()) };
        if let Err(error) = P::remove(self, old.thing) {
            return self.wrong(&format!("{}.{name}", P::SECTION.name()), error);
        }
        let fields = differences(&P::shape(self, old.thing), &Map::new());
        self.swaps.extend(<P::Of as Resource>::changes(Swap { was: Some(old.thing.clone()), is: None }));
        let (name, id) = (name.to_owned(), Some(old.id));
        self.planned(PlannedChange { kind, name, id, action: ChangeKind::Delete, fields });
        Ok(())
    }

    fn planned(&mut self, change: PlannedChange) {
        let summary = &mut self.plan.summary;
        let count = match change.action {
            ChangeKind::Create => &mut summary.create,
            ChangeKind::Change => &mut summary.change,
            ChangeKind::Delete => &mut summary.delete,
            ChangeKind::Unchanged => &mut summary.unchanged,
        };
        *count = count.saturating_add(1);
        self.plan.changes.push(change);
    }

    /// Adds validation errors of an object; fails with any other error.
    fn wrong(&mut self, path: &str, error: PipelineError) -> Result<(), PipelineError> {
        match error {
            PipelineError::Invalid(mistakes) => {
                for mistake in mistakes.0 {
                    let dot = if mistake.path.is_empty() || mistake.path.starts_with('[') { "" } else { "." };
                    self.mistakes.add(format!("{path}{dot}{}", mistake.path), mistake.message);
                }
            }
            PipelineError::Store(_) | PipelineError::Settings(_) | PipelineError::Vault(_) => return Err(error),
            other => self.mistakes.add(path, other.to_string()),
        }
        Ok(())
    }

    /// Validates objects that do not change against the plugins, policies, workflows and kinds that there will be.
    fn check_the_rest(&mut self) {
        let mut found = Vec::new();
        let touched = self.touched();
        let changes =
            |section: Section, id: &str| touched.contains(section, id) || self.unsettled.contains(section, id);
        for (name, candidate) in &self.pending.plugins {
            let candidate = candidate.as_deref();
            let mut add_incompatibility = |thing: Section, id: String, label: &str, mistakes: Vec<Mistake>| {
                if let (Some(first), false) = (mistakes.first(), changes(thing, &id)) {
                    let path = format!("plugins.{name}");
                    let thing = thing.thing();
                    found
                        .push(Mistake::new(path, format!("the {thing} `{label}` ({id}) would no longer fit: {first}")));
                }
            };
            for one in &self.state.automations {
                add_incompatibility(
                    Section::Automations,
                    one.id.to_string(),
                    &one.name,
                    incompatibilities_of(one, name, candidate),
                );
            }
            for one in &self.state.workflows {
                let mistakes = incompatibilities_of(&one.procedure(), name, candidate);
                add_incompatibility(Section::Workflows, one.name.clone(), &one.name, mistakes);
            }
            for one in &self.state.webhooks {
                add_incompatibility(
                    Section::Webhooks,
                    one.id.to_string(),
                    &one.name,
                    webhook_incompatibilities(one, name, candidate),
                );
            }
        }
        for policy in &self.policies_gone {
            let users: Vec<String> = self.webhooks_with(policy.number).take(5).collect();
            if !users.is_empty() {
                let message = format!("webhooks use it: {}; give them another, or none", users.join(", "));
                found.push(Mistake::new(format!("webhook_policies.{}", policy.name), message));
            }
        }
        for (number, signing) in &self.pending.policies {
            let is_same = |policy: &WebhookPolicy| policy.number == *number && policy.signing == *signing;
            if self.state.policies.iter().any(is_same) {
                continue;
            }
            let name = self.policies.iter().find(|(_, policy)| *policy == number).map_or("", |(name, _)| name.as_str());
            let path = format!("webhook_policies.{name}.signing");
            // Webhooks that change were validated with the new policy.
            let users = self.state.webhooks.iter().filter(|one| one.policy == Some(*number));
            for webhook in users.filter(|one| !touched.contains(Section::Webhooks, one.id.as_str())) {
                found.extend(field_conflicts(webhook, signing, &path));
            }
        }
        found.extend(self.still_used());
        self.mistakes.0.extend(found);
    }

    /// Names of the webhooks that will use a policy.
    fn webhooks_with(&'a self, policy: u64) -> impl Iterator<Item = String> {
        let ahead: HashMap<&WebhookId, Option<&Webhook>> = self
            .swaps
            .iter()
            .filter_map(|swap| match swap {
                ConfigChange::Webhook(swap) => Some((&swap.was.as_ref()?.id, swap.is.as_ref())),
                _ => None,
            })
            .collect();
        let will_be = move |present: &'a Webhook| ahead.get(&present.id).copied().unwrap_or(Some(present));
        let users = self.state.webhooks.iter().filter_map(will_be).filter(move |one| one.policy == Some(policy));
        let users = users.filter(move |one| !self.unsettled.contains(Section::Webhooks, one.id.as_str()));
        users.map(|webhook| webhook.name.clone())
    }

    /// The digest of everything that the space holds, and of the changes to it.
    fn fingerprint(&self) -> Result<String, PipelineError> {
        let mut digest = Sha256::new();
        // One object after the other: all of them at once take a hundred times the memory of one.
        for section in Section::ALL {
            digest.update(section.name());
            self.state.each(section, &mut |thing| digest.update(serde_json::to_vec(&thing).unwrap_or_default()));
        }
        digest.update(serde_json::to_vec(&self.plan.changes).unwrap_or_default());
        Ok(hex::encode(digest.finalize()))
    }
}

/// The name of an object of the document.
///
/// # Errors
/// The name is not valid.
fn name_of(given: Option<&Value>) -> Result<String, String> {
    match given {
        Some(Value::String(name)) if !name.is_empty() => Ok(name.clone()),
        None | Some(Value::Null | Value::String(_)) => {
            Err("is missing: objects are identified by their names, so give it one".to_owned())
        }
        Some(Value::Array(_)) => Err("is a list: a name is a string".to_owned()),
        Some(Value::Object(_)) => Err("is an object: a name is a string".to_owned()),
        Some(other) => {
            let shown = abridged(&other.to_string());
            Err(format!("is `{shown}`, which is not a string: put it in quotes, \"{shown}\""))
        }
    }
}

fn section_named(name: &str) -> Result<Section, Mistake> {
    Section::ALL.into_iter().find(|section| section.name() == name).ok_or_else(|| {
        let known: Vec<&str> = Section::ALL.into_iter().map(Section::name).collect();
        let shown = abridged(name);
        Mistake::new("incomplete", format!("`{shown}` is not a section: give {}", known.join(", ")))
    })
}
