//! Which pattern matches which event: the rows are the specification.

use hookwright_sdk::testing::{self, evaluate};
use hookwright_sdk::{Failure, Verdict};
use serde_json::{Value, json};

use crate::EventPattern;

fn ask(data: &Value, pattern: &Value) -> Result<Verdict, Failure> {
    let mut event = testing::event("order.paid", data.clone());
    event.source = "shop".into();
    evaluate::<EventPattern>(&event, json!({"pattern": pattern}))
}

/// Whether a list matches the value of `data.v`. `None` if there is no value.
fn takes(value: Option<&Value>, list: &Value) -> bool {
    let data = value.map_or_else(|| json!({}), |value| json!({"v": value}));
    ask(&data, &json!({"data": {"v": list}})).unwrap().holds
}

#[test]
fn a_list_matches_these_values_and_not_those() {
    let rows: Vec<(Value, Vec<Value>, Vec<Value>)> = vec![
        (json!(["a", "b"]), vec![json!("a"), json!("b")], vec![json!("A"), json!("c"), json!(""), json!(null)]),
        (json!([""]), vec![json!("")], vec![json!(null), json!(" "), json!(0)]),
        (json!([null]), vec![json!(null)], vec![json!(""), json!("null"), json!(0), json!(false)]),
        (json!([300]), vec![json!(300), json!(300.0), json!(3.0e2)], vec![json!("300"), json!(301)]),
        (json!([true]), vec![json!(true)], vec![json!(false), json!("true"), json!(1)]),
        (json!([u64::MAX]), vec![json!(u64::MAX)], vec![json!(u64::MAX - 1)]),
        (json!([{"prefix": "ap"}]), vec![json!("apple"), json!("ap")], vec![json!("Apple"), json!("a"), json!(5)]),
        (json!([{"prefix": ""}]), vec![json!(""), json!("x")], vec![json!(1), json!(null)]),
        (
            json!([{"prefix": {"equals-ignore-case": "ÄP"}}]),
            vec![json!("äpfel"), json!("ÄPFEL")],
            vec![json!("apfel"), json!("xäp")],
        ),
        (json!([{"suffix": ".png"}]), vec![json!("a.png")], vec![json!("a.PNG"), json!("png")]),
        (json!([{"suffix": {"equals-ignore-case": ".Png"}}]), vec![json!("a.PNG")], vec![json!("a.png.gz")]),
        (
            json!([{"equals-ignore-case": "Straße"}]),
            vec![json!("straße"), json!("STRAßE")],
            vec![json!("strasse"), json!("Straßen")],
        ),
        (json!([{"wildcard": "a*c"}]), vec![json!("abc"), json!("ac")], vec![json!("abcd"), json!(1)]),
        (json!([{"wildcard": "100\\*"}]), vec![json!("100*")], vec![json!("1000")]),
        (json!([{"anything-but": "a"}]), vec![json!("b"), json!(null), json!(1)], vec![json!("a")]),
        (json!([{"anything-but": ["a", 1]}]), vec![json!("1"), json!("b")], vec![json!("a"), json!(1), json!(1.0)]),
        (json!([{"anything-but": {"prefix": "in"}}]), vec![json!("out"), json!(5)], vec![json!("init")]),
        (json!([{"anything-but": {"prefix": ["in", "un"]}}]), vec![json!("out")], vec![json!("init"), json!("undo")]),
        (json!([{"anything-but": {"suffix": ".tmp"}}]), vec![json!("a.txt")], vec![json!("a.tmp")]),
        (
            json!([{"anything-but": {"wildcard": ["*/lib/*", "*.tmp"]}}]),
            vec![json!("/src/x")],
            vec![json!("/lib/x"), json!("a.tmp")],
        ),
        (
            json!([{"anything-but": {"equals-ignore-case": ["On", "off"]}}]),
            vec![json!("auto")],
            vec![json!("ON"), json!("Off")],
        ),
        (
            json!([{"anything-but": {"prefix": {"equals-ignore-case": "a"}}}]),
            vec![json!("b")],
            vec![json!("A1"), json!("a1")],
        ),
        (json!([{"numeric": ["=", 5]}]), vec![json!(5), json!(5.0)], vec![json!("5"), json!(5.1)]),
        (json!([{"numeric": [">", 0, "<=", 5]}]), vec![json!(0.1), json!(5)], vec![json!(0), json!(5.1), json!(null)]),
        (json!([{"numeric": ["<", 10]}, {"numeric": [">", 20]}]), vec![json!(-1), json!(21)], vec![json!(15)]),
        (json!([{"numeric": [">=", 1, "<=", 1]}]), vec![json!(1)], vec![json!(2)]),
        (
            json!([{"cidr": "10.0.0.0/24"}]),
            vec![json!("10.0.0.0"), json!("10.0.0.255")],
            vec![json!("10.0.1.0"), json!("::1"), json!("10.0.0"), json!("010.0.0.1"), json!(10)],
        ),
        (json!([{"cidr": "10.0.0.77/24"}]), vec![json!("10.0.0.1")], vec![json!("10.0.1.77")]),
        (json!([{"cidr": "0.0.0.0/0"}]), vec![json!("255.1.2.3")], vec![json!("2001:db8::1")]),
        (json!([{"cidr": "192.0.2.1/32"}]), vec![json!("192.0.2.1")], vec![json!("192.0.2.2")]),
        (
            json!([{"cidr": "2001:db8::/32"}]),
            vec![json!("2001:db8:ffff::1"), json!("2001:0DB8::")],
            vec![json!("2001:db9::1"), json!("1.2.3.4")],
        ),
        (json!([{"cidr": "::/0"}]), vec![json!("fe80::1")], vec![json!("0.0.0.0")]),
        (
            json!([{"exists": true}]),
            vec![json!(1), json!(null), json!(""), json!(false)],
            vec![json!({"x": 1}), json!([])],
        ),
        (json!([{"exists": false}]), vec![json!({"x": 1}), json!([])], vec![json!(1), json!(null)]),
        (json!([{"exists": false}, "a"]), vec![json!("a")], vec![json!("b")]),
        (json!(["a"]), vec![json!(["b", "a"]), json!([["a"]])], vec![json!([]), json!({"a": 1}), json!([{"a": "a"}])]),
        (json!([{"anything-but": "a"}]), vec![json!(["a", "b"])], vec![json!(["a"]), json!([]), json!({})]),
    ];
    for (list, taken, left) in rows {
        for value in &taken {
            assert!(takes(Some(value), &list), "{list} must take {value}");
        }
        for value in &left {
            assert!(!takes(Some(value), &list), "{list} must not take {value}");
        }
    }
}

