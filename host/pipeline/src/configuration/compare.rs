//! What differs between two shapes.

use serde::Serialize;
use serde_json::{Map, Value};

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The path to it, such as `then[0].with.id`.
    pub path: String,
    /// What is there; none: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is to be there; none: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// The fields in which two shapes differ, in the order in which they stand.
pub(super) fn differences(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<FieldChange> {
    let mut found = Vec::new();
    members("", from, to, &mut found);
    found
}

fn members(path: &str, from: &Map<String, Value>, to: &Map<String, Value>, found: &mut Vec<FieldChange>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, to) in to {
        values(join(name), from.get(name), Some(to), found);
    }
    for (name, from) in from.iter().filter(|(name, _)| !to.contains_key(*name)) {
        values(join(name), Some(from), None, found);
    }
}

fn values(path: String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldChange>) {
    match (from, to) {
        (Some(from), Some(to)) if same(from, to) => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => members(&path, from, to, found),
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            for place in 0..from.len().max(to.len()) {
                values(format!("{path}[{place}]"), from.get(place), to.get(place), found);
            }
        }
        (from, to) => found.push(FieldChange { path, from: from.cloned(), to: to.cloned() }),
    }
}

/// Whether two values are the same; 1 and 1.0 are, since files do not tell them apart.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64())),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_named_once() {
        let from = json!({"name": "a", "on": ["x", "y"], "then": [{"with": {"id": 1, "old": true}}], "gone": 1});
        let to = json!({"name": "a", "on": ["x"], "then": [{"with": {"id": 2}}], "rate": {"requests": 1.0}});
        let (Value::Object(from), Value::Object(to)) = (from, to) else { panic!("no objects") };
        let found = differences(&from, &to);
        let shown: Vec<(&str, String, String)> = found
            .iter()
            .map(|change| {
                let text = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
                (change.path.as_str(), text(&change.from), text(&change.to))
            })
            .collect();
        let row = |path, from: &str, to: &str| (path, from.to_owned(), to.to_owned());
        assert_eq!(
            shown,
            [
                row("on[1]", "\"y\"", "-"),
                row("then[0].with.id", "1", "2"),
                row("then[0].with.old", "true", "-"),
                row("rate", "-", "{\"requests\":1.0}"),
                row("gone", "1", "-"),
            ]
        );
    }

    #[test]
    fn the_order_of_members_and_the_form_of_numbers_are_no_difference() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let from = object(json!({"a": 1, "b": {"c": 0.2, "d": []}}));
        let to = object(json!({"b": {"d": [], "c": 0.2}, "a": 1.0}));
        assert!(differences(&from, &to).is_empty());
    }
}
