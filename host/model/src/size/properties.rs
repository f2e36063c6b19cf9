//! Properties that hold for all values.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        "-?(0|[1-9][0-9]{0,80})(\\.[0-9]{1,80})?".prop_map(|text| text.parse::<Value>().unwrap()),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The bytes of all strings, names and numbers, and the number of nodes.
fn contents(value: &Value) -> (usize, usize) {
    let parts: Vec<(usize, usize)> = match value {
        Value::Null | Value::Bool(_) => vec![],
        Value::Number(number) => vec![(number.to_string().len(), 0)],
        Value::String(text) => vec![(text.len(), 0)],
        Value::Array(items) => items.iter().map(contents).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, part)| {
                let (bytes, nodes) = contents(part);
                (bytes + name.len(), nodes)
            })
            .collect(),
    };
    parts.into_iter().fold((0, 1), |(bytes, nodes), (more, others)| (bytes + more, nodes + others))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_size_of_a_value_is_at_least_that_of_its_strings_and_nodes(value in value()) {
        let (bytes, nodes) = contents(&value);
        let size = json_size(&value);
        prop_assert!(size >= bytes && size >= nodes * NODE && size <= bytes + nodes * NODE, "{size} {bytes} {nodes}");
        prop_assert_eq!(text_size(&value.to_string()), Some(size), "{}", value);
        prop_assert_eq!(text_size(&serde_json::to_string_pretty(&value).unwrap()), Some(size), "{}", value);
    }

    #[test]
    fn truncated_or_damaged_json_is_counted_or_refused(
        value in value(),
        at in any::<prop::sample::Index>(),
        damage in any::<String>(),
    ) {
        let whole = value.to_string();
        let mut at = at.index(whole.len());
        while !whole.is_char_boundary(at) {
            at -= 1;
        }
        let (before, after) = whole.split_at(at);
        for text in [before.to_owned(), format!("{before}{damage}{after}"), damage] {
            prop_assert!(text_size(&text).is_none_or(|size| size <= text.len() * NODE * 2));
        }
    }
}
