use bytes::Bytes;
use hookwright_model::{Clock as _, SystemClock, Timestamp};
use hookwright_signing::{Signer, SigningError, SnsKind, Unsigned, import};
use serde_json::json;

use super::{BODY, NOW, envelope, header, key, policy, rsa, signer, unsigned};

#[test]
fn the_published_vector_of_standard_webhooks_matches() {
    let policy = policy(json!({"kind": "standard"}));
    let key = import(&policy, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let signed = signer(&policy, &[&key]).sign(&unsigned(&BODY)).unwrap();
    assert_eq!(header(&signed, "webhook-id"), "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
    assert_eq!(header(&signed, "webhook-timestamp"), "1649367553");
    assert_eq!(header(&signed, "webhook-signature"), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    assert_eq!((signed.body, signed.content_type.as_str()), (BODY.clone(), "application/json"));
}

#[test]
fn the_standard_webhooks_library_verifies_only_signed_messages() {
    let policy = policy(json!({"kind": "standard"}));
    let (new, old) = (key(&policy), key(&policy));
    // The library knows no clock but the machine's.
    let now = SystemClock.now();
    let signed = signer(&policy, &[&new, &old]).sign(&Unsigned { time: now, ..unsigned(&BODY) }).unwrap();
    let headers: http::HeaderMap = signed
        .headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let verifies = |key: &hookwright_signing::NewKey, body: &[u8]| {
        let library = standardwebhooks::Webhook::new(key.shown.as_deref().unwrap()).unwrap();
        library.verify(body, &headers).is_ok()
    };
    assert!(verifies(&new, &BODY) && verifies(&old, &BODY), "while keys are rotated, both");
    assert!(!verifies(&new, b"{}") && !verifies(&super::key(&policy), &BODY));
}

#[test]
fn the_published_vector_of_asymmetric_standard_webhooks_matches() {
    let policy = policy(json!({"kind": "standard-asymmetric"}));
    let key = import(
        &policy,
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    )
    .unwrap();
    let body = Bytes::from_static(br#"{"test": 2432232314}"#);
    let message = Unsigned {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        time: Timestamp::from_millis(1_614_265_330_000),
        ..unsigned(&body)
    };
    assert_eq!(
        header(&signer(&policy, &[&key]).sign(&message).unwrap(), "webhook-signature"),
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    );
}

#[test]
fn a_policy_names_every_field_that_it_sets() {
    for value in [
        json!({"kind": "standard"}),
        json!({"kind": "standard-asymmetric"}),
        json!({"kind": "jwt", "algorithm": "HS256"}),
        json!({"kind": "sns"}),
        json!({"kind": "http-message-signatures", "algorithm": "hmac-sha256"}),
        json!({"kind": "github"}),
        json!({"kind": "github", "sha1": true}),
        json!({"kind": "stripe"}),
        json!({"kind": "hmac", "header": "X-Sig", "algorithm": "sha256", "encoding": "hex"}),
        json!({"kind": "hmac", "header": "X-Sig", "algorithm": "sha256", "encoding": "hex", "timestamp_header": "X-T"}),
    ] {
        let policy = policy(value);
        let key = if policy.kind() == "sns" { rsa(&policy) } else { key(&policy) };
        let envelope = Some(envelope(SnsKind::Notification));
        let message = Unsigned { content_type: "text/csv", envelope, ..unsigned(&BODY) };
        let signed = signer(&policy, &[&key]).sign(&message).unwrap();
        let mut set: Vec<String> = signed.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        set.extend((signed.content_type != "text/csv").then(|| "content-type".to_owned()));
        let mut named: Vec<String> = policy.header_fields().iter().map(|name| name.to_ascii_lowercase()).collect();
        set.sort();
        named.sort();
        assert_eq!(named, set, "{policy:?}");
    }
}

#[test]
fn during_rotation_every_key_signs_if_the_scheme_allows_several_signatures() {
    for (policy, name, separator) in [
        (policy(json!({"kind": "standard"})), "webhook-signature", " "),
        (policy(json!({"kind": "standard-asymmetric"})), "webhook-signature", " "),
        (policy(json!({"kind": "stripe"})), "stripe-signature", ",v1="),
    ] {
        let (new, old) = (key(&policy), key(&policy));
        let alone = |key| header(&signer(&policy, &[key]).sign(&unsigned(&BODY)).unwrap(), name).to_owned();
        let both = header(&signer(&policy, &[&new, &old]).sign(&unsigned(&BODY)).unwrap(), name).to_owned();
        let only_old = alone(&old);
        let code = only_old.rsplit_once(",v1=").map_or(only_old.as_str(), |(_, code)| code);
        assert_eq!(both, format!("{}{separator}{code}", alone(&new)));
    }
}

#[test]
fn during_rotation_the_newest_key_signs_if_the_scheme_allows_one_signature() {
    for (policy, name) in [
        (policy(json!({"kind": "github"})), "x-hub-signature-256"),
        (policy(json!({"kind": "hmac", "header": "X-S", "algorithm": "sha256", "encoding": "hex"})), "x-s"),
    ] {
        let (new, old) = (key(&policy), key(&policy));
        let with = |keys: &[_]| header(&signer(&policy, keys).sign(&unsigned(&BODY)).unwrap(), name).to_owned();
        assert_eq!(with(&[&new, &old]), with(&[&new]));
        assert_ne!(with(&[&new, &old]), with(&[&old]));
    }
}

#[test]
fn without_a_policy_only_the_id_and_the_time_are_added() {
    let signer = Signer::new(&policy(json!({"kind": "none"})), []).unwrap();
    let signed = signer.sign(&unsigned(&BODY)).unwrap();
    assert_eq!(signed.body, BODY);
    let names: Vec<&str> = signed.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["webhook-id", "webhook-timestamp"]);
}

#[test]
fn github_signatures_match_the_documentation() {
    let body = Bytes::from_static(b"Hello, World!");
    for sha1 in [false, true] {
        let policy = policy(json!({"kind": "github", "sha1": sha1}));
        let key = import(&policy, "It's a Secret to Everybody").unwrap();
        let signed = signer(&policy, &[&key]).sign(&unsigned(&body)).unwrap();
        assert_eq!(
            header(&signed, "X-Hub-Signature-256"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
        assert_eq!(header(&signed, "X-GitHub-Event"), "ticket.created");
        assert_eq!(header(&signed, "X-GitHub-Delivery"), "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
        assert_eq!(signed.headers.iter().any(|(name, _)| name == "X-Hub-Signature"), sha1);
        if sha1 {
            // openssl dgst -sha1 -hmac
            assert_eq!(header(&signed, "X-Hub-Signature"), "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59");
        }
    }
}

#[test]
fn an_hmac_is_encoded_as_configured() {
    let body = Bytes::from_static(b"Hello, World!");
    for (more, name, wanted, time) in [
        (
            json!({"algorithm": "sha256", "encoding": "hex"}),
            "X-Sum",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            None,
        ),
        (
            json!({"algorithm": "sha512", "encoding": "base64", "prefix": "v0="}),
            "X-Sum",
            "v0=Ee01WmF+mBNOhCASp5RMz1nBAlbLGCNXvX46QgE/8Hw3b4wUz1zBkj2iC1HWQlay+4678QCqZ6YTJvYf6oERvA==",
            None,
        ),
        (
            json!({"algorithm": "sha1", "encoding": "base64", "timestamp_header": "X-Time"}),
            "X-Sum",
            "hmhqjlRaXIYUFutFuyRkGJ3XNKQ=",
            Some("1649367553"),
        ),
    ] {
        let mut value = json!({"kind": "hmac", "header": name});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let policy = policy(value);
        let key = import(&policy, "It's a Secret to Everybody").unwrap();
        let signed = signer(&policy, &[&key]).sign(&unsigned(&body)).unwrap();
        assert_eq!(header(&signed, name), wanted);
        if let Some(time) = time {
            assert_eq!(header(&signed, "X-Time"), time);
        }
    }
}

#[test]
fn invalid_header_values_are_rejected_with_the_field_name() {
    let github = policy(json!({"kind": "github"}));
    let key = key(&github);
    let signer = signer(&github, &[&key]);
    for (message, part) in [
        (Unsigned { event_type: "täglich", ..unsigned(&BODY) }, "the event's type `täglich`"),
        (Unsigned { event_type: "a\r\nX-B: c", ..unsigned(&BODY) }, "the event's type `aX-B: c`"),
        (Unsigned { id: "", ..unsigned(&BODY) }, "the message's id ``"),
        (Unsigned { id: "a b", ..unsigned(&BODY) }, "the message's id `a b`"),
    ] {
        let error = signer.sign(&message).unwrap_err();
        assert!(matches!(error, SigningError::Header { .. }) && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn stripe_signatures_start_with_the_timestamp() {
    let policy = policy(json!({"kind": "stripe"}));
    let key = key(&policy);
    let signed = signer(&policy, &[&key]).sign(&unsigned(&BODY)).unwrap();
    assert!(header(&signed, "Stripe-Signature").starts_with(&format!("t={},v1=", NOW.seconds())));
}
