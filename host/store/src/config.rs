//! The objects that configure a space: a row for each, as JSON under its kind and id.

use hookwright_model::SpaceId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::db::Db;
use crate::tables::CONFIG;
use crate::{StoreError, rows};

/// The result of a change that expected a certain revision (compare-and-swap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is durable.
    Done,
    /// Write conflict: the stored object has another revision, and nothing was written.
    Conflict,
}

/// Stores an object.
pub(crate) async fn put<T: Serialize>(
    db: &Db,
    space: &SpaceId,
    kind: &'static str,
    id: &str,
    thing: &T,
) -> Result<(), StoreError> {
    let (space, id, row) = (space.clone(), id.to_owned(), rows::json(thing)?);
    db.write(None, row.len(), move |batch| {
        let number = batch.number(&space)?;
        insert(batch, (number, kind, &id), &row)
    })
    .await
}

/// Deletes an object; returns whether it existed.
pub(crate) async fn delete(db: &Db, space: &SpaceId, kind: &'static str, id: &str) -> Result<bool, StoreError> {
    let (space, id) = (space.clone(), id.to_owned());
    db.write(None, 64, move |batch| {
        let number = batch.number(&space)?;
        let found = batch.config()?.remove((number, kind, id.as_str()))?.is_some();
        Ok(found)
    })
    .await
}

/// An object.
pub(crate) fn get<T: DeserializeOwned>(
    db: &Db,
    space: &SpaceId,
    kind: &str,
    id: &str,
) -> Result<Option<T>, StoreError> {
    let Some(number) = db.number(space) else { return Ok(None) };
    let read = db.begin_read()?;
    let row = read.open_table(CONFIG)?.get((number, kind, id))?;
    row.map(|row| rows::read(row.value())).transpose()
}

/// The objects of a kind in a space, by their ids.
pub(crate) fn list<T: DeserializeOwned>(db: &Db, space: &SpaceId, kind: &str) -> Result<Vec<T>, StoreError> {
    Ok(list_by_id(db, space, kind)?.into_iter().map(|(_, thing)| thing).collect())
}

/// The same with their ids.
pub(crate) fn list_by_id<T: DeserializeOwned>(
    db: &Db,
    space: &SpaceId,
    kind: &str,
) -> Result<Vec<(String, T)>, StoreError> {
    let Some(number) = db.number(space) else { return Ok(Vec::new()) };
    let read = db.begin_read()?;
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

/// The objects of a kind in all spaces.
pub(crate) fn all<T: DeserializeOwned>(db: &Db, kind: &str) -> Result<Vec<(SpaceId, T)>, StoreError> {
    let mut all = Vec::new();
    for space in db.spaces() {
        let things = list(db, &space, kind)?;
        all.extend(things.into_iter().map(|thing| (space.clone(), thing)));
    }
    Ok(all)
}

/// Writes the row of an object.
pub(crate) fn insert(batch: &mut Batch<'_>, key: (u32, &str, &str), row: &[u8]) -> Result<(), StoreError> {
    batch.config()?.insert(key, row)?;
    Ok(())
}

/// The stored object, for the writer.
pub(crate) fn stored<T: DeserializeOwned>(
    batch: &mut Batch<'_>,
    key: (u32, &str, &str),
) -> Result<Option<T>, StoreError> {
    let row = batch.config()?.get(key)?;
    row.map(|row| rows::read(row.value())).transpose()
}
