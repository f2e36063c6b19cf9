//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Pairs, Reception, Refusal, Request, crypto, encoding};
use serde_json::json;

use crate::{GitLab, SECRET};

const NOW: f64 = 1_767_323_045_000.0;

fn request(headers: &[(&str, &str)], body: &str) -> Request {
    Host::default().with_secret(SECRET, b"s3cret").with_now(NOW, "2026-01-02T03:04:05.000Z").install();
    let headers: Pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers,
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn accepted(request: &Request) -> Draft {
    match receive::<GitLab>(request, json!({})) {
        Ok(Reception::Accepted(mut intake)) => {
            assert_eq!((intake.events.len(), intake.answer.status), (1, 0));
            intake.events.remove(0)
        }
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request) -> Refusal {
    match receive::<GitLab>(request, json!({})) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn type_subject_and_id_are_derived_from_the_delivery() {
    let token = ("x-gitlab-token", "s3cret");
    for (headers, body, event_type, subject, id) in [
        (
            vec![token, ("idempotency-key", "k1"), ("x-gitlab-event-uuid", "u1")],
            r#"{"object_kind":"merge_request","object_attributes":{"action":"open"},"project":{"path_with_namespace":"a/b"}}"#,
            "gitlab.merge_request.open",
            Some("a/b"),
            Some("k1"),
        ),
        (
            vec![token, ("x-gitlab-event-uuid", "u1")],
            r#"{"object_kind":"push","project":{"path_with_namespace":"a/b"}}"#,
            "gitlab.push",
            Some("a/b"),
            Some("u1"),
        ),
        (
            vec![token, ("webhook-id", "w1"), ("x-gitlab-event-uuid", "u1")],
            r#"{"object_kind":"release","action":"create","group":{"full_path":"g/h"}}"#,
            "gitlab.release.create",
            Some("g/h"),
            Some("w1"),
        ),
        (
            vec![token],
            r#"{"event_name":"project_create","path_with_namespace":"x/y"}"#,
            "gitlab.project_create",
            Some("x/y"),
            None,
        ),
        (vec![token, ("x-gitlab-event", "Emoji Hook")], r#"{"object_kind":7}"#, "gitlab.emoji", None, None),
        (vec![token, ("x-gitlab-event", "Merge Request Hook")], "{}", "gitlab.merge_request", None, None),
        (vec![token], r#"{"object_kind":"größe","object_attributes":{"action":{}}}"#, "gitlab.größe", None, None),
    ] {
        let draft = accepted(&request(&headers, body));
        let found = (draft.event_type.as_str(), draft.subject.as_deref(), draft.id.as_deref());
        assert_eq!(found, (event_type, subject, id));
        assert_eq!(draft.data, body);
        assert!(draft.attributes.iter().all(|(name, _)| name != "x-gitlab-token"));
    }
}

#[test]
fn a_request_without_the_right_token_is_refused() {
    for (headers, code) in [
        (vec![], "gitlab.token_missing"),
        (vec![("x-gitlab-token", "")], "gitlab.token_missing"),
        (vec![("x-gitlab-token", "s3cre")], "gitlab.token_wrong"),
        (vec![("x-gitlab-token", "S3CRET")], "gitlab.token_wrong"),
        (vec![("webhook-signature", "v1,x")], "gitlab.signature_wrong"),
    ] {
        let refusal = refused(&request(&headers, r#"{"object_kind":"push"}"#));
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code));
    }
}

#[test]
fn a_signature_counts_in_the_place_of_a_token_while_it_is_fresh() {
    let body = r#"{"object_kind":"push"}"#;
    let signed = |time: &str, key: &[u8]| {
        let mut request = request(&[("webhook-id", "w1"), ("webhook-timestamp", time)], body);
        Host::default().with_secret(SECRET, key).install();
        let code = crypto::hmac("sha256", SECRET, format!("w1.{time}.{body}").as_bytes()).unwrap();
        let signature = format!("v1,AAAA v1,{}", encoding::base64_encode(&code));
        request.headers.push(("webhook-signature".into(), signature));
        Host::default().with_secret(SECRET, b"whsec_a2V5").with_now(NOW, "2026-01-02T03:04:05.000Z").install();
        request
    };
    assert_eq!(accepted(&signed("1767323045", b"key")).id.as_deref(), Some("w1"));
    // Two lines of one header are one list.
    let mut twice = signed("1767323045", b"key");
    twice.headers.insert(0, ("webhook-signature".into(), "v1,AAAA".into()));
    assert_eq!(accepted(&twice).id.as_deref(), Some("w1"));
    for (request, code, said) in [
        (signed("1767323045", b"other"), "gitlab.signature_wrong", "is not the body's"),
        (signed("1767322000", b"key"), "gitlab.signature_wrong", "1045 seconds behind"),
        (signed("soon", b"key"), "gitlab.timestamp_invalid", "not a time"),
    ] {
        let refusal = refused(&request);
        assert_eq!(refusal.code, code);
        assert!(refusal.message.contains(said), "{}", refusal.message);
    }
}

#[test]
fn requests_that_gitlab_does_not_send_are_refused() {
    let token = ("x-gitlab-token", "s3cret");
    for (body, code) in [
        ("", "gitlab.payload_invalid"),
        ("[]", "gitlab.payload_invalid"),
        ("{", "gitlab.payload_invalid"),
        ("{}", "gitlab.event_missing"),
        (r#"{"object_kind":"!"}"#, "gitlab.event_missing"),
    ] {
        let refusal = refused(&request(&[token], body));
        assert_eq!((refusal.status, refusal.code.as_str()), (400, code), "{body}");
    }
    let get = Request { method: "GET".into(), ..request(&[token], "{}") };
    assert_eq!((refused(&get).status, refused(&get).code.as_str()), (405, "gitlab.method"));
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = request(&[("x-gitlab-token", "s3cret")], "{}");
    Host::default().install();
    assert_eq!(receive::<GitLab>(&request, json!({})).unwrap_err().code, "secret.unknown");
}
