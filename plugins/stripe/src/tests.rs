//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Reception, Refusal, Request, crypto, encoding, first};
use serde_json::{Value, json};

use crate::{SECRET, Stripe};

const NOW: u64 = 1_767_323_045;

fn code(time: &str, body: &str, key: &[u8]) -> String {
    Host::default().with_secret(SECRET, key).install();
    let code = crypto::hmac("sha256", SECRET, format!("{time}.{body}").as_bytes()).unwrap();
    encoding::hex_encode(&code)
}

fn request(signature: Option<&str>, body: &str) -> Request {
    Host::default()
        .with_secret(SECRET, b"whsec_dGVzdA==")
        .with_now(1000.0 * 1_767_323_045.0, "2026-01-02T03:04:05.000Z")
        .install();
    let mut headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
    headers.extend(signature.map(|signature| ("stripe-signature".to_owned(), signature.to_owned())));
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers,
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

/// The key is the secret's whole text, `whsec_` and all.
fn signed(body: &str) -> Request {
    let code = code(&NOW.to_string(), body, b"whsec_dGVzdA==");
    request(Some(&format!("t={NOW},v1={code},v0=6ffbb59b")), body)
}

fn accepted(request: &Request) -> Draft {
    match receive::<Stripe>(request, json!({})) {
        Ok(Reception::Accepted(mut intake)) => intake.events.remove(0),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request, parameters: Value) -> Refusal {
    match receive::<Stripe>(request, parameters) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_event_keeps_stripes_id_type_time_and_object() {
    let body = r#"{"id":"evt_1","object":"event","api_version":"2025-09-30","created":1492774577,"livemode":false,
        "account":"acct_1","type":"invoice.paid","data":{"object":{"id":"in_1","object":"invoice"}}}"#;
    let draft = accepted(&signed(body));
    assert_eq!(draft.event_type, "stripe.invoice.paid");
    assert_eq!(draft.id.as_deref(), Some("evt_1"));
    assert_eq!(draft.subject.as_deref(), Some("in_1"));
    assert_eq!(draft.time.as_deref(), Some("2017-04-21T11:36:17Z"));
    assert_eq!(draft.data, body);
    let attribute = |name| first(&draft.attributes, name);
    assert_eq!(attribute("stripe-account"), Some("acct_1"));
    assert_eq!(attribute("stripe-livemode"), Some("false"));
    assert_eq!(attribute("stripe-signature"), None);
}

#[test]
fn thin_events_and_odd_parts_are_understood() {
    for (body, event_type, subject, time) in [
        (
            r#"{"id":"evt_2","type":"v1.billing.meter.error_report_triggered","created":"2024-09-17T06:20:52.246Z","related_object":{"id":"mtr_1"}}"#,
            "stripe.v1.billing.meter.error_report_triggered",
            Some("mtr_1"),
            Some("2024-09-17T06:20:52.246Z"),
        ),
        (
            r#"{"id":"evt_3","type":"balance.available","data":{"object":{"object":"balance"}}}"#,
            "stripe.balance.available",
            None,
            None,
        ),
        (r#"{"id":"evt_4","type":"x.y","created":"soon","data":[1]}"#, "stripe.x.y", None, None),
    ] {
        let draft = accepted(&signed(body));
        let found = (draft.event_type.as_str(), draft.subject.as_deref(), draft.time.as_deref());
        assert_eq!(found, (event_type, subject, time));
    }
}

#[test]
fn any_of_several_codes_may_be_right() {
    let body = r#"{"id":"evt_1","type":"a.b"}"#;
    let right = code(&NOW.to_string(), body, b"whsec_dGVzdA==");
    let other = code(&NOW.to_string(), body, b"old");
    assert_eq!(
        accepted(&request(Some(&format!("t={NOW}, v1={other}, v1={right}")), body)).id.as_deref(),
        Some("evt_1")
    );
}

#[test]
fn a_request_without_a_right_and_fresh_signature_is_refused() {
    let body = r#"{"id":"evt_1","type":"a.b"}"#;
    let right = code(&NOW.to_string(), body, b"whsec_dGVzdA==");
    let decoded = code(&NOW.to_string(), body, b"test");
    let old = code("1767322744", body, b"whsec_dGVzdA==");
    for (signature, code) in [
        (None, "stripe.signature_missing"),
        (Some(String::new()), "stripe.signature_wrong"),
        (Some(format!("v1={right}")), "stripe.signature_wrong"),
        (Some(format!("t={NOW}")), "stripe.signature_wrong"),
        (Some(format!("t={NOW},v0={right}")), "stripe.signature_wrong"),
        (Some(format!("t={NOW},v1=zz")), "stripe.signature_wrong"),
        (Some(format!("t={NOW},v1={decoded}")), "stripe.signature_wrong"),
        (Some(format!("t=1767323046,v1={right}")), "stripe.signature_wrong"),
        (Some(format!("t=1767322744,v1={old}")), "stripe.signature_old"),
    ] {
        let refusal = refused(&request(signature.as_deref(), body), json!({}));
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
    let mut changed = signed(body);
    changed.body.push(b' ');
    assert_eq!(refused(&changed, json!({})).code, "stripe.signature_wrong");
    let longer =
        receive::<Stripe>(&request(Some(&format!("t=1767322744,v1={old}")), body), json!({"tolerance_seconds": 301}));
    assert!(matches!(longer, Ok(Reception::Accepted(_))), "{longer:?}");
}

#[test]
fn a_signed_request_that_is_not_an_event_is_refused() {
    for (body, code) in [
        ("", "stripe.payload_invalid"),
        ("[]", "stripe.payload_invalid"),
        ("{\"id\":", "stripe.payload_invalid"),
        (r#"{"id":"evt_1"}"#, "stripe.event_missing"),
        (r#"{"type":"a.b"}"#, "stripe.event_missing"),
        (r#"{"id":7,"type":"a.b"}"#, "stripe.event_missing"),
    ] {
        let refusal = refused(&signed(body), json!({}));
        assert_eq!((refusal.status, refusal.code.as_str()), (400, code), "{body}");
    }
    let get = Request { method: "GET".into(), ..signed("{}") };
    assert_eq!(refused(&get, json!({})).status, 405);
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = signed("{}");
    Host::default().install();
    assert_eq!(receive::<Stripe>(&request, json!({})).unwrap_err().code, "secret.unknown");
    assert_eq!(receive::<Stripe>(&request, json!({"tolerance": 1})).unwrap_err().code, "parameters.invalid");
}

#[test]
fn a_signature_in_two_lines_of_one_header_is_one_list() {
    let mut request = signed(r#"{"id":"evt_1","type":"a.b"}"#);
    request.headers.insert(
        0,
        (
            "Stripe-Signature".into(),
            "t=1767323045,v1=0000000000000000000000000000000000000000000000000000000000000000".into(),
        ),
    );
    assert_eq!(accepted(&request).id.as_deref(), Some("evt_1"));
}
