//! Compares what was put into a store with what is read from it.

use serde_json::{Value, json};

/// Where `found` lacks something that `expected` has, or has another value. Objects may have further members, because
/// later versions add fields.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("", expected, found, &mut all);
    all
}

fn compare(path: &str, expected: &Value, found: &Value, all: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let path = format!("{path}/{name}");
                match found.get(name) {
                    Some(found) => compare(&path, value, found, all),
                    None => all.push(format!("{path} is missing, expected {value}")),
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                all.push(format!("{path} has {} entries, expected {}", found.len(), expected.len()));
            }
            for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}/{place}"), expected, found, all);
            }
        }
        _ if expected == found => {}
        _ => all.push(format!("{path} is {found}, expected {expected}")),
    }
}

#[test]
fn a_lost_or_changed_value_is_a_difference_and_an_added_field_is_not() {
    let expected = json!({"a": [{"b": 1}], "c": "x"});
    assert_eq!(differences(&expected, &json!({"a": [{"b": 1, "new": 2}], "c": "x", "new": []})), [""; 0]);
    assert_eq!(
        differences(&expected, &json!({"a": [{"b": 2}, {}]})),
        ["/a has 2 entries, expected 1", "/a/0/b is 2, expected 1", "/c is missing, expected \"x\""]
    );
}
