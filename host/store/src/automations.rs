//! Automations, and the revisions that runs execute.

use hookwright_model::{Automation, SpaceId};

use crate::batch::Batch;
use crate::config;
use crate::db::Db;
use crate::tables::{AUTOMATION, REVISIONS};
use crate::{StoreError, rows};

/// Automations.
#[derive(Clone)]
pub struct Automations {
    pub(crate) db: Db,
}

impl Automations {
    /// An automation.
    pub fn automation(&self, space: &SpaceId, id: &str) -> Result<Option<Automation>, StoreError> {
        config::get(&self.db, space, AUTOMATION, id)
    }

    /// The automations of a space.
    pub fn automations(&self, space: &SpaceId) -> Result<Vec<Automation>, StoreError> {
        config::list(&self.db, space, AUTOMATION)
    }

    /// A revision of an automation, even of one that was deleted.
    pub fn automation_revision(
        &self,
        space: &SpaceId,
        id: &str,
        revision: u32,
    ) -> Result<Option<Automation>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(REVISIONS)?.get((number, id, revision))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// The automations of all spaces.
    pub fn all_automations(&self) -> Result<Vec<(SpaceId, Automation)>, StoreError> {
        config::all(&self.db, AUTOMATION)
    }
}

/// Writes an automation, and retains this revision of it.
pub(crate) fn write_automation(batch: &mut Batch<'_>, space: u32, automation: &Automation) -> Result<(), StoreError> {
    let (id, row) = (automation.id.as_str(), rows::json(automation)?);
    config::insert(batch, (space, AUTOMATION, id), &row)?;
    batch.revisions()?.insert((space, id, automation.revision), row.as_slice())?;
    Ok(())
}
