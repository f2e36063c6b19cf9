//! Plugins of a document: the live version and the policy of each.
//!
//! The life cycle of plugins is not that of the other resources. The API installs, activates, rolls back and rolls out
//! versions, each with its component and what it may import, which no object in one row is; a document chooses among
//! versions that are installed already. Only what a document changes is a [`Resource`] here.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{Limits, Mistake, PluginPolicy, SpaceId, VersionNotFound};
use hookwright_plugin::{Plugin, Scope, check_interfaces, check_name};
use hookwright_store::{ConfigChange, Swap};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::configuration::configurations::Configurations;
use crate::configuration::configured::PluginThing;
use crate::configuration::part::{Draft, Live, Made, Part};
use crate::configuration::shape;
use crate::configuration::shape::Shape;
use crate::configuration::state::{Section, State};
use crate::lifecycle::Resource;
use crate::plugins::wants_more;

pub(crate) struct PluginsPart;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    name: String,
    digest: Option<String>,
    policy: Option<PluginPolicy>,
}

/// Loads the versions that a document activates and that are not live yet, by name.
pub(crate) async fn candidates(
    configurations: &Configurations,
    space: &SpaceId,
    items: &[Value],
) -> Result<HashMap<String, Arc<Plugin>>, PipelineError> {
    let mut candidates = HashMap::new();
    for item in items {
        let text = |field: &str| item.get(field).and_then(Value::as_str);
        let (Some(name), Some(digest)) = (text("name"), text("digest")) else { continue };
        let record = configurations.versions.record_of(space, name)?;
        let Ok(version) = record.find_digest(digest) else { continue };
        let Some(component) = configurations.store.plugins.component(&version.digest)? else { continue };
        // A version that cannot be loaded is reported with the other validation errors.
        if let Ok(plugin) = configurations.registry.prepare(component).await {
            candidates.insert(name.to_owned(), plugin);
        }
    }
    Ok(candidates)
}

impl Resource for PluginsPart {
    type Thing = PluginThing;

    fn changes(swap: Swap<PluginThing>) -> Vec<ConfigChange> {
        let Some(name) = swap.is.as_ref().or(swap.was.as_ref()).map(|plugin| plugin.name.clone()) else {
            return Vec::new();
        };
        let (was, is) = (swap.was, swap.is);
        let parts = |thing: Option<PluginThing>| thing.map_or((None, None), |thing| (thing.record, thing.policy));
        let ((record_was, policy_was), (record_is, policy_is)) = (parts(was), parts(is));
        let mut changes = Vec::new();
        if record_was.is_some() || record_is.is_some() {
            changes.push(ConfigChange::Plugin(Swap { was: record_was, is: record_is }));
        }
        if policy_was != policy_is {
            changes.push(ConfigChange::PluginPolicy(name, Swap { was: policy_was, is: policy_is }));
        }
        changes
    }
}

impl Part for PluginsPart {
    type Of = Self;
    const SECTION: Section = Section::Plugins;

    fn resource(_: &Configurations) -> &Self {
        &Self
    }

    fn live(state: &State) -> Vec<Live<'_, PluginThing>> {
        state.plugins.iter().map(|one| Live::of(&one.name, &one.name, one)).collect()
    }

    fn counts(plugin: &PluginThing) -> bool {
        plugin.is_set()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&PluginThing>,
    ) -> Result<Made<PluginThing>, PipelineError> {
        let Item { name, digest, policy } = draft.read(item)?;
        check_name(&name)?;
        let mut record = old.and_then(|old| old.record.clone());
        let mut set = old.and_then(|old| old.policy.clone());
        if let Some(policy) = policy {
            policy.check(&Limits::MOST).and_then(|()| check_interfaces(&policy.grants)).map_err(|mistakes| {
                let inside = |mistake: Mistake| Mistake::new(format!("policy.{}", mistake.path), mistake.message);
                hookwright_model::Mistakes(mistakes.0.into_iter().map(inside).collect())
            })?;
            set = Some(policy);
        }
        let is_live = record.as_ref().is_some_and(|record| !record.digest.is_empty());
        let Some(digest) = digest else {
            if set.is_none() && !is_live {
                let message = "is empty: give `digest`, an installed version, or `policy`, what it may do";
                return Err(Mistake::new("", message).into());
            }
            // If the document lacks some plugins, it may be one of those.
            if !draft.pending.unread_plugins.any && !draft.configurations.plugin_access.is_known(draft.space, &name)? {
                let message = format!(
                    "there is no plugin `{name}` that could have a policy: correct the name, add its component to the \
                     files as `plugins/{name}.wasm`, or install it first (PUT /v1/plugins/{name})"
                );
                return Err(Mistake::new("policy", message).into());
            }
            return Ok(Made::plain(PluginThing { name, record, policy: set }));
        };
        let known = draft.configurations.versions.record_of(draft.space, &name)?;
        let version = known.find_digest(&digest).cloned().map_err(|error| {
            let message = match error {
                VersionNotFound::Unknown { named, .. } => format!(
                    "there is no version `{named}` of `{name}`: install it with PUT /v1/plugins/{name}?activate=false \
                     first"
                ),
                ambiguous @ VersionNotFound::Ambiguous { .. } => ambiguous.to_string(),
            };
            Mistake::new("digest", message)
        })?;
        if record.as_ref().is_some_and(|record| record.digest == version.digest) {
            return Ok(Made::plain(PluginThing { name, record, policy: set }));
        }
        if version.dev {
            let message = "is a development version, which a document cannot activate: push the component as a release";
            return Err(Mistake::new("digest", message).into());
        }
        let plugin = draft.candidates.get(&name).cloned().ok_or_else(|| {
            Mistake::new("digest", "the component of this version cannot be loaded: install it again")
        })?;
        let policy = match set {
            Some(policy) => policy,
            None => draft.configurations.plugins.policy_of(draft.space, &name, !is_live, &plugin, false)?,
        };
        let more = wants_more(&policy.grants, plugin.wants());
        if !more.is_empty() {
            let message = format!("lacks {}, which this version imports: add what it may use", more.join(", "));
            return Err(Mistake::new("policy.grants.interfaces", message).into());
        }
        let mut next = match record.take() {
            Some(record) => record,
            None => draft.configurations.versions.record_of(draft.space, &name)?,
        };
        // The store itself determines which versions are dropped.
        next.use_version(version, draft.configurations.clock.now());
        draft.pending.plugins.insert(name.clone(), Some(plugin));
        Ok(Made::plain(PluginThing { name, record: Some(next), policy: Some(policy) }))
    }

    fn shape(_: &Draft<'_>, plugin: &PluginThing) -> Shape {
        shape::plugin(plugin)
    }

    fn remove(draft: &mut Draft<'_>, plugin: &PluginThing) -> Result<(), PipelineError> {
        if plugin.record.as_ref().is_some_and(|record| !record.digest.is_empty()) {
            let live = |scope| draft.configurations.registry.find(scope, &plugin.name).and_then(|(plugin, _)| plugin);
            let beneath = live(&Scope::Folder).or_else(|| live(&Scope::Builtin));
            draft.pending.plugins.insert(plugin.name.clone(), beneath);
        }
        Ok(())
    }
}