#[test]
fn a_missing_value_matches_only_exists_false() {
    for (list, taken) in [
        (json!([{"exists": false}]), true),
        (json!(["a", {"exists": false}]), true),
        (json!([{"exists": true}]), false),
        (json!([{"anything-but": "a"}]), false),
        (json!([null]), false),
        (json!([{"wildcard": "*"}]), false),
    ] {
        assert_eq!(takes(None, &list), taken, "{list}");
    }
}

#[test]
fn a_pattern_has_the_shape_of_the_event() {
    let data = json!({
        "state": "open", "amount": 120, "nested": {"deep": {"x": "y"}}, "a.b": 1,
        "items": [{"sku": "A", "n": 1}, {"sku": "B", "n": 9}],
        "matrix": [[{"k": "v"}]],
    });
    for (pattern, expected) in [
        (json!({"type": ["order.paid"], "source": ["shop"], "id": ["evt_1"]}), true),
        (json!({"type": [{"prefix": "order."}], "source": ["other"]}), false),
        (json!({"time": [{"prefix": "2026-01"}], "data": {"state": ["open"]}}), true),
        (json!({"subject": [{"exists": false}]}), true),
        (json!({"subject": [{"exists": true}]}), false),
        (json!({"data": {"nested": {"deep": {"x": ["y"]}}}}), true),
        (json!({"data": {"nested": {"deep": {"x": ["z"]}}}}), false),
        (json!({"data": {"nested": {"other": {"x": [{"exists": false}]}}}}), true),
        (json!({"data": {"state": {"x": [{"exists": false}]}}}), true),
        (json!({"data": {"state": {"x": ["y"]}}}), false),
        (json!({"data": {"a.b": [1]}}), true),
        // All of a nested pattern must hold in the same element.
        (json!({"data": {"items": {"sku": ["B"], "n": [9]}}}), true),
        (json!({"data": {"items": {"sku": ["A"], "n": [9]}}}), false),
        (json!({"data": {"matrix": {"k": ["v"]}}}), true),
        // Something is absent from a list of objects if no element has it.
        (json!({"data": {"items": {"sku": [{"exists": false}]}}}), false),
        (json!({"data": {"items": {"price": [{"exists": false}]}}}), true),
        (json!({"$or": [{"type": ["x"]}, {"data": {"state": ["open"]}}]}), true),
        (json!({"$or": [{"type": ["x"]}, {"data": {"state": ["closed"]}}]}), false),
        (json!({"source": ["other"], "$or": [{"type": ["order.paid"]}, {"type": ["x"]}]}), false),
        (
            json!({"data": {"$or": [{"state": ["closed"]}, {"amount": [{"numeric": [">", 100]}], "state": ["open"]}]}}),
            true,
        ),
        (json!({"data": {"$or": [{"state": ["x"]}, {"$or": [{"amount": [120]}, {"amount": [1]}]}]}}), true),
        (json!({"data": {"items": {"$or": [{"sku": ["Z"]}, {"n": [9]}], "sku": ["B"]}}}), true),
    ] {
        assert_eq!(ask(&data, &pattern).unwrap().holds, expected, "{pattern}");
    }
}

