//! The results of expressions: the rows are the specification.

use hookwright_sdk::testing::{self, evaluate};
use hookwright_sdk::{Event, Failure, Verdict};
use serde_json::{Value, json};

use crate::Cel;

fn event() -> Event {
    let mut event = testing::event(
        "order.paid",
        json!({
            "amount": 150, "rate": 1.5, "big": u64::MAX, "name": "Ada", "tags": ["vip", "new"], "none": null,
            "items": [{"sku": "A", "n": 1}, {"sku": "B", "n": 9}], "odd name": 1, "due": "2026-01-03T00:00:00Z",
            "map": {"a": 1},
        }),
    );
    event.source = "shop".into();
    event.attributes = vec![("content-type".into(), "application/json".into())];
    event
}

fn ask(expression: &str) -> Result<Verdict, Failure> {
    testing::Host::default().install();
    evaluate::<Cel>(&event(), json!({"expression": expression}))
}

#[test]
fn an_expression_holds_or_does_not() {
    for (expression, expected) in [
        ("true", true),
        ("event.type == 'order.paid' && event.source == 'shop' && event.id == 'evt_1'", true),
        ("event.data.amount > 100 && event.type.startsWith('order.')", true),
        ("data.amount > 100.5", true),
        ("data.amount < 100", false),
        ("data.amount == 150.0", true),
        ("data.rate * 2.0 == 3.0", true),
        ("data.amount / 100 == 1", true),
        ("data.big == 18446744073709551615u", true),
        ("data.name in ['Ada', 'Bob']", true),
        ("'vip' in data.tags", true),
        ("'a' in data.map", true),
        ("size(data.tags) == 2 && data.name.size() == 3", true),
        ("data.items.exists(i, i.sku == 'B' && i.n > 5)", true),
        ("data.items.all(i, i.n > 5)", false),
        ("data.items.exists_one(i, i.n == 1)", true),
        ("data.items.filter(i, i.n > 5).map(i, i.sku) == ['B']", true),
        ("data.items[1].sku == 'B'", true),
        ("data['odd name'] == 1", true),
        ("has(data.name) && !has(data.missing)", true),
        ("has(data.none) && data.none == null", true),
        ("event.subject == null", true),
        ("event.attributes['content-type'] == 'application/json'", true),
        ("data.?missing.orValue(5) == 5", true),
        ("data.name.matches('^A[a-z]+$')", true),
        ("matches(data.name, 'd')", true),
        ("data.name.contains('d') && data.name.endsWith('a')", true),
        ("(data.amount > 100 ? 'big' : 'small') == 'big'", true),
        ("int('5') + 1 == 6 && string(5) == '5' && double('1.5') == 1.5", true),
        ("type(data.amount) == int && type(data.rate) == double && type(now) == google.protobuf.Timestamp", true),
        ("data == event.data", true),
        ("'{{not a variable}}'.size() == 18", true),
    ] {
        let verdict = ask(expression).unwrap_or_else(|failure| panic!("{expression}: {}", failure.message));
        assert_eq!(verdict.holds, expected, "{}", verdict.reason);
    }
}

