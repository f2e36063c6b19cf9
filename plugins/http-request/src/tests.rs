//! The requests for parameters, and the results of responses.

use hookwright_sdk::http::{Request, Response};
use hookwright_sdk::testing::{self, Host, run};
use hookwright_sdk::{Failure, Outcome, Pairs, first};
use serde_json::{Value, json};

use crate::HttpRequest;

fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn call(parameters: Value, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<Outcome, Failure> {
    let (headers, body) = (pairs(headers), body.to_vec());
    Host::default()
        .with_secret("api-key", b"never seen")
        .with_answer(move |_| Ok(Response { status, headers: headers.clone(), body: body.clone() }))
        .install();
    run::<HttpRequest>(&testing::event("x", json!(null)), parameters)
}

fn sent(parameters: Value) -> Request {
    call(parameters, 204, &[], b"").unwrap();
    testing::sent().remove(0)
}

#[test]
fn method_and_body_fit_together() {
    for (parameters, method, body, content_type) in [
        (json!({}), "GET", "", None),
        (json!({"method": "delete"}), "DELETE", "", None),
        (json!({"json": {"n": [1, null]}}), "POST", r#"{"n":[1,null]}"#, Some("application/json")),
        (json!({"json": null}), "POST", "null", Some("application/json")),
        (json!({"json": "x", "method": "put"}), "PUT", r#""x""#, Some("application/json")),
        (json!({"text": "größe"}), "POST", "größe", Some("text/plain; charset=utf-8")),
        (
            json!({"text": "<x/>", "headers": {"Content-Type": "application/xml"}}),
            "POST",
            "<x/>",
            Some("application/xml"),
        ),
        (
            json!({"form": {"a": "1 &", "b": ["x", 2], "key": {"secret": "api-key"}}}),
            "POST",
            "a=1+%26&b=x&b=2&key=placeholder-of-api-key",
            Some("application/x-www-form-urlencoded"),
        ),
        (json!({"form": {}}), "POST", "", Some("application/x-www-form-urlencoded")),
    ] {
        let mut all = json!({"url": "https://a.example"});
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let request = sent(all);
        assert_eq!((request.method.as_str(), String::from_utf8(request.body).unwrap().as_str()), (method, body));
        assert_eq!(first(&request.headers, "content-type"), content_type, "{parameters}");
    }
}

#[test]
fn the_query_is_added_to_the_urls_own() {
    for (url, query, address) in [
        ("https://a.example/x", json!({"q": "a b", "n": [1, true]}), "https://a.example/x?n=1&n=true&q=a+b"),
        ("https://a.example/x?a=1#top", json!({"b": 2}), "https://a.example/x?a=1&b=2"),
        ("https://a.example/x?", json!({"b": 2}), "https://a.example/x?b=2"),
        ("https://a.example/x?a=1&", json!({"b": 2}), "https://a.example/x?a=1&b=2"),
        ("https://a.example/x", json!({}), "https://a.example/x"),
        ("https://a.example", json!({"k": {"secret": "api-key"}}), "https://a.example?k=placeholder-of-api-key"),
    ] {
        assert_eq!(sent(json!({"url": url, "query": query})).url, address);
    }
}

#[test]
fn a_secret_is_named_and_never_seen() {
    let request = sent(json!({
        "url": "https://a.example", "timeout_ms": 1500,
        "headers": {"authorization": {"secret": "api-key", "prefix": "Bearer "}, "x-many": ["a", {"secret": "api-key"}]},
    }));
    assert_eq!(
        request.headers,
        pairs(&[
            ("authorization", "Bearer placeholder-of-api-key"),
            ("x-many", "a"),
            ("x-many", "placeholder-of-api-key"),
        ])
    );
    assert_eq!(request.timeout_ms, Some(1500));
    let failure = call(json!({"url": "https://a.example", "query": {"k": {"secret": "other"}}}), 200, &[], b"");
    assert_eq!(failure.unwrap_err().code, "secret.unknown");
    assert!(testing::sent().is_empty());
}

#[test]
fn the_result_is_the_answer_and_bounded() {
    for (body, limit, expected) in [
        (br#"{"id": 7}"#.as_slice(), 100, json!({"status": 201, "headers": {"x-a": "1, 2"}, "body": {"id": 7}})),
        (b"0123456789", 8, json!({"status": 201, "headers": {"x-a": "1, 2"}, "body": "01234…", "truncated": true})),
        (b"", 0, json!({"status": 201, "headers": {"x-a": "1, 2"}, "body": null})),
    ] {
        let parameters = json!({"url": "https://a.example", "max_result_bytes": limit});
        let Ok(Outcome::Done(result)) = call(parameters, 201, &[("X-A", "1"), ("x-a", "2")], body) else {
            panic!("not done")
        };
        assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), expected);
    }
}

#[test]
fn a_status_decides_between_done_retry_and_failure() {
    for (status, expect, wanted) in [
        (200, json!(null), Ok(())),
        (404, json!([404]), Ok(())),
        (201, json!([200]), Err(None)),
        (404, json!([]), Err(None)),
        (408, json!(null), Err(Some(3000))),
        (425, json!(null), Err(Some(3000))),
        (429, json!(null), Err(Some(3000))),
        (500, json!(null), Err(Some(3000))),
        (302, json!(null), Err(None)),
    ] {
        let parameters = json!({"url": "https://a.example", "expect": expect, "query": {"k": {"secret": "api-key"}}});
        match (call(parameters, status, &[("retry-after", "3")], b"why"), wanted) {
            (Ok(_), Ok(())) => {}
            (Err(failure), Err(retry_after_ms)) => {
                assert_eq!(failure.code, format!("http.status_{status}"));
                assert_eq!(failure.retry_after_ms, retry_after_ms, "{status}");
                assert_eq!(failure.message, format!("GET https://a.example was answered {status}: why"));
            }
            (outcome, _) => panic!("{status}: {outcome:?}"),
        }
    }
}

#[test]
fn invalid_parameters_are_refused_and_nothing_is_sent() {
    let url = "https://a.example";
    for (parameters, said) in [
        (json!({}), "`url`"),
        (json!({"url": "a.example"}), "`url` is `a.example`"),
        (json!({"url": "https://a b"}), "no spaces"),
        (json!({"url": url, "method": "P O"}), "`method` is `P O`"),
        (json!({"url": url, "method": "GET", "text": "x"}), "has no body"),
        (json!({"url": url, "text": "x", "json": null}), "only one of"),
        (json!({"url": url, "form": {}, "json": 1}), "only one of"),
        (json!({"url": url, "timeout_ms": 0}), "`timeout_ms` is 0"),
        (json!({"url": url, "headers": {"x": {"secrets": "a"}}}), "`headers.x`"),
        (json!({"url": url, "headers": {"x": null}}), "`headers.x`"),
        (json!({"url": url, "body": {}}), "`body`"),
    ] {
        let failure = call(parameters, 200, &[], b"").unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
        assert!(failure.message.contains(said), "{}", failure.message);
        assert!(testing::sent().is_empty());
    }
}