#[test]
fn the_reason_names_the_mismatch_and_the_actual_value() {
    let data = json!({"state": "open", "tags": ["a", "b"], "items": [{"sku": "A"}, {"sku": "B"}], "one": {"x": 1}, "none": []});
    for (pattern, reason) in [
        (json!({"data": {"state": ["open"]}, "type": [{"prefix": "o"}]}), "the pattern matches: data.state, type"),
        (
            json!({"data": {"state": ["closed", {"prefix": "w"}]}}),
            r#"data.state must match ["closed",{"prefix":"w"}]: it is "open""#,
        ),
        (json!({"data": {"gone": [{"exists": true}]}}), r#"data.gone must match [{"exists":true}]: it is missing"#),
        (json!({"data": {"tags": ["c"]}}), r#"data.tags must match ["c"]: it is ["a","b"]"#),
        (json!({"data": {"one": [1]}}), r#"data.one must match [1]: it is the object {"x":1}"#),
        (json!({"data": {"none": [1]}}), "data.none must match [1]: it is an empty list"),
        (
            json!({"data": {"state": {"x": [1]}}}),
            r#"data.state is "open", which has no names: data.state.x must match [1]: it is missing"#,
        ),
        (
            json!({"data": {"items": {"sku": ["C"]}}}),
            r#"none of the 2 elements of data.items matches. The first: data.items.sku must match ["C"]: it is "A""#,
        ),
        (
            json!({"$or": [{"type": ["x"]}, {"source": ["y"]}]}),
            r#"none of the 2 patterns of $or matches: type must match ["x"]: it is "order.paid"; source must match ["y"]: it is "shop""#,
        ),
        (json!({"data": {"a.b": [1]}}), r#"data["a.b"] must match [1]: it is missing"#),
    ] {
        assert_eq!(ask(&data, &pattern).unwrap().reason, reason, "{pattern}");
    }
}

#[test]
fn an_error_in_a_pattern_is_reported_with_its_path() {
    for (pattern, said) in [
        (json!({}), "the pattern is an empty object"),
        (json!({"data": {}}), "data is an empty object"),
        (json!({"data": {"v": "open"}}), r#"data.v is "open": put the possible values into a list, such as ["open"]"#),
        (json!({"data": {"v": null}}), "data.v is null"),
        (json!({"data": {"v": []}}), "data.v is an empty list"),
        (json!({"data": {"v": [["a"]]}}), "data.v[0] is a list inside of a list"),
        (json!({"data": {"v": ["a", {}]}}), "data.v[1] is an empty object"),
        (json!({"data": {"v": [{"prefx": "a"}]}}), "data.v[0].prefx is not a matcher: there are prefix, suffix"),
        (json!({"data": {"v": [{"prefix": "a", "suffix": "b"}]}}), "data.v[0] names two matchers, prefix and suffix"),
        (json!({"data": {"v": [{"prefix": 1}]}}), "data.v[0].prefix is 1: give a string"),
        (json!({"data": {"v": [{"prefix": {"wildcard": "a"}}]}}), "data.v[0].prefix.wildcard is not a matcher here"),
        (json!({"data": {"v": [{"suffix": {"equals-ignore-case": 1}}]}}), "equals-ignore-case is 1: give a string"),
        (json!({"data": {"v": [{"wildcard": "a**b"}]}}), r#"data.v[0].wildcard is "a**b", which has two `*`"#),
        (json!({"data": {"v": [{"wildcard": "a\\b"}]}}), "escapes neither"),
        (json!({"data": {"v": [{"exists": "yes"}]}}), r#"data.v[0].exists is "yes": give true or false"#),
        (json!({"data": {"v": [{"anything-but": []}]}}), "data.v[0].anything-but is an empty list"),
        (json!({"data": {"v": [{"anything-but": [[1]]}]}}), "data.v[0].anything-but[0] is [1]"),
        (
            json!({"data": {"v": [{"anything-but": {"numeric": ["=", 1]}}]}}),
            "anything-but.numeric is not a matcher here",
        ),
        (json!({"data": {"v": [{"anything-but": {"prefix": [1]}}]}}), "anything-but.prefix[0] is 1: give a string"),
        (json!({"data": {"v": [{"anything-but": {"suffix": []}}]}}), "anything-but.suffix is an empty list"),
        (json!({"data": {"v": [{"numeric": 5}]}}), "data.v[0].numeric is 5: give a list"),
        (json!({"data": {"v": [{"numeric": []}]}}), "write an operator and a number"),
        (json!({"data": {"v": [{"numeric": [">"]}]}}), "write an operator and a number"),
        (json!({"data": {"v": [{"numeric": [">", "5"]}]}}), "write an operator and a number"),
        (json!({"data": {"v": [{"numeric": ["!=", 5]}]}}), "the operators are"),
        (json!({"data": {"v": [{"numeric": ["<", 5, ">", 0]}]}}), "first > or >="),
        (json!({"data": {"v": [{"numeric": [">", 5, "<", 5]}]}}), "no number is in that range"),
        (json!({"data": {"v": [{"numeric": [">", 1, "<", 5, "<", 6]}]}}), "at most two"),
        (json!({"data": {"v": [{"cidr": "10.0.0.0"}]}}), "which is not a network"),
        (json!({"data": {"v": [{"cidr": "10.0.0.0/33"}]}}), "which is not a network"),
        (json!({"data": {"v": [{"cidr": "10.0.0.0/+8"}]}}), "which is not a network"),
        (json!({"data": {"v": [{"cidr": 8}]}}), "data.v[0].cidr is 8: give a string"),
        (json!({"detail": {"v": [1]}}), "detail is nothing that an event has: here it is called data"),
        (json!({"detail-type": ["x"]}), "here it is called type"),
        (json!({"state": ["open"]}), "the payload's own names stand inside of data"),
        (json!({"$or": {"type": ["x"]}}), "$or is {\"type\":[\"x\"]}: give a list of at least two patterns"),
        (json!({"$or": [{"type": ["x"]}]}), "at least two"),
        (json!({"$or": [{"type": ["x"]}, 5]}), "$or[1] is 5: give a pattern"),
        (json!({"$or": [{"type": ["x"]}, {"state": ["x"]}]}), "state is nothing that an event has"),
        (json!({"data": {"$or": [{"v": ["x"]}, {"v": "x"}]}}), r#"data.v is "x""#),
    ] {
        let failure = ask(&json!({}), &pattern).unwrap_err();
        assert_eq!(failure.code, "pattern.invalid", "{pattern}");
        assert!(failure.message.starts_with("parameter `pattern`: "), "{}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{pattern}: {}", failure.message);
    }
}

#[test]
fn parameters_of_another_shape_are_refused() {
    for parameters in [json!({}), json!({"pattern": []}), json!({"pattern": {}, "other": 1})] {
        let failure = evaluate::<EventPattern>(&testing::event("x", json!({})), parameters.clone()).unwrap_err();
        assert!(["parameters.invalid", "pattern.invalid"].contains(&failure.code.as_str()), "{parameters}");
    }
}

#[test]
fn a_payload_that_is_not_an_object_is_a_value() {
    for (data, pattern, expected) in [
        (json!("text"), json!({"data": ["text"]}), true),
        (json!([1, 2]), json!({"data": [2]}), true),
        (json!(null), json!({"data": [null]}), true),
        (json!([{"a": 1}]), json!({"data": {"a": [1]}}), true),
        (json!("text"), json!({"data": {"a": [{"exists": true}]}}), false),
    ] {
        assert_eq!(ask(&data, &pattern).unwrap().holds, expected, "{data} {pattern}");
    }
}

#[test]
fn a_long_list_in_the_event_costs_no_more_than_its_length() {
    let items: Vec<Value> = (0..50_000).map(|n| json!({"n": n, "nested": [{"m": n}]})).collect();
    let pattern = json!({"data": {"items": {"nested": {"m": [-1], "x": [{"exists": false}]}}}});
    let verdict = ask(&json!({"items": items}), &pattern).unwrap();
    assert!(!verdict.holds && verdict.reason.len() < 1024, "{}", verdict.reason);
}
