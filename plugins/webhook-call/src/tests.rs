//! The requests for parameters, and the results of responses.

use hookwright_sdk::http::Response;
use hookwright_sdk::testing::{self, Host, run};
use hookwright_sdk::{Failure, Outcome, Pairs, first};
use serde_json::{Value, json};

use crate::WebhookCall;

fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Calls with a host that answers `status`, `headers` and `body`.
fn call(parameters: Value, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<Outcome, Failure> {
    let (headers, body) = (pairs(headers), body.to_vec());
    Host::default()
        .with_answer(move |_| Ok(Response { status, headers: headers.clone(), body: body.clone() }))
        .install();
    run::<WebhookCall>(&testing::event("x", json!(null)), parameters)
}

fn result(outcome: Result<Outcome, Failure>) -> Value {
    match outcome {
        Ok(Outcome::Done(json)) => serde_json::from_str(&json).unwrap(),
        other => panic!("not done: {other:?}"),
    }
}

#[test]
fn a_body_is_sent_as_json_or_as_text() {
    for (body, headers, sent, content_type) in [
        (json!({"a": 1}), json!({}), r#"{"a":1}"#, Some("application/json")),
        (json!([1.50]), json!({}), "[1.5]", Some("application/json")),
        (json!("plain \"text\""), json!({}), r#"plain "text""#, Some("text/plain; charset=utf-8")),
        (json!("<x/>"), json!({"Content-Type": "application/xml"}), "<x/>", Some("application/xml")),
        (json!(7), json!({}), "7", Some("application/json")),
        (json!(null), json!({}), "", None),
    ] {
        call(json!({"url": "https://a.example", "headers": headers, "body": body}), 204, &[], b"").unwrap();
        let request = testing::sent().remove(0);
        assert_eq!(String::from_utf8(request.body).unwrap(), sent);
        assert_eq!(first(&request.headers, "content-type"), content_type, "{sent}");
        assert_eq!(request.method, "POST");
    }
}

#[test]
fn a_number_in_the_body_loses_no_digit() {
    Host::default().with_answer(|_| Ok(Response { status: 200, headers: vec![], body: vec![] })).install();
    let parameters: crate::Parameters =
        serde_json::from_str(r#"{"url": "https://a.example", "body": {"n": 12345678901234567890123.10}}"#).unwrap();
    assert_eq!(parameters.request().unwrap().body, br#"{"n": 12345678901234567890123.10}"#);
}

#[test]
fn method_headers_and_timeout_are_as_configured() {
    let parameters = json!({
        "url": "http://127.0.0.1:8080/x", "method": "put", "timeout_ms": 1500,
        "headers": {"x-one": "1", "x-number": 2, "x-two": ["a", "b"]},
    });
    call(parameters, 200, &[], b"").unwrap();
    let request = testing::sent().remove(0);
    assert_eq!((request.method.as_str(), request.timeout_ms), ("PUT", Some(1500)));
    assert_eq!(request.headers, pairs(&[("x-number", "2"), ("x-one", "1"), ("x-two", "a"), ("x-two", "b")]));
}

#[test]
fn the_result_has_status_headers_and_body() {
    let parameters = json!({"url": "https://a.example"});
    for (body, expected) in [
        (br#"{"id": 7}"#.as_slice(), json!({"id": 7})),
        (b"hello", json!("hello")),
        (b"", json!(null)),
        (b"\xff\xfe", json!("//4=")),
    ] {
        let result = result(call(parameters.clone(), 201, &[("Set-Cookie", "a"), ("set-cookie", "b")], body));
        assert_eq!(result, json!({"status": 201, "headers": {"set-cookie": "a, b"}, "body": expected}));
    }
}

#[test]
fn a_status_decides_between_done_retry_and_failure() {
    // Status, headers, the parameter `expect`; then done, or a failure and its `retry-after-ms`.
    type Row = (u16, &'static [(&'static str, &'static str)], Option<Vec<u16>>, Result<(), Option<u32>>);
    let rows: [Row; 12] = [
        (200, &[], None, Ok(())),
        (204, &[], None, Ok(())),
        (404, &[], Some(vec![200, 404]), Ok(())),
        (204, &[], Some(vec![200]), Err(None)),
        (301, &[("location", "https://b.example")], None, Err(None)),
        (400, &[], None, Err(None)),
        (410, &[("retry-after", "5")], None, Err(None)),
        (408, &[], None, Err(Some(0))),
        (429, &[("Retry-After", "30")], None, Err(Some(30_000))),
        (500, &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")], None, Err(Some(0))),
        (503, &[("retry-after", "99999999")], None, Err(Some(u32::MAX))),
        (503, &[("retry-after", "-1")], None, Err(Some(0))),
    ];
    for (status, headers, expect, wanted) in rows {
        let outcome = call(json!({"url": "https://a.example", "expect": expect}), status, headers, b"why");
        match wanted {
            Ok(()) => assert_eq!(result(outcome)["status"], status),
            Err(retry_after_ms) => {
                let failure = outcome.unwrap_err();
                assert_eq!(failure.code, format!("http.status_{status}"));
                assert_eq!(failure.retry_after_ms, retry_after_ms, "{status}");
                assert!(failure.message.contains(&format!("answered {status}")) && failure.message.ends_with("why"));
            }
        }
    }
}

#[test]
fn a_failure_shows_a_bounded_part_of_the_answer() {
    let failure = call(json!({"url": "https://a.example"}), 400, &[], "ü".repeat(100_000).as_bytes()).unwrap_err();
    assert!(failure.message.len() < 800 && failure.message.ends_with('…'), "{}", failure.message.len());
}

#[test]
fn no_answer_is_the_hosts_failure_unchanged() {
    Host::default().with_answer(|_| Err(Failure::permanent("http.timeout", "no answer").retry())).install();
    let outcome = run::<WebhookCall>(&testing::event("x", json!(null)), json!({"url": "https://a.example"}));
    assert_eq!(outcome, Err(Failure::permanent("http.timeout", "no answer").retry()));
}

#[test]
fn invalid_parameters_are_refused_and_nothing_is_sent() {
    for (parameters, said) in [
        (json!({}), "`url`"),
        (json!({"url": "example.com"}), "`url` is `example.com`"),
        (json!({"url": "https://a", "method": "P O"}), "`method`"),
        (json!({"url": "https://a", "timeout_ms": 0}), "`timeout_ms` is 0"),
        (json!({"url": "https://a", "timeout_ms": "soon"}), "`timeout_ms`"),
        (json!({"url": "https://a", "headers": {"x": {}}}), "`headers.x`"),
        (json!({"url": "https://a", "expect": [70_000]}), "`expect[0]`"),
        (json!({"url": "https://a", "payload": {}}), "`payload`"),
    ] {
        let failure = call(parameters, 200, &[], b"").unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
        assert!(failure.message.contains(said), "{}", failure.message);
        assert!(testing::sent().is_empty());
    }
}
