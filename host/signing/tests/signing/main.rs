//! What each policy sends, and which keys it takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod jwt;
mod keys;
mod message;
mod schemes;
mod sns;

use bytes::Bytes;
use hookwright_model::{SigningPolicy, Timestamp};
use hookwright_signing::{NewKey, Signed, Signer, SnsEnvelope, SnsKind, Unsigned, generate, import};
use serde_json::{Value, json};

/// 2022-04-07T21:39:13.042Z
const NOW: Timestamp = Timestamp::from_millis(1_649_367_553_042);
static BODY: Bytes = Bytes::from_static(br#"{"email":"test@example.com","username":"test_user"}"#);

fn policy(value: Value) -> SigningPolicy {
    let policy: SigningPolicy = serde_json::from_value(value).unwrap();
    assert_eq!(policy.check(), Ok(()));
    policy
}

fn jwt(algorithm: &str) -> SigningPolicy {
    policy(json!({"kind": "jwt", "algorithm": algorithm, "audience": "me", "issuer": "https://hooks.example"}))
}

fn message(algorithm: &str) -> SigningPolicy {
    policy(json!({"kind": "http-message-signatures", "algorithm": algorithm}))
}

fn unsigned(body: &Bytes) -> Unsigned<'_> {
    Unsigned {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        time: NOW,
        method: "POST",
        url: "https://Example.com/hooks?a=1",
        webhook: Some("wh_1"),
        event_type: "ticket.created",
        headers: &[],
        content_type: "application/json",
        body,
        envelope: None,
    }
}

fn envelope<'a>(kind: SnsKind) -> SnsEnvelope<'a> {
    SnsEnvelope {
        kind,
        topic_arn: "arn:aws:sns:local:main:tickets",
        subject: Some("Hello"),
        token: Some("t0k3n"),
        subscribe_url: Some("https://hooks.example/confirm?Token=t0k3n"),
        unsubscribe_url: Some("https://hooks.example/unsubscribe"),
        certificate_url: "https://hooks.example/keys/1.pem",
    }
}

/// A signer with these keys, the newest first, known as `k1`, `k2`, ...
fn signer(policy: &SigningPolicy, keys: &[&NewKey]) -> Signer {
    let keys = keys.iter().enumerate().map(|(place, key)| (format!("k{}", place + 1), key.private.as_slice()));
    Signer::new(policy, keys).unwrap()
}

fn header<'a>(signed: &'a Signed, name: &str) -> &'a str {
    let mut found = signed.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let value = &found.next().unwrap_or_else(|| panic!("no {name} in {:?}", signed.headers)).1;
    assert!(found.next().is_none(), "{name} twice");
    value
}

/// A key on an RSA modulus of 2048 bits, so that tests need not make one.
fn rsa(policy: &SigningPolicy) -> NewKey {
    import(policy, include_str!("rsa.pem")).unwrap()
}

fn key(policy: &SigningPolicy) -> NewKey {
    generate(policy).unwrap()
}
