//! A document compared with what is there: every mistake in it at once, or what is to be written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookwright_model::{
    KeyId, Mistake, Mistakes, SigningPolicy, SpaceId, Webhook, WebhookId, WebhookPolicy, parse_json,
};
use hookwright_plugin::{DataSchema, Plugin};
use hookwright_store::{ConfigChange, Swap};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::compare::{FieldChange, differences};
use super::shape::Shape;
use super::state::{LeftAlone, Section, State, several};
use super::{
    ChangeKind, ConfigurationInput, ConfigurationPlan, MOST_THINGS, PlannedChange, ShownOnce, Summary, outgoing,
    plugins, things,
};
use crate::automations::{misfits_of, webhook_misfits};
use crate::outlook::Outlook;
use crate::{Pipeline, PipelineError};

/// A thing that is there, with its name and id.
pub(super) struct Live<T> {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) thing: T,
}

/// A thing as it is to be.
pub(super) struct Made<T> {
    pub(super) thing: T,
    /// Changes that its shape does not show.
    pub(super) fields: Vec<FieldChange>,
    /// A key that it needs.
    pub(super) errand: Option<Errand>,
    /// What is shown once if it is new or changed.
    pub(super) shown: Vec<ShownOnce>,
}

impl<T> Made<T> {
    pub(super) fn plain(thing: T) -> Self {
        Self { thing, fields: Vec::new(), errand: None, shown: Vec::new() }
    }
}

/// A key that is made when the plan is carried out: some take long.
pub(super) struct Errand {
    pub(super) signing: SigningPolicy,
    pub(super) given: Option<String>,
}

/// One section's things.
pub(super) trait Part {
    /// What they are.
    type Thing: Clone;
    /// Where they stand.
    const SECTION: Section;

    /// Those that are there.
    fn live(state: &State) -> Vec<Live<Self::Thing>>;

    /// Whether there is anything to say of a thing that is there.
    fn counts(_thing: &Self::Thing) -> bool {
        true
    }

    /// The thing as it is to be, in the place of `old`.
    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Self::Thing>,
    ) -> Result<Made<Self::Thing>, PipelineError>;

    /// What files say of it.
    fn shape(draft: &Draft<'_>, thing: &Self::Thing) -> Shape;

    /// Checks one that is new or changed, as things will be.
    fn check(draft: &mut Draft<'_>, thing: &mut Self::Thing, old: Option<&Self::Thing>) -> Result<(), PipelineError>;

    /// Why it cannot be deleted; takes it out of how things will be.
    fn delete(_draft: &mut Draft<'_>, _thing: &Self::Thing) -> Result<(), PipelineError> {
        Ok(())
    }

    /// What the store is told.
    fn swap(swap: Swap<Self::Thing>) -> Vec<ConfigChange>;
}

/// What a document comes to.
pub(super) struct Draft<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) space: &'a SpaceId,
    pub(super) state: &'a State,
    pub(super) caller: &'a KeyId,
    pub(super) outlook: Outlook,
    /// Numbers of webhook policies by name, those included that are made: their numbers only stand for them.
    pub(super) policies: BTreeMap<String, u64>,
    /// Policies that are deleted.
    pub(super) policies_gone: Vec<WebhookPolicy>,
    /// Versions of plugins that are to be live, by name.
    pub(super) candidates: HashMap<String, Arc<Plugin>>,
    /// Schemas of strict event types that change; none: no longer strict.
    pub(super) schemas: HashMap<String, Option<DataSchema>>,
    pub(super) swaps: Vec<ConfigChange>,
    /// By the place of the change that needs it.
    pub(super) errands: Vec<(usize, Errand)>,
    pub(super) shown: Vec<ShownOnce>,
    pub(super) plan: ConfigurationPlan,
    mistakes: Mistakes,
    prune: bool,
}

