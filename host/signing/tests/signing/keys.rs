use hookwright_signing::{Signer, SigningError, generate, import};
use serde_json::json;

use super::{jwt, message, policy, rsa};

const EC_P256_SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFKbhfNZfpDsW43+0+JjUr9K+bTeuxopu653+hBaXGA7oAoGCCqGSM49
AwEHoUQDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM
4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END EC PRIVATE KEY-----";
/// RFC 9421 appendix B.1.4.
const ED25519_PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----";
const RSA_1024: &str = include_str!("rsa1024.pem");

#[test]
fn secrets_are_shown_once_and_read_back() {
    for (policy, prefix) in [
        (policy(json!({"kind": "standard"})), "whsec_"),
        (policy(json!({"kind": "stripe"})), "whsec_"),
        (policy(json!({"kind": "github"})), ""),
        (policy(json!({"kind": "hmac", "header": "X-S", "algorithm": "sha512", "encoding": "hex"})), ""),
        (jwt("HS256"), ""),
        (jwt("HS384"), ""),
        (jwt("HS512"), ""),
        (message("hmac-sha256"), ""),
    ] {
        let made = generate(&policy).unwrap();
        let shown = made.shown.clone().unwrap();
        assert!(shown.starts_with(prefix) && made.public.is_none(), "{policy:?}");
        let back = import(&policy, &shown).unwrap();
        assert_eq!(back.private, made.private, "{policy:?}");
        assert_eq!(back.shown, Some(shown));
        assert_ne!(generate(&policy).unwrap().private, made.private);
        Signer::new(&policy, [("k".to_owned(), made.private.as_slice())]).unwrap();
    }
}

