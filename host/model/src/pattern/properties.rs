//! Properties that hold for all patterns and event types.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Few words, so that patterns and types often share some.
pub(crate) fn pattern() -> impl Strategy<Value = EventPattern> {
    let word = prop_oneof![3 => select(vec!["a", "b", "é", "a-b"]), 2 => Just("*")];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(".").parse().unwrap())
}

/// Event types, including some that no pattern can name and senders may still use.
pub(crate) fn event_type() -> impl Strategy<Value = String> {
    let word = prop_oneof![8 => select(vec!["a", "b", "é", "a-b"]), 1 => select(vec!["", "*", " ", "A"])];
    prop::collection::vec(word, 1..6).prop_map(|words| words.join("."))
}

/// The documented semantics of [`EventPattern`], implemented without regard to speed.
pub(crate) fn takes(pattern: &[&str], words: &[&str]) -> bool {
    match (pattern, words) {
        ([], []) => true,
        (["*"], [_, ..]) => true,
        ([part, rest @ ..], [word, others @ ..]) => (*part == "*" || part == word) && takes(rest, others),
        _ => false,
    }
}

pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_matches_the_documented_types(
        pattern in pattern(),
        types in prop::collection::vec(event_type(), 1..16),
    ) {
        for event_type in types {
            let expected = takes(&words(pattern.as_str()), &words(&event_type));
            prop_assert_eq!(pattern.takes(&event_type), expected, "{} {}", pattern, event_type);
        }
    }

    #[test]
    fn the_index_finds_the_same_as_each_pattern(
        entries in prop::collection::vec((pattern(), 0..8_u8, any::<bool>()), 0..24),
        types in prop::collection::vec(event_type(), 1..16),
    ) {
        let mut index = PatternIndex::default();
        for (pattern, item, _) in &entries {
            index.insert(pattern, *item);
        }
        let is_removed = |pattern: &EventPattern, item: u8| {
            entries.iter().any(|(other, it, removed)| *removed && other == pattern && *it == item)
        };
        for (pattern, item, _) in entries.iter().filter(|(_, _, removed)| *removed) {
            index.remove(pattern, item);
        }
        for event_type in types {
            let mut expected: Vec<u8> = entries
                .iter()
                .filter(|(pattern, item, _)| pattern.takes(&event_type) && !is_removed(pattern, *item))
                .map(|(_, item, _)| *item)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(index.find(&event_type), expected, "{}", event_type);
        }
        for (pattern, item, _) in &entries {
            index.remove(pattern, item);
        }
        let root = &index.root;
        prop_assert!(root.words.is_empty() && root.any.is_none() && root.exact.is_empty() && root.rest.is_empty());
    }

    #[test]
    fn a_string_is_a_pattern_that_round_trips_or_is_refused(
        text in prop_oneof![any::<String>(), "[a*. é]{0,12}", "[a-z]{0,300}"],
        event_type in any::<String>(),
    ) {
        let Ok(pattern) = text.parse::<EventPattern>() else { return Ok(()) };
        prop_assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        let json = serde_json::to_value(&pattern).unwrap();
        prop_assert_eq!(&serde_json::from_value::<EventPattern>(json).unwrap(), &pattern);
        // A pattern matches the type with the same text, and without wildcards no other.
        prop_assert!(pattern.takes(&text));
        if !text.contains('*') {
            prop_assert_eq!(pattern.takes(&event_type), event_type == text);
        }
    }
}
