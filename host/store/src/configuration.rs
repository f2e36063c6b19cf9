//! Changes of a space's configuration in one transaction: all or nothing.

use std::collections::HashMap;

use hookwright_model::{
    ApiKey, Automation, PluginPolicy, PluginRecord, Polling, RecordKind, Schedule, Source, SpaceId, Webhook,
    WebhookPolicy, Workflow,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::batch::{Batch, Faults};
use crate::config;
use crate::db::Db;
use crate::kinds::KindRefused;
use crate::tables::{
    AUTOMATION, EVENT_TYPE, KEY, KIND, PLUGIN, POLICY, SOURCE, WEBHOOK, WEBHOOK_NUMBER, WEBHOOK_POLICY,
    WEBHOOK_POLICY_NUMBER, WORKFLOW,
};
use crate::timed::Timed as _;
use crate::{StoreError, automations, kinds, plugins, recordings, rows, sources, timed, webhooks, workflows};

const FAULTS: Faults = Faults { before: "configuration.before-commit", after: "configuration.after-commit" };

/// A compare-and-swap of an object: its value as read, and its new value.
#[derive(Clone, Debug)]
pub struct Swap<T> {
    /// `None`: it is created.
    pub was: Option<T>,
    /// `None`: it is deleted.
    pub is: Option<T>,
}

impl<T> Swap<T> {
    fn either(&self) -> Option<&T> {
        self.is.as_ref().or(self.was.as_ref())
    }
}

/// A change of one object.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are few of them at a time, and each is moved once or twice")]
pub enum ConfigChange {
    /// Of an automation; its revision is retained.
    Automation(Swap<Automation>),
    /// Of a workflow; its version is retained.
    Workflow(Swap<Workflow>),
    /// Of a schedule, and its due time.
    Schedule(Swap<Schedule>),
    /// Of a webhook. A new one gets its number in the commit.
    Webhook(Box<Swap<Webhook>>),
    /// Of a policy that webhooks share. A new one gets its number in the commit; webhooks of the same commit that refer
    /// to it by its provisional number get the new number too.
    WebhookPolicy(Swap<WebhookPolicy>),
    /// Of a source.
    Source(Swap<Source>),
    /// Of a source's polling schedule, and its due time.
    Polling(Swap<Polling>),
    /// Of a type of event, by its name.
    EventType(String, Swap<Value>),
    /// Of a kind of record.
    Kind(Box<Swap<RecordKind>>),
    /// Of a plugin: which of its versions is live. The components are stored already.
    Plugin(Swap<PluginRecord>),
    /// Of the policy of the plugin with this name.
    PluginPolicy(String, Swap<PluginPolicy>),
    /// Of a key.
    Key(Swap<ApiKey>),
}

/// The result of a transaction of changes.
#[derive(Clone, Debug)]
pub enum Configured {
    /// All are durable. The changes have the numbers that were assigned.
    Done(Vec<ConfigChange>),
    /// Write conflict: an object is no longer as it was read, and nothing was written.
    Conflict,
    /// A kind of record cannot be changed in this way, and nothing was written.
    Refused(String, KindRefused),
}

/// Changes of several objects of a space at once.
#[derive(Clone)]
pub struct Configuration {
    pub(crate) db: Db,
}

impl Configuration {
    /// Makes all changes in one commit if every changed object is still as it was read (compare-and-swap).
    pub async fn configure(&self, space: &SpaceId, changes: Vec<ConfigChange>) -> Result<Configured, StoreError> {
        let space = space.clone();
        let bytes = changes.len().saturating_mul(4096);
        self.db
            .write(Some(FAULTS), bytes, move |batch| {
                let number = batch.number(&space)?;
                for change in &changes {
                    if !stands(batch, number, change)? {
                        return Ok(Configured::Conflict);
                    }
                }
                if let Some((kind, why)) = refused(batch, number, &changes)? {
                    return Ok(Configured::Refused(kind, why));
                }
                Ok(Configured::Done(write_all(batch, number, changes)?))
            })
            .await
    }
}

/// Whether the row still equals the value that was read, after both are converted to this version's form.
fn same<T: Serialize + DeserializeOwned>(
    batch: &mut Batch<'_>,
    space: u32,
    kind: &str,
    id: &str,
    was: Option<&T>,
) -> Result<bool, StoreError> {
    match (config::stored::<T>(batch, (space, kind, id))?, was) {
        (None, None) => Ok(true),
        (Some(stored), Some(was)) => Ok(rows::json(&stored)? == rows::json(was)?),
        _ => Ok(false),
    }
}

fn same_swap<T: Serialize + DeserializeOwned>(
    batch: &mut Batch<'_>,
    space: u32,
    kind: &str,
    swap: &Swap<T>,
    id: impl Fn(&T) -> String,
) -> Result<bool, StoreError> {
    let Some(id) = swap.either().map(id) else { return Ok(true) };
    same(batch, space, kind, &id, swap.was.as_ref())
}

fn stands(batch: &mut Batch<'_>, space: u32, change: &ConfigChange) -> Result<bool, StoreError> {
    match change {
        ConfigChange::Automation(swap) => same_swap(batch, space, AUTOMATION, swap, |a| a.id.to_string()),
        ConfigChange::Workflow(swap) => same_swap(batch, space, WORKFLOW, swap, |w| w.name.clone()),
        ConfigChange::Schedule(swap) => same_swap(batch, space, Schedule::KIND, swap, |s| s.id.to_string()),
        ConfigChange::Webhook(swap) => same_swap(batch, space, WEBHOOK, swap, |w| w.id.to_string()),
        ConfigChange::WebhookPolicy(swap) if swap.was.is_none() => Ok(true),
        ConfigChange::WebhookPolicy(swap) => {
            same_swap(batch, space, WEBHOOK_POLICY, swap, |policy| webhooks::policy_id(policy.number))
        }
        ConfigChange::Source(swap) => same_swap(batch, space, SOURCE, swap, |source| source.id.to_string()),
        ConfigChange::Polling(swap) => same_swap(batch, space, Polling::KIND, swap, |p| p.number.to_string()),
        ConfigChange::EventType(name, swap) => same(batch, space, EVENT_TYPE, name, swap.was.as_ref()),
        ConfigChange::Kind(swap) => same_swap(batch, space, KIND, swap, |kind| kind.name().to_owned()),
        ConfigChange::Plugin(swap) => same_swap(batch, space, PLUGIN, swap, |plugin| plugin.name.clone()),
        ConfigChange::PluginPolicy(name, swap) => same(batch, space, POLICY, name, swap.was.as_ref()),
        ConfigChange::Key(swap) => same_swap(batch, space, KEY, swap, |key| key.id.to_string()),
    }
}

/// The first kind of record that cannot be changed as requested.
fn refused(
    batch: &mut Batch<'_>,
    space: u32,
    changes: &[ConfigChange],
) -> Result<Option<(String, KindRefused)>, StoreError> {
    let (mut made, mut gone) = (0_usize, 0_usize);
    let mut last = String::new();
    for change in changes {
        let ConfigChange::Kind(swap) = change else { continue };
        let Some(name) = swap.either().map(|kind| kind.name().to_owned()) else { continue };
        let why = match (&swap.was, &swap.is) {
            (Some(was), Some(is)) => kinds::change_refused(batch, space, was, is)?,
            (Some(was), None) => kinds::removal_refused(batch, space, was.name())?,
            _ => None,
        };
        if let Some(why) = why {
            return Ok(Some((name, why)));
        }
        made = made.saturating_add(usize::from(swap.was.is_none()));
        gone = gone.saturating_add(usize::from(swap.is.is_none()));
        last = name;
    }
    Ok(kinds::too_many(batch, space, made, gone)?.map(|why| (last, why)))
}

fn write_all(
    batch: &mut Batch<'_>,
    space: u32,
    mut changes: Vec<ConfigChange>,
) -> Result<Vec<ConfigChange>, StoreError> {
    let mut numbers = HashMap::new();
    for change in &mut changes {
        let ConfigChange::WebhookPolicy(Swap { was: None, is: Some(policy) }) = change else { continue };
        let number = batch.next(space, WEBHOOK_POLICY_NUMBER)?;
        numbers.insert(std::mem::replace(&mut policy.number, number), number);
    }
    let mut dropped = Vec::new();
    for change in &mut changes {
        match change {
            ConfigChange::Automation(Swap { is: Some(is), .. }) => automations::write_automation(batch, space, is)?,
            ConfigChange::Workflow(Swap { is: Some(is), .. }) => workflows::write(batch, space, is)?,
            ConfigChange::Polling(swap) => timed::swap(batch, space, swap.was.as_ref(), swap.is.as_ref())?,
            ConfigChange::Schedule(swap) => timed::swap(batch, space, swap.was.as_ref(), swap.is.as_ref())?,
            ConfigChange::Webhook(swap) => match (&swap.was, &mut swap.is) {
                (was, Some(is)) => {
                    if let Some(number) = is.policy.and_then(|policy| numbers.get(&policy)) {
                        is.policy = Some(*number);
                    }
                    is.number = match was {
                        Some(was) => was.number,
                        None => batch.next(space, WEBHOOK_NUMBER)?,
                    };
                    webhooks::write(batch, space, is)?;
                }
                (Some(was), None) => webhooks::remove(batch, space, was.id.as_str())?,
                (None, None) => {}
            },
            ConfigChange::WebhookPolicy(Swap { is: Some(is), .. }) => {
                put(batch, space, WEBHOOK_POLICY, &webhooks::policy_id(is.number), is)?;
            }
            ConfigChange::Source(Swap { is: Some(is), .. }) => put(batch, space, SOURCE, is.id.as_str(), is)?,
            ConfigChange::EventType(name, Swap { is: Some(is), .. }) => {
                put(batch, space, EVENT_TYPE, name, is)?;
            }
            ConfigChange::Kind(swap) => kinds::swap(batch, space, swap.was.as_ref(), swap.is.as_ref())?,
            ConfigChange::Plugin(swap) => {
                dropped.extend(swap.was.as_ref().map(plugins::digests).unwrap_or_default());
                match (&swap.was, &swap.is) {
                    (_, Some(is)) => put(batch, space, PLUGIN, &is.name, is)?,
                    (Some(was), None) => {
                        erase(batch, space, PLUGIN, &was.name)?;
                        recordings::forget(batch, space, &was.name)?;
                    }
                    (None, None) => {}
                }
            }
            ConfigChange::PluginPolicy(name, Swap { is: Some(is), .. }) => put(batch, space, POLICY, name, is)?,
            ConfigChange::Key(Swap { is: Some(is), .. }) => put(batch, space, KEY, is.id.as_str(), is)?,
            ConfigChange::Automation(Swap { was: Some(was), .. }) => {
                erase(batch, space, AUTOMATION, was.id.as_str())?;
            }
            ConfigChange::Workflow(Swap { was: Some(was), .. }) => {
                erase(batch, space, WORKFLOW, &was.name)?;
            }
            ConfigChange::WebhookPolicy(Swap { was: Some(was), .. }) => {
                erase(batch, space, WEBHOOK_POLICY, &webhooks::policy_id(was.number))?;
            }
            ConfigChange::Source(Swap { was: Some(was), .. }) => {
                sources::remove_source(batch, space, was.id.as_str())?;
            }
            ConfigChange::EventType(name, _) => erase(batch, space, EVENT_TYPE, name)?,
            ConfigChange::PluginPolicy(name, _) => erase(batch, space, POLICY, name)?,
            ConfigChange::Key(Swap { was: Some(was), .. }) => erase(batch, space, KEY, was.id.as_str())?,
            _ => {}
        }
    }
    // Components that a plugin still refers to are retained.
    plugins::drop_components(batch, &dropped)?;
    Ok(changes)
}

fn put<T: Serialize>(batch: &mut Batch<'_>, space: u32, kind: &str, id: &str, thing: &T) -> Result<(), StoreError> {
    config::insert(batch, (space, kind, id), &rows::json(thing)?)
}

fn erase(batch: &mut Batch<'_>, space: u32, kind: &str, id: &str) -> Result<(), StoreError> {
    batch.config()?.remove((space, kind, id))?;
    Ok(())
}
