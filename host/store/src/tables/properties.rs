//! Properties that hold for all keys: in a table they have the order of their values, and they are read back unchanged.

use hookwright_model::AutomationId;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Key, Value};

use super::*;
use crate::{Cursor, LogCursor, lanes};

/// The key of a table with numbers only, with the smallest and largest ones, and negative times.
type QueueKey = (u32, u64, i64, u64, u32);
type DueKey = (i64, u32, u64, u32, u8);
type BlockedKey = (u32, u64, &'static str, u64, u32);
type IndexKey = (u32, &'static str, &'static str, &'static str, u64);
type ExpiryKey = (i64, u32, &'static str, &'static str);

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![0..3_u32, 250..260_u32, Just(u32::MAX), any::<u32>()]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 250..260_u64, 65_530..65_540_u64, Just(u64::MAX), any::<u64>()]
}

fn millis() -> impl Strategy<Value = i64> {
    prop_oneof![-2..3_i64, 250..260_i64, Just(i64::MIN), Just(i64::MAX), any::<i64>()]
}

/// Strings that share prefixes, are empty, or contain possible separators.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a\0\u{1}é😀]{0,4}", 1 => any::<String>()]
}

/// Compares the keys `$one` and `$other` of a type as the table does and as they are, and reads them back.
macro_rules! same_order {
    ($key:ty, $one:expr, $other:expr) => {{
        let (one, other) = ($one, $other);
        let (first, second) = (<$key as Value>::as_bytes(&one), <$key as Value>::as_bytes(&other));
        let (first, second): (&[u8], &[u8]) = (first.as_ref(), second.as_ref());
        prop_assert_eq!(<$key as Key>::compare(first, second), one.cmp(&other), "{:?} {:?}", one, other);
        prop_assert_eq!(first == second, one == other);
        prop_assert_eq!(<$key as Value>::from_bytes(first), one);
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_have_the_order_of_their_values_and_round_trip(
        (a, b) in (small(), small()),
        (c, d) in (number(), number()),
        (e, f) in (millis(), millis()),
        (g, h) in (text(), text()),
        (i, j) in (text(), text()),
        // Which parts the two keys have in common.
        common in prop::array::uniform4(any::<bool>()),
    ) {
        let b = if common[0] { a } else { b };
        let d = if common[1] { c } else { d };
        let f = if common[2] { e } else { f };
        let h = if common[3] { g.clone() } else { h };
        let (g, h, i, j) = (g.as_str(), h.as_str(), i.as_str(), j.as_str());
        same_order!(QueueKey, (a, c, e, d, b), (b, d, f, c, a));
        same_order!(DueKey, (e, a, c, b, 1), (f, b, d, a, 2));
        same_order!(LogKey, (a, e, c, b, a), (b, f, d, a, b));
        same_order!(BlockedKey, (a, c, g, d, b), (b, d, h, c, a));
        same_order!(IndexKey, (a, g, i, j, c), (b, h, j, i, d));
        same_order!(ExpiryKey, (e, a, g, i), (f, b, h, j));
    }

    #[test]
    fn a_lane_belongs_to_one_automation_and_key(
        automations in prop::array::uniform2("aut_[a-z0-9]{0,2}"),
        // Keys have no NUL, but the names stay apart even if they had.
        keys in prop::array::uniform2(text()),
    ) {
        let name = |automation: usize, key: usize| {
            lanes::name(&AutomationId::from(automations[automation].as_str()), &keys[key])
        };
        let is_same = automations[0] == automations[1] && keys[0] == keys[1];
        prop_assert_eq!(name(0, 0) == name(1, 1), is_same);
        prop_assert_eq!(name(0, 0) == name(0, 1), keys[0] == keys[1]);
    }

    #[test]
    fn a_cursor_round_trips_and_a_hostile_one_is_refused_or_valid(
        (seq, ordinal, attempt, at) in (number(), small(), small(), millis()),
        text in prop_oneof![any::<String>(), "[-+_0-9]{0,50}", "[0-9]{1,22}_[0-9]{1,11}(_[0-9]{1,11}){0,3}"],
    ) {
        let cursor = Cursor { seq, ordinal };
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let started_at = hookwright_model::Timestamp::from_millis(at);
        let log = LogCursor { started_at, seq, ordinal, number: attempt };
        prop_assert_eq!(log.to_string().parse(), Ok(log));
        if let Ok(cursor) = text.parse::<Cursor>() {
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        if let Ok(log) = text.parse::<LogCursor>() {
            prop_assert_eq!(log.to_string().parse(), Ok(log));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_range_has_the_rows_of_its_place_and_of_no_other(
        rows in prop::collection::btree_set((0..3_u32, 0..3_u64, text(), number(), small()), 0..32),
        (space, queue, key) in (0..3_u32, 0..3_u64, text()),
    ) {
        let database = redb::Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(BLOCKED).unwrap();
        for (space, queue, key, seq, ordinal) in &rows {
            table.insert((*space, *queue, key.as_str(), *seq, *ordinal), ()).unwrap();
        }
        // A range with rows, if there is any, and one that may have none.
        let with_rows = rows.iter().nth(rows.len() / 2).map(|row| (row.0, row.1, row.2.as_str()));
        for (space, queue, key) in with_rows.into_iter().chain([(space, queue, key.as_str())]) {
            let range = (space, queue, key, 0, 0)..=(space, queue, key, u64::MAX, u32::MAX);
            let ends = |key: redb::AccessGuard<'_, BlockedKey>| (key.value().3, key.value().4);
            let found: Vec<(u64, u32)> = table.range(range).unwrap().map(|row| ends(row.unwrap().0)).collect();
            let of_the_place = rows.iter().filter(|row| (row.0, row.1, row.2.as_str()) == (space, queue, key));
            prop_assert_eq!(found, of_the_place.map(|row| (row.3, row.4)).collect::<Vec<_>>());
        }
    }
}
