//! What people set up: automations, sources, keys, plugins, secrets. Webhooks have a file of their own.

use std::collections::BTreeSet;

use bytes::Bytes;
use hookwright_model::{ApiKey, Automation, PluginPolicy, PluginRecord, RecordKind, Secret, Source, SpaceId};
use redb::ReadableTable as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tables::{COMPONENTS, CONFIG, REVISIONS};
use crate::writer::Batch;
use crate::{Store, StoreError, recordings, requests, rows};

pub(crate) const AUTOMATION: &str = "automation";
pub(crate) const SOURCE: &str = "source";
pub(crate) const KEY: &str = "key";
pub(crate) const PLUGIN: &str = "plugin";
pub(crate) const POLICY: &str = "policy";
const SECRET: &str = "secret";
pub(crate) const KIND: &str = "kind";

/// What became of a change that expected a certain revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is durable.
    Done,
    /// The stored one has another revision: nothing was written.
    Conflict,
}

impl Store {
    pub(crate) async fn put<T: Serialize>(
        &self,
        space: &SpaceId,
        kind: &'static str,
        id: &str,
        thing: &T,
    ) -> Result<(), StoreError> {
        let (space, id, row) = (space.clone(), id.to_owned(), rows::json(thing)?);
        self.write(None, row.len(), move |batch| {
            let number = batch.number(&space)?;
            insert(batch, (number, kind, &id), &row)
        })
        .await
    }

    pub(crate) async fn delete(&self, space: &SpaceId, kind: &'static str, id: &str) -> Result<bool, StoreError> {
        let (space, id) = (space.clone(), id.to_owned());
        self.write(None, 64, move |batch| {
            let number = batch.number(&space)?;
            let found = batch.config()?.remove((number, kind, id.as_str()))?.is_some();
            Ok(found)
        })
        .await
    }

    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        space: &SpaceId,
        kind: &str,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(CONFIG)?.get((number, kind, id))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    pub(crate) fn list<T: DeserializeOwned>(&self, space: &SpaceId, kind: &str) -> Result<Vec<T>, StoreError> {
        Ok(self.list_by_id(space, kind)?.into_iter().map(|(_, thing)| thing).collect())
    }

    pub(crate) fn list_by_id<T: DeserializeOwned>(
        &self,
        space: &SpaceId,
        kind: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(CONFIG)?;
        let mut things = Vec::new();
        for row in table.range((number, kind, "")..)? {
            let (key, row) = row?;
            let (other, other_kind, id) = key.value();
            if (other, other_kind) != (number, kind) {
                break;
            }
            things.push((id.to_owned(), rows::read(row.value())?));
        }
        Ok(things)
    }

    pub(crate) fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(SpaceId, T)>, StoreError> {
        let mut all = Vec::new();
        for space in self.spaces() {
            let things = self.list(&space, kind)?;
            all.extend(things.into_iter().map(|thing| (space.clone(), thing)));
        }
        Ok(all)
    }

    /// Stores an automation and keeps this revision of it. `expected` is the stored one's revision; none: it is new.
    pub async fn put_automation(
        &self,
        space: &SpaceId,
        automation: &Automation,
        expected: Option<u32>,
    ) -> Result<Stored, StoreError> {
        let (space, automation) = (space.clone(), automation.clone());
        self.write(None, 4096, move |batch| {
            let number = batch.number(&space)?;
            let stored: Option<Automation> = {
                let row = batch.config()?.get((number, AUTOMATION, automation.id.as_str()))?;
                row.map(|row| rows::read(row.value())).transpose()?
            };
            if stored.map(|stored| stored.revision) != expected {
                return Ok(Stored::Conflict);
            }
            write_automation(batch, number, &automation)?;
            Ok(Stored::Done)
        })
        .await
    }

    /// Deletes an automation; its revisions stay, for the runs that were decided by them.
    pub async fn delete_automation(&self, space: &SpaceId, id: &str) -> Result<bool, StoreError> {
        self.delete(space, AUTOMATION, id).await
    }

    /// An automation.
    pub fn automation(&self, space: &SpaceId, id: &str) -> Result<Option<Automation>, StoreError> {
        self.get(space, AUTOMATION, id)
    }

    /// The automations of a space.
    pub fn automations(&self, space: &SpaceId) -> Result<Vec<Automation>, StoreError> {
        self.list(space, AUTOMATION)
    }

