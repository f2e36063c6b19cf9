//! What two versions made of the same call, beside one another.

use serde::Serialize;
use serde_json::{Value, json};

/// How many differences of one call are told of.
const MOST: usize = 20;
/// How large a value may be that is shown whole, in bytes of JSON.
const SHOWN: usize = 1000;

/// One place where two versions differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Where: `outcome`, `result.total`, `effects[0].detail.status.to`.
    pub path: String,
    /// What the version in use has there; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// What the candidate has there; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Value>,
}

/// Where two results differ, at most 20 places of them. Reasons, which are for people, count only if `reasons`.
pub(crate) fn differences(live: &Value, candidate: &Value, reasons: bool) -> Vec<Part> {
    let mut found = Vec::new();
    if let (Value::Object(live), Value::Object(candidate)) = (live, candidate) {
        let names = live.keys().chain(candidate.keys().filter(|name| !live.contains_key(*name)));
        for name in names {
            if reasons || name != "reason" {
                compare(name.clone(), live.get(name), candidate.get(name), &mut found);
            }
        }
    } else {
        compare(String::new(), Some(live), Some(candidate), &mut found);
    }
    found
}

fn compare(path: String, live: Option<&Value>, candidate: Option<&Value>, found: &mut Vec<Part>) {
    if found.len() >= MOST || live == candidate {
        return;
    }
    match (live, candidate) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                compare(format!("{path}.{name}"), one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for place in 0..one.len().max(other.len()) {
                compare(format!("{path}[{place}]"), one.get(place), other.get(place), found);
            }
        }
        _ => found.push(Part { path, live: live.map(cut), candidate: candidate.map(cut) }),
    }
}

/// A value, or how large it is and how it begins.
fn cut(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= SHOWN {
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
    fn differences_are_bounded_in_number_and_size() {
        let many: Value = (0..100).map(|n| json!(n)).collect();
        assert_eq!(differences(&json!({"a": many}), &json!({"a": []}), false).len(), MOST);
        let long = json!({"a": "x".repeat(5000)});
        let found = differences(&long, &json!({"a": 1}), false);
        assert_eq!(found[0].live.as_ref().unwrap()["bytes"], 5002);
    }
}
