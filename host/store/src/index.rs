//! The index of records by the values of their fields.

use hookwright_model::{IndexEntry, Query, RecordKey, RecordKind, builtin_kinds};
use redb::{ReadableTable, WriteTransaction};
use serde_json::Value;

use crate::batch::Batch;
use crate::tables::{CONFIG, KIND, META, RECORD_INDEX, RECORDS};
use crate::{StoreError, rows};

/// The key in META of the fields that the index was built for.
const MADE_FOR: &str = "record_index";
/// The maximum number of entries counted for each access path to find the shortest.
const COUNTED: usize = 256;

/// A key of the index: space, kind, field, value, id.
pub(crate) type Place = (u32, &'static str, &'static str, &'static str, u64);
/// A row of a table, as returned by a range.
pub(crate) type Row<'a, K, V> = Result<(redb::AccessGuard<'a, K>, redb::AccessGuard<'a, V>), redb::StorageError>;

/// The form of values in the index, incremented when it changes. 2: a large integer has one form, in any notation.
const FORM: u32 = 2;

/// A string that identifies the indexed fields of built-in kinds and the form of their values, and changes when they do.
fn made_for() -> String {
    let kinds = builtin_kinds().map(|kind| format!("{}:{}", kind.name(), kind.indexed().collect::<Vec<_>>().join(",")));
    format!("{FORM} {}", kinds.collect::<Vec<_>>().join(" "))
}

/// Rebuilds the index of all records if it was never built, or was built for other fields: a file of an earlier version
/// has none, and a later version may index more fields.
pub(crate) fn index_records(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let wanted = made_for();
    let mut meta = transaction.open_table(META)?;
    if meta.get(MADE_FOR)?.is_some_and(|made| made.value() == wanted) {
        return Ok(());
    }
    transaction.delete_table(RECORD_INDEX)?;
    let mut index = transaction.open_table(RECORD_INDEX)?;
    let records = transaction.open_table(RECORDS)?;
    let own = transaction.open_table(CONFIG)?;
    let mut last: Option<(u32, String, Option<RecordKind>)> = None;
    for row in records.iter()? {
        let (key, row) = row?;
        let (space, name, id) = key.value();
        let known = last.as_ref().is_some_and(|(number, kind, _)| *number == space && kind == name);
        if !known {
            let declared = own.get((space, KIND, name))?;
            let declared = declared.and_then(|row| serde_json::from_slice::<RecordKind>(row.value()).ok());
            let kind = hookwright_model::builtin_kind(name).map(|kind| RecordKind::clone(kind)).or(declared);
            last = Some((space, name.to_owned(), kind));
        }
        let kind = last.as_ref().and_then(|(_, _, kind)| kind.as_ref());
        // A row that cannot be parsed is reported when it is read.
        if let (Some(kind), Ok(record)) = (kind, rows::read_record(row.value())) {
            for (field, value) in kind.index_of(&record.value) {
                index.insert((space, name, field.as_str(), value.as_str(), id), ())?;
            }
        }
    }
    meta.insert(MADE_FOR, wanted.as_str())?;
    Ok(())
}

/// Removes entries of a record and adds others.
pub(crate) fn write(
    batch: &mut Batch<'_>,
    space: u32,
    key: &RecordKey,
    gone: &[IndexEntry],
    new: &[IndexEntry],
) -> Result<(), StoreError> {
    for (field, value) in gone {
        batch.record_index()?.remove((space, key.kind.as_str(), field.as_str(), value.as_str(), key.id))?;
    }
    for (field, value) in new {
        batch.record_index()?.insert((space, key.kind.as_str(), field.as_str(), value.as_str(), key.id), ())?;
    }
    Ok(())
}

/// The ids under one value, downwards from below `before`, or upwards from above it.
pub(crate) fn ids<'t>(
    table: &'t impl ReadableTable<Place, ()>,
    place: (u32, &str, &str, &str),
    ascending: bool,
    from: Option<u64>,
) -> Result<Ids<'t>, StoreError> {
    let (space, kind, field, value) = place;
    let key = |id| (space, kind, field, value, id);
    let id = |row: Row<'_, Place, ()>| Ok(row?.0.value().4);
    Ok(if ascending {
        let first = from.map_or(0, |from| from.saturating_add(1));
        Box::new(table.range(key(first)..=key(u64::MAX))?.map(id))
    } else {
        Box::new(table.range(key(0)..key(from.unwrap_or(u64::MAX)))?.rev().map(id))
    })
}

/// Ids in order.
pub(crate) type Ids<'t> = Box<dyn Iterator<Item = Result<u64, StoreError>> + 't>;

/// Merges several lists of ids, each id once.
pub(crate) struct Merged<'t> {
    pub(crate) parts: Vec<std::iter::Peekable<Ids<'t>>>,
    pub(crate) ascending: bool,
}

impl Iterator for Merged<'_> {
    type Item = Result<u64, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<u64> = None;
        for part in &mut self.parts {
            match part.peek() {
                Some(Ok(id)) => {
                    let better = first.is_none_or(|first| if self.ascending { *id < first } else { *id > first });
                    first = if better { Some(*id) } else { first };
                }
                Some(Err(_)) => return part.next(),
                None => {}
            }
        }
        let first = first?;
        for part in &mut self.parts {
            part.next_if(|id| matches!(id, Ok(id) if *id == first));
        }
        Some(Ok(first))
    }
}

/// The access path with the fewest entries among those that the query can use.
pub(crate) fn shortest(
    index: &impl ReadableTable<Place, ()>,
    space: u32,
    kind: &RecordKind,
    query: &Query,
) -> Result<Option<(String, Vec<String>)>, StoreError> {
    let mut best: Option<(usize, (String, Vec<String>))> = None;
    for (field, values) in query.ways(kind) {
        let mut count = 0_usize;
        for value in &values {
            count = count
                .saturating_add(ids(index, (space, kind.name(), &field, value), true, None)?.take(COUNTED).count());
        }
        if best.as_ref().is_none_or(|(least, _)| count < *least) {
            best = Some((count, (field, values)));
        }
    }
    Ok(best.map(|(_, way)| way))
}

/// Rebuilds the index of the records of one kind.
pub(crate) fn reindex(
    batch: &mut Batch<'_>,
    space: u32,
    former: &RecordKind,
    kind: &RecordKind,
) -> Result<(), StoreError> {
    let mut records: Vec<(u64, Value)> = Vec::new();
    for row in batch.records()?.range((space, kind.name(), 0)..=(space, kind.name(), u64::MAX))? {
        let (key, row) = row?;
        records.push((key.value().2, rows::read_record(row.value())?.value));
    }
    for (id, record) in records {
        let key = RecordKey { kind: kind.name().to_owned(), id };
        write(batch, space, &key, &former.index_of(&record), &kind.index_of(&record))?;
    }
    Ok(())
}

#[cfg(test)]
mod properties;