    /// A revision of an automation, even of one that was deleted.
    pub fn automation_revision(
        &self,
        space: &SpaceId,
        id: &str,
        revision: u32,
    ) -> Result<Option<Automation>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(REVISIONS)?.get((number, id, revision))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// The automations of all spaces.
    pub fn all_automations(&self) -> Result<Vec<(SpaceId, Automation)>, StoreError> {
        self.all(AUTOMATION)
    }

    /// Stores a source.
    pub async fn put_source(&self, source: &Source) -> Result<(), StoreError> {
        self.put(&source.space, SOURCE, source.id.as_str(), source).await
    }

    /// Deletes a source, and its log.
    pub async fn delete_source(&self, space: &SpaceId, id: &str) -> Result<bool, StoreError> {
        let (space, id) = (space.clone(), id.to_owned());
        self.write(None, 64, move |batch| {
            let number = batch.number(&space)?;
            remove_source(batch, number, &id)
        })
        .await
    }

    /// A source.
    pub fn source(&self, space: &SpaceId, id: &str) -> Result<Option<Source>, StoreError> {
        self.get(space, SOURCE, id)
    }

    /// The sources of a space.
    pub fn sources(&self, space: &SpaceId) -> Result<Vec<Source>, StoreError> {
        self.list(space, SOURCE)
    }

    /// The sources of all spaces.
    pub fn all_sources(&self) -> Result<Vec<Source>, StoreError> {
        Ok(self.all(SOURCE)?.into_iter().map(|(_, source)| source).collect())
    }

    /// Stores a key.
    pub async fn put_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.put(&key.space, KEY, key.id.as_str(), key).await
    }

    /// Deletes a key.
    pub async fn delete_key(&self, space: &SpaceId, id: &str) -> Result<bool, StoreError> {
        self.delete(space, KEY, id).await
    }

    /// The keys of a space.
    pub fn keys(&self, space: &SpaceId) -> Result<Vec<ApiKey>, StoreError> {
        self.list(space, KEY)
    }

    /// The keys of all spaces.
    pub fn all_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.all(KEY)?.into_iter().map(|(_, key)| key).collect())
    }

    /// Stores a plugin, the component of a new version of it, and drops the components of `dropped` versions unless
    /// other plugins have the same.
    pub async fn put_plugin(
        &self,
        space: &SpaceId,
        record: &PluginRecord,
        component: Option<(String, Bytes)>,
        dropped: Vec<String>,
    ) -> Result<(), StoreError> {
        let (space, row, name) = (space.clone(), rows::json(record)?, record.name.clone());
        let bytes = component.as_ref().map_or(0, |(_, bytes)| bytes.len());
        self.write(None, row.len().saturating_add(bytes), move |batch| {
            let number = batch.number(&space)?;
            if let Some((digest, component)) = component {
                batch.transaction.open_table(COMPONENTS)?.insert(digest.as_str(), component.as_ref())?;
            }
            insert(batch, (number, PLUGIN, &name), &row)?;
            drop_components(batch, &dropped)
        })
        .await
    }

    /// Deletes a plugin, and its components unless other plugins have the same.
    pub async fn delete_plugin(&self, space: &SpaceId, name: &str) -> Result<bool, StoreError> {
        let (space, name) = (space.clone(), name.to_owned());
        self.write(None, 64, move |batch| {
            let number = batch.number(&space)?;
            let former: Option<PluginRecord> = {
                let row = batch.config()?.remove((number, PLUGIN, name.as_str()))?;
                row.map(|row| rows::read(row.value())).transpose()?
            };
            let Some(former) = former else { return Ok(false) };
            let mut digests: Vec<String> = former.versions.into_iter().map(|version| version.digest).collect();
            digests.push(former.digest);
            drop_components(batch, &digests)?;
            recordings::forget(batch, number, &name)?;
            Ok(true)
        })
        .await
    }

    /// A plugin that was uploaded to a space.
    pub fn plugin(&self, space: &SpaceId, name: &str) -> Result<Option<PluginRecord>, StoreError> {
        self.get(space, PLUGIN, name)
    }

    /// Stores what a plugin may do in a space.
    pub async fn put_policy(&self, space: &SpaceId, name: &str, policy: &PluginPolicy) -> Result<(), StoreError> {
        self.put(space, POLICY, name, policy).await
    }

    /// Forgets what a plugin may do in a space.
    pub async fn delete_policy(&self, space: &SpaceId, name: &str) -> Result<bool, StoreError> {
        self.delete(space, POLICY, name).await
    }

    /// What a plugin may do in a space, if something was set.
    pub fn policy(&self, space: &SpaceId, name: &str) -> Result<Option<PluginPolicy>, StoreError> {
        self.get(space, POLICY, name)
    }

    /// What the plugins of a space may do for which something was set, by name.
    pub fn policies(&self, space: &SpaceId) -> Result<Vec<(String, PluginPolicy)>, StoreError> {
        self.list_by_id(space, POLICY)
    }

    /// Stores a secret.
    pub async fn put_secret(&self, space: &SpaceId, secret: &Secret) -> Result<(), StoreError> {
        self.put(space, SECRET, &secret.name, secret).await
    }

    /// Deletes a secret.
    pub async fn delete_secret(&self, space: &SpaceId, name: &str) -> Result<bool, StoreError> {
        self.delete(space, SECRET, name).await
    }

    /// A secret, sealed.
    pub fn secret(&self, space: &SpaceId, name: &str) -> Result<Option<Secret>, StoreError> {
        self.get(space, SECRET, name)
    }

    /// The secrets of a space, sealed.
    pub fn secrets(&self, space: &SpaceId) -> Result<Vec<Secret>, StoreError> {
        self.list(space, SECRET)
    }

    /// A kind of record that the space declared.
    pub fn own_kind(&self, space: &SpaceId, name: &str) -> Result<Option<RecordKind>, StoreError> {
        self.get(space, KIND, name)
    }

    /// The kinds of record that the space declared, by name.
    pub fn own_kinds(&self, space: &SpaceId) -> Result<Vec<RecordKind>, StoreError> {
        self.list(space, KIND)
    }

    /// The plugins that were uploaded to a space, by name.
    pub fn plugins(&self, space: &SpaceId) -> Result<Vec<PluginRecord>, StoreError> {
        self.list(space, PLUGIN)
    }

    /// The plugins of all spaces.
    pub fn all_plugins(&self) -> Result<Vec<(SpaceId, PluginRecord)>, StoreError> {
        self.all(PLUGIN)
    }

    /// Whether there is a component with this digest.
    pub fn has_component(&self, digest: &str) -> Result<bool, StoreError> {
        let read = self.begin_read()?;
        Ok(read.open_table(COMPONENTS)?.get(digest)?.is_some())
    }

    /// The component with this digest.
    pub fn component(&self, digest: &str) -> Result<Option<Bytes>, StoreError> {
        let read = self.begin_read()?;
        let row = read.open_table(COMPONENTS)?.get(digest)?;
        Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
    }
}