#[test]
fn times_and_durations_are_values() {
    for expression in [
        "now == timestamp('2026-01-02T03:04:05.006Z')",
        "event.time == now",
        "timestamp(data.due) > now",
        "timestamp(data.due) - now < duration('24h')",
        "now + duration('1h') > now && now - duration('1h') < now",
        "duration('1h') + now == now + duration('60m')",
        "duration('90m') - duration('30m') == duration('1h')",
        "duration('1h30m').getMinutes() == 90 && duration('1h30m').getHours() == 1 && duration('90s').getSeconds() == 90",
        "duration('1.5s').getMilliseconds() == 1500",
        "string(duration('1h')) == '3600s' && string(now) == '2026-01-02T03:04:05.006Z'",
        "timestamp('2024-06-01T12:00:00.000+0000') == timestamp(1717243200) && timestamp(1717243200000) == timestamp(1717243200)",
        "timestamp('2015-04-12 14:53:17 UTC') == timestamp('Sun, 12 Apr 2015 14:53:17 GMT')",
        "int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
        "now.getFullYear() == 2026 && now.getMonth() == 0 && now.getDate() == 2 && now.getDayOfMonth() == 1",
        "now.getHours() == 3 && now.getMinutes() == 4 && now.getSeconds() == 5 && now.getMilliseconds() == 6",
        // 2 January 2026 is a Friday.
        "now.getDayOfWeek() == 5 && now.getDayOfYear() == 1",
        "now.getHours('-04:00') == 23 && now.getDate('-04:00') == 1 && now.getFullYear('-04:00') == 2026",
        "now.getHours('+05:30') == 8 && now.getMinutes('+05:30') == 34 && now.getHours('UTC') == 3",
        "timestamp('2026-12-31T23:59:59Z').getDayOfYear() == 364 && timestamp('2024-12-31T00:00:00Z').getDayOfYear() == 365",
        "timestamp(timestamp('2026-01-01T00:00:00Z')) == timestamp('2026-01-01T01:00:00+01:00')",
        "duration(duration('1s')) == duration('1000ms') && duration('-1s') < duration('0')",
    ] {
        let verdict = ask(expression).unwrap_or_else(|failure| panic!("{expression}: {}", failure.message));
        assert!(verdict.holds, "{}", verdict.reason);
    }
}

