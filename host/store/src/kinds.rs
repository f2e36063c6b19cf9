//! Kinds of record that spaces declare.

use hookwright_model::{RecordKind, SpaceId};

use crate::batch::Batch;
use crate::config::{self, insert};
use crate::db::Db;
use crate::tables::KIND;
use crate::{StoreError, index, rows};

/// The maximum number of kinds that a space may declare.
const MOST_KINDS: usize = 200;
/// The maximum number of records of a kind whose indexed fields can be changed.
const MOST_REINDEXED: usize = 10_000;

/// The reason why a kind cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindRefused {
    /// The space has the maximum number of kinds.
    TooMany(usize),
    /// The indexed fields change, and the kind has more records than one commit can reindex.
    TooManyRecords(usize),
    /// Records of it exist.
    InUse,
}

/// The reason why a kind cannot replace the previous declaration.
pub(crate) fn change_refused(
    batch: &mut Batch<'_>,
    space: u32,
    was: &RecordKind,
    is: &RecordKind,
) -> Result<Option<KindRefused>, StoreError> {
    let refused = !was.indexed().eq(is.indexed())
        && count_records(batch, space, is.name(), MOST_REINDEXED.saturating_add(1))? > MOST_REINDEXED;
    Ok(refused.then_some(KindRefused::TooManyRecords(MOST_REINDEXED)))
}

/// The reason why a kind cannot be deleted.
pub(crate) fn removal_refused(
    batch: &mut Batch<'_>,
    space: u32,
    name: &str,
) -> Result<Option<KindRefused>, StoreError> {
    Ok((count_records(batch, space, name, 1)? > 0).then_some(KindRefused::InUse))
}

/// Whether the space would have too many kinds after creating and deleting these numbers of them.
pub(crate) fn too_many(
    batch: &mut Batch<'_>,
    space: u32,
    made: usize,
    gone: usize,
) -> Result<Option<KindRefused>, StoreError> {
    let after = if made == 0 { 0 } else { count_kinds(batch, space)?.saturating_add(made).saturating_sub(gone) };
    Ok((after > MOST_KINDS).then_some(KindRefused::TooMany(MOST_KINDS)))
}

/// Replaces the stored kind, and rebuilds the index if other fields are indexed; or deletes the kind.
pub(crate) fn swap(
    batch: &mut Batch<'_>,
    space: u32,
    old: Option<&RecordKind>,
    new: Option<&RecordKind>,
) -> Result<(), StoreError> {
    if let (Some(old), Some(new)) = (old, new)
        && !old.indexed().eq(new.indexed())
    {
        index::reindex(batch, space, old, new)?;
    }
    match (old, new) {
        (_, Some(new)) => insert(batch, (space, KIND, new.name()), &rows::json(new)?),
        (Some(old), None) => {
            batch.config()?.remove((space, KIND, old.name()))?;
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Kinds of record.
#[derive(Clone)]
pub struct Kinds {
    pub(crate) db: Db,
}

impl Kinds {
    /// A kind of record that the space declared.
    pub fn own_kind(&self, space: &SpaceId, name: &str) -> Result<Option<RecordKind>, StoreError> {
        config::get(&self.db, space, KIND, name)
    }

    /// The kinds of record that the space declared, by name.
    pub fn own_kinds(&self, space: &SpaceId) -> Result<Vec<RecordKind>, StoreError> {
        config::list(&self.db, space, KIND)
    }
}

/// The kind that is stored under a name.
pub(crate) fn read(batch: &mut Batch<'_>, space: u32, name: &str) -> Result<Option<RecordKind>, StoreError> {
    config::stored(batch, (space, KIND, name))
}

fn count_kinds(batch: &mut Batch<'_>, space: u32) -> Result<usize, StoreError> {
    let mut count = 0_usize;
    for row in batch.config()?.range((space, KIND, "")..)? {
        let (key, _) = row?;
        if (key.value().0, key.value().1) != (space, KIND) {
            break;
        }
        count = count.saturating_add(1);
    }
    Ok(count)
}

fn count_records(batch: &mut Batch<'_>, space: u32, kind: &str, most: usize) -> Result<usize, StoreError> {
    Ok(batch.records()?.range((space, kind, 0)..=(space, kind, u64::MAX))?.take(most).count())
}