impl Pipeline {
    /// Compares a document with what is there. The caller holds `changing`.
    pub(super) async fn draft<'a>(
        &'a self,
        space: &'a SpaceId,
        state: &'a State,
        input: ConfigurationInput,
        caller: &'a KeyId,
    ) -> Result<Draft<'a>, PipelineError> {
        let ConfigurationInput { mut configuration, prune, .. } = input;
        let count = configuration.count();
        if count > MOST_THINGS {
            return Err(Mistake::new("configuration", format!("{count} things: at most {MOST_THINGS} at once")).into());
        }
        let empty = || ConfigurationPlan {
            fingerprint: String::new(),
            summary: Summary::default(),
            changes: Vec::new(),
            left_alone: Vec::new(),
        };
        let mut draft = Draft {
            pipeline: self,
            space,
            state,
            caller,
            outlook: Outlook::default(),
            policies: state.policy_names().into_iter().map(|(number, name)| (name, number)).collect(),
            policies_gone: Vec::new(),
            candidates: plugins::candidates(self, space, configuration.plugins.as_deref().unwrap_or_default()).await?,
            schemas: HashMap::new(),
            swaps: Vec::new(),
            errands: Vec::new(),
            shown: Vec::new(),
            plan: empty(),
            mistakes: Mistakes::default(),
            prune,
        };
        for section in Section::ALL {
            let Some(items) = configuration.take(section) else { continue };
            match section {
                Section::Plugins => draft.part::<plugins::Plugins>(items)?,
                Section::Kinds => draft.part::<things::Kinds>(items)?,
                Section::EventTypes => draft.part::<things::EventTypes>(items)?,
                Section::Workflows => draft.part::<things::Workflows>(items)?,
                Section::WebhookPolicies => draft.part::<outgoing::Policies>(items)?,
                Section::Automations => draft.part::<things::Automations>(items)?,
                Section::Schedules => draft.part::<things::Schedules>(items)?,
                Section::Webhooks => draft.part::<outgoing::Webhooks>(items)?,
                Section::Sources => draft.part::<things::Sources>(items)?,
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
        let mut live: BTreeMap<String, Vec<Live<P::Thing>>> = BTreeMap::new();
        for one in P::live(self.state) {
            live.entry(one.name.clone()).or_default().push(one);
        }
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            let path = format!("{}[{place}]", P::SECTION.name());
            let Value::Object(item) = item else {
                self.mistakes.add(path, "is no object: give its fields by name");
                continue;
            };
            let Some(name) = item.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
                self.mistakes.add(format!("{path}.name"), "is missing: things are known by their names");
                continue;
            };
            let name = name.to_owned();
            if let Some(first) = given.insert(name.clone(), place) {
                let message = format!("`{name}` is the name of {}[{first}] too: give it once", P::SECTION.name());
                self.mistakes.add(format!("{path}.name"), message);
                continue;
            }
            let same = live.get(&name).map(Vec::as_slice).unwrap_or_default();
            if same.len() > 1 {
                let ids: Vec<String> = same.iter().map(|one| one.id.clone()).collect();
                self.mistakes.add(format!("{path}.name"), several(P::SECTION, &name, &ids));
                continue;
            }
            if let Err(error) = self.item::<P>(&name, item, same.first()) {
                self.wrong(&path, error)?;
            }
        }
        if self.prune {
            for (name, things) in live.into_iter().filter(|(name, _)| !given.contains_key(name)) {
                self.prune::<P>(&name, things)?;
            }
        }
        Ok(())
    }

    fn item<P: Part>(
        &mut self,
        name: &str,
        item: Map<String, Value>,
        old: Option<&Live<P::Thing>>,
    ) -> Result<(), PipelineError> {
        let former = old.map(|old| &old.thing);
        let Made { mut thing, mut fields, errand, shown } = P::make(self, item, former)?;
        let shape = P::shape(self, &thing);
        let was = former.map(|old| P::shape(self, old)).unwrap_or_default();
        fields.splice(0..0, differences(&was, &shape));
        let action = match former {
            None => ChangeKind::Create,
            Some(old) if !P::counts(old) => ChangeKind::Create,
            Some(_) if fields.is_empty() && errand.is_none() => ChangeKind::Unchanged,
            Some(_) => ChangeKind::Change,
        };
        let id = old.map(|old| old.id.clone());
        if action != ChangeKind::Unchanged {
            P::check(self, &mut thing, former)?;
            if let Some(errand) = errand {
                self.errands.push((self.swaps.len(), errand));
            }
            self.swaps.extend(P::swap(Swap { was: former.cloned(), is: Some(thing) }));
            self.shown.extend(shown);
        }
        self.planned(PlannedChange { kind: P::SECTION.thing(), name: name.to_owned(), id, action, fields });
        Ok(())
    }

    fn prune<P: Part>(&mut self, name: &str, mut things: Vec<Live<P::Thing>>) -> Result<(), PipelineError> {
        let kind = P::SECTION.thing();
        let ids = |things: &[Live<P::Thing>]| things.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        if name.is_empty() || things.len() > 1 {
            let ids = ids(&things);
            let reason = if name.is_empty() { "has no name".to_owned() } else { several(P::SECTION, name, &ids) };
            self.plan.left_alone.push(LeftAlone { kind, ids, reason });
            return Ok(());
        }
        let Some(old) = things.pop().filter(|old| P::counts(&old.thing)) else { return Ok(()) };
        if let Err(error) = P::delete(self, &old.thing) {
            return self.wrong(&format!("{}.{name}", P::SECTION.name()), error);
        }
        let fields = differences(&P::shape(self, &old.thing), &Map::new());
        self.swaps.extend(P::swap(Swap { was: Some(old.thing), is: None }));
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

    /// Notes what is wrong with a thing; fails if it is not the thing that is wrong.
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

    /// Checks what stays as it is against the plugins that there will be.
    fn check_the_rest(&mut self) {
        let mut found = Vec::new();
        for (name, candidate) in &self.outlook.plugins {
            let changed: Vec<String> = self.swaps.iter().filter_map(touched).collect();
            let candidate = candidate.as_deref();
            let mut misfit = |thing: Section, id: String, label: &str, mistakes: Vec<Mistake>| {
                if let (Some(first), false) = (mistakes.first(), changed.contains(&id)) {
                    let path = format!("plugins.{name}");
                    let thing = thing.thing();
                    found
                        .push(Mistake::new(path, format!("the {thing} `{label}` ({id}) would no longer fit: {first}")));
                }
            };
            for one in &self.state.automations {
                misfit(Section::Automations, one.id.to_string(), &one.name, misfits_of(one, name, candidate));
            }
            for one in &self.state.workflows {
                let mistakes = misfits_of(&one.procedure(), name, candidate);
                misfit(Section::Workflows, one.name.clone(), &one.name, mistakes);
            }
            for one in &self.state.webhooks {
                misfit(Section::Webhooks, one.id.to_string(), &one.name, webhook_misfits(one, name, candidate));
            }
        }
        for policy in &self.policies_gone {
            let users: Vec<String> = self.webhooks_with(policy.number).take(5).collect();
            if !users.is_empty() {
                let message = format!("webhooks use it: {}; give them another, or none", users.join(", "));
                found.push(Mistake::new(format!("webhook_policies.{}", policy.name), message));
            }
        }
        self.mistakes.0.extend(found);
    }

    /// Names of the webhooks that will have a policy.
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
        users.map(|webhook| webhook.name.clone())
    }

    /// Of everything that the space holds, and of what happens to it.
    fn fingerprint(&self) -> Result<String, PipelineError> {
        let mut digest = Sha256::new();
        for (section, things) in self.state.shaped()? {
            digest.update(section.name());
            digest.update(serde_json::to_vec(&things).unwrap_or_default());
        }
        digest.update(serde_json::to_vec(&self.plan.changes).unwrap_or_default());
        Ok(hex::encode(digest.finalize()))
    }
}

/// The id of an automation, workflow or webhook that changes.
fn touched(change: &ConfigChange) -> Option<String> {
    match change {
        ConfigChange::Automation(swap) => swap.was.as_ref().map(|was| was.id.to_string()),
        ConfigChange::Workflow(swap) => swap.was.as_ref().map(|was| was.name.clone()),
        ConfigChange::Webhook(swap) => swap.was.as_ref().map(|was| was.id.to_string()),
        _ => None,
    }
}

/// Reads what a document says of a thing; the mistake names the path.
pub(super) fn read<T: DeserializeOwned>(item: Map<String, Value>) -> Result<T, Mistake> {
    parse_json(Value::Object(item).to_string().as_bytes())
}
