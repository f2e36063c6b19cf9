//! Plugins of a space: their versions, the components of these, and their policies.

use std::collections::BTreeSet;

use bytes::Bytes;
use hookwright_model::{PluginPolicy, PluginRecord, SpaceId};

use crate::batch::{Batch, Faults};
use crate::config::{self, insert};
use crate::db::Db;
use crate::tables::{COMPONENTS, PLUGIN, POLICY};
use crate::{StoreError, recordings, rows};

const INSTALLED: Faults = Faults { before: "install.before-commit", after: "install.after-commit" };
const REMOVED: Faults = Faults { before: "uninstall.before-commit", after: "uninstall.after-commit" };

/// A version of a plugin to be installed, with everything that is stored for it.
#[derive(Clone, Debug)]
pub struct PluginInstall {
    /// The plugin, with this version.
    pub record: PluginRecord,
    /// The plugin's new policy. `None`: it is unchanged.
    pub policy: Option<PluginPolicy>,
    /// SHA-256 in hex and bytes of the version's component; `None`: it is stored already.
    pub component: Option<(String, Bytes)>,
    /// SHA-256 in hex of the components of evicted versions, which are deleted unless another plugin has the same.
    pub dropped: Vec<String>,
}

/// Plugins of spaces.
#[derive(Clone)]
pub struct Plugins {
    pub(crate) db: Db,
}

impl Plugins {
    /// Stores a version of a plugin and its grants in one commit, so that neither is stored without the other.
    pub async fn install_plugin(&self, space: &SpaceId, install: PluginInstall) -> Result<(), StoreError> {
        let PluginInstall { record, policy, component, dropped } = install;
        let (space, name, row) = (space.clone(), record.name.clone(), rows::json(&record)?);
        let policy = policy.as_ref().map(rows::json).transpose()?;
        let bytes = component.as_ref().map_or(0, |(_, bytes)| bytes.len()).saturating_add(row.len());
        self.db
            .write(Some(INSTALLED), bytes, move |batch| {
                let number = batch.number(&space)?;
                if let Some(policy) = policy {
                    insert(batch, (number, POLICY, &name), &policy)?;
                }
                if let Some((digest, component)) = component {
                    batch.components()?.insert(digest.as_str(), component.as_ref())?;
                }
                insert(batch, (number, PLUGIN, &name), &row)?;
                drop_components(batch, &dropped)
            })
            .await
    }

    /// Stores a plugin whose versions and policy stay as they are.
    pub async fn put_plugin(&self, space: &SpaceId, record: &PluginRecord) -> Result<(), StoreError> {
        config::put(&self.db, space, PLUGIN, &record.name, record).await
    }

    /// Deletes a plugin with its policy, its recordings, and its components unless other plugins have the same, in one
    /// commit. Returns whether it existed.
    pub async fn delete_plugin(&self, space: &SpaceId, name: &str) -> Result<bool, StoreError> {
        let (space, name) = (space.clone(), name.to_owned());
        self.db
            .write(Some(REMOVED), 64, move |batch| {
                let number = batch.number(&space)?;
                let former: Option<PluginRecord> = {
                    let row = batch.config()?.remove((number, PLUGIN, name.as_str()))?;
                    row.map(|row| rows::read(row.value())).transpose()?
                };
                let Some(former) = former else { return Ok(false) };
                batch.config()?.remove((number, POLICY, name.as_str()))?;
                drop_components(batch, &digests(&former))?;
                recordings::forget(batch, number, &name)?;
                Ok(true)
            })
            .await
    }

    /// A plugin that was uploaded to a space.
    pub fn plugin(&self, space: &SpaceId, name: &str) -> Result<Option<PluginRecord>, StoreError> {
        config::get(&self.db, space, PLUGIN, name)
    }

    /// The plugins that were uploaded to a space, by name.
    pub fn plugins(&self, space: &SpaceId) -> Result<Vec<PluginRecord>, StoreError> {
        config::list(&self.db, space, PLUGIN)
    }

    /// The plugins of all spaces.
    pub fn all_plugins(&self) -> Result<Vec<(SpaceId, PluginRecord)>, StoreError> {
        config::all(&self.db, PLUGIN)
    }

    /// Whether a component with this digest is stored.
    pub fn has_component(&self, digest: &str) -> Result<bool, StoreError> {
        let read = self.db.begin_read()?;
        Ok(read.open_table(COMPONENTS)?.get(digest)?.is_some())
    }

    /// The component with this digest.
    pub fn component(&self, digest: &str) -> Result<Option<Bytes>, StoreError> {
        let read = self.db.begin_read()?;
        let row = read.open_table(COMPONENTS)?.get(digest)?;
        Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
    }

    /// Stores the policy of a plugin in a space.
    pub async fn put_policy(&self, space: &SpaceId, name: &str, policy: &PluginPolicy) -> Result<(), StoreError> {
        config::put(&self.db, space, POLICY, name, policy).await
    }

    /// The policy of a plugin in a space, if one was set.
    pub fn policy(&self, space: &SpaceId, name: &str) -> Result<Option<PluginPolicy>, StoreError> {
        config::get(&self.db, space, POLICY, name)
    }

    /// The policies of the plugins of a space, by name.
    pub fn policies(&self, space: &SpaceId) -> Result<Vec<(String, PluginPolicy)>, StoreError> {
        config::list_by_id(&self.db, space, POLICY)
    }
}

/// SHA-256 in hex of the components of a plugin's versions.
pub(crate) fn digests(plugin: &PluginRecord) -> Vec<String> {
    let versions = plugin.versions.iter().map(|version| version.digest.clone());
    // Records from before versions were retained have the live one alone.
    versions.chain([plugin.digest.clone()]).collect()
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
    for digest in unused {
        batch.components()?.remove(digest)?;
    }
    Ok(())
}
