//! What a commit writes: every row that it inserts or removes, in order, so that the same can be written elsewhere.
//!
//! ```text
//! table 1 | 0: removed, 1: inserted | length of the key, varint | key | of an inserted row: length, varint | value
//! ```

use std::borrow::Borrow;
use std::ops::RangeBounds;

use redb::{AccessGuard, Key, Range, ReadableTable as _, StorageError, Table, Value};

use crate::StoreError;

const REMOVED: u8 = 0;
const INSERTED: u8 = 1;

/// The memory that is kept for the rows of the next commit. Memory that is new has to be cleared first.
const MOST_KEPT: usize = 1024 * 1024;

/// The rows that a commit has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteSet(Vec<u8>);

/// A row of a write set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    /// The number of the table.
    pub(crate) table: u8,
    pub(crate) key: &'a [u8],
    /// `None`: the row was removed.
    pub(crate) value: Option<&'a [u8]>,
}

impl WriteSet {
    /// An empty one, in the memory of another one.
    pub(crate) fn in_memory_of(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        if bytes.capacity() > MOST_KEPT { Self::default() } else { Self(bytes) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets the rows behind this many bytes, which are whole rows.
    pub(crate) fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }

    fn push(&mut self, written: Written<'_>) {
        self.0.extend([written.table, if written.value.is_some() { INSERTED } else { REMOVED }]);
        self.push_bytes(written.key);
        if let Some(value) = written.value {
            self.push_bytes(value);
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let mut left = bytes.len();
        while let Ok(part @ 0x80..) = u64::try_from(left) {
            self.0.push(u8::try_from(part & 0x7f).unwrap_or_default() | 0x80);
            left >>= 7;
        }
        self.0.push(u8::try_from(left).unwrap_or_default());
        self.0.extend_from_slice(bytes);
    }
}

/// Reads a write set, in order.
pub(crate) fn rows(mut bytes: &[u8]) -> impl Iterator<Item = Result<Written<'_>, StoreError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let row = take_row(&mut bytes);
        if row.is_none() {
            bytes = &[];
        }
        Some(row.ok_or_else(|| StoreError::Corrupt("an entry of the log is no write set".to_owned())))
    })
}

fn take_row<'a>(bytes: &mut &'a [u8]) -> Option<Written<'a>> {
    let ([table, what], rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    let key = take_bytes(bytes)?;
    let value = match *what {
        INSERTED => Some(take_bytes(bytes)?),
        REMOVED => None,
        _ => return None,
    };
    Some(Written { table: *table, key, value })
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (mut length, mut shift) = (0_usize, 0_u32);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift = shift.checked_add(7)?;
    }
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// A table of a commit, for one access. What is written is also in the commit's write set.
pub(crate) struct Logged<'b, 't, K: Key + 'static, V: Value + 'static> {
    pub(crate) table: &'b mut Table<'t, K, V>,
    pub(crate) number: u8,
    pub(crate) writes: &'b mut WriteSet,
}

impl<'b, 't, K: Key + 'static, V: Value + 'static> Logged<'b, 't, K, V> {
    pub(crate) fn get<'k>(self, key: impl Borrow<K::SelfType<'k>>) -> Result<Option<AccessGuard<'b, V>>, StorageError> {
        let table: &'b Table<'t, K, V> = self.table;
        table.get(key)
    }

    pub(crate) fn iter(self) -> Result<Range<'b, K, V>, StorageError> {
        let table: &'b Table<'t, K, V> = self.table;
        table.iter()
    }

    pub(crate) fn range<'k, Q>(self, range: impl RangeBounds<Q> + 'k) -> Result<Range<'b, K, V>, StorageError>
    where
        Q: Borrow<K::SelfType<'k>> + 'k,
    {
        let table: &'b Table<'t, K, V> = self.table;
        table.range(range)
    }

    pub(crate) fn insert<'k, 'v>(
        self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'b, V>>, StorageError> {
        let (key, value) = (key.borrow(), value.borrow());
        self.writes.push(Written {
            table: self.number,
            key: K::as_bytes(key).as_ref(),
            value: Some(V::as_bytes(value).as_ref()),
        });
        self.table.insert(key, value)
    }

    pub(crate) fn remove<'k>(
        self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'b, V>>, StorageError> {
        let key = key.borrow();
        let removed = self.table.remove(key)?;
        if removed.is_some() {
            self.writes.push(Written { table: self.number, key: K::as_bytes(key).as_ref(), value: None });
        }
        Ok(removed)
    }

    /// Removes the rows of a range.
    pub(crate) fn remove_range<'k, Q>(self, range: impl RangeBounds<Q> + Clone + 'k) -> Result<(), StorageError>
    where
        Q: Borrow<K::SelfType<'k>> + 'k,
    {
        for row in self.table.range(range.clone())? {
            let (key, _) = row?;
            self.writes.push(Written { table: self.number, key: K::as_bytes(&key.value()).as_ref(), value: None });
        }
        self.table.retain_in(range, |_, _| false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn write_sets_are_read_as_they_were_written(
            written in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300),
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20_000))), 0..8),
        ) {
            let mut writes = WriteSet::default();
            for (table, key, value) in &written {
                writes.push(Written { table: *table, key, value: value.as_deref() });
            }
            let bytes = writes.into_bytes();
            let found: Vec<Written<'_>> = rows(&bytes).map(Result::unwrap).collect();
            let wanted: Vec<Written<'_>> = written
                .iter()
                .map(|(table, key, value)| Written { table: *table, key, value: value.as_deref() })
                .collect();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn no_bytes_make_reading_panic_or_go_on_forever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(rows(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn a_write_set_that_ends_early_is_an_error() {
        let mut writes = WriteSet::default();
        writes.push(Written { table: 7, key: b"key", value: Some(&[1; 200]) });
        let bytes = writes.into_bytes();
        assert_eq!(bytes[..9], [7, 1, 3, b'k', b'e', b'y', 0xc8, 1, 1]);
        for end in 1..bytes.len() {
            assert!(rows(&bytes[..end]).any(|row| row.is_err()), "{end}");
        }
    }
}