#[test]
fn pairs_show_only_their_public_half() {
    for (policy, algorithm, members) in [
        (policy(json!({"kind": "standard-asymmetric"})), "ed25519", vec!["x"]),
        (jwt("EdDSA"), "EdDSA", vec!["x", "alg"]),
        (jwt("ES256"), "ES256", vec!["x", "y", "alg"]),
        (jwt("ES384"), "ES384", vec!["x", "y", "alg"]),
        (jwt("ES512"), "ES512", vec!["x", "y", "alg"]),
        (jwt("RS256"), "RS256", vec!["n", "e", "alg"]),
        (message("ed25519"), "ed25519", vec!["x"]),
        (message("ecdsa-p256-sha256"), "ecdsa-p256-sha256", vec!["x", "y"]),
        (message("ecdsa-p384-sha384"), "ecdsa-p384-sha384", vec!["x", "y"]),
        (message("rsa-pss-sha512"), "rsa-pss-sha512", vec!["n", "e"]),
        (policy(json!({"kind": "sns"})), "rsa-sha1", vec!["n", "e"]),
    ] {
        let made = if members.contains(&"n") { rsa(&policy) } else { generate(&policy).unwrap() };
        assert_eq!(made.shown, None, "{policy:?}");
        let public = made.public.unwrap();
        assert_eq!(public.algorithm, algorithm);
        assert!(public.pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{}", public.pem);
        for member in members {
            assert!(public.jwk[member].is_string(), "{member} in {}", public.jwk);
        }
        assert!(public.jwk.get("d").is_none());
        assert_eq!(public.text.is_some(), policy.kind() == "standard-asymmetric");
        assert_eq!(public.certificate_pem.is_some(), policy.kind() == "sns");
        let stored = serde_json::to_value(&public).unwrap();
        assert_eq!(serde_json::from_value::<hookwright_signing::PublicKey>(stored).unwrap(), public);
    }
}

#[test]
fn a_generated_rsa_key_signs() {
    let policy = jwt("RS256");
    let made = generate(&policy).unwrap();
    Signer::new(&policy, [("k".to_owned(), made.private.as_slice())]).unwrap();
}

#[test]
fn coordinates_of_a_curve_are_written_in_full_length() {
    for (algorithm, characters) in [("ES256", 43), ("ES384", 64), ("ES512", 88)] {
        let public = generate(&jwt(algorithm)).unwrap().public.unwrap();
        assert_eq!(public.jwk["x"].as_str().unwrap().len(), characters);
        assert_eq!(public.jwk["y"].as_str().unwrap().len(), characters);
    }
}

#[test]
fn keys_in_the_usual_forms_are_imported() {
    let asymmetric = policy(json!({"kind": "standard-asymmetric"}));
    // The pair with which libraries for Standard Webhooks are tested.
    let both = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let half = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    for text in [both, half] {
        let public = import(&asymmetric, text).unwrap().public.unwrap();
        assert_eq!(public.text.as_deref(), Some("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="));
    }
    let public = import(&jwt("EdDSA"), ED25519_PKCS8).unwrap().public.unwrap();
    assert_eq!(public.jwk["x"], "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs");
    let public = import(&jwt("ES256"), EC_P256_SEC1).unwrap().public.unwrap();
    assert_eq!(public.jwk["x"], "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA");
    assert_eq!(public.jwk["y"], "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0");
    // The prefix may be missing, and so may the padding.
    let standard = policy(json!({"kind": "standard"}));
    let whole = import(&standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTw==").unwrap();
    assert_eq!(import(&standard, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTw").unwrap().private, whole.private);
}

#[test]
fn private_keys_are_read_in_each_of_their_pem_forms() {
    use ::rsa::pkcs1::EncodeRsaPrivateKey as _;
    use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding::LF};
    let same = |policy, one: &str, other: &str| {
        let (one, other) = (import(&policy, one).unwrap(), import(&policy, other).unwrap());
        assert_eq!(one.private, other.private, "{policy:?}");
    };
    let rng = &mut rand_core::OsRng;
    let key = p256::SecretKey::random(rng);
    same(jwt("ES256"), &key.to_sec1_pem(LF).unwrap(), &key.to_pkcs8_pem(LF).unwrap());
    let key = p384::SecretKey::random(rng);
    same(jwt("ES384"), &key.to_sec1_pem(LF).unwrap(), &key.to_pkcs8_pem(LF).unwrap());
    let key = p521::SecretKey::random(rng);
    same(jwt("ES512"), &key.to_sec1_pem(LF).unwrap(), &key.to_pkcs8_pem(LF).unwrap());
    let pem = include_str!("rsa.pem");
    let key = ::rsa::RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
    same(jwt("RS256"), &key.to_pkcs1_pem(LF).unwrap(), &format!("\n{pem}\n"));
}

#[test]
fn invalid_keys_are_rejected_without_showing_them() {
    let rsa = include_str!("rsa.pem");
    let public = super::rsa(&jwt("RS256")).public.unwrap().pem;
    for (policy, text, part) in [
        (policy(json!({"kind": "none"})), "whsec_", "`none` has no key"),
        (policy(json!({"kind": "standard"})), "whsec_AAAA", "has 3 bytes"),
        (policy(json!({"kind": "standard"})), "whsec_!SECRET", "24 to 64 bytes"),
        (policy(json!({"kind": "standard"})), &format!("whsec_{}", "A".repeat(88)), "has 66 bytes"),
        (policy(json!({"kind": "github"})), "SECRET", "has 6 bytes"),
        (policy(json!({"kind": "github"})), " SECRETSECRETSECRETSECRET", "spaces"),
        (policy(json!({"kind": "github"})), &"SECRET".repeat(50), "has 300 bytes"),
        (jwt("HS256"), &"S".repeat(31), "32 to 256"),
        (jwt("HS512"), &"S".repeat(63), "64 to 256"),
        (jwt("RS256"), "SECRET", "RSA key"),
        (jwt("RS256"), EC_P256_SEC1, "RSA key"),
        (jwt("RS256"), RSA_1024, "has 1024 bits"),
        (jwt("RS256"), &public, "public key"),
        (jwt("RS256"), &"S".repeat(20_000), "at most 16384"),
        (jwt("RS256"), "-----BEGIN ENCRYPTED PRIVATE KEY-----", "decrypt"),
        (jwt("ES256"), rsa, "P-256"),
        (jwt("ES384"), EC_P256_SEC1, "P-384"),
        (jwt("ES512"), EC_P256_SEC1, "P-521"),
        (jwt("EdDSA"), rsa, "Ed25519"),
        (policy(json!({"kind": "standard-asymmetric"})), "whsk_AAAA", "has 3 bytes"),
        (policy(json!({"kind": "standard-asymmetric"})), "whpk_AAAA", "public key"),
        (policy(json!({"kind": "standard-asymmetric"})), &format!("whsk_{}", "A".repeat(86)), "does not match"),
    ] {
        let error = import(&policy, text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{policy:?}: {error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[test]
fn a_signer_accepts_only_keys_of_its_policy() {
    let (standard, eddsa) = (policy(json!({"kind": "standard"})), jwt("EdDSA"));
    let key = generate(&standard).unwrap();
    let new = |count: usize, id: &str| {
        Signer::new(&eddsa, (0..count).map(|_| (id.to_owned(), key.private.as_slice()))).map(|_| ()).unwrap_err()
    };
    assert_eq!(new(0, "k"), SigningError::NoKey("jwt"));
    assert_eq!(new(1, "k"), SigningError::Stored { id: "k".to_owned(), kind: "jwt" });
    assert_eq!(new(1, "k\n").to_string().lines().count(), 1);
    let keys = std::iter::repeat_n(("k".to_owned(), key.private.as_slice()), 9);
    assert_eq!(Signer::new(&standard, keys).map(|_| ()).unwrap_err(), SigningError::TooManyKeys(9));
    let keys = std::iter::repeat_n(("k".to_owned(), key.private.as_slice()), 8);
    Signer::new(&standard, keys).unwrap();
}

#[test]
fn debug_output_shows_no_key() {
    let policy = policy(json!({"kind": "standard"}));
    let key = generate(&policy).unwrap();
    let shown = key.shown.clone().unwrap();
    let signer = Signer::new(&policy, [("k1".to_owned(), key.private.as_slice())]).unwrap();
    let text = format!("{key:?} {signer:?}");
    assert!(text.contains("k1"), "{text}");
    assert!(!text.contains(shown.trim_start_matches("whsec_")), "{text}");
    assert!(!text.contains(&format!("{:?}", &key.private[..4]).replace(['[', ']'], "")), "{text}");
}
