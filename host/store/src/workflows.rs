//! Workflows, and the versions that runs execute.

use hookwright_model::{SpaceId, Workflow};

use crate::batch::Batch;
use crate::config::{self, insert};
use crate::db::Db;
use crate::tables::{REVISIONS, WORKFLOW};
use crate::{StoreError, rows};

fn versions_of(name: &str) -> String {
    Workflow::id(name).to_string()
}

/// Writes a workflow, and retains this version of it.
pub(crate) fn write(batch: &mut Batch<'_>, space: u32, workflow: &Workflow) -> Result<(), StoreError> {
    let (id, row) = (versions_of(&workflow.name), rows::json(workflow)?);
    insert(batch, (space, WORKFLOW, &workflow.name), &row)?;
    batch.revisions()?.insert((space, id.as_str(), workflow.version), row.as_slice())?;
    Ok(())
}

/// Workflows.
#[derive(Clone)]
pub struct Workflows {
    pub(crate) db: Db,
}

impl Workflows {
    /// A workflow.
    pub fn workflow(&self, space: &SpaceId, name: &str) -> Result<Option<Workflow>, StoreError> {
        config::get(&self.db, space, WORKFLOW, name)
    }

    /// The workflows of a space, by name.
    pub fn workflows(&self, space: &SpaceId) -> Result<Vec<Workflow>, StoreError> {
        config::list(&self.db, space, WORKFLOW)
    }

    /// The workflows of all spaces.
    pub fn all_workflows(&self) -> Result<Vec<(SpaceId, Workflow)>, StoreError> {
        config::all(&self.db, WORKFLOW)
    }

    /// A version of a workflow, even of one that was deleted.
    pub fn workflow_version(&self, space: &SpaceId, name: &str, version: u32) -> Result<Option<Workflow>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(REVISIONS)?.get((number, versions_of(name).as_str(), version))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// Versions of a workflow before `before`, at most `limit`, newest first.
    pub fn workflow_versions(
        &self,
        space: &SpaceId,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<Workflow>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Vec::new()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(REVISIONS)?;
        let id = versions_of(name);
        let range = (number, id.as_str(), 0)..(number, id.as_str(), before);
        table.range(range)?.rev().take(limit).map(|row| rows::read(row?.1.value())).collect()
    }
}
