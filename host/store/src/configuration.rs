//! What people set up in a space, changed together: all of it in one commit, or nothing.

use std::collections::HashMap;

use hookwright_model::{
    ApiKey, Automation, PluginPolicy, PluginRecord, Polling, RecordKind, Schedule, Source, SpaceId, Webhook,
    WebhookPolicy, Workflow,
};
use redb::ReadableTable as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{self, KEY, KIND, PLUGIN, POLICY, SOURCE};
use crate::kinds::KindRefused;
use crate::timed::Timed as _;
use crate::writer::{Batch, Faults};
use crate::{Store, StoreError, kinds, rows, timed, webhooks, workflows};

const FAULTS: Faults = Faults { before: "configuration.before-commit", after: "configuration.after-commit" };

/// A thing as it was read, and as it is to be.
#[derive(Clone, Debug)]
pub struct Swap<T> {
    /// None: it is made.
    pub was: Option<T>,
    /// None: it is deleted.
    pub is: Option<T>,
}

impl<T> Swap<T> {
    fn either(&self) -> Option<&T> {
        self.is.as_ref().or(self.was.as_ref())
    }
}

/// A change of one thing.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are few of them at a time, and each is moved once or twice")]
pub enum ConfigChange {
    /// Of an automation; its revision is kept.
    Automation(Swap<Automation>),
    /// Of a workflow; its version is kept.
    Workflow(Swap<Workflow>),
    /// Of a schedule, and of when it is due.
    Schedule(Swap<Schedule>),
    /// Of a webhook. One that is made is given its number in the commit.
    Webhook(Box<Swap<Webhook>>),
    /// Of a policy that webhooks share. One that is made is given its number in the commit, and so are the webhooks of
    /// the same commit that name it by the number that it has here.
    WebhookPolicy(Swap<WebhookPolicy>),
    /// Of a source.
    Source(Swap<Source>),
    /// Of the times at which a source is asked, and of when it is due.
    Polling(Swap<Polling>),
    /// Of a type of event, by its name.
    EventType(String, Swap<Value>),
    /// Of a kind of record.
    Kind(Box<Swap<RecordKind>>),
    /// Of a plugin: which of its versions is live. The components are there already.
    Plugin(Swap<PluginRecord>),
    /// Of what the plugin of this name may do.
    PluginPolicy(String, Swap<PluginPolicy>),
    /// Of a key.
    Key(Swap<ApiKey>),
}

/// What became of changes that are made together.
#[derive(Clone, Debug)]
pub enum Configured {
    /// All are durable, and these are they, with the numbers that were given out.
    Done(Vec<ConfigChange>),
    /// Something is no longer as it was read: nothing was written.
    Conflict,
    /// A kind of record cannot be changed so: nothing was written.
    Refused(String, KindRefused),
}

