//! The differences between two shapes.

use hookwright_foundation::json_diff;
use hookwright_foundation::json_diff::Difference;
use serde::Serialize;
use serde_json::{Map, Value};

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The path to it, such as `then[0].with.id`.
    pub path: String,
    /// The present value. `None`: the field is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The new value. `None`: the field is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// The fields in which two shapes differ, in their order.
pub(crate) fn differences(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<FieldChange> {
    let found = json_diff::members(to, from, usize::MAX, |_| true);
    let change =
        |one: Difference<'_>| FieldChange { path: one.path, from: one.second.cloned(), to: one.first.cloned() };
    found.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // The tests of `json_diff` specify which paths differ. Here: `from` is the first shape, `to` the second one, and
    // fields that only the first one has come last.
    #[test]
    fn a_change_leads_from_the_first_shape_to_the_second() {
        let from = json!({"gone": 1, "then": [{"with": {"id": 1}}]});
        let to = json!({"then": [{"with": {"id": 2}}], "rate": {"requests": 1.0}});
        let (Value::Object(from), Value::Object(to)) = (from, to) else { panic!("objects expected") };
        let change = |path: &str, from, to| FieldChange { path: path.to_owned(), from, to };
        assert_eq!(
            differences(&from, &to),
            [
                change("then[0].with.id", Some(json!(1)), Some(json!(2))),
                change("rate", None, Some(json!({"requests": 1.0}))),
                change("gone", Some(json!(1)), None),
            ]
        );
        let many = |value: u64| (0..1000_u64).map(|n| (n.to_string(), json!(value))).collect::<Map<_, _>>();
        assert_eq!(differences(&many(1), &many(2)).len(), 1000, "all of them are listed");
    }
}
