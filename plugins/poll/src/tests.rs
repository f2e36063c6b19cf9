//! The requests of a poll, the events, and the cursor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use hookwright_sdk::http::{Request as Sent, Response};
use hookwright_sdk::testing::{self, Host, receive};
use hookwright_sdk::{Draft, Failure, Pairs, Reception, Request, first};
use serde_json::{Value, json};

use crate::Poll;

fn request(method: &str) -> Request {
    Request {
        method: method.into(),
        path: String::new(),
        query: String::new(),
        headers: vec![("hookwright-source".into(), "src_1".into())],
        body: Vec::new(),
        remote_address: String::new(),
    }
}

/// A service that answers these, one after the other, and the last for ever.
fn service(answers: Vec<(u16, Pairs, Value)>) {
    let answers = Rc::new(RefCell::new(VecDeque::from(answers)));
    Host::default()
        .with_secret("api-key", b"never seen")
        .with_answer(move |_| {
            let mut answers = answers.borrow_mut();
            let (status, headers, body) =
                if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.unwrap_or((
                    204,
                    Pairs::new(),
                    json!([]),
                ));
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            Ok(Response { status, headers, body: body.into_bytes() })
        })
        .install();
}

fn ok(body: Value) -> (u16, Pairs, Value) {
    (200, Pairs::new(), body)
}

