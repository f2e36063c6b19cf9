//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Failure, Reception, Refusal, Request, crypto, encoding};
use serde_json::json;

use crate::{GitHub, SECRET};

const PAYLOAD: &str =
    r#"{"action":"opened","number":1,"repository":{"full_name":"octo/demo"},"organization":{"login":"octo"}}"#;

/// A request with the right signature, whatever its other headers.
fn signed(headers: &[(&str, &str)], body: &[u8]) -> Request {
    Host::default().with_secret(SECRET, b"It's a Secret to Everybody").install();
    let code = encoding::hex_encode(&crypto::hmac("sha256", SECRET, body).unwrap());
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("x-hub-signature-256".into(), format!("sha256={code}")));
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers,
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn pull_request(content_type: &str, body: &[u8]) -> Request {
    signed(
        &[("x-github-event", "pull_request"), ("x-github-delivery", "72d3162e-cc78"), ("content-type", content_type)],
        body,
    )
}

fn accepted(request: &Request) -> Draft {
    match receive::<GitHub>(request, json!({})) {
        Ok(Reception::Accepted(mut intake)) => {
            assert_eq!((intake.events.len(), intake.answer.status), (1, 0));
            intake.events.remove(0)
        }
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request) -> Refusal {
    match receive::<GitHub>(request, json!({})) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_signature_is_the_one_that_github_documents() {
    Host::default().with_secret(SECRET, b"It's a Secret to Everybody").install();
    let mut request = signed(
        &[("x-github-event", "push"), ("x-github-delivery", "d"), ("content-type", "application/json")],
        b"Hello, World!",
    );
    request.headers.retain(|(name, _)| name != "x-hub-signature-256");
    let documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    request.headers.push(("x-hub-signature-256".into(), documented.into()));
    // The signature holds, so the refusal is about the body, which is not JSON.
    assert_eq!(refused(&request).code, "github.payload_invalid");
}

#[test]
fn a_delivery_becomes_an_event_of_its_type_action_and_subject() {
    let draft = accepted(&pull_request("application/json", PAYLOAD.as_bytes()));
    assert_eq!(draft.event_type, "github.pull_request.opened");
    assert_eq!(draft.id.as_deref(), Some("72d3162e-cc78"));
    assert_eq!(draft.subject.as_deref(), Some("octo/demo"));
    assert_eq!(draft.data, PAYLOAD);
    assert_eq!(draft.time, None);
}

#[test]
fn a_form_carries_the_same_payload() {
    let form = format!("other=1&payload={}", form_urlencoded::byte_serialize(PAYLOAD.as_bytes()).collect::<String>());
    let draft = accepted(&pull_request("application/x-www-form-urlencoded; charset=utf-8", form.as_bytes()));
    assert_eq!(draft.data, PAYLOAD);
    assert_eq!(draft.event_type, "github.pull_request.opened");
}

#[test]
fn type_and_subject_are_derived_from_the_payload() {
    for (event, payload, event_type, subject) in [
        ("ping", r#"{"zen":"x","hook_id":1}"#, "github.ping", None),
        ("push", r#"{"ref":"refs/heads/main","repository":{"full_name":"a/b"}}"#, "github.push", Some("a/b")),
        ("member", r#"{"action":"added","organization":{"login":"octo"}}"#, "github.member.added", Some("octo")),
        ("issues", r#"{"action":7}"#, "github.issues", None),
        ("issues", r#"{"action":"not a name!"}"#, "github.issues", None),
    ] {
        let request = signed(
            &[("x-github-event", event), ("x-github-delivery", "d1"), ("content-type", "application/json")],
            payload.as_bytes(),
        );
        let draft = accepted(&request);
        assert_eq!((draft.event_type.as_str(), draft.subject.as_deref()), (event_type, subject));
    }
}

#[test]
fn only_informative_headers_are_stored() {
    let request = signed(
        &[
            ("x-github-event", "ping"),
            ("x-github-delivery", "d1"),
            ("x-github-hook-id", "5"),
            ("x-github-hook-installation-target-type", "repository"),
            ("x-github-hook-installation-target-id", "79"),
            ("user-agent", "GitHub-Hookshot/044aadd"),
            ("content-type", "application/json"),
            ("cookie", "private"),
            ("authorization", "private"),
        ],
        b"{}",
    );
    let names: Vec<String> = accepted(&request).attributes.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, super::KEPT);
}

#[test]
fn a_request_without_a_right_signature_is_refused() {
    let good = pull_request("application/json", PAYLOAD.as_bytes());
    let change = |value: Option<&str>| {
        let mut request = good.clone();
        request.headers.retain(|(name, _)| name != "x-hub-signature-256");
        request.headers.extend(value.map(|value| ("x-hub-signature-256".to_owned(), value.to_owned())));
        request
    };
    let wrong = format!("sha256={}", "0".repeat(64));
    for (request, code) in [
        (change(None), "github.signature_missing"),
        (change(Some(&wrong)), "github.signature_wrong"),
        (change(Some("sha256=zz")), "github.signature_wrong"),
        (change(Some("sha256=")), "github.signature_wrong"),
        (change(Some("sha1=00")), "github.signature_wrong"),
        (Request { body: b"{}".to_vec(), ..good.clone() }, "github.signature_wrong"),
    ] {
        let refusal = refused(&request);
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
}

#[test]
fn a_signed_request_that_is_not_a_delivery_is_refused() {
    let event = ("x-github-event", "push");
    let delivery = ("x-github-delivery", "d1");
    let json = ("content-type", "application/json");
    for (headers, body, status, code) in [
        (vec![delivery, json], b"{}".as_slice(), 400, "github.event_missing"),
        (vec![("x-github-event", "a b"), delivery, json], b"{}", 400, "github.event_missing"),
        (vec![event, json], b"{}", 400, "github.delivery_missing"),
        (vec![event, delivery, json], b"{", 400, "github.payload_invalid"),
        (vec![event, delivery, json], b"[]", 400, "github.payload_invalid"),
        (vec![event, delivery, json], b"{\"a\":\"\xff\"}", 400, "github.payload_invalid"),
        (
            vec![event, delivery, ("content-type", "application/x-www-form-urlencoded")],
            b"a=b",
            400,
            "github.payload_invalid",
        ),
        (vec![event, delivery, ("content-type", "text/plain")], b"{}", 415, "github.content_type"),
        (vec![event, delivery], b"{}", 415, "github.content_type"),
    ] {
        let refusal = refused(&signed(&headers, body));
        assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{}", refusal.message);
    }
    let get = Request { method: "GET".into(), ..pull_request("application/json", b"{}") };
    assert_eq!((refused(&get).status, refused(&get).code.as_str()), (405, "github.method"));
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = pull_request("application/json", b"{}");
    Host::default().install();
    let failure: Failure = receive::<GitHub>(&request, json!({})).unwrap_err();
    assert!(failure.message.contains(SECRET), "{}", failure.message);
}

#[test]
fn a_signature_in_two_lines_of_one_header_is_one_list() {
    let mut request = pull_request("application/json", PAYLOAD.as_bytes());
    request.headers.insert(
        0,
        (
            "x-hub-signature-256".into(),
            "sha256=0000000000000000000000000000000000000000000000000000000000000000".into(),
        ),
    );
    assert_eq!(accepted(&request).event_type, "github.pull_request.opened");
}
