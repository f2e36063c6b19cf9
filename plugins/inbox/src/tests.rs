//! What comes, and what the event is.

use hookwright_sdk::testing::receive;
use hookwright_sdk::{Intake, Reception, Request};
use serde_json::{Value, json};

use crate::Inbox;

fn request(method: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    Request {
        method: method.into(),
        path: String::new(),
        query: query.into(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn taken(request: &Request, parameters: Value) -> Intake {
    match receive::<Inbox>(request, parameters) {
        Ok(Reception::Accepted(intake)) => intake,
        other => panic!("not taken: {other:?}"),
    }
}

fn data(content_type: &str, body: &[u8]) -> Value {
    let intake = taken(&request("POST", "", &[("content-type", content_type)], body), json!({}));
    assert_eq!((intake.events.len(), intake.events[0].event_type.as_str()), (1, "inbox.received"));
    serde_json::from_str(&intake.events[0].data).unwrap()
}

#[test]
fn every_request_becomes_readable_data() {
    let multipart = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\ncontent-disposition: \
        form-data; name=\"f\"; filename=\"f.txt\"\r\ncontent-type: text/plain\r\n\r\nh\u{fc}\r\n--x--\r\n";
    let binary = b"--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n\xff\r\n--x--";
    for (content_type, body, expected) in [
        ("application/json", br#"{"a": 1}"#.as_slice(), json!({"a": 1})),
        ("", br#"[1]"#, json!([1])),
        ("application/json", b"{oops", json!("{oops")),
        ("application/json", b"\xff", json!("/w==")),
        ("application/x-www-form-urlencoded", b"a=1&a=2", json!({"a": ["1", "2"]})),
        (
            "multipart/form-data; boundary=x",
            multipart.as_bytes(),
            json!({"parts": [{"name": "a", "text": "1"},
                {"name": "f", "filename": "f.txt", "content_type": "text/plain", "text": "h\u{fc}"}]}),
        ),
        (
            "multipart/form-data; boundary=x",
            binary,
            json!({"parts": [{"name": "f", "filename": "f", "base64": "/w=="}]}),
        ),
        ("multipart/form-data; boundary=y", b"--x", json!("--x")),
        ("multipart/form-data", b"--x", json!("--x")),
        ("application/xml", b"<a b='1'>t</a>", json!({"a": {"@b": "1", "#text": "t"}})),
        ("application/soap+xml; charset=utf-8", b"<a/>", json!({"a": ""})),
        ("text/plain", b"<?xml version='1.0'?><a/>", json!({"a": ""})),
        ("text/xml", b"<a>", json!("<a>")),
        ("text/xml; charset=latin1", b"<a>\xfc</a>", json!({"a": "ü"})),
        ("text/plain", b"hello", json!("hello")),
        ("application/octet-stream", b"\x00\xff", json!("AP8=")),
    ] {
        assert_eq!(data(content_type, body), expected, "{content_type} {}", String::from_utf8_lossy(body));
    }
    let large = vec![0xff; 500_000];
    assert_eq!(data("image/png", &large), json!({"omitted_bytes": 500_000}));
    assert_eq!(data("application/json", &[b"\"", "x".repeat(600_000).as_bytes(), b"\""].concat()), "x".repeat(600_000));
}

#[test]
fn any_method_is_accepted_and_probes_become_no_event() {
    for method in ["GET", "DELETE", "PUT", "PATCH", "POST", "REPORT"] {
        let intake = taken(&request(method, "a=1&b=x+y&a=2", &[], b""), json!({}));
        let data: Value = serde_json::from_str(&intake.events[0].data).unwrap();
        assert_eq!(data, json!({"a": ["1", "2"], "b": "x y"}));
    }
    for method in ["HEAD", "OPTIONS"] {
        let intake = taken(&request(method, "", &[], b""), json!({}));
        assert_eq!((intake.events.len(), intake.answer.status), (0, 204));
    }
}

#[test]
fn type_and_id_come_from_where_the_rules_say_and_the_type_is_never_missing() {
    let parameters = json!({"event": {"type": {"header": "X-GitHub-Event", "prefix": "github."},
        "id": {"path": "delivery"}, "subject": {"path": "repo"}}});
    let with = request("POST", "", &[("x-github-event", "push")], br#"{"delivery": 7, "repo": "a/b"}"#);
    let event = taken(&with, parameters.clone()).events.remove(0);
    assert_eq!(
        (event.event_type.as_str(), event.id.as_deref(), event.subject.as_deref()),
        ("github.push", Some("7"), Some("a/b"))
    );
    let event = taken(&request("POST", "", &[], b"{}"), parameters).events.remove(0);
    assert_eq!((event.event_type.as_str(), event.id), ("inbox.received", None));
    let fixed = taken(&request("POST", "", &[], b"{}"), json!({"event": {"type": "crm.said"}})).events.remove(0);
    assert_eq!(fixed.event_type, "crm.said");
    match receive::<Inbox>(&request("POST", "", &[], b"{}"), json!({"event": {"id": {"path": "a..b"}}})) {
        Ok(Reception::Refused(refusal)) => {
            assert_eq!((refusal.status, refusal.code.as_str()), (422, "inbox.rule_invalid"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handshake_gets_its_challenge_back() {
    let query = json!({"challenge": {"query": "hub.challenge"}});
    let asked = request("GET", "hub.mode=subscribe&hub.challenge=1158%3C", &[], b"");
    let intake = taken(&asked, query.clone());
    assert_eq!(
        (intake.events.len(), intake.answer.status, intake.answer.body.as_slice()),
        (0, 200, b"1158<".as_slice())
    );
    assert!(intake.answer.headers.contains(&("content-type".into(), "text/plain; charset=utf-8".into())));
    assert!(intake.answer.headers.contains(&("x-content-type-options".into(), "nosniff".into())));
    assert_eq!(taken(&request("POST", "", &[], b"{}"), query.clone()).events.len(), 1, "everything else is an event");
    let long = format!("hub.challenge={}", "x".repeat(1025));
    assert_eq!(taken(&request("GET", &long, &[], b""), query).events.len(), 1);
    let path = json!({"challenge": {"path": "payload.challenge", "answer": "json"}});
    let intake = taken(&request("POST", "", &[], br#"{"payload": {"challenge": "abc"}}"#), path.clone());
    assert_eq!((intake.events.len(), intake.answer.body.as_slice()), (0, br#"{"challenge":"abc"}"#.as_slice()));
    assert_eq!(taken(&request("POST", "", &[], br#"{"payload": {"challenge": {}}}"#), path).events.len(), 1);
}
