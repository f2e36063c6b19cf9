//! What a space holds of what documents can say.

use std::collections::BTreeMap;

use hookwright_model::{
    ApiKey, Automation, PluginPolicy, PluginRecord, Polling, RecordKind, Schedule, Source, SpaceId, Webhook,
    WebhookPolicy, Workflow,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::shape;
use crate::event_types::{self, OwnType};
use crate::{Pipeline, PipelineError};

/// A part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// Plugins.
    Plugins,
    /// Kinds of record.
    Kinds,
    /// Types of event.
    EventTypes,
    /// Workflows.
    Workflows,
    /// Policies that webhooks share.
    WebhookPolicies,
    /// Automations.
    Automations,
    /// Schedules.
    Schedules,
    /// Webhooks.
    Webhooks,
    /// Sources.
    Sources,
    /// Keys.
    Keys,
}

impl Section {
    /// Every one, those first on which others may depend.
    pub const ALL: [Self; 10] = [
        Self::Plugins,
        Self::Kinds,
        Self::EventTypes,
        Self::Workflows,
        Self::WebhookPolicies,
        Self::Automations,
        Self::Schedules,
        Self::Webhooks,
        Self::Sources,
        Self::Keys,
    ];

    /// Its name in a document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plugins => "plugins",
            Self::Kinds => "kinds",
            Self::EventTypes => "event_types",
            Self::Workflows => "workflows",
            Self::WebhookPolicies => "webhook_policies",
            Self::Automations => "automations",
            Self::Schedules => "schedules",
            Self::Webhooks => "webhooks",
            Self::Sources => "sources",
            Self::Keys => "keys",
        }
    }

    /// What one of its things is.
    pub fn thing(self) -> &'static str {
        match self {
            Self::Plugins => "plugin",
            Self::Kinds => "kind",
            Self::EventTypes => "event_type",
            Self::Workflows => "workflow",
            Self::WebhookPolicies => "webhook_policy",
            Self::Automations => "automation",
            Self::Schedules => "schedule",
            Self::Webhooks => "webhook",
            Self::Sources => "source",
            Self::Keys => "key",
        }
    }
}

/// Something that a document cannot name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftAlone {
    /// What it is, such as `webhook`.
    pub kind: &'static str,
    /// The ids.
    pub ids: Vec<String>,
    /// Why, and what to do.
    pub reason: String,
}

/// An event type with its row as it lies in the store.
#[derive(Clone, Debug)]
pub(super) struct StoredType {
    pub(super) own: OwnType,
    pub(super) row: Option<Value>,
}

/// A plugin: which version is live, and what it may do, if something was set.
#[derive(Clone, Debug)]
pub(super) struct PluginThing {
    pub(super) name: String,
    pub(super) record: Option<PluginRecord>,
    pub(super) policy: Option<PluginPolicy>,
}

/// What a space holds.
pub(super) struct State {
    pub(super) plugins: Vec<PluginThing>,
    pub(super) kinds: Vec<RecordKind>,
    pub(super) event_types: Vec<StoredType>,
    pub(super) workflows: Vec<Workflow>,
    pub(super) policies: Vec<WebhookPolicy>,
    pub(super) automations: Vec<Automation>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) webhooks: Vec<Webhook>,
    pub(super) sources: Vec<SourceThing>,
    pub(super) keys: Vec<ApiKey>,
}

/// A source, with the times at which it is asked.
#[derive(Clone, Debug)]
pub(super) struct SourceThing {
    pub(super) source: Source,
    pub(super) polling: Option<Polling>,
}

/// A thing in its shape.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shaped {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) value: Map<String, Value>,
}

impl Pipeline {
    pub(super) fn configured(&self, space: &SpaceId) -> Result<State, PipelineError> {
        let store = &self.store;
        let mut plugins: BTreeMap<String, PluginThing> = BTreeMap::new();
        for record in store.plugins(space)? {
            let thing = PluginThing { name: record.name.clone(), record: None, policy: None };
            let name = record.name.clone();
            plugins.entry(name).or_insert(thing).record = Some(record);
        }
        for (name, policy) in store.policies(space)? {
            let thing = PluginThing { name: name.clone(), record: None, policy: None };
            plugins.entry(name).or_insert(thing).policy = Some(policy);
        }
        let event_types = store.event_types(space)?.into_iter().map(|(_, row)| {
            let own = event_types::read(row.clone())?;
            Ok::<_, PipelineError>(StoredType { own, row: Some(row) })
        });
        let mut pollings = self.pollings(space)?;
        let sources = store.sources(space)?.into_iter();
        let sources = sources.map(|source| SourceThing { polling: pollings.remove(&source.id), source }).collect();
        Ok(State {
            plugins: plugins.into_values().collect(),
            kinds: store.own_kinds(space)?,
            event_types: event_types.collect::<Result<_, _>>()?,
            workflows: store.workflows(space)?,
            policies: store.webhook_policies(space)?,
            automations: store.automations(space)?,
            schedules: store.schedules(space)?,
            webhooks: store.webhooks(space)?,
            sources,
            keys: store.keys(space)?,
        })
    }
}