fn poll(parameters: &Value) -> Result<Vec<Draft>, Failure> {
    match receive::<Poll>(&request("POLL"), parameters.clone())? {
        Reception::Accepted(intake) => Ok(intake.events),
        Reception::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

fn ids(parameters: &Value) -> Vec<String> {
    poll(parameters).unwrap().into_iter().map(|draft| draft.id.unwrap()).collect()
}

fn simple() -> Value {
    json!({"url": "https://a.example/items", "event": {"type": "item.found", "id": {"path": "id"}}})
}

fn with(more: Value) -> Value {
    let mut parameters = simple();
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parameters
}

fn last() -> Sent {
    testing::sent().pop().unwrap()
}

#[test]
fn only_new_items_become_events() {
    service(vec![
        ok(json!([{"id": 1, "n": 1.50}, {"id": "a/b"}])),
        ok(json!([{"id": 1}, {"id": "a/b"}, {"id": 3}])),
        ok(json!([])),
        ok(json!([{"id": 3}, {"id": 4}])),
    ]);
    let events = poll(&simple()).unwrap();
    assert_eq!(events.iter().map(|e| e.id.as_deref().unwrap()).collect::<Vec<_>>(), ["1", "a-b"]);
    assert_eq!((events[0].event_type.as_str(), events[0].data.as_str()), ("item.found", r#"{"id":1,"n":1.5}"#));
    assert_eq!(ids(&simple()), ["3"]);
    assert!(ids(&simple()).is_empty());
    assert_eq!(ids(&simple()), ["4"], "what left the answer for a while is still known");
    assert_eq!(first(&last().headers, "accept"), Some("application/json"));
}

#[test]
fn a_version_makes_an_item_another_one() {
    service(vec![ok(json!([{"id": 1, "at": "x"}])), ok(json!([{"id": 1, "at": "y"}]))]);
    let parameters = with(json!({"version": "at"}));
    assert_eq!((ids(&parameters), ids(&parameters)), (vec!["1@x".to_owned()], vec!["1@y".to_owned()]));
}

#[test]
fn a_cursor_is_stored_and_sent_back() {
    service(vec![
        ok(json!({"data": {"items": [{"id": 1, "at": 9}, {"id": 2, "at": 10}]}})),
        ok(json!({"data": {"items": []}})),
    ]);
    let parameters = with(json!({"items": "data.items", "url": "https://a.example/items?limit=5",
        "cursor": {"greatest": "at", "query": "since", "start": 0}, "query": {"key": {"secret": "api-key"}}}));
    assert_eq!(ids(&parameters), ["1", "2"]);
    assert_eq!(last().url, "https://a.example/items?limit=5&key=placeholder-of-api-key&since=0");
    assert!(ids(&parameters).is_empty());
    assert!(last().url.ends_with("&since=10"), "{}", last().url);
    assert!(ids(&parameters).is_empty());
    assert!(last().url.ends_with("&since=10"), "an empty answer leaves it as it is");

    service(vec![ok(json!({"list": [{"id": 1}], "next": "c 2"})), ok(json!({"list": [], "next": null}))]);
    let parameters = with(json!({"items": "list", "cursor": {"answer": "next", "header": "X-Cursor"}}));
    ids(&parameters);
    assert_eq!(first(&last().headers, "x-cursor"), None);
    ids(&parameters);
    assert_eq!(first(&last().headers, "x-cursor"), Some("c 2"));
    ids(&parameters);
    assert_eq!(first(&last().headers, "x-cursor"), Some("c 2"));
}

#[test]
fn unchanged_responses_are_not_read_again() {
    let tag: Pairs = vec![("ETag".into(), "\"v1\"".into()), ("Last-Modified".into(), "yesterday".into())];
    service(vec![(200, tag, json!([{"id": 1}])), (304, Pairs::new(), json!(""))]);
    let parameters = with(json!({"conditional": true}));
    assert_eq!(ids(&parameters), ["1"]);
    assert_eq!(first(&last().headers, "if-none-match"), None);
    for _ in 0..2 {
        assert!(ids(&parameters).is_empty());
        assert_eq!(first(&last().headers, "if-none-match"), Some("\"v1\""));
        assert_eq!(first(&last().headers, "if-modified-since"), Some("yesterday"));
    }
}

#[test]
fn a_byte_order_mark_before_an_answer_is_ignored() {
    service(vec![ok(json!("\u{feff}[{\"id\": 1}]"))]);
    assert_eq!(ids(&simple()), ["1"]);
    service(vec![ok(json!("\u{feff}\u{feff}[{\"id\": 2}]"))]);
    assert_eq!(poll(&simple()).unwrap_err().code, "poll.answer_invalid", "a second one is part of the text");
}

#[test]
fn a_response_without_content_has_no_new_items() {
    let page = |id: u32, next: Value| ok(json!({"items": [{"id": id}], "next": next}));
    let parameters = with(json!({"items": "items", "next": {"path": "next"}}));
    service(vec![(204, Pairs::new(), json!(null)), page(1, json!(null))]);
    assert!(ids(&parameters).is_empty());
    assert_eq!(ids(&parameters), ["1"], "and the next poll reads what there is then");
    // On a further page there is nothing more, and the next poll begins anew.
    service(vec![page(2, json!("?page=2")), (204, Pairs::new(), json!(null)), page(3, json!(null))]);
    assert_eq!(ids(&parameters), ["2"]);
    assert_eq!(ids(&parameters), ["3"]);
    assert_eq!(last().url, "https://a.example/items");
}

#[test]
fn pages_are_read_to_the_last_and_over_several_polls() {
    let page = |id: u32, next: Value| ok(json!({"items": [{"id": id}], "next": next}));
    service(vec![
        page(1, json!("?page=2")),
        page(2, json!("/items?page=3")),
        page(3, json!(null)),
        page(9, json!(null)),
    ]);
    let parameters = with(json!({"items": "items", "next": {"path": "next"}, "max_pages": 2, "query": {"k": "v"},
        "cursor": {"greatest": "id", "query": "since"}}));
    assert_eq!(ids(&parameters), ["1", "2"]);
    let urls: Vec<String> = testing::sent().into_iter().map(|sent| sent.url).collect();
    assert_eq!(urls, ["https://a.example/items?k=v", "https://a.example/items?page=2&k=v"]);
    assert_eq!(ids(&parameters), ["3"], "the next poll goes on where the last one ended");
    assert_eq!(last().url, "https://a.example/items?page=3&k=v");
    assert_eq!(ids(&parameters), ["9"]);
    assert_eq!(last().url, "https://a.example/items?k=v&since=3", "only then the cursor counts");

    let link = |url: &str| vec![("link".to_owned(), format!("<{url}>; rel=\"next\""))];
    service(vec![(200, link("https://a.example/items?p=2"), json!([{"id": 1}])), ok(json!([{"id": 2}]))]);
    assert_eq!(ids(&with(json!({"next": {"link": true}}))), ["1", "2"]);
    service(vec![(200, link("https://b.example/items?p=2"), json!([{"id": 1}]))]);
    let failure = poll(&with(json!({"next": {"link": true}}))).unwrap_err();
    assert_eq!(failure.code, "poll.next_elsewhere");
}

#[test]
fn more_than_one_poll_brings_is_left_for_the_next() {
    let many: Vec<Value> = (0..1500).map(|id| json!({"id": id})).collect();
    service(vec![(200, vec![("etag".into(), "\"v1\"".into())], json!(many))]);
    let parameters = with(json!({"cursor": {"greatest": "id", "query": "since"}, "conditional": true}));
    assert_eq!(ids(&parameters).len(), 1000);
    let rest = ids(&parameters);
    assert_eq!((rest.len(), rest[0].as_str()), (500, "1000"));
    assert!(!last().url.contains("since"), "the cursor waits for the rest");
    assert_eq!(first(&last().headers, "if-none-match"), None);
    ids(&parameters);
    assert!(last().url.ends_with("since=1499"), "{}", last().url);
}

#[test]
fn the_items_of_the_first_poll_can_be_skipped() {
    service(vec![ok(json!([{"id": 1}])), ok(json!([{"id": 1}, {"id": 2}]))]);
    let parameters = with(json!({"first": "skip"}));
    assert!(ids(&parameters).is_empty());
    assert_eq!(ids(&parameters), ["2"]);
}

#[test]
fn a_failure_is_reported_and_keeps_the_cursor() {
    let many: Vec<Value> = (0..10_001).map(|id| json!({"id": id})).collect();
    service(vec![ok(json!(many))]);
    assert_eq!(poll(&simple()).unwrap_err().code, "poll.too_many_items");
    service(vec![
        ok(json!([{"id": 1}])),
        (503, vec![("retry-after".into(), "7".into())], json!("busy")),
        ok(json!("<html>")),
        ok(json!({"items": 5})),
        ok(json!([{"name": "x"}])),
        ok(json!([{"id": 1}, {"id": 2}])),
    ]);
    assert_eq!(ids(&simple()), ["1"]);
    let kept = testing::kept("state/src_1");
    for (code, retry, said) in [
        ("http.status_503", Some(7000), "GET https://a.example/items was answered 503"),
        ("poll.answer_invalid", None, "is not JSON: <html>"),
        ("poll.items_missing", None, "has no list where `items` says"),
        ("poll.id_missing", None, "item 0 has no id"),
    ] {
        let failure = poll(&simple()).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), (code, retry), "{}", failure.message);
        assert!(failure.message.contains(said), "{}", failure.message);
        assert_eq!(testing::kept("state/src_1"), kept);
    }
    assert_eq!(ids(&simple()), ["2"]);
    // Another service is another matter.
    assert_eq!(ids(&with(json!({"url": "https://a.example/others"}))), ["1", "2"]);
}

#[test]
fn only_the_server_polls() {
    service(vec![ok(json!([]))]);
    let mut foreign = request("POLL");
    foreign.headers.clear();
    for request in [request("POST"), foreign] {
        let Reception::Refused(refusal) = receive::<Poll>(&request, simple()).unwrap() else { panic!("taken") };
        assert_eq!((refusal.status, refusal.code.as_str()), (405, "poll.method"));
    }
    assert!(testing::sent().is_empty());
    for parameters in [json!({"url": "a.example"}), json!({"items": "a..b"})] {
        assert_eq!(poll(&with(parameters)).unwrap_err().code, "parameters.invalid");
    }
}
