//! What a space holds of what documents can state.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{ApiKey, Automation, RecordKind, Schedule, Source, SpaceId, Webhook, WebhookPolicy, Workflow};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::configuration::configurations::Configurations;
use crate::configuration::configured::{PluginThing, WebhookDefaults};
use crate::configuration::shape;
use crate::event_types::StoredType;
use crate::sources::SourceThing;

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

    /// The type of one of its objects.
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

/// An object that a document cannot name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftAlone {
    /// Its type, such as `webhook`.
    pub kind: &'static str,
    /// The ids.
    pub ids: Vec<String>,
    /// Why, and what to do.
    pub reason: String,
}

/// What a space holds.
pub(crate) struct State {
    pub(crate) webhook_defaults: WebhookDefaults,
    pub(crate) plugins: Vec<PluginThing>,
    pub(crate) kinds: Vec<RecordKind>,
    pub(crate) event_types: Vec<StoredType>,
    pub(crate) workflows: Vec<Workflow>,
    pub(crate) policies: Vec<WebhookPolicy>,
    /// The automations in force, of which there may be many: shared, not copied.
    pub(crate) automations: Vec<Arc<Automation>>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) sources: Vec<SourceThing>,
    /// The current keys: a key that was replaced, or has expired, is no longer configured.
    pub(crate) keys: Vec<ApiKey>,
    /// The other keys.
    pub(crate) former_keys: Vec<ApiKey>,
}

/// An object in its shape.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shaped {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) value: Map<String, Value>,
}

impl Configurations {
    /// The automations of a space, in the order of their ids.
    fn automations_by_id(&self, space: &SpaceId) -> Vec<Arc<Automation>> {
        let mut automations = self.catalogue.automations(space);
        automations.sort_by(|a, b| a.id.cmp(&b.id));
        automations
    }

    pub(crate) fn configured(&self, space: &SpaceId) -> Result<State, PipelineError> {
        let (store, now) = (&self.store, self.clock.now());
        let mut plugins: BTreeMap<String, PluginThing> = BTreeMap::new();
        for record in store.plugins.plugins(space)? {
            let thing = PluginThing { name: record.name.clone(), record: None, policy: None };
            let name = record.name.clone();
            plugins.entry(name).or_insert(thing).record = Some(record);
        }
        for (name, policy) in store.plugins.policies(space)? {
            let thing = PluginThing { name: name.clone(), record: None, policy: None };
            plugins.entry(name).or_insert(thing).policy = Some(policy);
        }
        let event_types = store.event_types.event_types(space)?.into_iter().map(|(_, row)| StoredType::read(row));
        let mut pollings = self.polling.pollings(space)?;
        let sources = store.sources.sources(space)?.into_iter();
        let stored = |source: Source| {
            let polling = pollings.remove(&source.id);
            SourceThing::stored(source, polling)
        };
        let sources = sources.map(stored).collect();
        let (keys, former_keys) = store.keys.keys(space)?.into_iter().partition(|key| key.is_current(now));
        let webhook_defaults = WebhookDefaults {
            retry: self.settings.delivery_retry.clone(),
            timeout_ms: self.settings.delivery_timeout_ms,
        };
        Ok(State {
            webhook_defaults,
            plugins: plugins.into_values().collect(),
            kinds: store.kinds.own_kinds(space)?,
            event_types: event_types.collect::<Result<_, _>>()?,
            workflows: store.workflows.workflows(space)?,
            policies: store.webhooks.webhook_policies(space)?,
            automations: self.automations_by_id(space),
            schedules: store.schedules.schedules(space)?,
            webhooks: store.webhooks.webhooks(space)?,
            sources,
            keys,
            former_keys,
        })
    }
}

impl State {
    /// Names of policies by number, for policies whose names are unique.
    pub(crate) fn policy_names(&self) -> BTreeMap<u64, String> {
        let same = |name: &str| self.policies.iter().filter(|policy| policy.name == name).count();
        let known = self.policies.iter().filter(|policy| !policy.name.is_empty() && same(&policy.name) == 1);
        known.map(|policy| (policy.number, policy.name.clone())).collect()
    }

    /// The keys that this one has replaced, which end with it.
    pub(crate) fn replaced_by(&self, key: &ApiKey) -> Vec<&ApiKey> {
        ApiKey::replaced(&key.id, &self.former_keys.iter().collect::<Vec<_>>())
    }

    /// All objects of some sections in their shape, section by section.
    pub(crate) fn shaped(&self, wanted: &[Section]) -> Vec<(Section, Vec<Shaped>)> {
        let things = |section| {
            let mut things = Vec::new();
            self.each(section, &mut |thing| things.push(thing));
            (section, things)
        };
        wanted.iter().copied().map(things).collect()
    }

    /// Calls `each` with each object of a section in its shape.
    pub(crate) fn each(&self, section: Section, each: &mut dyn FnMut(Shaped)) {
        let mut shaped = |name: &str, id: String, value| each(Shaped { name: name.to_owned(), id, value });
        match section {
            Section::Plugins => {
                let known = self.plugins.iter().filter(|plugin| plugin.is_set());
                known.for_each(|one| shaped(&one.name, one.name.clone(), shape::plugin(one)));
            }
            Section::Kinds => {
                self.kinds.iter().for_each(|one| shaped(one.name(), one.name().to_owned(), shape::kind(one)));
            }
            Section::EventTypes => {
                let own = self.event_types.iter().map(|stored| &stored.own);
                own.for_each(|own| shaped(&own.event_type.name, own.event_type.name.clone(), shape::event_type(own)));
            }
            Section::Workflows => {
                self.workflows.iter().for_each(|one| shaped(&one.name, one.name.clone(), shape::workflow(one)));
            }
            Section::WebhookPolicies => {
                self.policies.iter().for_each(|one| shaped(&one.name, one.number.to_string(), shape::policy(one)));
            }
            Section::Automations => {
                self.automations.iter().for_each(|one| shaped(&one.name, one.id.to_string(), shape::automation(one)));
            }
            Section::Schedules => {
                self.schedules.iter().for_each(|one| shaped(&one.name, one.id.to_string(), shape::schedule(one)));
            }
            Section::Webhooks => {
                let names = self.policy_names();
                self.webhooks.iter().for_each(|one| {
                    let policy = one.policy.and_then(|number| names.get(&number).cloned());
                    shaped(
                        &one.name,
                        one.id.to_string(),
                        shape::webhook(one, policy.as_deref(), &self.webhook_defaults),
                    );
                });
            }
            Section::Sources => {
                let sources = self.sources.iter();
                sources.for_each(|one| shaped(&one.source.name, one.source.id.to_string(), shape::source(one)));
            }
            Section::Keys => self.keys.iter().for_each(|one| shaped(&one.name, one.id.to_string(), shape::key(one))),
        }
    }
}

/// Objects by name, and those that have no name or share theirs.
pub(crate) fn by_name(section: Section, things: Vec<Shaped>) -> (BTreeMap<String, Shaped>, Vec<LeftAlone>) {
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
    format!("has no name, by which files identify a {}: give it one", section.thing().replace('_', " "))
}

pub(crate) fn several(section: Section, name: &str, ids: &[String]) -> String {
    format!(
        "{} {} have the name `{name}` ({}): files identify objects by their names, so rename or delete all but one",
        ids.len(),
        section.name().replace('_', " "),
        ids.join(", ")
    )
}
