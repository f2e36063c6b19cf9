use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use hookwright_model::Header;
use hookwright_signing::{NewKey, Signed, SigningError, Unsigned};
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

use super::{BODY, header, key, message, policy, rsa, signer, unsigned};

/// SHA-256 of `BODY`, as `sha256sum` has it.
const DIGEST: &str = "sha-256=:p1I2tCk/s2lJQ48ghRfbqT93PJ92Hl7Izltpj3Fb1KI=:";

/// The parameters and the signature of a label.
fn signature(signed: &Signed, label: &str) -> (String, Vec<u8>) {
    let member = |value: &str, end: &str| {
        let from = value.split(&format!("{label}=")).nth(1).unwrap();
        from.split(end).next().unwrap().to_owned()
    };
    let written = member(header(signed, "signature-input"), ", ");
    let code = member(header(signed, "signature").replace(":, ", ":|").as_str(), "|");
    (written, STANDARD.decode(code.trim_matches(':')).unwrap())
}

fn verify(algorithm: &str, key: &NewKey, base: &[u8], signature: &[u8]) -> bool {
    let pem = key.public.as_ref().map(|public| public.pem.as_str()).unwrap_or_default();
    match algorithm {
        "hmac-sha256" => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.shown.as_ref().unwrap().as_bytes()).unwrap();
            mac.update(base);
            mac.verify_slice(signature).is_ok()
        }
        "ed25519" => {
            let signature = ed25519_dalek::Signature::from_slice(signature).unwrap();
            ed25519_dalek::VerifyingKey::from_public_key_pem(pem).unwrap().verify(base, &signature).is_ok()
        }
        "ecdsa-p256-sha256" => {
            let signature = p256::ecdsa::Signature::from_slice(signature).unwrap();
            p256::ecdsa::VerifyingKey::from_public_key_pem(pem).unwrap().verify(base, &signature).is_ok()
        }
        "ecdsa-p384-sha384" => {
            let signature = p384::ecdsa::Signature::from_slice(signature).unwrap();
            p384::ecdsa::VerifyingKey::from_public_key_pem(pem).unwrap().verify(base, &signature).is_ok()
        }
        "rsa-pss-sha512" => {
            let key = rsa::RsaPublicKey::from_public_key_pem(pem).unwrap();
            let signature = rsa::pss::Signature::try_from(signature).unwrap();
            rsa::pss::VerifyingKey::<Sha512>::new(key).verify(base, &signature).is_ok()
        }
        _ => {
            let key = rsa::RsaPublicKey::from_public_key_pem(pem).unwrap();
            let signature = rsa::pkcs1v15::Signature::try_from(signature).unwrap();
            rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(base, &signature).is_ok()
        }
    }
}

#[test]
fn each_algorithm_signs_the_base_of_the_default_components() {
    for algorithm in
        ["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256"]
    {
        let policy = message(algorithm);
        let key = if algorithm.starts_with("rsa") { rsa(&policy) } else { key(&policy) };
        let signed = signer(&policy, &[&key]).sign(&unsigned(&BODY)).unwrap();
        assert_eq!(header(&signed, "content-digest"), DIGEST);
        let (written, code) = signature(&signed, "sig1");
        assert_eq!(
            written,
            format!(
                "(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\" \"webhook-id\");\
                 created=1649367553;keyid=\"k1\";alg=\"{algorithm}\""
            )
        );
        let base = format!(
            "\"@method\": POST\n\"@target-uri\": https://example.com/hooks?a=1\n\"content-digest\": {DIGEST}\n\
             \"content-type\": application/json\n\"webhook-id\": msg_27UH4WbU6Z5A5EzD8u03UvzRbpk\n\
             \"@signature-params\": {written}"
        );
        assert!(verify(algorithm, &key, base.as_bytes(), &code), "{algorithm}");
        assert!(!verify(algorithm, &key, b"another", &code), "{algorithm}");
    }
}

fn sign(more: Value, message: &Unsigned<'_>) -> Result<Signed, SigningError> {
    let mut value = json!({"kind": "http-message-signatures", "algorithm": "hmac-sha256"});
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let policy = policy(value);
    let key = key(&policy);
    signer(&policy, &[&key]).sign(message)
}

