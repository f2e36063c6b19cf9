//! The interface of a document's section, and the result of comparing a document.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{KeyId, Mistakes, SigningPolicy, SpaceId, WebhookPolicy, parse_json, parse_json_briefly};
use hookwright_plugin::Plugin;
use hookwright_store::ConfigChange;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::configuration::compare::FieldChange;
use crate::configuration::configurations::Configurations;
use crate::configuration::document::{ConfigurationPlan, ShownOnce};
use crate::configuration::objects::ObjectSet;
use crate::configuration::shape::Shape;
use crate::configuration::state::{Section, State};
use crate::lifecycle::Resource;
use crate::pending_changes::PendingChanges;

/// After this many validation errors, only the first error of each further object is reported.
pub(crate) const MAX_MISTAKES: usize = 500;

/// An existing object, with its name and id.
pub(crate) struct Live<'a, T> {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) thing: &'a T,
}

impl<'a, T> Live<'a, T> {
    pub(crate) fn of(name: &str, id: impl ToString, thing: &'a T) -> Self {
        Self { name: name.to_owned(), id: id.to_string(), thing }
    }
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

/// The objects of a part's resource.
pub(crate) type Thing<P> = <<P as Part>::Of as Resource>::Thing;

/// The objects of one section: what is special to files. The rest of their life cycle is that of the resource.
pub(crate) trait Part: Sized {
    /// The resource.
    type Of: Resource;
    /// The section.
    const SECTION: Section;

    /// Whether an object is validated even if it does not change, and before that is known, because its validation
    /// normalizes it.
    const IS_ALWAYS_CHECKED: bool = false;

    /// The resource.
    fn resource(configurations: &Configurations) -> &Self::Of;

    /// The existing objects.
    fn live(state: &State) -> Vec<Live<'_, Thing<Self>>>;

    /// Whether an existing object counts as configured.
    fn counts(_thing: &Thing<Self>) -> bool {
        true
    }

    /// The object that the document states. `old` is the one that it replaces, from which it takes what files do not
    /// state beyond what every successor takes over.
    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Thing<Self>>,
    ) -> Result<Made<Thing<Self>>, PipelineError>;

    /// What files state about it.
    fn shape(draft: &Draft<'_>, thing: &Thing<Self>) -> Shape;

    /// Adds a valid object that is created or changed to the state after the changes, with what changes along with it.
    fn add(_draft: &mut Draft<'_>, _thing: &Thing<Self>, _old: Option<&Thing<Self>>) -> Result<(), PipelineError> {
        Ok(())
    }

    /// Removes an object from the state after the changes.
    ///
    /// # Errors
    /// It cannot be deleted.
    fn remove(_draft: &mut Draft<'_>, _thing: &Thing<Self>) -> Result<(), PipelineError> {
        Ok(())
    }
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
