//! The index of records by the values of their fields, and lists that read through it.

use std::cmp::Ordering;

use hookwright_model::{IndexEntry, Query, RecordKey, RecordKind, SortKey, SpaceId, StoredRecord, builtin_kinds};
use redb::{ReadableTable, WriteTransaction};
use serde_json::Value;

use crate::page::SCANNED;
use crate::tables::{CONFIG, META, RECORD_INDEX, RECORDS};
use crate::writer::Batch;
use crate::{Store, StoreError, config, rows};

/// What the file says of the index: for which fields it was made.
const MADE_FOR: &str = "record_index";
/// How many entries of each way are counted to find the shortest.
const COUNTED: usize = 256;

/// A key of the index: space, kind, field, value, id.
type Place = (u32, &'static str, &'static str, &'static str, u64);
/// A row of a table, as a range gives it.
type Row<'a, K, V> = Result<(redb::AccessGuard<'a, K>, redb::AccessGuard<'a, V>), redb::StorageError>;

/// Part of a list of records.
#[derive(Debug, Default)]
pub struct Found {
    /// Ids and records, in the order that was asked for.
    pub records: Vec<(u64, StoredRecord)>,
    /// Where the next part begins; none at the end. A part can be short of its limit, even empty, with more to follow.
    pub next: Option<String>,
    /// A sorted list would have more records than one call looks at: nothing was found out.
    pub too_many: bool,
}

/// The fields of built-in kinds that an index is kept of, in words that change when they do.
fn made_for() -> String {
    let kinds = builtin_kinds().map(|kind| format!("{}:{}", kind.name(), kind.indexed().collect::<Vec<_>>().join(",")));
    kinds.collect::<Vec<_>>().join(" ")
}

/// Makes the index of every record anew if it was never made, or for other fields: a file of a former version has none,
/// and a later version may index more.
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
            let declared = own.get((space, config::KIND, name))?;
            let declared = declared.and_then(|row| serde_json::from_slice::<RecordKind>(row.value()).ok());
            let kind = hookwright_model::builtin_kind(name).map(|kind| RecordKind::clone(kind)).or(declared);
            last = Some((space, name.to_owned(), kind));
        }
        let kind = last.as_ref().and_then(|(_, _, kind)| kind.as_ref());
        // What cannot be read is said when somebody reads it.
        if let (Some(kind), Ok(record)) = (kind, rows::read_record(row.value())) {
            for (field, value) in kind.index_of(&record.value) {
                index.insert((space, name, field.as_str(), value.as_str(), id), ())?;
            }
        }
    }
    meta.insert(MADE_FOR, wanted.as_str())?;
    Ok(())
}

/// Takes entries of a record away and adds others.
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
fn ids<'t>(
    table: &'t impl ReadableTable<Place, ()>,
    place: (u32, &str, &str, &str),
    ascending: bool,
    from: Option<u64>,
) -> Result<Box<dyn Iterator<Item = Result<u64, StoreError>> + 't>, StoreError> {
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

type Ids<'t> = Box<dyn Iterator<Item = Result<u64, StoreError>> + 't>;

/// Several lists of ids as one, each id once.
struct Merged<'t> {
    parts: Vec<std::iter::Peekable<Ids<'t>>>,
    ascending: bool,
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

impl Store {
    /// Records of a kind that a query asks for: `cursor` is the `next` of the part before. At most 10,000 rows are looked
    /// at. None: the cursor is none of this list.
    pub fn query_records(
        &self,
        space: &SpaceId,
        kind: &RecordKind,
        query: &Query,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Found>, StoreError> {
        let after: Option<SortKey> = match cursor {
            Some(text) if query.is_sorted() => match query.parse_key(text) {
                None => return Ok(None),
                key => key,
            },
            _ => None,
        };
        let from: Option<u64> = match cursor {
            Some(text) if !query.is_sorted() => match text.parse() {
                Ok(id) => Some(id),
                Err(_) => return Ok(None),
            },
            _ => None,
        };
        let Some(number) = self.number(space) else { return Ok(Some(Found::default())) };
        let read = self.begin_read()?;
        let records = read.open_table(RECORDS)?;
        let index = read.open_table(RECORD_INDEX)?;
        let name = kind.name();
        let ascending = query.is_ascending();
        let way = shortest(&index, number, kind, query)?;
        let parts: Vec<Ids<'_>> = match &way {
            Some((field, values)) => {
                let part = |value: &String| ids(&index, (number, name, field, value), ascending, from);
                values.iter().map(part).collect::<Result<_, _>>()?
            }
            None => {
                let key = |id| (number, name, id);
                let id = |row: Row<'_, (u32, &'static str, u64), &'static [u8]>| Ok(row?.0.value().2);
                let part: Ids<'_> = if ascending {
                    let first = from.map_or(0, |from| from.saturating_add(1));
                    Box::new(records.range(key(first)..=key(u64::MAX))?.map(id))
                } else {
                    Box::new(records.range(key(0)..key(from.unwrap_or(u64::MAX)))?.rev().map(id))
                };
                vec![part]
            }
        };
        let ids = Merged { parts: parts.into_iter().map(Iterator::peekable).collect(), ascending };
        let mut found = Found::default();
        let mut keys: Vec<(SortKey, u64, StoredRecord)> = Vec::new();
        let mut last = None;
        for (scanned, id) in ids.enumerate() {
            let id = id?;
            if scanned >= SCANNED {
                found.too_many = query.is_sorted();
                found.next = last.map(|id: u64| id.to_string());
                break;
            }
            if !query.is_sorted() && found.records.len() >= limit {
                found.next = last.map(|id: u64| id.to_string());
                break;
            }
            last = Some(id);
            let Some(row) = records.get((number, name, id))? else { continue };
            let record = rows::read_record(row.value())?;
            if !query.fits(&record.value) {
                continue;
            }
            if query.is_sorted() {
                let key = query.key(id, &record.value);
                if after.as_ref().is_none_or(|after| query.compare(&key, after) == Ordering::Greater) {
                    keys.push((key, id, record));
                    // Only the first of them are wanted, so the others need not be held.
                    if keys.len() >= limit.saturating_mul(2).max(1000) {
                        keys.sort_by(|(one, ..), (other, ..)| query.compare(one, other));
                        keys.truncate(limit.saturating_add(1));
                    }
                }
            } else {
                found.records.push((id, record));
            }
        }
        if query.is_sorted() && !found.too_many {
            keys.sort_by(|(one, ..), (other, ..)| query.compare(one, other));
            let more = keys.len() > limit;
            keys.truncate(limit);
            found.next = keys.last().filter(|_| more).map(|(key, ..)| key.to_string());
            found.records = keys.into_iter().map(|(_, id, record)| (id, record)).collect();
        } else if found.too_many {
            found.next = None;
        }
        Ok(Some(found))
    }
}

/// The way with the fewest entries among those that the query can go.
fn shortest(
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

/// Makes the index of the records of one kind anew.
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
