//! What each operator says of which values: the rows are the specification.

use hookwright_sdk::testing::{self, evaluate};
use hookwright_sdk::{Failure, Verdict};
use serde_json::{Value, json};

use crate::Match;

fn ask(data: Value, parameters: Value) -> Result<Verdict, Failure> {
    let mut event = testing::event("ticket.updated", data);
    event.source = "jira".into();
    evaluate::<Match>(&event, parameters)
}

fn holds(value: &Value, operator: &str, expected: &Value) -> bool {
    ask(json!({"v": value}), json!({"path": "v", operator: expected})).unwrap().holds
}

#[test]
fn operators_hold_for_these_values_and_not_for_those() {
    let rows: Vec<(Value, &str, Value, bool)> = vec![
        (json!("Closed"), "equals", json!("Closed"), true),
        (json!("Closed"), "=", json!("closed"), false),
        (json!(5), "equals", json!(5.0), true),
        (json!("5"), "equals", json!(5), true),
        (json!(5), "equals", json!("5"), true),
        (json!("5"), "equals", json!("5.0"), false),
        (json!("true"), "equals", json!(true), false),
        (json!(null), "equals", json!(null), true),
        (json!([1, {"a": 2}]), "equals", json!([1.0, {"a": 2}]), true),
        (json!({"a": 1}), "equals", json!({"a": 1, "b": 2}), false),
        (json!(18_446_744_073_709_551_615_u64), "equals", json!(18_446_744_073_709_551_614_u64), false),
        (json!("Open"), "not_equals", json!("Closed"), true),
        (json!("Closed"), "!=", json!("Closed"), false),
        (json!(10), "gt", json!(9), true),
        (json!(10), ">", json!(10), false),
        (json!(10), ">=", json!(10), true),
        (json!(9.5), "lt", json!(10), true),
        (json!(10), "<=", json!(9), false),
        (json!("10"), "gt", json!(9), true),
        (json!("10"), "gt", json!("9"), true),
        (json!("b"), "gt", json!("a"), true),
        (json!("x"), "gt", json!(1), false),
        (json!("nan"), "lt", json!("oak"), true),
        (json!({}), "gt", json!(1), false),
        (json!("2026-11-21T09:30:00Z"), "lt", json!("2026-11-21T10:00:00+01:00"), false),
        (json!("2026-11-21T09:30:00+01:00"), "lt", json!("2026-11-21T09:00:00Z"), true),
        (json!("2026-11-21"), "gte", json!("2026-02-01"), true),
        (json!("a printer"), "contains", json!("print"), true),
        (json!("order 66"), "contains", json!(66), true),
        (json!(["a", "b"]), "contains", json!("b"), true),
        (json!([1, 2]), "contains", json!("2"), true),
        (json!({"key": 1}), "contains", json!("key"), true),
        (json!({"key": 1}), "contains", json!("other"), false),
        (json!(7), "contains", json!(7), false),
        (json!(["a"]), "not_contains", json!("b"), true),
        (json!("abc"), "not_contains", json!("b"), false),
        (json!("JIRA-12"), "starts_with", json!("JIRA-"), true),
        (json!("JIRA-12"), "ends_with", json!(12), true),
        (json!(["x"]), "starts_with", json!("x"), false),
        (json!("JIRA-12"), "matches", json!("^[A-Z]+-[0-9]+$"), true),
        (json!("jira-12"), "regex", json!("^[A-Z]+-"), false),
        (json!(503), "matches", json!("^5"), true),
        (json!(null), "exists", json!(true), true),
        (json!(1), "exists", json!(false), false),
        (json!("Done"), "in", json!(["Closed", "Done"]), true),
        (json!(3), "in", json!(["1", "2"]), false),
        (json!("Open"), "not_in", json!(["Closed", "Done"]), true),
        (json!("Done"), "not_in", json!(["Done"]), false),
    ];
    for (value, operator, expected, wanted) in rows {
        assert_eq!(holds(&value, operator, &expected), wanted, "{value} {operator} {expected}");
    }
}

#[test]
fn case_is_ignored_only_when_asked_for() {
    for (value, operator, expected) in [
        (json!("CLOSED"), "equals", json!("closed")),
        (json!("A Printer"), "contains", json!("pRINT")),
        (json!(["A", "B"]), "contains", json!("b")),
        (json!({"Key": 1}), "contains", json!("kEY")),
        (json!("JIRA-1"), "starts_with", json!("jira")),
        (json!("x.PDF"), "ends_with", json!(".pdf")),
        (json!("JIRA"), "matches", json!("^j")),
        (json!("DONE"), "in", json!(["done"])),
        (json!("ÄRGER"), "equals", json!("ärger")),
    ] {
        assert!(!holds(&value, operator, &expected), "{value} {operator} {expected}");
        let ignoring = ask(json!({"v": value}), json!({"path": "v", operator: expected, "ignore_case": true})).unwrap();
        assert!(ignoring.holds, "{}", ignoring.reason);
    }
}

