//! Properties that hold for all indexed records.

use std::collections::BTreeSet;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;

use super::*;

/// A row: space, kind, field, value, id. Values with a common prefix are adjacent.
fn row() -> impl Strategy<Value = (u32, String, String, String, u64)> {
    let id = prop_oneof![4 => 1..12_u64, 1 => any::<u64>().prop_map(|id| id.clamp(1, u64::MAX - 1))];
    (1..3_u32, "[ab]{1,2}", "[ab]{1,2}", "[sn][a\0]{0,2}", id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_under_several_values_come_once_each_in_order_from_where_the_last_page_ended(
        rows in prop::collection::vec(row(), 1..48),
        others in prop::collection::vec("[sn][a\0]{0,2}", 0..4),
        ascending in any::<bool>(),
        from in prop::option::of(0..14_u64),
    ) {
        let database = redb::Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(RECORD_INDEX).unwrap();
        for (space, kind, field, value, id) in &rows {
            table.insert((*space, kind.as_str(), field.as_str(), value.as_str(), *id), ()).unwrap();
        }
        // A value that exists, and values that may exist.
        let (space, kind, field, value, _) = &rows[0];
        let values: Vec<&str> = std::iter::once(value).chain(&others).map(String::as_str).collect();
        let part = |value: &&str| ids(&table, (*space, kind, field, value), ascending, from).unwrap().peekable();
        let merged = Merged { parts: values.iter().map(part).collect(), ascending };
        let found: Vec<u64> = merged.map(Result::unwrap).collect();
        let is_beyond = |id: u64| from.is_none_or(|from| if ascending { id > from } else { id < from });
        let stands = |row: &&(u32, String, String, String, u64)| {
            (&row.0, &row.1, &row.2) == (space, kind, field) && values.contains(&row.3.as_str()) && is_beyond(row.4)
        };
        let expected: BTreeSet<u64> = rows.iter().filter(stands).map(|row| row.4).collect();
        let mut expected: Vec<u64> = expected.into_iter().collect();
        if !ascending {
            expected.reverse();
        }
        prop_assert_eq!(found, expected);
    }
}
