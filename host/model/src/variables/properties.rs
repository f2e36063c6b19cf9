//! Properties that hold for all parameters and data of events.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::*;
use crate::EventDraft;

const WHITESPACE: [&str; 4] = ["", " ", "\t", "\n "];

/// Strings that are hard to parse as variables.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec!["{{", "}}", "{", "}", ".", "..", " ", "\"", "\\", "\0", "é", "😀"]).prop_map(str::to_owned),
        select(vec!["event.data", "event.data.v", "item", "item.0", "index", "steps.a", "steps", "now", "{{item}}"])
            .prop_map(str::to_owned),
        any::<String>().prop_map(|text| text.chars().take(4).collect()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A number in JSON, with more digits and other notations than double precision.
fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?(e[+-]?[1-9][0-9]?)?"
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(|text| serde_json::from_str(&text).unwrap()),
        hostile_text().prop_map(Value::from),
    ]
}

/// Any JSON. Names are those that a path can contain: without dots, braces and surrounding whitespace.
fn data() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c0-2é\"_-]{1,2}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Parameters whose variables all have a value.
fn template() -> impl Strategy<Value = Value> {
    let piece = select(vec![
        "{{event.data.text}}",
        "{{ event.data.v }}",
        "{{event.data.words.0}}",
        "{{event.data.words}}",
        "{{item}}",
        "{{index}}",
        "{{space}}",
        "{{ not closed",
        "plain",
        "\", \"x\": [",
        "}",
        " ",
    ]);
    // An unclosed variable is last, because a later `}}` would close it.
    let text = prop::collection::vec(piece, 0..4).prop_map(|mut pieces| {
        pieces.sort_by_key(|piece| *piece == "{{ not closed");
        Value::from(pieces.concat())
    });
    let leaf = prop_oneof![4 => text, 1 => Just(Value::Null), 1 => number().prop_map(|n| n.parse::<Value>().unwrap())];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((hostile_text(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What every run has, and an item.
fn scope(event_data: &str, item: Value) -> Scope {
    let draft = EventDraft::json_text("jira.closed", "jira", Some("ticket/1".to_owned()), event_data.to_owned(), None);
    let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap();
    let mut scope = Scope::new(&event, &SpaceId::main(), Timestamp::from_millis(0));
    scope.set_item(item, 3);
    scope
}

/// Follows `turns` into a value. Returns the path and the value at it.
fn walk<'v>(root: &str, value: &'v Value, turns: &[Index]) -> (String, &'v Value) {
    let (mut path, mut value) = (root.to_owned(), value);
    for turn in turns {
        let (word, next) = match value {
            Value::Array(list) if !list.is_empty() => {
                let place = turn.index(list.len());
                (place.to_string(), &list[place])
            }
            Value::Object(object) if !object.is_empty() => {
                let (name, next) = object.iter().nth(turn.index(object.len())).unwrap();
                (name.clone(), next)
            }
            _ => break,
        };
        path = format!("{path}.{word}");
        value = next;
    }
    (path, value)
}

/// A part of a string, as its author means it.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Variable(String),
}

/// Alternating literals and variables, and how they are written.
fn parts() -> impl Strategy<Value = (Vec<Part>, String)> {
    let variable = (select(WHITESPACE.to_vec()), "[a-z0-9_.é]{0,8}", select(WHITESPACE.to_vec()));
    prop::collection::vec(("[^{]{0,6}", variable), 0..5).prop_flat_map(|turns| {
        let mut parts = Vec::new();
        let mut written = String::new();
        for (text, (before, path, after)) in turns {
            written.push_str(&text);
            written.push_str(&format!("{{{{{before}{path}{after}}}}}"));
            parts.extend((!text.is_empty()).then_some(Part::Text(text)));
            parts.push(Part::Variable(path));
        }
        "[^{]{0,6}".prop_map(move |last| {
            let mut parts = parts.clone();
            let written = format!("{written}{last}");
            parts.extend((!last.is_empty()).then_some(Part::Text(last)));
            (parts, written)
        })
    })
}

/// The expected result of a string, by the documentation.
fn expected(text: &str, scope: &Scope) -> Result<Value, VariableError> {
    let mut rendered = String::new();
    let mut rest = text;
    while let Some((before, (path, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        let value = scope.find(path.trim())?;
        if rest.len() == text.len() && before.is_empty() && after.is_empty() {
            return Ok(value.clone());
        }
        rendered.push_str(before);
        match value {
            Value::Null => {}
            Value::String(text) => rendered.push_str(text),
            other => rendered.push_str(&other.to_string()),
        }
        rest = after;
    }
    rendered.push_str(rest);
    Ok(Value::String(rendered))
}

/// Fails unless `rendered` has the structure of `template`, and each string its expected result.
fn assert_same_structure(template: &Value, rendered: &Value, scope: &Scope) {
    match (template, rendered) {
        (Value::Array(template), Value::Array(rendered)) => {
            assert_eq!(template.len(), rendered.len());
            template.iter().zip(rendered).for_each(|(part, rendered)| assert_same_structure(part, rendered, scope));
        }
        (Value::Object(template), Value::Object(rendered)) => {
            assert!(template.keys().eq(rendered.keys()), "{template:?} {rendered:?}");
            for (part, rendered) in template.values().zip(rendered.values()) {
                assert_same_structure(part, rendered, scope);
            }
        }
        (Value::String(text), rendered) => assert_eq!(&expected(text, scope).unwrap(), rendered, "{text}"),
        (other, rendered) => assert_eq!(other, rendered),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_a_string_are_parsed_as_they_are_written((parts, written) in parts()) {
        let read: Vec<Part> = pieces(&written)
            .map(|piece| match piece {
                Piece::Text(text) => Part::Text(text.to_owned()),
                Piece::Variable(path) => Part::Variable(path.to_owned()),
                Piece::Open => panic!("every variable is closed: {written}"),
            })
            .collect();
        prop_assert_eq!(&read, &parts);
        let texts: Vec<&str> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Variable(_) => None,
            })
            .collect();
        let is_one_variable = matches!(parts.as_slice(), [Part::Variable(_)]);
        prop_assert_eq!(super::written(&written), (!is_one_variable).then_some(texts));
    }

    #[test]
    fn no_part_of_a_hostile_string_is_lost(text in hostile_text()) {
        let again: String = pieces(&text)
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Variable(path) => format!("{{{{{path}}}}}"),
                Piece::Open => "{{".to_owned(),
            })
            .collect();
        let without_whitespace = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(without_whitespace(&again), without_whitespace(&text));
        prop_assert!(pieces(&text).filter(|piece| matches!(piece, Piece::Open)).count() <= 1);
    }

    #[test]
    fn a_hostile_string_is_rendered_as_documented_or_refused(text in hostile_text(), value in data()) {
        let scope = scope("{\"v\": [1.10]}", value);
        prop_assert_eq!(render(&text.as_str().into(), &scope), expected(&text, &scope));
        let steps = ["a".to_owned()];
        let names = Names { steps: &steps, item: true, ..Names::default() };
        let mistakes = check_names(&text.as_str().into(), "with", names);
        let as_value = Value::from(text.as_str());
        if !has_variables(&as_value) {
            prop_assert!(mistakes.is_empty());
            prop_assert!(!mentions(&as_value, "event") && !names_step(&as_value, "a"));
        }
        prop_assert_eq!(!named(&text, "steps").is_empty(), pieces(&text).any(|piece| match piece {
            Piece::Variable(path) => path.starts_with("steps."),
            _ => false,
        }));
    }

    #[test]
    fn a_path_leads_to_the_value_that_it_was_written_for(
        value in data(),
        turns in prop::collection::vec(any::<Index>(), 0..6),
        before in select(WHITESPACE.to_vec()),
        after in select(WHITESPACE.to_vec()),
    ) {
        let event_data = serde_json::json!({ "v": value }).to_string();
        let scope = scope(&event_data, value.clone());
        for root in ["item", "event.data.v", "analytics_event.attributes.v"] {
            let (path, found) = walk(root, &value, &turns);
            prop_assert_eq!(scope.find(&path), Ok(found), "{}", path);
            // A parameter that is one variable has the type of its value, and all of its digits.
            let parameter = Value::from(format!("{{{{{before}{path}{after}}}}}"));
            let rendered = render(&parameter, &scope).unwrap();
            prop_assert_eq!(&rendered, found);
            prop_assert_eq!(rendered.to_string(), found.to_string());
            let mistakes = check_names(&parameter, "", Names { item: true, ..Names::default() });
            prop_assert!(mistakes.is_empty(), "{mistakes:?}");
            prop_assert!(mentions(&parameter, path.split('.').next().unwrap()));
        }
    }

    #[test]
    fn a_number_keeps_the_digits_that_the_event_has(number in number()) {
        let scope = scope(&format!("{{\"v\": {number}}}"), Value::Null);
        let whole = render(&"{{event.data.v}}".into(), &scope).unwrap();
        prop_assert!(whole.is_number());
        let rendered = whole.to_string();
        // Only the notation of the exponent may differ.
        prop_assert_eq!(rendered.split('e').next(), number.split('e').next());
        prop_assert!(crate::json::same_number(&rendered, &number), "{rendered} {number}");
        let inside = render(&"<{{event.data.v}}>".into(), &scope);
        prop_assert_eq!(inside, Ok(Value::from(format!("<{whole}>"))));
    }

    #[test]
    fn data_never_becomes_structure(hostile in hostile_text(), value in data(), template in template()) {
        let event_data = serde_json::json!({"text": hostile, "v": value, "words": ["{{now}}", "\"}", "{{"]});
        let scope = scope(&event_data.to_string(), value);
        let rendered = render(&template, &scope).unwrap();
        assert_same_structure(&template, &rendered, &scope);
    }
}