impl Store {
    /// Makes all of these changes in one commit, if everything that they change is still as it was read.
    pub async fn configure(&self, space: &SpaceId, changes: Vec<ConfigChange>) -> Result<Configured, StoreError> {
        let space = space.clone();
        let bytes = changes.len().saturating_mul(4096);
        self.write(Some(FAULTS), bytes, move |batch| {
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

    /// Notes when a key was last used, if it is still there.
    pub async fn note_key_use(&self, key: &ApiKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(None, 256, move |batch| {
            let space = batch.number(&key.space)?;
            let stored: Option<ApiKey> = stored(batch, space, KEY, key.id.as_str())?;
            let Some(mut stored) = stored else { return Ok(()) };
            stored.last_used_at = key.last_used_at;
            config::insert(batch, (space, KEY, key.id.as_str()), &rows::json(&stored)?)
        })
        .await
    }
}

fn stored<T: DeserializeOwned>(
    batch: &mut Batch<'_>,
    space: u32,
    kind: &str,
    id: &str,
) -> Result<Option<T>, StoreError> {
    let row = batch.config()?.get((space, kind, id))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// Whether the row is still what was read, in the words of this version.
fn same<T: Serialize + DeserializeOwned>(
    batch: &mut Batch<'_>,
    space: u32,
    kind: &str,
    id: &str,
    was: Option<&T>,
) -> Result<bool, StoreError> {
    match (stored::<T>(batch, space, kind, id)?, was) {
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
        ConfigChange::Automation(swap) => same_swap(batch, space, config::AUTOMATION, swap, |a| a.id.to_string()),
        ConfigChange::Workflow(swap) => same_swap(batch, space, workflows::WORKFLOW, swap, |w| w.name.clone()),
        ConfigChange::Schedule(swap) => same_swap(batch, space, Schedule::KIND, swap, |s| s.id.to_string()),
        ConfigChange::Webhook(swap) => same_swap(batch, space, webhooks::WEBHOOK, swap, |w| w.id.to_string()),
        ConfigChange::WebhookPolicy(swap) if swap.was.is_none() => Ok(true),
        ConfigChange::WebhookPolicy(swap) => {
            same_swap(batch, space, webhooks::POLICY, swap, |policy| webhooks::policy_id(policy.number))
        }
        ConfigChange::Source(swap) => same_swap(batch, space, SOURCE, swap, |source| source.id.to_string()),
        ConfigChange::Polling(swap) => same_swap(batch, space, Polling::KIND, swap, |p| p.number.to_string()),
        ConfigChange::EventType(name, swap) => same(batch, space, webhooks::EVENT_TYPE, name, swap.was.as_ref()),
        ConfigChange::Kind(swap) => same_swap(batch, space, KIND, swap, |kind| kind.name().to_owned()),
        ConfigChange::Plugin(swap) => same_swap(batch, space, PLUGIN, swap, |plugin| plugin.name.clone()),
        ConfigChange::PluginPolicy(name, swap) => same(batch, space, POLICY, name, swap.was.as_ref()),
        ConfigChange::Key(swap) => same_swap(batch, space, KEY, swap, |key| key.id.to_string()),
    }
}

/// The first kind of record that cannot be changed as it is to be.
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
        let number = batch.next(space, webhooks::POLICY_NUMBER)?;
        numbers.insert(std::mem::replace(&mut policy.number, number), number);
    }
    let mut dropped = Vec::new();
    for change in &mut changes {
        match change {
            ConfigChange::Automation(Swap { is: Some(is), .. }) => config::write_automation(batch, space, is)?,
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
                        None => batch.next(space, webhooks::WEBHOOK_NUMBER)?,
                    };
                    webhooks::write(batch, space, is)?;
                }
                (Some(was), None) => drop(webhooks::remove(batch, space, was.id.as_str())?),
                (None, None) => {}
            },
            ConfigChange::WebhookPolicy(Swap { is: Some(is), .. }) => {
                put(batch, space, webhooks::POLICY, &webhooks::policy_id(is.number), is)?;
            }
            ConfigChange::Source(Swap { is: Some(is), .. }) => put(batch, space, SOURCE, is.id.as_str(), is)?,
            ConfigChange::EventType(name, Swap { is: Some(is), .. }) => {
                put(batch, space, webhooks::EVENT_TYPE, name, is)?;
            }
            ConfigChange::Kind(swap) => kinds::swap(batch, space, swap.was.as_ref(), swap.is.as_ref())?,
            ConfigChange::Plugin(swap) => {
                let digests = |plugin: &PluginRecord| {
                    let versions = plugin.versions.iter().map(|version| version.digest.clone());
                    versions.chain([plugin.digest.clone()]).collect::<Vec<_>>()
                };
                dropped.extend(swap.was.as_ref().map(digests).unwrap_or_default());
                match (&swap.was, &swap.is) {
                    (_, Some(is)) => put(batch, space, PLUGIN, &is.name, is)?,
                    (Some(was), None) => erase(batch, space, PLUGIN, &was.name)?,
                    (None, None) => {}
                }
            }
            ConfigChange::PluginPolicy(name, Swap { is: Some(is), .. }) => put(batch, space, POLICY, name, is)?,
            ConfigChange::Key(Swap { is: Some(is), .. }) => put(batch, space, KEY, is.id.as_str(), is)?,
            ConfigChange::Automation(Swap { was: Some(was), .. }) => {
                erase(batch, space, config::AUTOMATION, was.id.as_str())?;
            }
            ConfigChange::Workflow(Swap { was: Some(was), .. }) => {
                erase(batch, space, workflows::WORKFLOW, &was.name)?;
            }
            ConfigChange::WebhookPolicy(Swap { was: Some(was), .. }) => {
                erase(batch, space, webhooks::POLICY, &webhooks::policy_id(was.number))?;
            }
            ConfigChange::Source(Swap { was: Some(was), .. }) => {
                config::remove_source(batch, space, was.id.as_str())?;
            }
            ConfigChange::EventType(name, _) => erase(batch, space, webhooks::EVENT_TYPE, name)?,
            ConfigChange::PluginPolicy(name, _) => erase(batch, space, POLICY, name)?,
            ConfigChange::Key(Swap { was: Some(was), .. }) => erase(batch, space, KEY, was.id.as_str())?,
            _ => {}
        }
    }
    // Those that a record still names stay.
    config::drop_components(batch, &dropped)?;
    Ok(changes)
}

fn put<T: Serialize>(batch: &mut Batch<'_>, space: u32, kind: &str, id: &str, thing: &T) -> Result<(), StoreError> {
    config::insert(batch, (space, kind, id), &rows::json(thing)?)
}

fn erase(batch: &mut Batch<'_>, space: u32, kind: &str, id: &str) -> Result<(), StoreError> {
    batch.config()?.remove((space, kind, id))?;
    Ok(())
}