#[test]
fn every_configured_signature_parameter_is_sent() {
    let more = json!({"components": ["content-digest"], "label": "own", "tag": "a \"b\" \\", "nonce": true, "expires_in_seconds": 300});
    let inputs: Vec<String> =
        (0..2).map(|_| header(&sign(more.clone(), &unsigned(&BODY)).unwrap(), "signature-input").to_owned()).collect();
    let (before, after) = inputs[0].split_once(";nonce=\"").unwrap();
    assert_eq!(
        before,
        "own=(\"content-digest\");created=1649367553;expires=1649367853;keyid=\"k1\";alg=\"hmac-sha256\""
    );
    let (nonce, after) = after.split_once('"').unwrap();
    assert_eq!((nonce.len(), after), (22, ";tag=\"a \\\"b\\\" \\\\\""));
    assert_ne!(inputs[0], inputs[1], "a nonce is random");
}

#[test]
fn components_come_from_the_request_and_its_headers() {
    let headers: Vec<Header> = [("X-Tenant", " a "), ("x-tenant", "b"), ("Content-Type", "text/html")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let body = Bytes::from_static(b"{}");
    let all = json!({"components": ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path",
        "@query", "host", "content-length", "content-type", "x-tenant", "webhook-timestamp", "content-digest"]});
    let policy =
        policy(json!({"kind": "http-message-signatures", "algorithm": "ed25519", "components": all["components"]}));
    let key = key(&policy);
    for (url, lines) in [
        (
            "http://user:word@Example.COM:8080/a%20b#part",
            "\"@target-uri\": http://example.com:8080/a%20b\n\"@authority\": example.com:8080\n\"@scheme\": http\n\
             \"@request-target\": /a%20b\n\"@path\": /a%20b\n\"@query\": ?\n\"host\": example.com:8080\n",
        ),
        (
            "https://example.com:443?q",
            "\"@target-uri\": https://example.com/?q\n\"@authority\": example.com\n\"@scheme\": https\n\
             \"@request-target\": /?q\n\"@path\": /\n\"@query\": ?q\n\"host\": example.com\n",
        ),
    ] {
        let request = Unsigned { url, headers: &headers, ..unsigned(&body) };
        let signed = signer(&policy, &[&key]).sign(&request).unwrap();
        let (written, code) = signature(&signed, "sig1");
        let base = format!(
            "\"@method\": POST\n{lines}\"content-length\": 2\n\"content-type\": application/json\n\"x-tenant\": a, b\n\
             \"webhook-timestamp\": 1649367553\n\"content-digest\": {}\n\"@signature-params\": {written}",
            header(&signed, "content-digest")
        );
        assert!(verify("ed25519", &key, base.as_bytes(), &code), "{base}");
    }
}

#[test]
fn while_keys_are_rotated_each_signs_under_a_label_of_its_own() {
    let policy = message("ed25519");
    let (new, old) = (key(&policy), key(&policy));
    let signed = signer(&policy, &[&new, &old]).sign(&unsigned(&BODY)).unwrap();
    for (label, id, key) in [("sig1", "k1", &new), ("sig1-2", "k2", &old)] {
        let (written, code) = signature(&signed, label);
        assert!(written.contains(&format!("keyid=\"{id}\"")), "{written}");
        let base = format!(
            "\"@method\": POST\n\"@target-uri\": https://example.com/hooks?a=1\n\"content-digest\": {DIGEST}\n\
             \"content-type\": application/json\n\"webhook-id\": msg_27UH4WbU6Z5A5EzD8u03UvzRbpk\n\
             \"@signature-params\": {written}"
        );
        assert!(verify("ed25519", key, base.as_bytes(), &code), "{label}");
    }
}

#[test]
fn a_component_that_cannot_be_covered_is_named() {
    let covering = json!({"components": ["content-digest", "x-tenant"]});
    assert_eq!(
        sign(covering.clone(), &unsigned(&BODY)).unwrap_err(),
        SigningError::MissingField("x-tenant".to_owned())
    );
    let headers = [("X-Tenant".to_owned(), "zwölf".to_owned())];
    let message = Unsigned { headers: &headers, ..unsigned(&BODY) };
    assert_eq!(sign(covering, &message).unwrap_err(), SigningError::FieldValue("x-tenant".to_owned()));
    let nowhere = Unsigned { url: "mailto:a@example.com", ..unsigned(&BODY) };
    assert!(matches!(sign(json!({}), &nowhere), Err(SigningError::Url(_))));
}
