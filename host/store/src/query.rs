//! Lists of records that are read through their index.

use std::cmp::Ordering;

use hookwright_model::{Query, RecordKind, SortKey, SpaceId, StoredRecord};

use crate::index::{Ids, Merged, Row, ids, shortest};
use crate::page::SCANNED;
use crate::records::Records;
use crate::tables::{RECORD_INDEX, RECORDS};
use crate::{StoreError, rows};

/// Part of a list of records.
#[derive(Debug, Default)]
pub struct Found {
    /// Ids and records, in the requested order.
    pub records: Vec<(u64, StoredRecord)>,
    /// The cursor of the next page; `None` at the end. A page can have fewer entries than its limit, even none, with
    /// more to follow.
    pub next: Option<String>,
    /// A sorted list would have more records than one call reads: there is no result.
    pub too_many: bool,
}

impl Records {
    /// Records of a kind that match a query; `cursor` is the `next` of the previous page. At most 10,000 rows are read.
    /// `None`: the cursor does not belong to this list.
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
        let Some(number) = self.db.number(space) else { return Ok(Some(Found::default())) };
        let read = self.db.begin_read()?;
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
                    // Only the first ones are needed, so the others are dropped.
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
