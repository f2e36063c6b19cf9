//! Kinds of record that spaces declare, and the histories of records.

use hookwright_model::{HistoryEntry, RecordKey, RecordKind, SpaceId};
use redb::ReadableTable as _;

use crate::config::{KIND, insert};
use crate::tables::HISTORY;
use crate::writer::Batch;
use crate::{Store, StoreError, index, rows};

/// How many changes of a record are remembered.
pub(crate) const REMEMBERED: u64 = 100;
/// How many kinds a space may declare.
const MOST_KINDS: usize = 200;
/// How many records a kind may have whose indexed fields change.
const MOST_REINDEXED: usize = 10_000;

/// What became of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindStored {
    /// It is durable.
    Done,
    /// Somebody else declared the kind meanwhile: nothing was written.
    Conflict,
    /// The space has as many kinds as it may.
    TooMany(usize),
    /// The indexed fields change, and the kind has more records than can be indexed anew at once.
    TooManyRecords(usize),
}

/// What became of taking a kind away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindDeleted {
    /// It is gone.
    Done,
    /// There was none.
    Missing,
    /// Records of it exist.
    InUse,
}

/// Why a kind cannot be changed as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindRefused {
    /// The space has as many kinds as it may.
    TooMany(usize),
    /// The indexed fields change, and the kind has more records than can be indexed anew at once.
    TooManyRecords(usize),
    /// Records of it exist.
    InUse,
}

/// Why a kind cannot take the place of the one before.
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

/// Why a kind cannot be taken away.
pub(crate) fn removal_refused(
    batch: &mut Batch<'_>,
    space: u32,
    name: &str,
) -> Result<Option<KindRefused>, StoreError> {
    Ok((count_records(batch, space, name, 1)? > 0).then_some(KindRefused::InUse))
}

/// Whether there would be too many kinds with so many made and so many gone.
pub(crate) fn too_many(
    batch: &mut Batch<'_>,
    space: u32,
    made: usize,
    gone: usize,
) -> Result<Option<KindRefused>, StoreError> {
    let after = if made == 0 { 0 } else { count_kinds(batch, space)?.saturating_add(made).saturating_sub(gone) };
    Ok((after > MOST_KINDS).then_some(KindRefused::TooMany(MOST_KINDS)))
}

/// Writes a kind in place of the one that is stored, with the index anew if other fields are indexed, or takes that
/// away.
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

impl Store {
    /// Stores a kind in place of `former`, and makes the index anew if other fields are indexed.
    pub async fn put_kind(
        &self,
        space: &SpaceId,
        kind: RecordKind,
        former: Option<u64>,
    ) -> Result<KindStored, StoreError> {
        let space = space.clone();
        self.write(None, 4096, move |batch| {
            let number = batch.number(&space)?;
            let stored: Option<RecordKind> = read(batch, number, kind.name())?;
            if stored.as_ref().map(RecordKind::revision) != former {
                return Ok(KindStored::Conflict);
            }
            if stored.is_none() && too_many(batch, number, 1, 0)?.is_some() {
                return Ok(KindStored::TooMany(MOST_KINDS));
            }
            if let Some(stored) = &stored
                && change_refused(batch, number, stored, &kind)?.is_some()
            {
                return Ok(KindStored::TooManyRecords(MOST_REINDEXED));
            }
            swap(batch, number, stored.as_ref(), Some(&kind))?;
            Ok(KindStored::Done)
        })
        .await
    }

    /// Takes a kind away of which there are no records.
    pub async fn delete_kind(&self, space: &SpaceId, name: &str) -> Result<KindDeleted, StoreError> {
        let (space, name) = (space.clone(), name.to_owned());
        self.write(None, 64, move |batch| {
            let number = batch.number(&space)?;
            if removal_refused(batch, number, &name)?.is_some() {
                return Ok(KindDeleted::InUse);
            }
            let gone = batch.config()?.remove((number, KIND, name.as_str()))?.is_some();
            Ok(if gone { KindDeleted::Done } else { KindDeleted::Missing })
        })
        .await
    }

    /// The changes of a record, the newest first, those before a version.
    pub fn history(
        &self,
        space: &SpaceId,
        key: &RecordKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Vec::new()) };
        let read = self.begin_read()?;
        let table = read.open_table(HISTORY)?;
        let place = |version| (number, key.kind.as_str(), key.id, version);
        let rows = table.range(place(0)..place(before.unwrap_or(u64::MAX)))?.rev().take(limit);
        rows.map(|row| rows::read(row?.1.value())).collect()
    }
}

/// The kind that is stored under a name.
pub(crate) fn read(batch: &mut Batch<'_>, space: u32, name: &str) -> Result<Option<RecordKind>, StoreError> {
    let row = batch.config()?.get((space, KIND, name))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// Remembers a change, and forgets the oldest beyond the bound.
pub(crate) fn remember(
    batch: &mut Batch<'_>,
    space: u32,
    key: &RecordKey,
    version: u64,
    row: &[u8],
) -> Result<(), StoreError> {
    let place = |version| (space, key.kind.as_str(), key.id, version);
    batch.history()?.insert(place(version), row)?;
    if let Some(old) = version.checked_sub(REMEMBERED) {
        batch.history()?.remove(place(old))?;
    }
    Ok(())
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
