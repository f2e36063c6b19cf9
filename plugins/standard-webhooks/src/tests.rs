//! Which requests become which events, and how the others are refused.

use ed25519_dalek::{Signer, SigningKey};
use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Reception, Refusal, Request, crypto, encoding};
use serde_json::{Value, json};

use crate::{SECRET, StandardWebhooks};

const NOW: &str = "1614265330";

fn install(secret: &[u8]) {
    Host::default().with_secret(SECRET, secret).with_now(1_614_265_330_000.0, "2021-02-25T15:02:10.000Z").install();
}

fn request(id: &str, time: &str, signature: &str, body: &str) -> Request {
    let headers = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
    let headers = headers.iter().filter(|(_, value)| !value.is_empty());
    let headers = headers.chain([&("content-type", "application/json")]);
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

/// `v1,CODE`, keyed by these bytes.
fn v1(key: &[u8], time: &str, body: &str) -> String {
    Host::default().with_secret("key", key).install();
    let code = crypto::hmac("sha256", "key", format!("msg_1.{time}.{body}").as_bytes()).unwrap();
    install(b"whsec_a2V5");
    format!("v1,{}", encoding::base64_encode(&code))
}

fn accepted(request: &Request, parameters: Value) -> Draft {
    match receive::<StandardWebhooks>(request, parameters) {
        Ok(Reception::Accepted(mut intake)) => intake.events.remove(0),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request, parameters: Value) -> Refusal {
    match receive::<StandardWebhooks>(request, parameters) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The example of the specification's reference libraries.
#[test]
fn the_signature_is_the_one_of_the_specification() {
    install(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let request = request("msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, signature, r#"{"test": 2432232314}"#);
    // The signature holds, so the refusal is about the body, which names no type.
    let refusal = refused(&request, json!({}));
    assert_eq!((refusal.status, refusal.code.as_str()), (422, "standard_webhooks.type_missing"));
    assert_eq!(accepted(&request, json!({"type_path": "test", "type_prefix": "n."})).event_type, "n.2432232314");
}

#[test]
fn an_event_has_the_type_id_and_time_of_the_message() {
    let body = r#"{"type":"user.created","timestamp":"2021-02-25T15:02:00.123456Z","data":{"id":"u1"}}"#;
    let parameters = json!({"type_prefix": "acme.", "subject_path": "data.id"});
    let draft = accepted(&request("msg_1", NOW, &v1(b"key", NOW, body), body), parameters);
    assert_eq!(draft.event_type, "acme.user.created");
    assert_eq!((draft.id.as_deref(), draft.subject.as_deref()), (Some("msg_1"), Some("u1")));
    assert_eq!(draft.time.as_deref(), Some("2021-02-25T15:02:00.123456Z"));
    assert_eq!(draft.data, body);
}

#[test]
fn a_secret_without_its_prefix_is_used_literally_and_several_signatures_are_accepted() {
    let body = r#"{"type":"a.b"}"#;
    let right = v1(b"plain", NOW, body);
    install(b"plain");
    assert_eq!(accepted(&request("msg_1", NOW, &format!("v1,AAAA v2,x {right}"), body), json!({})).event_type, "a.b");
}

#[test]
fn a_signature_with_a_public_key_needs_no_secret() {
    let body = r#"{"type":"a.b"}"#;
    let key = SigningKey::from_bytes(&[7; 32]);
    let sign = |key: &SigningKey| {
        let signature = key.sign(format!("msg_1.{NOW}.{body}").as_bytes());
        format!("v1a,{}", encoding::base64_encode(&signature.to_bytes()))
    };
    let public = format!("whpk_{}", encoding::base64_encode(key.verifying_key().as_bytes()));
    let parameters = json!({"public_key": public});
    Host::default().with_now(1_614_265_330_000.0, "2021-02-25T15:02:10.000Z").install();
    assert_eq!(accepted(&request("msg_1", NOW, &sign(&key), body), parameters.clone()).event_type, "a.b");
    let other = sign(&SigningKey::from_bytes(&[8; 32]));
    for signature in [other.as_str(), "v1a,AAAA", "v1a,!"] {
        let refusal = refused(&request("msg_1", NOW, signature, body), parameters.clone());
        assert_eq!(refusal.code, "standard_webhooks.signature_wrong");
    }
    let failure = receive::<StandardWebhooks>(&request("msg_1", NOW, &other, body), json!({"public_key": "AAAA"}));
    assert_eq!(failure.unwrap_err().code, "parameters.invalid");
    assert!(refused(&request("msg_1", NOW, &sign(&key), body), json!({})).message.contains("public_key"));
}

#[test]
fn unsigned_or_old_requests_are_refused() {
    let body = r#"{"type":"a.b"}"#;
    let (right, old) = (v1(b"key", NOW, body), v1(b"key", "1614265029", body));
    let wrong = v1(b"whsec_a2V5", NOW, body);
    for (request, code) in [
        (request("", NOW, &right, body), "standard_webhooks.signature_missing"),
        (request("msg_1", "", &right, body), "standard_webhooks.signature_missing"),
        (request("msg_1", NOW, "", body), "standard_webhooks.signature_missing"),
        (request("msg_1", NOW, "v1", body), "standard_webhooks.signature_wrong"),
        (request("msg_1", NOW, "v1,", body), "standard_webhooks.signature_wrong"),
        (request("msg_1", NOW, &wrong, body), "standard_webhooks.signature_wrong"),
        (request("msg_2", NOW, &right, body), "standard_webhooks.signature_wrong"),
        (request("msg_1", NOW, &right, "{}"), "standard_webhooks.signature_wrong"),
        (request("msg_1", "1614265029", &old, body), "standard_webhooks.signature_old"),
    ] {
        let refusal = refused(&request, json!({}));
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
    let get = Request { method: "GET".into(), ..request("msg_1", NOW, &right, body) };
    assert_eq!(refused(&get, json!({})).status, 405);
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let refusal = refused(&request("msg_1", NOW, &v1(b"key", NOW, "{"), "{"), json!({}));
    assert_eq!((refusal.status, refusal.code.as_str()), (400, "standard_webhooks.payload_invalid"));
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = request("msg_1", NOW, "v1,AAAA", "{}");
    Host::default().install();
    assert_eq!(receive::<StandardWebhooks>(&request, json!({})).unwrap_err().code, "secret.unknown");
    // A secret that is not base64 keys as it stands, and fits nothing that the provider signs.
    install(b"whsec_!");
    assert_eq!(refused(&request, json!({})).code, "standard_webhooks.signature_wrong");
}

#[test]
fn a_signature_in_two_lines_of_one_header_is_one_list() {
    let body = r#"{"type":"a.b"}"#;
    let mut request = request("msg_1", NOW, &v1(b"key", NOW, body), body);
    request.headers.insert(0, ("webhook-signature".into(), "v1,AAAA".into()));
    assert_eq!(accepted(&request, json!({})).event_type, "a.b");
}
