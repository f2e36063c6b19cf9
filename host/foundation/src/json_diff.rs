//! Where two JSON values differ. Numbers are compared by their value, so `1` and `1.0` are equal (RFC 8259 assigns them no
//! different meaning), and the order of members does not count.

use hookwright_model::json::same_number;
use serde_json::{Map, Value};

/// One place at which two values differ.
#[derive(Debug, PartialEq)]
pub struct Difference<'v> {
    /// The path to it, such as `then[0].with.id`; empty for the whole value.
    pub path: String,
    /// What the first value has there.
    pub first: Option<&'v Value>,
    /// What the second value has there.
    pub second: Option<&'v Value>,
}

/// The places at which two values differ, at most `limit` of them. Members of the first value come before those that only
/// the second one has.
pub fn values<'v>(first: &'v Value, second: &'v Value, limit: usize) -> Vec<Difference<'v>> {
    let mut finder = Finder { found: Vec::new(), limit };
    finder.value(String::new(), Some(first), Some(second));
    finder.found
}

/// The same for the members of two objects, of which only those count whose names do.
pub fn members<'v>(
    first: &'v Map<String, Value>,
    second: &'v Map<String, Value>,
    limit: usize,
    counts: impl Fn(&str) -> bool,
) -> Vec<Difference<'v>> {
    let mut finder = Finder { found: Vec::new(), limit };
    finder.members("", first, second, counts);
    finder.found
}

struct Finder<'v> {
    found: Vec<Difference<'v>>,
    limit: usize,
}

impl<'v> Finder<'v> {
    fn members(
        &mut self,
        path: &str,
        first: &'v Map<String, Value>,
        second: &'v Map<String, Value>,
        counts: impl Fn(&str) -> bool,
    ) {
        let only_second = second.keys().filter(|name| !first.contains_key(*name));
        for name in first.keys().chain(only_second).filter(|name| counts(name)) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.value(path, first.get(name), second.get(name));
        }
    }

    fn value(&mut self, path: String, first: Option<&'v Value>, second: Option<&'v Value>) {
        if self.found.len() >= self.limit {
            return;
        }
        match (first, second) {
            (Some(first), Some(second)) if equal(first, second) => {}
            (Some(Value::Object(first)), Some(Value::Object(second))) => self.members(&path, first, second, |_| true),
            (Some(Value::Array(first)), Some(Value::Array(second))) => {
                for index in 0..first.len().max(second.len()) {
                    self.value(format!("{path}[{index}]"), first.get(index), second.get(index));
                }
            }
            (first, second) => self.found.push(Difference { path, first, second }),
        }
    }
}

/// Whether two values are equal.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(&a.to_string(), &b.to_string()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_that_differs_is_named_once() {
        let first = json!({"name": "a", "on": ["x"], "then": [{"with": {"id": 2}}], "rate": {"requests": 1.0}});
        let second = json!({"name": "a", "on": ["x", "y"], "then": [{"with": {"id": 1, "old": true}}], "gone": 1});
        let found = values(&first, &second, 100);
        let shown: Vec<(&str, String, String)> = found
            .iter()
            .map(|one| {
                let text = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
                (one.path.as_str(), text(one.first), text(one.second))
            })
            .collect();
        let row = |path, first: &str, second: &str| (path, first.to_owned(), second.to_owned());
        assert_eq!(
            shown,
            [
                row("on[1]", "-", "\"y\""),
                row("then[0].with.id", "2", "1"),
                row("then[0].with.old", "-", "true"),
                row("rate", "{\"requests\":1.0}", "-"),
                row("gone", "-", "1"),
            ]
        );
    }

    #[test]
    fn the_order_of_members_and_the_form_of_numbers_are_no_difference() {
        let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for (first, second) in [
            (json!({"a": 1, "b": {"c": 0.2, "d": []}}), json!({"b": {"d": [], "c": 0.2}, "a": 1.0})),
            (json!([[1]]), json!([[1.0]])),
            (number("300"), number("3.00e2")),
            (json!(null), json!(null)),
        ] {
            assert_eq!(values(&first, &second, 100), [], "{first} {second}");
        }
        for (first, second) in [("1", "\"1\""), ("12345678901234567890.1", "12345678901234567890.2"), ("null", "{}")] {
            assert_eq!(values(&number(first), &number(second), 100).len(), 1, "{first} {second}");
        }
    }

    #[test]
    fn differences_are_bounded_in_number() {
        let many: Value = (0..100).map(|n| json!({"n": n})).collect();
        assert_eq!(values(&many, &json!([]), 20).len(), 20);
    }

    #[test]
    fn only_members_that_count_are_compared_and_all_members_within_them() {
        let first = json!({"reason": "a", "result": {"reason": 1}});
        let second = json!({"reason": "b", "result": {"reason": 2}});
        let (Value::Object(first), Value::Object(second)) = (&first, &second) else { panic!("objects expected") };
        let found = members(first, second, 100, |name| name != "reason");
        assert_eq!(found.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["result.reason"]);
    }
}
