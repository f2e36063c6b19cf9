use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hookwright_signing::{NewKey, Signed, SigningError, Unsigned};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use p521::ecdsa::signature::Verifier as _;
use p521::pkcs8::DecodePublicKey as _;
use serde_json::{Value, json};

use super::{BODY, jwt, key, policy, rsa, signer, unsigned};

fn token(signed: &Signed) -> String {
    let body: Value = serde_json::from_slice(&signed.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    assert_eq!(signed.content_type, "application/json");
    body["jwt"].as_str().unwrap().to_owned()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn public_key(name: &str, key: &NewKey) -> DecodingKey {
    if name.starts_with("HS") {
        return DecodingKey::from_secret(key.shown.as_ref().unwrap().as_bytes());
    }
    let pem = key.public.as_ref().unwrap().pem.as_bytes();
    match &name[..2] {
        "RS" => DecodingKey::from_rsa_pem(pem),
        "ES" => DecodingKey::from_ec_pem(pem),
        _ => DecodingKey::from_ed_pem(pem),
    }
    .unwrap()
}

#[test]
fn tokens_are_verified_by_another_library() {
    for (name, algorithm) in [
        ("RS256", Algorithm::RS256),
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("ES256", Algorithm::ES256),
        ("ES384", Algorithm::ES384),
        ("HS256", Algorithm::HS256),
        ("HS384", Algorithm::HS384),
        ("HS512", Algorithm::HS512),
        ("EdDSA", Algorithm::EdDSA),
    ] {
        let policy = jwt(name);
        let new = |_| if name.starts_with("RS") { rsa(&policy) } else { key(&policy) };
        let (key, old) = (new(()), key(&jwt("EdDSA")));
        let token = token(&signer(&policy, &[&key]).sign(&unsigned(&BODY)).unwrap());
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["me"]);
        validation.set_issuer(&["https://hooks.example"]);
        // The vector's time is long past.
        validation.validate_exp = false;
        let decoded = decode::<Value>(&token, &public_key(name, &key), &validation).unwrap();
        assert_eq!(decoded.header.kid.as_deref(), Some("k1"), "{name}");
        assert_eq!(decoded.claims["data"]["username"], "test_user", "{name}");
        // Verification is not vacuous: another body, another audience and another key are refused.
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        parts[1] = URL_SAFE_NO_PAD.encode(decoded.claims.to_string().replace("test_user", "root"));
        assert!(decode::<Value>(&parts.join("."), &public_key(name, &key), &validation).is_err(), "{name}");
        validation.set_audience(&["you"]);
        assert!(decode::<Value>(&token, &public_key(name, &key), &validation).is_err(), "{name}");
        if name == "EdDSA" {
            validation.set_audience(&["me"]);
            assert!(decode::<Value>(&token, &public_key(name, &old), &validation).is_err());
        }
    }
}

#[test]
fn tokens_on_p_521_verify() {
    let policy = jwt("ES512");
    let key = key(&policy);
    let token = token(&signer(&policy, &[&key]).sign(&unsigned(&BODY)).unwrap());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert_eq!(signature.len(), 132);
    let public = p521::PublicKey::from_public_key_pem(&key.public.unwrap().pem).unwrap();
    let verifier = p521::ecdsa::VerifyingKey::from_affine(*public.as_affine()).unwrap();
    let signature = p521::ecdsa::Signature::from_slice(&signature).unwrap();
    verifier.verify(signed.as_bytes(), &signature).unwrap();
    assert!(verifier.verify(b"another", &signature).is_err());
}

#[test]
fn claims_are_those_of_xurrents_messages() {
    let policy = jwt("HS256");
    let key = key(&policy);
    let token = token(&signer(&policy, &[&key]).sign(&unsigned(&BODY)).unwrap());
    assert_eq!(
        claims(&token),
        json!({
            "data": {"email": "test@example.com", "username": "test_user"},
            "jti": "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "sub": "wh_1",
            "iss": "https://hooks.example",
            "nbf": 1_649_367_553,
            "iat": 1_649_367_553,
            "exp": 1_649_367_613,
            "aud": "me"
        })
    );
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256", "kid": "k1"}));
}

fn bare(body: &Bytes) -> Unsigned<'_> {
    Unsigned { webhook: None, ..unsigned(body) }
}

#[test]
fn any_body_travels_in_the_claim_data() {
    let policy = policy(json!({"kind": "jwt", "algorithm": "HS256"}));
    let key = key(&policy);
    let signer = signer(&policy, &[&key]);
    for (body, data) in [
        ("[1,2]", json!([1, 2])),
        ("\"text\"", json!("text")),
        (" {\"a\": 1} ", json!({"a": 1})),
        ("a=1&b=2", json!("a=1&b=2")),
        ("", json!(null)),
    ] {
        let claims = claims(&token(&signer.sign(&bare(&Bytes::from(body))).unwrap()));
        assert_eq!(claims["data"], data);
        for absent in ["aud", "iss", "sub"] {
            assert!(claims.get(absent).is_none(), "{claims}");
        }
    }
    // Numbers keep every digit.
    let exact = "{\"n\":12345678901234567890123456789.10}";
    let token = token(&signer.sign(&bare(&Bytes::from(exact))).unwrap());
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    assert!(String::from_utf8(claims).unwrap().contains(exact));
    assert_eq!(signer.sign(&bare(&Bytes::from_static(b"\xff"))).unwrap_err(), SigningError::NotText("jwt"));
}

#[test]
fn while_keys_are_rotated_the_newest_signs_and_says_its_id() {
    let policy = jwt("HS256");
    let (new, old) = (key(&policy), key(&policy));
    let with = |keys: &[_]| token(&signer(&policy, keys).sign(&unsigned(&BODY)).unwrap());
    assert_eq!(with(&[&new, &old]), with(&[&new]));
    assert_ne!(with(&[&new, &old]), with(&[&old]));
}
