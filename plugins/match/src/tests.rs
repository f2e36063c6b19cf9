//! The result of each operator: the rows are the specification.

use hookwright_sdk::testing::{self, Host, evaluate};
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
        (json!("2026-11-21"), "lt", json!("2026-11-21T09:00:00Z"), true),
        (json!("2026-11-21"), "equals", json!("2026-11-21T00:00:00Z"), false),
        (json!(null), "equals", json!(0), false),
        (json!(null), "equals", json!(false), false),
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
fn case_is_ignored_only_if_configured() {
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
fn the_reason_names_operator_expected_actual_and_path() {
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
            r#"data.status gt 5: it is "Open", which has no order with it: compare numbers, times or strings"#,
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
fn negated_operators_hold_for_a_missing_value() {
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
fn a_reason_is_abridged() {
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
        (json!({"path": "a", "equal": 1}), "`equal` is not an operator: use one of equals, not_equals"),
        (json!({"path": "a", "gt": [1]}), "`gt` is [1]: give a number"),
        (json!({"path": "a", "exists": "yes"}), "`exists` is \"yes\": give true or false"),
        (json!({"path": "a", "in": "yes"}), "`in` is \"yes\": give a list"),
        (json!({"path": "a", "matches": "(["}), "not a regular expression"),
        (json!({"path": "a", "starts_with": {}}), "give a string"),
        (json!({"path": "a", "equals": 1, "ignore_case": 1}), "`ignore_case` is 1"),
        (json!({"path": "a", "equals": "x", "as": "number"}), "`equals` is \"x\", which is not a number"),
        (json!({"path": "a", "gt": "soon", "as": "date"}), "`gt` is \"soon\", which is not a date"),
        (json!({"path": "a", "in": [1, "x"], "as": "number"}), "`in` is \"x\""),
        (json!({"path": "a", "equals": 1, "as": "int"}), "give one of number, text, date, boolean"),
        (json!({"path": "a", "exists": true, "as": "text"}), "by which `exists` does not compare"),
        (json!({"path": "a", "before": "soon"}), "`before` is \"soon\": give a date"),
        (json!({"path": "a", "older_than": "2 days"}), "`older_than` is \"2 days\": give a duration"),
        (json!({"path": "a", "older_than": 5}), "give a duration"),
        (json!({"path": "a", "changed": "yes"}), "`changed` is \"yes\": give true or false"),
        (json!({"value": 1, "changed": true}), "give its `path`"),
        (json!({"path": "a", "changed_to": 1, "equals": 1}), "two operators, `changed_to` and `equals`"),
        (json!({"path": "a", "any": 5}), "`any` is 5: give a test"),
        (json!({"path": "a", "any": []}), "`any` has 0 tests"),
        (json!({"path": "a", "any": {"path": "b"}}), "in `any`: no operator"),
        (json!({"path": "a", "any": {"value": 1, "equals": 1}}), "`value` is given in the test of an element"),
        (json!({"path": "a", "matches": "a".repeat(1001)}), "at most 1000"),
        (json!({"path": "a", "matches": "(a{1000}){1000}"}), "not a regular expression"),
        (json!("a"), "invalid type"),
    ] {
        let failure = ask(json!({}), parameters).unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
        assert!(failure.message.contains(said), "{}", failure.message);
    }
}

#[test]
fn the_schema_accepts_exactly_one_operator() {
    let schema = jsonschema::validator_for(&testing::schema::<Match>().unwrap()).unwrap();
    for good in [
        json!({"path": "a", "equals": null}),
        json!({"path": "a", ">=": "5"}),
        json!({"path": "a", "in": [1, "x"], "ignore_case": true}),
        json!({"path": "a", "exists": false}),
        json!({"path": "a", "gt": 5, "as": "date"}),
        json!({"path": "a", "within": "1d12h"}),
        json!({"path": "a", "changed_from": 1, "changed_to": null}),
        json!({"path": "a", "changed_from": 1}),
        json!({"path": "a", "any": {"path": "b", "gt": 5}}),
        json!({"path": "a", "all": [{"equals": 5}, {"any": {"exists": true}}]}),
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
        json!({"path": "a", "within": "5"}),
        json!({"path": "a", "equals": 1, "as": "int"}),
        json!({"path": "a", "changed": true, "changed_to": 1}),
        json!({"path": "a", "any": {"path": "b"}}),
        json!({"path": "a", "any": []}),
        json!({"path": "a", "any": [{"path": "b", "gt": 1, "lt": 5}]}),
        json!({"path": "a", "none": {"value": 1, "gt": 1}}),
    ] {
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}

#[test]
fn a_given_value_is_compared_instead_of_one_at_a_path() {
    let verdict = ask(json!({}), json!({"value": 7, "gt": 5})).unwrap();
    assert_eq!((verdict.holds, verdict.reason.as_str()), (true, "the value gt 5: it is 7"));
    assert!(!ask(json!({"v": 7}), json!({"value": "v", "equals": 7})).unwrap().holds);
    let both = ask(json!({}), json!({"value": 7, "path": "v", "equals": 7})).unwrap_err();
    assert!(both.message.contains("both given"), "{}", both.message);
}

#[test]
fn both_values_are_converted_to_the_type() {
    let rows: Vec<(Value, Value, bool, &str)> = vec![
        (json!("5.0"), json!({"equals": "5", "as": "number"}), true, r#"v equals "5" as number: it is "5.0""#),
        (json!("x"), json!({"gt": 5, "as": "number"}), false, r#"v gt 5 as number: it is "x", which is not a number"#),
        (json!("x"), json!({"not_equals": 5, "as": "number"}), true, "which is not a number"),
        (json!(null), json!({"in": [5], "as": "number"}), false, "it is null, which is not a number"),
        (json!(10), json!({"gt": "9", "as": "text"}), false, r#"v gt "9" as text: it is 10"#),
        (json!(true), json!({"equals": "true", "as": "text"}), true, "it is true"),
        (json!("true"), json!({"equals": true, "as": "boolean"}), true, "as boolean"),
        (json!(1), json!({"equals": true, "as": "boolean"}), false, "which is neither true nor false"),
        (json!("2026-11-21T10:00:00+01:00"), json!({"equals": "2026-11-21T09:00:00Z", "as": "date"}), true, "as date"),
        (json!(1_795_251_600), json!({"equals": "2026-11-21T09:00:00Z", "as": "date"}), true, "it is 1795251600"),
        (json!("2026-11-21"), json!({"gte": 1_795_219_200, "as": "date"}), true, "as date"),
        (json!("soon"), json!({"lt": "now", "as": "date"}), false, "which is not a date"),
        (json!(["5", 6]), json!({"contains": 5, "as": "number"}), true, "as number"),
        (json!("5"), json!({"gt": 4}), true, r#"v gt 4: it is "5", compared as numbers"#),
        (json!("2026-11-21"), json!({"lt": "2026-11-22"}), true, "compared as dates"),
        (json!(5), json!({"equals": "5"}), true, "compared as numbers"),
    ];
    for (value, mut parameters, holds, said) in rows {
        parameters["path"] = json!("v");
        let verdict = ask(json!({"v": value}), parameters).unwrap();
        assert!(verdict.holds == holds && verdict.reason.contains(said), "{value}: {verdict:?}");
    }
}

#[test]
fn no_digit_is_lost() {
    let mut event = testing::event("x", json!({}));
    event.data_json = r#"{"n": 123456789012345678901234567890.10, "list": [0.1000000000000000000001]}"#.into();
    for (parameters, holds) in [
        (json!({"path": "n", "equals": "123456789012345678901234567890.1", "as": "number"}), true),
        (json!({"path": "n", "equals": "123456789012345678901234567890.2"}), false),
        (json!({"path": "n", "gt": "123456789012345678901234567890.09", "as": "number"}), true),
        (json!({"path": "list", "contains": "0.1000000000000000000001", "as": "number"}), true),
        (json!({"path": "list", "contains": "0.1000000000000000000002", "as": "number"}), false),
        (json!({"path": "list", "any": {"lte": 0.1}}), false),
    ] {
        assert_eq!(evaluate::<Match>(&event, parameters.clone()).unwrap().holds, holds, "{parameters}");
    }
}

#[test]
fn a_date_is_before_or_after_now() {
    // The clock of the mock shows 2026-01-02T03:04:05.006Z.
    Host::default().install();
    for (value, operator, expected, holds) in [
        (json!("2026-01-02T03:04:05Z"), "before", "now", true),
        (json!("2026-01-02T03:04:06Z"), "after", "now", true),
        (json!("2026-01-01T03:00:00Z"), "before", "now-1d", true),
        (json!("2026-01-01T03:10:00Z"), "before", "now-1d", false),
        (json!("2026-01-02T04:30:00+01:00"), "after", "now+20m", true),
        (json!("2025-12-31"), "before", "2026-01-01", true),
        (json!(1_700_000_000), "before", "2026-01-01", true),
        (json!("2026-01-02T01:00:00Z"), "older_than", "2h", true),
        (json!("2026-01-02T01:30:00Z"), "older_than", "2h", false),
        (json!("2026-01-02T01:30:00Z"), "newer_than", "2h", true),
        (json!("2026-02-02T01:30:00Z"), "newer_than", "2h", true),
        (json!("2026-01-02T04:00:00Z"), "within", "1h", true),
        (json!("2026-01-02T02:10:00Z"), "within", "1h", true),
        (json!("2026-01-02T05:00:00Z"), "within", "1h", false),
        (json!("soon"), "within", "1h", false),
        (json!(null), "before", "now", false),
    ] {
        let verdict = ask(json!({"v": value}), json!({"path": "v", operator: expected})).unwrap();
        assert_eq!(verdict.holds, holds, "{}", verdict.reason);
    }
    let verdict = ask(json!({"v": "2026-01-01T03:04:05Z"}), json!({"path": "v", "older_than": "2d"})).unwrap();
    assert_eq!(verdict.reason, r#"v older_than "2d": it is "2026-01-01T03:04:05Z", now is 2026-01-02T03:04:05.006Z"#);
}

#[test]
fn a_change_is_found_by_the_field_s_name() {
    let updated = json!({"id": 7, "ticket": {"status": "closed", "stage": {"id": 2, "name": "B"}}, "changes": {
        "status": {"from": "open", "to": "closed"}, "stage": {"from": {"id": 1, "name": "A"}, "to": {"id": 2, "name": "A"}}}});
    let rows = [
        (
            "ticket.updated",
            json!({"path": "status", "changed": true}),
            true,
            r#"status changed true: it changed from "open" to "closed""#,
        ),
        ("ticket.updated", json!({"path": "data.ticket.status", "changed": true}), true, "it changed from"),
        ("ticket.updated", json!({"path": "event.data.status", "changed_to": "closed"}), true, ""),
        (
            "ticket.updated",
            json!({"path": "ticket.status", "changed_from": "open", "changed_to": "closed"}),
            true,
            r#"ticket.status changed_from "open" changed_to "closed""#,
        ),
        ("ticket.updated", json!({"path": "record.status", "changed_from": "new"}), false, r#"it changed from "open""#),
        ("ticket.updated", json!({"path": "status", "changed_to": "CLOSED", "ignore_case": true}), true, ""),
        (
            "ticket.updated",
            json!({"path": "urgency", "changed": true}),
            false,
            "it did not change; changed are stage, status",
        ),
        ("ticket.updated", json!({"path": "urgency", "changed": false}), true, "it did not change"),
        ("ticket.updated", json!({"path": "stage.id", "changed_to": 2}), true, "it changed from 1 to 2"),
        ("ticket.updated", json!({"path": "stage.name", "changed": true}), false, "this part of it is still \"A\""),
    ];
    for (event_type, parameters, holds, said) in rows {
        let verdict = evaluate::<Match>(&testing::event(event_type, updated.clone()), parameters).unwrap();
        assert!(verdict.holds == holds && verdict.reason.contains(said), "{verdict:?}");
    }
    let moved = json!({"id": 7, "deal": {}, "from": "a", "to": "b"});
    let rows = [
        ("deal.moved", json!({"path": "kanban_stage_id", "changed_to": "b"}), true, r#"it changed from "a" to "b""#),
        ("deal.moved", json!({"path": "deal.title", "changed": true}), false, "deal.moved reports the stage only"),
        ("ticket.team-changed", json!({"path": "team", "changed_from": "a"}), true, ""),
        ("ticket.team-changed", json!({"path": "status", "changed": true}), false, "reports team only"),
        (
            "request.major-incident-status-changed",
            json!({"path": "record.major_incident_status", "changed": true}),
            true,
            "",
        ),
    ];
    for (event_type, parameters, holds, said) in rows {
        let verdict = evaluate::<Match>(&testing::event(event_type, moved.clone()), parameters).unwrap();
        assert!(verdict.holds == holds && verdict.reason.contains(said), "{verdict:?}");
    }
    let created = testing::event("ticket.created", json!({"id": 7, "ticket": {"status": "open"}}));
    for (parameters, holds) in [
        (json!({"path": "status", "changed": true}), false),
        (json!({"path": "status", "changed": false}), true),
        (json!({"path": "status", "changed_to": "open"}), false),
    ] {
        let verdict = evaluate::<Match>(&created, parameters).unwrap();
        assert!(verdict.reason.ends_with("ticket.created is not an update: its data has no changes"), "{verdict:?}");
        assert_eq!(verdict.holds, holds);
    }
}

#[test]
fn elements_of_a_list_are_tested_until_the_result_is_known() {
    let data = json!({"items": [{"price": 5, "tags": ["a"]}, {"price": 150, "tags": ["b", "c"]}, {"tags": []}], "none": [], "text": "x"});
    for (parameters, holds, said) in [
        (
            json!({"path": "items", "any": {"path": "price", "gt": 100}}),
            true,
            "items any: element 1 does: price gt 100: it is 150",
        ),
        (
            json!({"path": "items", "any": {"path": "price", "gt": 1000}}),
            false,
            "none of 3 does; element 0: price gt 1000: it is 5",
        ),
        (
            json!({"path": "items", "all": {"path": "price", "gt": 1}}),
            false,
            "element 2 does not: price gt 1: price is missing: the element has tags",
        ),
        (json!({"path": "items", "all": {"path": "tags", "exists": true}}), true, "each of 3 does"),
        (json!({"path": "items", "none": {"path": "price", "lt": 10}}), false, "element 0 does: price lt 10: it is 5"),
        (json!({"path": "items", "none": {"path": "price", "lt": 0}}), true, "none of 3 does"),
        (
            json!({"path": "items", "any": {"path": "tags", "any": {"equals": "c"}}}),
            true,
            "element 1 does: tags any: element 1 does: it equals \"c\": it is \"c\"",
        ),
        (
            json!({"path": "items", "any": [{"path": "price", "gt": 1}, {"path": "tags", "contains": "b"}]}),
            true,
            "element 1 does: price gt 1: it is 150; tags contains \"b\": it is [\"b\",\"c\"]",
        ),
        (json!({"path": "items", "any": [{"path": "price", "lt": 10}, {"path": "tags", "contains": "b"}]}), false, ""),
        (json!({"path": "none", "any": {"exists": true}}), false, "the list is empty"),
        (json!({"path": "none", "all": {"exists": true}}), true, "the list is empty"),
        (json!({"path": "none", "none": {"exists": true}}), true, "the list is empty"),
        (json!({"path": "text", "any": {"exists": true}}), false, "text any: it is \"x\", which is not a list"),
        (json!({"path": "text", "none": {"exists": true}}), true, "which is not a list"),
        (json!({"path": "missing", "any": {"exists": true}}), false, "missing is missing: the event's data has"),
        (json!({"value": [1, 2], "any": {"equals": 2}}), true, "the value any: element 1 does"),
    ] {
        let verdict = ask(data.clone(), parameters.clone()).unwrap();
        assert!(verdict.holds == holds && verdict.reason.contains(said), "{parameters}: {verdict:?}");
    }
}

#[test]
fn a_value_that_the_host_read_from_a_record_is_compared() {
    let data = json!({"ticket": {"urgency": "low"}});
    let with = |found: Value| json!({"path": "ticket.urgency", "equals": "high", "found": found});
    for (found, holds, said) in [
        (json!({"value": "high"}), true, r#"ticket.urgency equals "high": it is "high""#),
        (json!({"missing": "ticket.urgency is missing: ticket has id"}), false, "is missing: ticket has id"),
        (json!({"no_record": "there is no ticket/7"}), false, "it is \"low\""),
    ] {
        let verdict = ask(data.clone(), with(found)).unwrap();
        assert!(verdict.holds == holds && verdict.reason.contains(said), "{verdict:?}");
    }
    let verdict = ask(json!({}), with(json!({"no_record": "ticket.urgency is missing: why"}))).unwrap();
    assert!(!verdict.holds && verdict.reason.ends_with("ticket.urgency is missing: why"), "{verdict:?}");
}

#[test]
fn hostile_input_is_cheap() {
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let mut event = testing::event("x", json!({}));
    event.data_json =
        format!("{{\"deep\": {deep}, \"long\": {:?}, \"many\": [{}0]}}", "a".repeat(300_000), "0,".repeat(100_000));
    let nested = (0..5).fold(json!({"exists": true}), |test, _| json!({"any": test}));
    for (parameters, said) in [
        (json!({"path": "long", "matches": "a+b"}), "at most 262144"),
        (json!({"path": "many", "all": {"gt": 5}}), "100001 elements, of which at most 100000"),
        (json!({"path": "deep", "equals": serde_json::from_str::<Value>(&deep).unwrap()}), "it is [[["),
    ] {
        assert!(evaluate::<Match>(&event, parameters).unwrap().reason.contains(said));
    }
    let mut parameters = nested;
    parameters["path"] = json!("deep");
    assert!(evaluate::<Match>(&event, parameters.clone()).unwrap().holds);
    let failure = evaluate::<Match>(&event, json!({"path": "deep", "any": parameters})).unwrap_err();
    assert!(failure.message.contains("5 lists deep"), "{}", failure.message);
}