pub(crate) fn insert(batch: &mut Batch<'_>, key: (u32, &str, &str), row: &[u8]) -> Result<(), StoreError> {
    batch.config()?.insert(key, row)?;
    Ok(())
}

/// Writes an automation and keeps this revision of it.
pub(crate) fn write_automation(batch: &mut Batch<'_>, space: u32, automation: &Automation) -> Result<(), StoreError> {
    let (id, row) = (automation.id.as_str(), rows::json(automation)?);
    insert(batch, (space, AUTOMATION, id), &row)?;
    batch.transaction.open_table(REVISIONS)?.insert((space, id, automation.revision), row.as_slice())?;
    Ok(())
}

/// Deletes the components among `digests` that no plugin of any space refers to any more.
pub(crate) fn drop_components(batch: &mut Batch<'_>, digests: &[String]) -> Result<(), StoreError> {
    if digests.is_empty() {
        return Ok(());
    }
    let mut unused: BTreeSet<&str> = digests.iter().map(String::as_str).collect();
    for row in batch.config()?.iter()? {
        let (key, row) = row?;
        if key.value().1 == PLUGIN {
            let record: PluginRecord = rows::read(row.value())?;
            unused.remove(record.digest.as_str());
            for version in &record.versions {
                unused.remove(version.digest.as_str());
            }
        }
    }
    let mut components = batch.transaction.open_table(COMPONENTS)?;
    for digest in unused {
        components.remove(digest)?;
    }
    Ok(())
}

/// Takes a source away, and its log.
pub(crate) fn remove_source(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<bool, StoreError> {
    let found = batch.config()?.remove((space, SOURCE, id))?.is_some();
    requests::forget(batch, space, id)?;
    Ok(found)
}
