//! Plugins of a document: which version is live, and what each may do.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::{Limits, Mistake, PluginPolicy, PluginVersion, SpaceId};
use hookwright_plugin::{Plugin, Scope, check_name};
use hookwright_store::{ConfigChange, Swap};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::draft::{Draft, Live, Made, Part, read};
use super::shape::{self, Shape};
use super::state::{PluginThing, Section, State};
use crate::plugins::wants_more;
use crate::{Pipeline, PipelineError};

pub(super) struct Plugins;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    name: String,
    digest: Option<String>,
    policy: Option<PluginPolicy>,
}

/// The version of a plugin that a document wants live.
fn version_of(
    pipeline: &Pipeline,
    space: &SpaceId,
    name: &str,
    digest: &str,
) -> Result<Option<PluginVersion>, PipelineError> {
    let record = pipeline.record_of(space, name)?;
    let fits = |version: &&PluginVersion| digest.len() >= 6 && version.digest.starts_with(digest);
    Ok(record.versions.iter().rev().find(fits).cloned())
}

/// Loads the versions that a document wants live and that are not so yet, by name.
pub(super) async fn candidates(
    pipeline: &Pipeline,
    space: &SpaceId,
    items: &[Value],
) -> Result<HashMap<String, Arc<Plugin>>, PipelineError> {
    let mut candidates = HashMap::new();
    for item in items {
        let text = |field: &str| item.get(field).and_then(Value::as_str);
        let (Some(name), Some(digest)) = (text("name"), text("digest")) else { continue };
        let Some(version) = version_of(pipeline, space, name, digest)? else { continue };
        let Some(component) = pipeline.store.component(&version.digest)? else { continue };
        // What cannot be loaded is told with the other mistakes.
        if let Ok(plugin) = pipeline.registry.prepare(component).await {
            candidates.insert(name.to_owned(), plugin);
        }
    }
    Ok(candidates)
}

impl Part for Plugins {
    type Thing = PluginThing;
    const SECTION: Section = Section::Plugins;

    fn live(state: &State) -> Vec<Live<PluginThing>> {
        let live = |one: &PluginThing| Live { name: one.name.clone(), id: one.name.clone(), thing: one.clone() };
        state.plugins.iter().map(live).collect()
    }

    fn counts(plugin: &PluginThing) -> bool {
        plugin.is_set()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&PluginThing>,
    ) -> Result<Made<PluginThing>, PipelineError> {
        let Item { name, digest, policy } = read(item)?;
        check_name(&name)?;
        let mut record = old.and_then(|old| old.record.clone());
        let mut set = old.and_then(|old| old.policy.clone());
        if let Some(policy) = policy {
            policy.check(&Limits::MOST).map_err(|mistakes| {
                let inside = |mistake: Mistake| Mistake::new(format!("policy.{}", mistake.path), mistake.message);
                hookwright_model::Mistakes(mistakes.0.into_iter().map(inside).collect())
            })?;
            set = Some(policy);
        }
        let is_live = record.as_ref().is_some_and(|record| !record.digest.is_empty());
        let Some(digest) = digest else {
            if set.is_none() && !is_live {
                let message = "says nothing: give `digest`, a version that was put in, or `policy`, what it may do";
                return Err(Mistake::new("", message).into());
            }
            return Ok(Made::plain(PluginThing { name, record, policy: set }));
        };
        let version = version_of(draft.pipeline, draft.space, &name, &digest)?.ok_or_else(|| {
            let shown: String = digest.chars().take(80).collect();
            let message = format!(
                "there is no version `{shown}` of `{name}`: put it in with PUT /v1/plugins/{name}?activate=false first"
            );
            Mistake::new("digest", message)
        })?;
        if record.as_ref().is_some_and(|record| record.digest == version.digest) {
            return Ok(Made::plain(PluginThing { name, record, policy: set }));
        }
        let plugin =
            draft.candidates.get(&name).cloned().ok_or_else(|| {
                Mistake::new("digest", "the component of this version cannot be loaded: put it in again")
            })?;
        let policy = match set {
            Some(policy) => policy,
            None => draft.pipeline.policy_of(draft.space, &name, !is_live, &plugin, false)?,
        };
        let more = wants_more(&policy.grants, plugin.wants());
        if !more.is_empty() {
            let message = format!("lacks {}, which this version imports: add what it may use", more.join(", "));
            return Err(Mistake::new("policy.grants.interfaces", message).into());
        }
        let mut next = match record.take() {
            Some(record) => record,
            None => draft.pipeline.record_of(draft.space, &name)?,
        };
        // What is dropped of the versions, the store sees by itself.
        next.use_version(version, draft.pipeline.now());
        draft.outlook.plugins.insert(name.clone(), Some(plugin));
        Ok(Made::plain(PluginThing { name, record: Some(next), policy: Some(policy) }))
    }

    fn shape(_: &Draft<'_>, plugin: &PluginThing) -> Shape {
        shape::plugin(plugin)
    }

    fn check(_: &mut Draft<'_>, _: &mut PluginThing, _: Option<&PluginThing>) -> Result<(), PipelineError> {
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, plugin: &PluginThing) -> Result<(), PipelineError> {
        if plugin.record.as_ref().is_some_and(|record| !record.digest.is_empty()) {
            let live = |scope| draft.pipeline.registry.find(scope, &plugin.name).and_then(|(plugin, _)| plugin);
            let beneath = live(&Scope::Folder).or_else(|| live(&Scope::Builtin));
            draft.outlook.plugins.insert(plugin.name.clone(), beneath);
        }
        Ok(())
    }

    fn swap(swap: Swap<PluginThing>) -> Vec<ConfigChange> {
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
