//! Properties that hold for all records and queries.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};

use super::*;
use crate::json::same_number;

/// A kind with an indexed field of every type that can be indexed.
fn kind() -> RecordKind {
    let field = |types: &str| json!({"type": types, "indexed": true});
    let input = json!({"noun": "an order", "fields": {
        "text": field("string"), "number": field("number"), "truth": field("boolean"), "day": field("date"),
        "time": field("timestamp"), "other": {"type": "reference", "kind": "ticket", "indexed": true}}});
    RecordKind::declare("order", serde_json::from_value(input).unwrap(), None, Timestamp::from_millis(0)).unwrap()
}

/// Strings of which some denote the same instant, number or boolean.
fn text() -> impl Strategy<Value = String> {
    let known = [
        "",
        "a",
        "A",
        "5",
        "5.0",
        "true",
        "null",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "2026-01-01T01:00:00+01:00",
        "2026/01/01",
        "Thu, 1 Jan 2026 00:00:00 +0000",
    ];
    prop_oneof![
        6 => select(known.to_vec()).prop_map(str::to_owned),
        1 => "[ab]{126,130}é?",
        1 => any::<String>(),
    ]
}

/// Numbers of which some are equal in different notations: digits, trailing zeros, and the exponent that compensates.
fn number() -> impl Strategy<Value = String> {
    let known = ["0", "1", "5", "9007199254740993", "9223372036854775808", "18446744073709551615"];
    let digits = prop_oneof![4 => select(known.to_vec()).prop_map(str::to_owned), 1 => "[1-9][0-9]{0,29}"];
    let shift = prop_oneof![2 => Just(0), 2 => Just(18), 1 => -3..20_i32];
    let is_negative = prop::bool::weighted(0.2);
    (is_negative, digits, shift, 0..3_usize, any::<bool>()).prop_map(|(negative, digits, shift, zeros, plain)| {
        let sign = if negative { "-" } else { "" };
        let (exponent, padding) = (shift - zeros as i32, "0".repeat(zeros));
        match usize::try_from(shift) {
            Ok(shift) if plain && digits != "0" => format!("{sign}{digits}{}", "0".repeat(shift)),
            _ if digits == "0" => format!("{sign}0.0"),
            _ => format!("{sign}{digits}{padding}e{exponent}").replace("e0", "e+0"),
        }
    })
}

/// A value of a field, of its type.
fn field() -> impl Strategy<Value = (&'static str, Value)> {
    let id = prop_oneof![text().prop_map(Value::from), (0..7_u64).prop_map(Value::from)];
    prop_oneof![
        4 => text().prop_map(|text| ("text", Value::from(text))),
        3 => number().prop_map(|text| ("number", text.parse::<Value>().unwrap())),
        1 => any::<bool>().prop_map(|truth| ("truth", Value::from(truth))),
        1 => select(vec!["2026-01-01", "2026-01-02"]).prop_map(|day| ("day", Value::from(day))),
        1 => select(vec!["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00"]).prop_map(|at| ("time", Value::from(at))),
        2 => (id, any::<bool>())
            .prop_map(|(id, whole)| ("other", if whole { json!({"id": id, "name": "x"}) } else { id })),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    prop::collection::vec(field(), 0..6).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    })
}

/// A filter's value: the text of a value that a record may have, in this notation or another.
fn wanted() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        (select(vec!["text", "day", "time", "other", "truth"]), text()),
        (select(vec!["number", "text", "other"]), number()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_that_is_read_through_the_index_lacks_no_record_that_fits(
        records in prop::collection::vec(record(), 1..24),
        filters in prop::collection::vec((wanted(), any::<bool>()), 1..16),
    ) {
        let kind = kind();
        for ((name, value), several) in filters {
            let (parameter, value) =
                if several { (format!("{name}[in]"), format!("{value},b")) } else { (name.to_owned(), value) };
            // A filter that no value of the field can match is refused.
            let Ok(query) = Query::parse(&kind, [(parameter.as_str(), value.as_str())].into_iter()) else { continue };
            for record in records.iter().filter(|record| query.fits(record)) {
                let entries = kind.index_of(record);
                for (field, places) in query.ways(&kind) {
                    let stands = entries.iter().any(|(name, place)| *name == field && places.contains(place));
                    prop_assert!(stands, "{parameter}={value} fits {record}, which stands under {entries:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_stand_in_one_place_of_the_index_if_and_only_if_they_are_the_same(
        numbers in prop::collection::vec(number(), 2..12),
    ) {
        let place = |text: &String| crate::index_value(&serde_json::from_str(text).unwrap());
        for one in &numbers {
            prop_assert!(place(one).is_some());
            for other in &numbers {
                prop_assert_eq!(place(one) == place(other), same_number(one, other), "{} {}", one, other);
            }
        }
    }

    #[test]
    fn the_order_of_a_list_is_total_and_its_cursors_read_back(
        records in prop::collection::vec(record(), 1..10),
        sort in select(vec!["text", "number,-text", "-other,day", "time,-number", "truth,number,text,other,day"]),
    ) {
        let query = Query::parse(&kind(), [("sort", sort)].into_iter());
        let Ok(query) = query else { return Ok(()) };
        let keys: Vec<SortKey> = (1..).zip(&records).map(|(id, record)| query.key(id, record)).collect();
        for one in &keys {
            let again = query.parse_key(&one.to_string());
            prop_assert_eq!(again.as_ref(), Some(one));
            for other in &keys {
                prop_assert_eq!(query.compare(one, other), query.compare(other, one).reverse());
                prop_assert_eq!(query.compare(one, other).is_eq(), one.id == other.id);
                for third in &keys {
                    if query.compare(one, other).is_lt() && query.compare(other, third).is_lt() {
                        prop_assert!(query.compare(one, third).is_lt(), "{one:?} {other:?} {third:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_hostile_parameter_or_cursor_is_read_or_refused(
        name in prop_oneof![any::<String>(), "[a-z.\\[\\]]{0,12}", "(text|number|day)\\[[a-z]{0,6}\\]?"],
        value in any::<String>(),
        record in record(),
    ) {
        if let Ok(query) = Query::parse(&kind(), [(name.as_str(), value.as_str())].into_iter()) {
            let _ = (query.fits(&record), query.ways(&kind()), query.parse_key(&value));
        }
    }
}
