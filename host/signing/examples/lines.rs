//! Prints signed requests, one a line, in the form that `tests/clients/verify.mjs` and `verify.py` read: each policy with
//! a new key, then in the midst of a rotation, and each once more with another body, which nobody may accept.
//!
//! ```sh
//! cargo run --release -p hookwright-signing --example lines | node tests/clients/verify.mjs
//! ```

#![allow(clippy::print_stdout, reason = "it prints what it makes")]

use bytes::Bytes;
use hookwright_model::{Clock as _, SigningPolicy, SystemClock};
use hookwright_signing::{NewKey, Signer, SnsEnvelope, SnsKind, Unsigned, generate};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    for value in policies() {
        let policy: SigningPolicy = serde_json::from_value(value.clone())?;
        policy.check()?;
        let (new, old) = (generate(&policy)?, generate(&policy)?);
        let kinds = match policy {
            SigningPolicy::Sns(_) => {
                vec![SnsKind::Notification, SnsKind::SubscriptionConfirmation, SnsKind::UnsubscribeConfirmation]
            }
            _ => vec![SnsKind::Notification],
        };
        for kind in kinds {
            print(&value, &policy, &[&new], &new, 1, kind)?;
        }
        let several =
            matches!(policy.kind(), "standard" | "standard-asymmetric" | "stripe" | "http-message-signatures");
        let holder = if several { (&old, 2) } else { (&new, 1) };
        print(&value, &policy, &[&new, &old], holder.0, holder.1, SnsKind::Notification)?;
    }
    Ok(())
}

fn policies() -> Vec<Value> {
    let mut policies = vec![
        json!({"kind": "standard"}),
        json!({"kind": "standard-asymmetric"}),
        json!({"kind": "stripe"}),
        json!({"kind": "github"}),
        json!({"kind": "sns", "signature_version": "1"}),
        json!({"kind": "sns"}),
        json!({"kind": "hmac", "header": "X-Signature", "algorithm": "sha256", "encoding": "hex", "prefix": "sha256="}),
        json!({"kind": "hmac", "header": "X-Signature", "algorithm": "sha512", "encoding": "base64",
               "timestamp_header": "X-Time"}),
    ];
    for algorithm in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "EdDSA"] {
        policies
            .push(json!({"kind": "jwt", "algorithm": algorithm, "audience": "me", "issuer": "https://hooks.example"}));
    }
    for algorithm in
        ["ed25519", "hmac-sha256", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256"]
    {
        policies.push(json!({"kind": "http-message-signatures", "algorithm": algorithm, "nonce": true,
                             "expires_in_seconds": 300, "tag": "hookwright"}));
    }
    policies
}

/// Prints what is signed with `keys` for a receiver that has the key `holder`, which is the `place`th.
fn print(
    value: &Value,
    policy: &SigningPolicy,
    keys: &[&NewKey],
    holder: &NewKey,
    place: usize,
    kind: SnsKind,
) -> Result<(), Failure> {
    let ids = keys.iter().enumerate().map(|(at, key)| (format!("k{}", at + 1), key.private.as_slice()));
    let body = Bytes::from_static(
        "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"ticket.created\",\"data\":{\"object\":{\"subject\":\"Größe №7\"}}}".as_bytes(),
    );
    let url = "https://receiver.example/hooks/1?a=b";
    let certificate_url =
        format!("https://hooks.example/keys/{}.pem", value["signature_version"].as_str().unwrap_or("2"));
    let unsigned = Unsigned {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        time: SystemClock.now(),
        method: "POST",
        url,
        webhook: Some("wh_1"),
        event_type: "ticket.created",
        headers: &[],
        content_type: "application/json",
        body: &body,
        envelope: Some(SnsEnvelope {
            kind,
            topic_arn: "arn:aws:sns:local:main:tickets",
            subject: Some("A ticket"),
            token: Some("t0k3n"),
            subscribe_url: Some("https://hooks.example/confirm?Token=t0k3n"),
            unsubscribe_url: Some("https://hooks.example/unsubscribe"),
            // Receivers keep what they fetched by its URL.
            certificate_url: &certificate_url,
        }),
    };
    let signed = Signer::new(policy, ids)?.sign(&unsigned)?;
    let mut headers: serde_json::Map<String, Value> =
        signed.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    headers.insert("content-type".to_owned(), Value::from(signed.content_type.as_str()));
    let mut line = value.clone();
    let Some(members) = line.as_object_mut() else { return Err("a policy is an object".into()) };
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("scheme", Value::from(policy.kind()));
    set("keys_in_use", Value::from(keys.len()));
    set("sns_type", Value::from(format!("{kind:?}")));
    set("method", Value::from("POST"));
    set("url", Value::from(url));
    set("headers", Value::from(headers));
    set("body", Value::from(std::str::from_utf8(&signed.body)?));
    set("label", Value::from(if place == 1 { "sig1" } else { "sig1-2" }));
    if let Some(secret) = &holder.shown {
        set("secret", Value::from(secret.as_str()));
    }
    if let Some(public) = &holder.public {
        set("keys", json!({format!("k{place}"): public}));
        set("certificate", json!(public.certificate_pem));
    }
    println!("{line}");
    // The same with another body. A token is changed in its claims, an envelope in its message.
    let text = std::str::from_utf8(&signed.body)?;
    let changed = match policy {
        SigningPolicy::Jwt(_) => text.replacen('.', ".e", 1),
        _ => text.replacen("ticket", "tocket", 1),
    };
    if let Some(members) = line.as_object_mut() {
        members.insert("body".to_owned(), Value::from(changed));
        members.insert("changed".to_owned(), Value::from(true));
    }
    println!("{line}");
    Ok(())
}
