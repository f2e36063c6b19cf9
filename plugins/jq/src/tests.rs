//! The results of filters, and the messages of those that fail.

use hookwright_sdk::testing::{self, Host, apply};
use hookwright_sdk::{Failure, Message, Transformed};
use serde_json::{Value, json};

use crate::Jq;

fn transform(body: &str, parameters: Value) -> Result<Transformed, Failure> {
    let mut event = testing::event("ticket.closed", json!({"n": 1}));
    event.attributes = vec![("content-type".into(), "application/json".into())];
    let message = Message { headers: vec![], content_type: "text/plain".into(), body: body.into() };
    apply::<Jq>(&event, message, parameters)
}

fn body(of: &str, parameters: Value) -> String {
    match transform(of, parameters) {
        Ok(Transformed::Send(message)) => {
            assert_eq!(message.content_type, "application/json");
            String::from_utf8(message.body).unwrap()
        }
        other => panic!("not sent: {other:?}"),
    }
}

#[test]
fn the_first_result_is_the_new_body() {
    for (input, filter, output) in [
        (r#"{"b": 1, "a": [1, 2]}"#, ".", r#"{"b":1,"a":[1,2]}"#),
        (r#"{"a": [1, 2]}"#, ".a[]", "1"),
        (
            r#"{"id": 7}"#,
            r#"{ticket: .id, who: $event.source, kind: $event.type, n: $event.data.n}"#,
            r#"{"ticket":7,"who":"test","kind":"ticket.closed","n":1}"#,
        ),
        ("null", r#"$event.attributes["content-type"], $event.subject"#, r#""application/json""#),
        (r#"[3,1,2]"#, "sort | map(. * 2) | add", "12"),
        (r#""JIRA-12""#, r#"capture("(?<project>[A-Z]+)-(?<number>[0-9]+)") | .number | tonumber"#, "12"),
        (r#""a b""#, r#"@uri, @base64"#, r#""a%20b""#),
        (r#""2015-03-05T23:51:47Z""#, "fromdate", "1425599507"),
        ("12345678901234567890123", ".", "12345678901234567890123"),
        ("1.10", ".", "1.10"),
        (
            r#"[-0, {"a":-0}, "b -0 c", 0, -0.0, 1.10, true, null]"#,
            ".",
            r#"[-0,{"a":-0},"b -0 c",0,-0.0,1.10,true,null]"#,
        ),
        ("-0", ". == 0", "true"),
        ("-0", ".", "-0"),
        (r#"{"é": "ü"}"#, "keys", r#"["é"]"#),
        ("[1,2]", "range(0; infinite)", "0"),
    ] {
        assert_eq!(body(input, json!({"filter": filter})), output, "{filter}");
    }
}

/// What jq 1.7 itself prints.
#[test]
fn filters_answer_as_jq_does() {
    for (input, filter, output) in [
        (
            r#"[1,"a\"b",null,true,1.5,12345678901234567890123]"#,
            "@csv",
            r#""1,\"a\"\"b\",,true,1.5,12345678901234567890123""#,
        ),
        (r#"["a\tb\\c\nd\r",null,false,2,""]"#, "@tsv", r#""a\\tb\\\\c\\nd\\r\t\tfalse\t2\t""#),
        (r#"{"rows":[["a","b"],["c","d"]]}"#, "[.rows[] | @csv]", r#"["\"a\",\"b\"","\"c\",\"d\""]"#),
        (r#"{"a":["x y",1]}"#, r#"@csv "row: \(.a)""#, r#""row: \"x y\",1""#),
        (r#""aGk""#, "@base64d", r#""hi""#),
        (r#""aGk=""#, "@base64d", r#""hi""#),
        (r#""aA""#, "@base64d", r#""h""#),
        (r#""aGlo""#, "@base64d", r#""hih""#),
        ("[1,2,3]", "del(.[1,2])", "[1]"),
        ("[1,2,3,4]", "del(.[1:3])", "[1,4]"),
        ("[1,2,3]", "del(.[-1])", "[1,2]"),
        ("[3,4]", "delpaths([[0],[1]])", "[]"),
        (r#"{"a":1,"b":[1,2,3,4]}"#, "del(.a, .b[0], .b[2])", r#"{"b":[2,4]}"#),
        (r#"{"a":[1,2,1]}"#, "del(.a[] | select(. == 1))", r#"{"a":[2]}"#),
        (r#"{"a":1}"#, "del(.b)", r#"{"a":1}"#),
        ("[1]", "del(.)", "null"),
        (r#""b""#, r#"[match("(a)?b").captures[].string]"#, "[null]"),
        (
            r#""b""#,
            r#"match("(?<x>a)?(b)")"#,
            r#"{"offset":0,"length":1,"string":"b","captures":[{"offset":-1,"length":0,"string":null,"name":"x"},{"offset":0,"length":1,"string":"b","name":null}]}"#,
        ),
        (r#""xay""#, r#"capture("(?<x>a)(?<y>z)?")"#, r#"{"x":"a","y":null}"#),
        (r#""üabab""#, r#"[match(["AB","gi"]).offset]"#, "[1,3]"),
        (r#""a1b22""#, r#"[scan("[a-z]([0-9]+)")]"#, r#"[["1"],["22"]]"#),
        (r#""a1b22""#, r#"[scan("[0-9]+")]"#, r#"["1","22"]"#),
        (r#""Abc""#, r#"test("abc"; "i"), test(["abc","i"])"#, "true"),
    ] {
        assert_eq!(body(input, json!({"filter": filter})), output, "{filter}");
    }
    for (input, filter, said) in [
        ("[{}]", "@csv", "object ({}) is not valid in a csv row"),
        ("1", "@csv", "number (1) cannot be csv-formatted, only an array can be"),
        ("[[]]", "@tsv", "array ([]) is not valid in a tsv row"),
    ] {
        let failure = transform(input, json!({"filter": filter})).unwrap_err();
        assert!(failure.message.contains(said), "{filter}: {}", failure.message);
    }
}

#[test]
fn all_results_become_a_list_if_configured() {
    assert_eq!(body("[1,2]", json!({"filter": ".[]", "multiple": true})), "[1,2]");
    assert_eq!(body("[1]", json!({"filter": ".[]", "multiple": true})), "[1]");
}

#[test]
fn no_result_drops_the_message_with_the_reason() {
    for multiple in [false, true] {
        let parameters = json!({"filter": "select(.status == \"closed\")", "multiple": multiple});
        let Ok(Transformed::Drop(reason)) = transform(r#"{"status":"open"}"#, parameters) else {
            panic!("not dropped")
        };
        assert!(reason.contains("had no result") && reason.contains("select(.status"), "{reason}");
    }
}

#[test]
fn now_is_the_hosts_clock() {
    Host::default().install();
    assert_eq!(body("null", json!({"filter": "now"})), "1767323045.006");
}

#[test]
fn errors_in_a_filter_are_reported_with_their_position() {
    for (filter, said) in [
        ("", "line 1, column 1: expected term, found the end"),
        (".a |\n  .b |", "line 2, column 7: expected term"),
        ("{a: (1}", "line 1, column 7: expected closing parenthesis"),
        ("\"ü\" | nosuch", "line 1, column 7: there is no filter nosuch/0"),
        ("map(1; 2)", "there is no filter map/2"),
        ("$nothing", "there is no variable $nothing"),
        (". &", "line 1, column 3"),
        ("env", "there is no filter env/0"),
        ("input", "there is no filter input/0"),
        ("import \"x\" as x; .", "module"),
    ] {
        let failure = transform("null", json!({"filter": filter})).unwrap_err();
        assert_eq!(failure.code, "filter.invalid", "{filter}: {}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{filter}: {}", failure.message);
    }
}

#[test]
fn a_failed_filter_reports_its_error() {
    for (input, filter, code, said) in [
        ("1", ".a", "filter.failed", "cannot index 1"),
        ("1", r#"error("no ticket")"#, "filter.failed", "no ticket"),
        ("1", "halt", "filter.failed", "halt with 0"),
        ("1", "halt_error", "filter.failed", "halt with 5"),
        ("1", "nan", "filter.not_json", "NaN"),
        ("1", "{(\"a\"): infinite}", "filter.not_json", "Infinity"),
        ("1", "{(1): 2}", "filter.not_json", "is not JSON"),
        ("not json", ".", "message.not_json", "the body (8 bytes) is not JSON"),
        ("# comment\n1", ".", "message.not_json", "is not JSON"),
        ("", ".", "message.not_json", "is not JSON"),
    ] {
        let failure = transform(input, json!({"filter": filter})).unwrap_err();
        assert_eq!(failure.code, code, "{filter}: {}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{filter}: {}", failure.message);
    }
}

#[test]
fn a_body_nested_without_end_is_refused() {
    let failure = transform(&"[".repeat(1_000_000), json!({"filter": "."})).unwrap_err();
    assert!(failure.message.contains("128 levels"), "{}", failure.message);
}

#[test]
fn a_filter_is_compiled_once_while_it_stays_the_same() {
    let first = crate::program::compiled(".a").unwrap();
    let again = crate::program::compiled(".a").unwrap();
    assert!(std::rc::Rc::ptr_eq(&first, &again));
    let other = crate::program::compiled(".b").unwrap();
    assert!(!std::rc::Rc::ptr_eq(&first, &other));
}