#[test]
fn the_reason_tells_operator_expected_actual_and_path() {
    for (parameters, reason) in [
        (
            json!({"path": "analytics_event.attributes.status", "equals": "Closed"}),
            r#"analytics_event.attributes.status equals "Closed": it is "Open""#,
        ),
        (json!({"path": "event.source", "!=": "jira"}), r#"event.source not_equals "jira": it is "jira""#),
        (
            json!({"path": "data.state", "equals": "Closed"}),
            r#"data.state equals "Closed": data.state is missing: data has priority, status"#,
        ),
        (
            json!({"path": "data.status", "gt": 5}),
            r#"data.status gt 5: it is "Open", which has no order with it: compare numbers, times or texts"#,
        ),
        (
            json!({"path": "status", "in": ["a", "b"], "ignore_case": true}),
            r#"status in ["a","b"] (ignoring case): it is "Open""#,
        ),
    ] {
        let verdict = ask(json!({"status": "Open", "priority": 2}), parameters).unwrap();
        assert_eq!(verdict.reason, reason);
        assert!(!verdict.holds);
    }
}

#[test]
fn where_nothing_is_the_negated_operators_hold() {
    for (operator, expected, wanted) in [
        ("equals", json!(null), false),
        ("not_equals", json!("x"), true),
        ("gt", json!(1), false),
        ("lt", json!(1), false),
        ("contains", json!("x"), false),
        ("not_contains", json!("x"), true),
        ("matches", json!(""), false),
        ("exists", json!(true), false),
        ("exists", json!(false), true),
        ("in", json!([null]), false),
        ("not_in", json!(["x"]), true),
    ] {
        let verdict = ask(json!({"a": 1}), json!({"path": "data.b", operator: expected})).unwrap();
        assert_eq!(verdict.holds, wanted, "{operator}");
        assert!(verdict.reason.contains("data.b is missing: data has a"), "{}", verdict.reason);
    }
}

#[test]
fn a_reason_stays_short_whatever_the_event_holds() {
    let data: Value = (0..5000)
        .map(|n| (format!("key number {n}"), json!("x".repeat(500))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for parameters in [
        json!({"path": "data", "equals": vec!["y"; 10_000]}),
        json!({"path": "z".repeat(1000), "equals": "x".repeat(5000)}),
    ] {
        let verdict = ask(data.clone(), parameters).unwrap();
        assert!(verdict.reason.len() <= 1024 + 300, "{}", verdict.reason.len());
    }
}

#[test]
fn parameters_that_cannot_be_meant_are_refused_with_the_remedy() {
    for (parameters, said) in [
        (json!({"equals": 1}), "`path` is missing"),
        (json!({"path": 7, "equals": 1}), "`path` is 7"),
        (json!({"path": "a..b", "equals": 1}), "empty name at byte 2"),
        (json!({"path": "a"}), "no operator beside `path`"),
        (json!({"path": "a", "equals": 1, "gt": 2}), "two operators, `equals` and `gt`"),
        (json!({"path": "a", "equal": 1}), "`equal` is no operator: use one of equals, not_equals"),
        (json!({"path": "a", "gt": [1]}), "`gt` is [1]: give a number"),
        (json!({"path": "a", "exists": "yes"}), "`exists` is \"yes\": give true or false"),
        (json!({"path": "a", "in": "yes"}), "`in` is \"yes\": give a list"),
        (json!({"path": "a", "matches": "(["}), "not a regular expression"),
        (json!({"path": "a", "starts_with": {}}), "give a text"),
        (json!({"path": "a", "equals": 1, "ignore_case": 1}), "`ignore_case` is 1"),
        (json!("a"), "invalid type"),
    ] {
        let failure = ask(json!({}), parameters).unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
        assert!(failure.message.contains(said), "{}", failure.message);
    }
}

#[test]
fn the_schema_takes_exactly_one_operator() {
    let schema = jsonschema::validator_for(&testing::schema::<Match>().unwrap()).unwrap();
    for good in [
        json!({"path": "a", "equals": null}),
        json!({"path": "a", ">=": "5"}),
        json!({"path": "a", "in": [1, "x"], "ignore_case": true}),
        json!({"path": "a", "exists": false}),
    ] {
        assert!(schema.is_valid(&good), "{good}");
    }
    for bad in [
        json!({"path": "a"}),
        json!({"equals": 1}),
        json!({"path": "a", "equals": 1, "not_equals": 2}),
        json!({"path": "a", "equals": 1, "=": 1}),
        json!({"path": "a", "ignore_case": true}),
        json!({"path": "a", "equal": 1}),
        json!({"path": "a", "exists": "yes"}),
        json!({"path": "a", "in": "x"}),
        json!({"path": "", "equals": 1}),
    ] {
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}

#[test]
fn a_value_that_is_given_is_compared_instead_of_one_at_a_path() {
    let verdict = ask(json!({}), json!({"value": 7, "gt": 5})).unwrap();
    assert_eq!((verdict.holds, verdict.reason.as_str()), (true, "the value gt 5: it is 7"));
    assert!(!ask(json!({"v": 7}), json!({"value": "v", "equals": 7})).unwrap().holds);
    let both = ask(json!({}), json!({"value": 7, "path": "v", "equals": 7})).unwrap_err();
    assert!(both.message.contains("both given"), "{}", both.message);
}
