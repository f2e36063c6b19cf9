//! Where the results of two versions for the same call differ.

use hookwright_foundation::json_diff;
use hookwright_foundation::json_diff::Difference;
use serde::Serialize;
use serde_json::{Value, json};

/// How many differences of one call are reported.
const MAX_DIFFERENCES: usize = 20;

/// The size up to which a value is shown whole, in bytes of JSON.
const MAX_SHOWN_BYTES: usize = 1000;

/// One place where two versions differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The path: `outcome`, `result.total`, `effects[0].detail.status.to`.
    pub path: String,
    /// The value of the version in use. `None`: it has none there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// The value of the candidate. `None`: it has none there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Value>,
}

/// Where two results differ, at most 20 places of them. Reasons, which are for people, count only if `reasons`.
pub(crate) fn differences(live: &Value, candidate: &Value, reasons: bool) -> Vec<Part> {
    let found = match (live, candidate) {
        (Value::Object(live), Value::Object(candidate)) => {
            json_diff::members(live, candidate, MAX_DIFFERENCES, |name| reasons || name != "reason")
        }
        _ => json_diff::values(live, candidate, MAX_DIFFERENCES),
    };
    let part = |one: Difference<'_>| Part { path: one.path, live: one.first.map(cut), candidate: one.second.map(cut) };
    found.into_iter().map(part).collect()
}

/// A value; or, if it is large, its size and its beginning.
fn cut(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= MAX_SHOWN_BYTES {
        return value.clone();
    }
    let begins: String = text.chars().take(200).collect();
    json!({"bytes": text.len(), "begins": begins})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(live: &Value, candidate: &Value, reasons: bool) -> Vec<String> {
        differences(live, candidate, reasons).into_iter().map(|part| part.path).collect()
    }

    #[test]
    fn what_differs_is_named_by_its_path() {
        let live = json!({"outcome": "done", "reason": "a", "result": {"n": 1, "gone": true}, "effects": [{"k": 1}]});
        let candidate = json!({"outcome": "done", "reason": "b", "result": {"n": 2}, "effects": [{"k": 1}, {"k": 2}]});
        assert_eq!(paths(&live, &candidate, false), ["result.n", "result.gone", "effects[1]"]);
        assert_eq!(paths(&live, &candidate, true), ["reason", "result.n", "result.gone", "effects[1]"]);
        assert_eq!(paths(&live, &live, true), [""; 0]);
        let found = differences(&live, &candidate, false);
        assert_eq!((&found[1].live, &found[1].candidate), (&Some(json!(true)), &None));
    }

    #[test]
    fn a_number_in_another_form_is_no_difference() {
        assert_eq!(paths(&json!({"result": {"n": 1}}), &json!({"result": {"n": 1.0}}), true), [""; 0]);
    }

    #[test]
    fn differences_are_bounded_in_number_and_size() {
        let many: Value = (0..100).map(|n| json!(n)).collect();
        assert_eq!(differences(&json!({"a": many}), &json!({"a": []}), false).len(), MAX_DIFFERENCES);
        let long = json!({"a": "x".repeat(5000)});
        let found = differences(&long, &json!({"a": 1}), false);
        assert_eq!(found[0].live.as_ref().unwrap()["bytes"], 5002);
    }

    #[test]
    fn values_that_are_not_objects_differ_as_a_whole() {
        let part =
            |live: Value, candidate: Value| Part { path: String::new(), live: Some(live), candidate: Some(candidate) };
        for (live, candidate) in [(json!("a"), json!("b")), (json!({"a": 1}), json!([1])), (json!(null), json!(false))]
        {
            assert_eq!(differences(&live, &candidate, false), [part(live.clone(), candidate.clone())]);
        }
    }

    #[test]
    fn the_beginning_of_a_large_value_is_cut_between_characters() {
        let found = differences(&json!({"a": "\u{e9}".repeat(2000)}), &json!({"a": 1}), false);
        let begins = found[0].live.as_ref().unwrap()["begins"].as_str().unwrap();
        assert_eq!(begins.chars().count(), 200);
        assert!(begins.ends_with('\u{e9}'));
    }
}
