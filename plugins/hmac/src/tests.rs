//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Pairs, Reception, Refusal, Request, crypto, encoding};
use serde_json::{Value, json};

use crate::{HmacSource, SECRET};

/// `{"event":"paid"}` as gzip writes it.
const GZIPPED: [u8; 36] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 171, 86, 74, 45, 75, 205, 43, 81, 178, 82, 42, 72, 204, 76, 81, 170, 5, 0, 234,
    147, 117, 217, 16, 0, 0, 0,
];

const NOW: &str = "1767323045";

fn install() {
    Host::default().with_secret(SECRET, b"key").with_now(1_767_323_045_000.0, "2026-01-02T03:04:05.000Z").install();
}

fn code(algorithm: &str, data: &str) -> Vec<u8> {
    install();
    crypto::hmac(algorithm, SECRET, data.as_bytes()).unwrap()
}

fn hex(data: &str) -> String {
    encoding::hex_encode(&code("sha256", data))
}

fn request(headers: &[(&str, &str)], body: &str) -> Request {
    install();
    let headers: Pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request {
        method: "POST".into(),
        path: "/p".into(),
        query: "q=1".into(),
        headers,
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn accepted(request: &Request, parameters: Value) -> Draft {
    match receive::<HmacSource>(request, parameters) {
        Ok(Reception::Accepted(mut intake)) => intake.events.remove(0),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request, parameters: Value) -> Refusal {
    match receive::<HmacSource>(request, parameters) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_signature_is_checked_as_the_parameters_say() {
    let body = r#"{"event":"paid","ü":1}"#;
    let base64 = |algorithm: &str, data: &str| encoding::base64_encode(&code(algorithm, data));
    let url = base64("sha256", body).replace('+', "-").replace('/', "_");
    for (parameters, headers) in [
        (json!({"header": "X-Sig"}), vec![("x-sig", hex(body))]),
        (json!({"header": "X-Sig"}), vec![("x-sig", hex(body).to_uppercase())]),
        (json!({"header": "x-sig", "prefix": "sha256="}), vec![("x-sig", format!("sha256={}", hex(body)))]),
        (
            json!({"header": "x-sig", "algorithm": "sha512", "encoding": "base64"}),
            vec![("x-sig", base64("sha512", body))],
        ),
        (json!({"header": "x-sig", "algorithm": "sha1", "encoding": "base64"}), vec![("x-sig", base64("sha1", body))]),
        (json!({"header": "x-sig", "encoding": "base64url"}), vec![("x-sig", url.trim_end_matches('=').to_owned())]),
        (
            json!({"header": "x-sig", "signed": "{timestamp}.{body}", "timestamp_header": "x-time"}),
            vec![("x-sig", hex(&format!("{NOW}.{body}"))), ("x-time", NOW.to_owned())],
        ),
        (
            json!({"header": "p-sig", "prefix": "h1=", "signed": "{timestamp}:{body}", "timestamp_header": "p-sig", "timestamp_prefix": "ts="}),
            vec![("p-sig", format!("ts={NOW};h1={}", hex(&format!("{NOW}:{body}"))))],
        ),
        (
            json!({"header": "x-sig", "signed": "{method} {path}?{query} {header:X-Id}\n{body}"}),
            vec![("x-sig", hex(&format!("POST /p?q=1 i7\n{body}"))), ("x-id", "i7".to_owned())],
        ),
        (json!({"header": "x-sig", "prefix": "sha256 "}), vec![("x-sig", format!("sha256 {}", hex(body)))]),
        (json!({"header": "x-sig", "prefix": "v1,"}), vec![("x-sig", format!("v1,{}", hex(body)))]),
        // Two lines of one header are one list.
        (json!({"header": "x-sig"}), vec![("x-sig", "0".repeat(64)), ("x-sig", hex(body))]),
        (
            json!({"header": "x-sig", "timestamp_header": "x-time", "timestamp_format": "milliseconds"}),
            vec![("x-sig", hex(body)), ("x-time", "1767323045123".to_owned())],
        ),
        (
            json!({"header": "x-sig", "timestamp_header": "x-time", "timestamp_format": "rfc3339"}),
            vec![("x-sig", hex(body)), ("x-time", "2026-01-02T04:04:05+01:00".to_owned())],
        ),
        (
            json!({"header": "x-sig", "prefix": "v1="}),
            vec![("x-sig", format!("v1={}, v1={}", "0".repeat(64), hex(body)))],
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let draft = accepted(&request(&headers, body), parameters.clone());
        assert_eq!((draft.event_type.as_str(), draft.data.as_str()), ("webhook.received", body), "{parameters}");
    }
}

#[test]
fn the_event_is_made_as_the_rules_say() {
    let body = r#"{"event":"invoice/paid","id":7,"at":"2026-01-02T03:04:00Z","customer":{"name":"Ada"}}"#;
    let parameters = json!({"header": "x-sig", "event": {
        "type": {"path": "event", "prefix": "acme."}, "id": {"header": "x-delivery"}, "time": {"path": "at"},
        "subject": {"path": "customer.name"}, "attributes": ["X-Region"],
    }});
    let headers = [("x-sig", hex(body)), ("x-delivery", "d9".to_owned()), ("x-region", "eu".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let draft = accepted(&request(&headers, body), parameters.clone());
    assert_eq!(draft.event_type, "acme.invoice.paid");
    assert_eq!((draft.id.as_deref(), draft.subject.as_deref()), (Some("d9"), Some("Ada")));
    assert_eq!(draft.time.as_deref(), Some("2026-01-02T03:04:00Z"));
    assert_eq!(draft.attributes, [("x-region".to_owned(), "eu".to_owned())]);
    let refusal = refused(&request(&[("x-sig", &hex("{}"))], "{}"), parameters);
    assert_eq!((refusal.status, refusal.code.as_str()), (422, "hmac.type_missing"));
}

#[test]
fn any_signed_body_is_accepted() {
    let fixed = json!({"header": "x-sig", "event": {"type": "a.b"}});
    for (content_type, body, data) in [
        ("text/plain", "hello", r#""hello""#),
        ("application/x-www-form-urlencoded", "a=1&b=2", r#"{"a":"1","b":"2"}"#),
        ("", "", r#""""#),
    ] {
        let draft = accepted(&request(&[("x-sig", &hex(body)), ("content-type", content_type)], body), fixed.clone());
        assert_eq!(draft.data, data);
    }
    let refusal = refused(&request(&[("x-sig", &hex("{")), ("content-type", "application/json")], "{"), fixed);
    assert_eq!((refusal.status, refusal.code.as_str()), (400, "hmac.payload_invalid"));
}

#[test]
fn the_signature_of_a_compressed_body_covers_the_sent_bytes_by_default() {
    let (plain, sent) = (r#"{"event":"paid"}"#, GZIPPED.to_vec());
    let signed = |data: &[u8]| {
        install();
        encoding::hex_encode(&crypto::hmac("sha256", SECRET, data).unwrap())
    };
    let ask = |signature: &str, parameters: Value| {
        let headers = [("x-sig", signature), ("content-encoding", "gzip"), ("content-type", "application/json")];
        let request = Request { body: sent.clone(), ..request(&headers, "") };
        receive::<HmacSource>(&request, parameters)
    };
    let as_sent = json!({"header": "x-sig"});
    let decoded = json!({"header": "x-sig", "signed_body": "decoded"});
    for (signature, parameters, is_right) in [
        (signed(&sent), &as_sent, true),
        (signed(plain.as_bytes()), &as_sent, false),
        (signed(plain.as_bytes()), &decoded, true),
        (signed(&sent), &decoded, false),
    ] {
        match ask(&signature, parameters.clone()).unwrap() {
            Reception::Accepted(intake) => assert!(is_right && intake.events[0].data == plain, "{parameters}"),
            Reception::Refused(refusal) => assert!(!is_right && refusal.code == "hmac.signature_wrong", "{parameters}"),
        }
    }
}

#[test]
fn unsigned_or_old_requests_are_refused() {
    let body = "{}";
    let timed = json!({"header": "x-sig", "signed": "{timestamp}.{body}", "timestamp_header": "x-time"});
    let plain = json!({"header": "x-sig", "prefix": "sha256="});
    let (right, prefixed) = (hex(&format!("{NOW}.{body}")), format!("sha256={}", hex(body)));
    let old = hex("1767322744.{}");
    let written = hex("2026-01-02T03:04:05Z.{}");
    for (headers, body, parameters, code) in [
        (vec![], body, &plain, "hmac.signature_missing"),
        (vec![("x-sig", "")], body, &plain, "hmac.signature_wrong"),
        (vec![("x-sig", "sha256=zz")], body, &plain, "hmac.signature_wrong"),
        (vec![("x-sig", right.as_str())], body, &plain, "hmac.signature_wrong"),
        (vec![("x-sig", prefixed.as_str())], "{} ", &plain, "hmac.signature_wrong"),
        (vec![("x-sig", right.as_str())], body, &timed, "hmac.signature_missing"),
        (vec![("x-sig", right.as_str()), ("x-time", "1767323046")], body, &timed, "hmac.signature_wrong"),
        (vec![("x-sig", old.as_str()), ("x-time", "1767322744")], body, &timed, "hmac.signature_old"),
        (vec![("x-sig", written.as_str()), ("x-time", "2026-01-02T03:04:05Z")], body, &timed, "hmac.timestamp_invalid"),
    ] {
        let refusal = refused(&request(&headers, body), parameters.clone());
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
    let get = Request { method: "GET".into(), ..request(&[], "") };
    assert_eq!(refused(&get, plain).status, 405);
}

#[test]
fn parameters_that_make_no_sense_are_the_operators_failure() {
    let request = request(&[("x-sig", &hex("{}"))], "{}");
    for (parameters, said) in [
        (json!({}), "`header`"),
        (json!({"header": "x-sig", "algorithm": "md5"}), "`algorithm`"),
        (json!({"header": "x-sig", "signed": "{url}{body}"}), "`{url}`, which is not a placeholder"),
        (json!({"header": "x-sig", "signed": "{timestamp}{body}"}), "there is no `timestamp_header`"),
        (json!({"header": "x-sig", "signed": "{method}"}), "leaves the body out"),
        (json!({"header": "x-sig", "signed": "{body"}), "not closed"),
    ] {
        let failure = receive::<HmacSource>(&request, parameters).unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
        assert!(failure.message.contains(said), "{}", failure.message);
    }
    Host::default().install();
    let failure = receive::<HmacSource>(&request, json!({"header": "x-sig"})).unwrap_err();
    assert_eq!(failure.code, "secret.unknown");
}
