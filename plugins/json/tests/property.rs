//! Whatever text comes: what is taken is read by every way of reading JSON that the server, the SDK and the plugins use,
//! and each comes to the same; what one of them cannot read is not taken.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;

use hookwright_json::{MAX_DEPTH, Rule, Strict, check, same_number};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

fn string() -> impl Strategy<Value = String> {
    // Written text, escapes included, so that halves of surrogate pairs come about.
    let piece = prop_oneof![
        4 => "[a-c]{0,12}",
        1 => Just(r"\n".to_owned()),
        1 => Just(r#"\""#.to_owned()),
        1 => Just(r"\u0061".to_owned()),
        1 => Just(r"\ud83d\ude00".to_owned()),
        1 => Just("é😀".to_owned()),
        1 => prop_oneof![Just(r"\ud83d".to_owned()), Just(r"\ude00".to_owned()), Just(r"\u00".to_owned()), Just("\t".to_owned())],
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        1 => "-?[0-9.eE+-]{1,6}",
    ]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number(), string()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((string(), inner), 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// The text of a value in which every part was read as it stands.
fn by_parts(text: &str) -> Value {
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap();
            members.into_iter().map(|(name, part)| (name, by_parts(part.get()))).collect()
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            items.into_iter().map(|part| by_parts(part.get())).collect()
        }
        _ => serde_json::from_str(text).unwrap(),
    }
}

/// Every number with the one that stands in its place.
fn numbers<'v>(a: &'v Value, b: &'v Value, found: &mut Vec<(String, String)>) {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => found.push((a.to_string(), b.to_string())),
        (Value::Array(a), Value::Array(b)) => a.iter().zip(b).for_each(|(a, b)| numbers(a, b, found)),
        (Value::Object(a), Value::Object(b)) => a.values().zip(b.values()).for_each(|(a, b)| numbers(a, b, found)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepted_json_is_parsed_in_the_same_way_everywhere(text in json()) {
        match check(text.as_bytes()) {
            Ok(same) => {
                prop_assert_eq!(same, text.as_str());
                let value: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&by_parts(text.trim()), &value);
                let mut reader = serde_json::Deserializer::from_str(&text);
                prop_assert_eq!(&Value::deserialize(Strict(&mut reader)).unwrap(), &value);
                // Written again it is the same, and is taken again.
                let written = value.to_string();
                prop_assert!(check(written.as_bytes()).is_ok());
                let again: Value = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(&again, &value);
                // Double precision contains every number, if not all of its digits.
                let mut pairs = Vec::new();
                numbers(&value, &again, &mut pairs);
                for (a, b) in pairs {
                    prop_assert_eq!(&a, &b);
                    prop_assert!(same_number(&a, &b));
                    prop_assert!(a.parse::<f64>().unwrap().is_finite());
                }
            }
            Err(refused) if refused.rule == Rule::Syntax => {
                prop_assert!(serde_json::from_str::<IgnoredAny>(&text).is_err(), "{refused}");
            }
            Err(refused) => prop_assert!(refused.at < text.len(), "{refused}"),
        }
    }

    #[test]
    fn no_bytes_are_accepted_that_a_reader_cannot_parse(bytes in prop::collection::vec(any::<u8>(), 0..40), json in json(), at in 0..40_usize) {
        let mut damaged = json.into_bytes();
        let at = at.min(damaged.len());
        damaged.splice(at..(at + 1).min(damaged.len()), bytes.iter().take(1).copied());
        for text in [bytes.as_slice(), damaged.as_slice()] {
            if check(text).is_ok() {
                prop_assert!(serde_json::from_slice::<Value>(text).is_ok(), "{text:?}");
            }
        }
    }

    #[test]
    fn every_digit_of_a_number_is_preserved(number in number()) {
        if check(number.as_bytes()).is_ok() {
            let read = serde_json::from_str::<Value>(&number).unwrap().to_string();
            let digits = |text: &str| text.split(['e', 'E']).next().unwrap_or_default().to_owned();
            prop_assert_eq!(digits(&read), digits(&number));
            prop_assert!(same_number(&read, &number), "{read} {number}");
        }
    }

    #[test]
    fn a_repeated_name_is_found_among_many_and_in_any_escaped_form(
        names in prop::collection::vec("[a-d]{1,3}", 0..40),
        escaped in any::<u64>(),
    ) {
        let members = names.iter().enumerate().map(|(place, name)| match escaped >> (place % 64) & 1 {
            0 => format!("\"{name}\": {place}"),
            _ => {
                let units: String = name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
                format!("\"{units}\": {place}")
            }
        });
        let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        let apart: std::collections::BTreeSet<&String> = names.iter().collect();
        match check(text.as_bytes()) {
            Ok(_) => prop_assert_eq!(apart.len(), names.len()),
            Err(refused) => {
                prop_assert_eq!(refused.rule, Rule::Duplicate, "{}", refused);
                prop_assert!(apart.len() < names.len(), "{refused}");
            }
        }
    }

    #[test]
    fn nested_json_is_accepted_up_to_the_documented_depth(
        opened in prop::collection::vec(any::<bool>(), 0..200),
        is_closed in any::<bool>(),
    ) {
        let mut text: String = opened.iter().map(|is_list| if *is_list { "[" } else { "{\"a\":" }).collect();
        text.push('0');
        if is_closed {
            text.extend(opened.iter().rev().map(|is_list| if *is_list { ']' } else { '}' }));
        }
        match check(text.as_bytes()) {
            Ok(_) => prop_assert!(opened.len() <= MAX_DEPTH && (is_closed || opened.is_empty())),
            Err(refused) if refused.rule == Rule::Depth => prop_assert!(opened.len() > MAX_DEPTH),
            Err(refused) => prop_assert!(!is_closed && opened.len() <= MAX_DEPTH, "{refused}"),
        }
    }
}