#[test]
fn the_reason_shows_the_values_that_the_expression_mentions() {
    for (expression, reason) in [
        ("data.amount > 100", "data.amount > 100 is true: data.amount is 150"),
        (
            "event.type == 'x' || data['odd name'] == 2",
            r#"is false: event.type is "order.paid", data["odd name"] is 1"#,
        ),
        ("data.items[1].sku == 'A'", r#"is false: data.items[1].sku is "B""#),
        ("has(data.x.y)", "is missing"),
        ("has(data.missing)", "has(data.missing) is false: data.missing is missing"),
        ("data.items.exists(data, data.n > 50)", r#"is false: data.items is [{"n":1,"sku":"A"},{"n":9,"sku":"B"}]"#),
        ("event.attributes['content-type'] == ''", r#"event.attributes["content-type"] is "application/json""#),
        ("now < timestamp(data.due)", r#"now is 2026-01-02T03:04:05.006Z, data.due is "2026-01-03T00:00:00Z""#),
        ("data.amount == data.amount", "is true: data.amount is 150"),
        ("1 == 2", "1 == 2 is false"),
    ] {
        let verdict = ask(expression).unwrap();
        assert!(verdict.reason.contains(reason), "{expression}: {}", verdict.reason);
    }
}

#[test]
fn a_missing_value_makes_the_condition_false() {
    for (expression, said) in [
        ("data.missing > 5", "data.missing is missing"),
        ("!(data.missing == 1)", "the event lacks a value"),
        ("event.data.user.name == 'x'", "event.data.user.name is missing"),
        ("data.none.name == 'x'", "data.none.name is missing"),
        ("data.items[7].sku == 'A'", "data.items[7].sku is missing"),
        ("event.nothing == 1", "event.nothing is missing"),
        ("data.items.exists(i, i.price > 5)", "No such key: price"),
    ] {
        let verdict = ask(expression).unwrap_or_else(|failure| panic!("{expression}: {}", failure.message));
        assert!(!verdict.holds && verdict.reason.contains(said), "{expression}: {}", verdict.reason);
    }
    assert!(ask("data.missing > 5 || data.amount > 5").unwrap().holds);
}

#[test]
fn an_expression_that_cannot_be_evaluated_is_a_failure() {
    for (expression, code, said) in [
        ("data.amount", "expression.not_boolean", "is of type int, and must be true or false: data.amount is 150"),
        ("'true'", "expression.not_boolean", "is of type string"),
        ("data.name > 5", "expression.failed", "no matching overload"),
        ("data.amount / 0 == 1", "expression.failed", "zero"),
        ("data.name.matches('(')", "expression.failed", "not a regular expression"),
        ("timestamp('yesterday') < now", "expression.failed", "not a date with an offset"),
        ("timestamp(999999999999999) < now", "expression.failed", "not in the years 1 to 9999"),
        ("duration('5 days') > duration('1s')", "expression.failed", "not a duration"),
        ("now.getHours('Europe/Berlin') == 1", "expression.failed", "write an offset"),
        ("now + now == now", "expression.failed", "overload"),
        ("timestamp('9999-12-31T23:00:00Z') + duration('2h') > now", "expression.failed", "beyond what a timestamp"),
        (
            "timestamp('9999-12-31T23:00:00Z') - timestamp('0001-01-01T00:00:00Z') > duration('1s')",
            "expression.failed",
            "beyond",
        ),
        ("duration('2562047h') + duration('2562047h') > duration('1s')", "expression.failed", "beyond"),
        ("nothing == 1", "expression.invalid", "there is no `nothing`. Variables are event, data and now"),
        ("nothing(1)", "expression.invalid", "there is no `nothing`"),
        ("", "expression.invalid", "line 1, column 1"),
        ("data.amount >", "expression.invalid", "line 1"),
        ("true &&\n  )", "expression.invalid", "line 2, column 3"),
        ("'open", "expression.invalid", "line 1"),
    ] {
        let failure = ask(expression).err().unwrap_or_else(|| panic!("{expression} was answered"));
        assert_eq!(failure.code, code, "{expression}: {}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{expression}: {}", failure.message);
    }
}

#[test]
fn an_expression_nested_without_end_is_refused() {
    for expression in [
        "(".repeat(10_000),
        "[".repeat(10_000),
        "{".repeat(10_000),
        "a?".repeat(8000),
        "-".repeat(16_000),
        "a(".repeat(8000),
        format!("{}1{}", "[".repeat(500), "]".repeat(500)),
        format!("{} > 1", vec!["1"; 1000].join(" + ")),
        format!("data{} == 1", ".a".repeat(1000)),
        format!("data{} == 1", ".a".repeat(8000)),
        format!("1{} == 1", "+1".repeat(8000)),
        format!("data{} == 1", ".a".repeat(100_000)),
    ] {
        let failure = ask(&expression).unwrap_err();
        assert_eq!(failure.code, "expression.invalid", "{}", failure.message);
    }
    // What is long without being deep is fine.
    let list = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    assert!(ask(&format!("data.amount in [{list}]")).unwrap().holds);
    assert!(ask(&vec!["data.amount > 1"; 150].join(" && ")).unwrap().holds);
}

#[test]
fn an_expression_is_read_once_while_it_stays_the_same() {
    let first = crate::program::compiled("1 == 1").unwrap();
    assert!(std::rc::Rc::ptr_eq(&first, &crate::program::compiled("1 == 1").unwrap()));
    assert!(!std::rc::Rc::ptr_eq(&first, &crate::program::compiled("1 == 2").unwrap()));
}

#[test]
fn a_payload_that_is_not_an_object_is_a_value() {
    for (data, expression) in [
        (json!("text"), "data == 'text'"),
        (json!([1, 2]), "data[0] == 1 && data.exists(n, n == 2)"),
        (json!(null), "data == null"),
    ] {
        let event = testing::event("x", data);
        assert!(evaluate::<Cel>(&event, json!({"expression": expression})).unwrap().holds, "{expression}");
    }
}

#[test]
fn the_schema_marks_the_expression_as_verbatim() {
    let schema = testing::schema::<Cel>().unwrap();
    assert_eq!(schema["properties"]["expression"]["x-hookwright-verbatim"], Value::Bool(true));
}
