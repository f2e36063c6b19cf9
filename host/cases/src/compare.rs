//! Compares the outcome of a call with the expected one.

use hookwright_model::Mistakes;
use regex::Regex;
use serde_json::{Map, Value};

/// A difference between an outcome and the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its path, such as `done.status` or `requests[0].headers.authorization`.
    pub path: String,
    /// The expected value, for people.
    pub expected: String,
    /// The actual value, for people.
    pub actual: String,
}

/// Maximum length of a shown value, in characters.
const SHOWN: usize = 600;

/// A test: an object with one of the keywords of tests as its only field.
enum Test<'v> {
    Contains(&'v str),
    Matches(&'v str),
    Any(bool),
}

fn test(expected: &Map<String, Value>) -> Option<Test<'_>> {
    let mut fields = expected.iter();
    let (Some((name, value)), None) = (fields.next(), fields.next()) else { return None };
    match (name.as_str(), value) {
        ("contains", Value::String(text)) => Some(Test::Contains(text)),
        ("matches", Value::String(pattern)) => Some(Test::Matches(pattern)),
        ("any", Value::Bool(there)) => Some(Test::Any(*there)),
        _ => None,
    }
}

/// Validates the tests in an expected value.
pub(crate) fn check(path: &str, expected: &Value, mistakes: &mut Mistakes) {
    match expected {
        Value::Object(fields) => {
            if let Some(Test::Matches(pattern)) = test(fields)
                && let Err(error) = Regex::new(pattern)
            {
                let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                mistakes
                    .add(format!("{path}.matches"), format!("`{pattern}` is not a valid regular expression: {why}"));
            }
            for (name, value) in fields {
                check(&format!("{path}.{name}"), value, mistakes);
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                check(&format!("{path}[{place}]"), item, mistakes);
            }
        }
        _ => {}
    }
}

/// Compares, and adds the differences. An object is as expected if each expected field is; a list, if it has the same
/// length and each entry is; an object with `contains`, `matches` or `any` alone is a test of the actual value;
/// everything else must be equal, numbers by their value.
pub(crate) fn compare(path: &str, expected: &Value, actual: Option<&Value>, mismatches: &mut Vec<Mismatch>) {
    if let Value::Object(fields) = expected
        && let Some(test) = test(fields)
    {
        if let Some(wanted) = failed(&test, actual) {
            mismatches.push(differing(path, wanted, actual));
        }
        return;
    }
    match (expected, actual) {
        (Value::Object(fields), Some(Value::Object(there))) => {
            for (name, wanted) in fields {
                compare(&joined(path, name), wanted, there.get(name), mismatches);
            }
        }
        (Value::Array(wanted), Some(Value::Array(there))) if wanted.len() == there.len() => {
            for (place, (wanted, there)) in wanted.iter().zip(there).enumerate() {
                compare(&format!("{path}[{place}]"), wanted, Some(there), mismatches);
            }
        }
        (Value::Array(wanted), _) => {
            let count = if wanted.len() == 1 { "1 entry".to_owned() } else { format!("{} entries", wanted.len()) };
            mismatches.push(differing(path, format!("{count}: {}", shown(Some(expected))), actual));
        }
        (Value::Null, None) => {}
        (_, Some(there)) if equal(expected, there) => {}
        _ => mismatches.push(differing(path, shown(Some(expected)), actual)),
    }
}

fn differing(path: &str, expected: String, actual: Option<&Value>) -> Mismatch {
    Mismatch { path: path.to_owned(), expected, actual: shown(actual) }
}

/// Why a test failed.
fn failed(test: &Test<'_>, actual: Option<&Value>) -> Option<String> {
    match test {
        Test::Contains(part) => {
            let fits = text_of(actual).is_some_and(|text| text.contains(part));
            (!fits).then(|| format!("text that contains `{part}`"))
        }
        Test::Matches(pattern) => {
            let regex = Regex::new(pattern);
            let fits = regex.is_ok_and(|regex| text_of(actual).is_some_and(|text| regex.is_match(&text)));
            (!fits).then(|| format!("text that matches `{pattern}`"))
        }
        Test::Any(true) => actual.is_none().then(|| "anything".to_owned()),
        Test::Any(false) => actual.is_some_and(|actual| !actual.is_null()).then(|| "nothing".to_owned()),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The text that tests examine: a string itself, anything else as JSON.
fn text_of(actual: Option<&Value>) -> Option<String> {
    match actual? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// Equal, where 1 and 1.0 are.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            hookwright_model::json::same_number(&one.to_string(), &other.to_string())
        }
        _ => one == other,
    }
}

/// A value as JSON, truncated if it is long.
pub(crate) fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(expected: &Value, actual: Option<&Value>) -> Vec<String> {
        let mut mismatches = Vec::new();
        compare("done", expected, actual, &mut mismatches);
        mismatches.into_iter().map(|mismatch| mismatch.path).collect()
    }

    #[test]
    fn a_matching_outcome_has_no_differences() {
        for (expected, actual) in [
            (json!({"a": 1}), json!({"a": 1.0, "b": 2})),
            (json!([{"a": {}}]), json!([{"a": {"b": 1}}])),
            (json!({}), json!({"a": 1})),
            (json!({"a": null}), json!({})),
            (json!({"a": null}), json!({"a": null})),
            (json!({"contains": "ö"}), json!("größe")),
            (json!({"contains": "\"a\":1"}), json!({"a": 1})),
            (json!({"matches": "^evt_[0-9a-z]{26}$"}), json!("evt_01h455vb4pex5vsknk084sn02q")),
            (json!({"any": true}), json!(null)),
            (json!({"any": false}), json!(null)),
            // Two fields, or another type: an object like any other.
            (json!({"contains": "x", "any": true}), json!({"contains": "x", "any": true})),
            (json!({"contains": 1}), json!({"contains": 1})),
            (json!({"any": "x"}), json!({"any": "x"})),
            (json!(u64::MAX), json!(u64::MAX)),
        ] {
            assert_eq!(places(&expected, Some(&actual)), Vec::<String>::new(), "{expected} {actual}");
        }
        assert!(places(&json!(null), None).is_empty());
        assert!(places(&json!({"any": false}), None).is_empty());
    }

    #[test]
    fn differences_are_reported_with_their_paths() {
        for (expected, actual, path) in [
            (json!(1), json!("1"), "done"),
            (json!(u64::MAX), json!(u64::MAX - 1), "done"),
            (json!({"a": {"b": [1, 2]}}), json!({"a": {"b": [1, 3]}}), "done.a.b[1]"),
            (json!([1]), json!([1, 2]), "done"),
            (json!([]), json!([1]), "done"),
            (json!({"a": 1}), json!([1]), "done"),
            (json!({"a": 1}), json!({}), "done.a"),
            (json!({"contains": "x"}), json!("y"), "done"),
            (json!({"contains": ""}), json!(null), "done"),
            (json!({"matches": "^x$"}), json!("xy"), "done"),
            (json!({"any": false}), json!(1), "done"),
            (json!(""), json!(null), "done"),
            (json!(false), json!(null), "done"),
        ] {
            assert_eq!(places(&expected, Some(&actual)), [path], "{expected} {actual}");
        }
        for expected in [json!({"any": true}), json!({"contains": ""}), json!({}), json!([])] {
            assert_eq!(places(&expected, None), ["done"], "{expected}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let text = shown(Some(&json!("ä".repeat(10_000))));
        assert_eq!(text.chars().count(), SHOWN + 1);
        assert!(text.ends_with('…'));
        assert_eq!(shown(None), "nothing");
    }
}