impl State {
    /// Names of policies by number, of those that their names tell apart.
    pub(super) fn policy_names(&self) -> BTreeMap<u64, String> {
        let same = |name: &str| self.policies.iter().filter(|policy| policy.name == name).count();
        let known = self.policies.iter().filter(|policy| !policy.name.is_empty() && same(&policy.name) == 1);
        known.map(|policy| (policy.number, policy.name.clone())).collect()
    }

    /// Everything in its shape, section by section.
    pub(super) fn shaped(&self) -> Result<Vec<(Section, Vec<Shaped>)>, PipelineError> {
        let names = self.policy_names();
        let shaped = |name: &str, id: String, value| Shaped { name: name.to_owned(), id, value };
        let mut all = Vec::new();
        for section in Section::ALL {
            let things = match section {
                Section::Plugins => {
                    let known = self.plugins.iter().filter(|plugin| plugin.is_set());
                    known.map(|plugin| shaped(&plugin.name, plugin.name.clone(), shape::plugin(plugin))).collect()
                }
                Section::Kinds => {
                    let one = |kind: &RecordKind| shaped(kind.name(), kind.name().to_owned(), shape::kind(kind));
                    self.kinds.iter().map(one).collect()
                }
                Section::EventTypes => {
                    let own = self.event_types.iter().map(|stored| &stored.own);
                    own.map(|own| shaped(&own.event_type.name, own.event_type.name.clone(), shape::event_type(own)))
                        .collect()
                }
                Section::Workflows => {
                    let one = |one: &Workflow| shaped(&one.name, one.name.clone(), shape::workflow(one));
                    self.workflows.iter().map(one).collect()
                }
                Section::WebhookPolicies => {
                    let one = |one: &WebhookPolicy| shaped(&one.name, one.number.to_string(), shape::policy(one));
                    self.policies.iter().map(one).collect()
                }
                Section::Automations => {
                    let one = |one: &Automation| shaped(&one.name, one.id.to_string(), shape::automation(one));
                    self.automations.iter().map(one).collect()
                }
                Section::Schedules => {
                    let one = |one: &Schedule| shaped(&one.name, one.id.to_string(), shape::schedule(one));
                    self.schedules.iter().map(one).collect()
                }
                Section::Webhooks => {
                    let one = |one: &Webhook| {
                        let policy = one.policy.and_then(|number| names.get(&number).cloned());
                        shaped(&one.name, one.id.to_string(), shape::webhook(one, policy.as_deref()))
                    };
                    self.webhooks.iter().map(one).collect()
                }
                Section::Sources => {
                    let one =
                        |one: &SourceThing| shaped(&one.source.name, one.source.id.to_string(), shape::source(one));
                    self.sources.iter().map(one).collect()
                }
                Section::Keys => {
                    let one = |one: &ApiKey| shaped(&one.name, one.id.to_string(), shape::key(one));
                    self.keys.iter().map(one).collect()
                }
            };
            all.push((section, things));
        }
        Ok(all)
    }
}

impl PluginThing {
    /// Whether there is anything to say of it: a version is live, or something was set.
    pub(super) fn is_set(&self) -> bool {
        self.policy.is_some() || self.record.as_ref().is_some_and(|record| !record.digest.is_empty())
    }
}

/// Things by their names, and those that have none, or one that others have too.
pub(super) fn by_name(section: Section, things: Vec<Shaped>) -> (BTreeMap<String, Shaped>, Vec<LeftAlone>) {
    let mut named: BTreeMap<String, Vec<Shaped>> = BTreeMap::new();
    for thing in things {
        named.entry(thing.name.clone()).or_default().push(thing);
    }
    let (mut known, mut others) = (BTreeMap::new(), Vec::new());
    for (name, mut things) in named {
        if name.is_empty() || things.len() > 1 {
            let mut ids: Vec<String> = things.into_iter().map(|thing| thing.id).collect();
            ids.sort();
            let reason = if name.is_empty() { nameless(section) } else { several(section, &name, &ids) };
            others.push(LeftAlone { kind: section.thing(), ids, reason });
        } else if let Some(thing) = things.pop() {
            known.insert(name, thing);
        }
    }
    (known, others)
}

fn nameless(section: Section) -> String {
    format!("has no name, by which files know a {}: give it one", section.thing().replace('_', " "))
}

pub(super) fn several(section: Section, name: &str, ids: &[String]) -> String {
    format!(
        "{} {} have the name `{name}` ({}): files know things by their names, so rename or delete all but one",
        ids.len(),
        section.name().replace('_', " "),
        ids.join(", ")
    )
}
