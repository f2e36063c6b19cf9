//! The interface of a document's section, and the result of comparing a document.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{KeyId, Mistakes, SigningPolicy, SpaceId, WebhookPolicy, parse_json, parse_json_briefly};
use hookwright_plugin::{DataSchema, Plugin};
use hookwright_store::{ConfigChange, Swap};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::configuration::compare::FieldChange;
use crate::configuration::configurations::Configurations;
use crate::configuration::document::{ConfigurationPlan, ShownOnce};
use crate::configuration::objects::ObjectSet;
use crate::configuration::shape::Shape;
use crate::configuration::state::{Section, State};
use crate::pending_changes::PendingChanges;

/// After this many validation errors, only the first error of each further object is reported.
pub(crate) const MAX_MISTAKES: usize = 500;

/// An existing object, with its name and id.
pub(crate) struct Live<'a, T> {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) thing: &'a T,
}

/// The desired state of an object.
pub(crate) struct Made<T> {
    pub(crate) thing: T,
    /// Changes that its shape does not show.
    pub(crate) fields: Vec<FieldChange>,
    /// A key that it needs.
    pub(crate) pending_key: Option<PendingKey>,
    /// What is shown once if it is new or changed.
    pub(crate) shown: Vec<ShownOnce>,
}

impl<T> Made<T> {
    pub(crate) fn plain(thing: T) -> Self {
        Self { thing, fields: Vec::new(), pending_key: None, shown: Vec::new() }
    }
}

/// A key that is created when the plan is applied, because that can take long.
pub(crate) struct PendingKey {
    pub(crate) signing: SigningPolicy,
    pub(crate) given: Option<String>,
}

/// The objects of one section.
pub(crate) trait Part {
    /// The type of the objects.
    type Thing: Clone + 'static;
    /// The section.
    const SECTION: Section;

    /// The existing objects.
    fn live(state: &State) -> Vec<Live<'_, Self::Thing>>;

    /// Whether an existing object counts as configured.
    fn counts(_thing: &Self::Thing) -> bool {
        true
    }

    /// The desired state of an object that replaces `old`.
    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Self::Thing>,
    ) -> Result<Made<Self::Thing>, PipelineError>;

    /// What files state about it.
    fn shape(draft: &Draft<'_>, thing: &Self::Thing) -> Shape;

    /// Validates a new or changed object against the state after the changes.
    fn check(draft: &mut Draft<'_>, thing: &mut Self::Thing, old: Option<&Self::Thing>) -> Result<(), PipelineError>;

    /// Fails if it cannot be deleted; otherwise removes it from the state after the changes.
    fn delete(_draft: &mut Draft<'_>, _thing: &Self::Thing) -> Result<(), PipelineError> {
        Ok(())
    }

    /// The changes for the store.
    fn swap(swap: Swap<Self::Thing>) -> Vec<ConfigChange>;
}

/// The result of comparing a document with the space.
pub(crate) struct Draft<'a> {
    pub(crate) configurations: &'a Configurations,
    pub(crate) space: &'a SpaceId,
    pub(crate) state: &'a State,
    pub(crate) caller: &'a KeyId,
    pub(crate) pending: PendingChanges,
    /// Numbers of webhook policies by name. Those of new policies are provisional.
    pub(crate) policies: BTreeMap<String, u64>,
    /// Policies that are deleted.
    pub(crate) policies_gone: Vec<WebhookPolicy>,
    /// Versions of plugins that are to be live, by name.
    pub(crate) candidates: HashMap<String, Arc<Plugin>>,
    /// Schemas of strict event types that change. `None`: the type is no longer strict.
    pub(crate) schemas: HashMap<String, Option<DataSchema>>,
    pub(crate) swaps: Vec<ConfigChange>,
    /// With the index of the change that needs the key.
    pub(crate) pending_keys: Vec<(usize, PendingKey)>,
    pub(crate) shown: Vec<ShownOnce>,
    pub(crate) plan: ConfigurationPlan,
    pub(crate) mistakes: Mistakes,
    /// Objects whose entries in the document are not valid, so that their state after the changes is unknown.
    pub(crate) unsettled: ObjectSet,
    pub(crate) prune: bool,
    /// Sections of which the document lacks objects.
    pub(crate) incomplete: Vec<Section>,
}

impl Draft<'_> {
    /// Reads an object of the document. Every error in its form is reported with its path; after many errors, only the
    /// first one of each object.
    pub(crate) fn read<T: DeserializeOwned>(&self, item: Map<String, Value>) -> Result<T, Mistakes> {
        let text = Value::Object(item).to_string();
        if self.mistakes.0.len() < MAX_MISTAKES {
            return parse_json(text.as_bytes());
        }
        parse_json_briefly(text.as_bytes()).map_err(Mistakes::from)
    }

    /// The automations, workflows, webhooks and schedules that change or are deleted.
    pub(crate) fn touched(&self) -> ObjectSet {
        let mut objects = ObjectSet::default();
        for change in &self.swaps {
            let touched = match change {
                ConfigChange::Automation(swap) => {
                    swap.was.as_ref().map(|was| (Section::Automations, was.id.to_string()))
                }
                ConfigChange::Workflow(swap) => swap.was.as_ref().map(|was| (Section::Workflows, was.name.clone())),
                ConfigChange::Webhook(swap) => swap.was.as_ref().map(|was| (Section::Webhooks, was.id.to_string())),
                ConfigChange::Schedule(swap) => swap.was.as_ref().map(|was| (Section::Schedules, was.id.to_string())),
                _ => None,
            };
            if let Some((section, id)) = touched {
                objects.insert(section, id);
            }
        }
        objects
    }
}
