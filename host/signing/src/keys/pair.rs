//! Key pairs: generated, parsed from PEM, and their public keys encoded.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use hookwright_model::SigningPolicy;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rand_core::OsRng;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Family, Key, NewKey, PublicKey, certificate};
use crate::error::SigningError;

/// The size of a new RSA key, in bits.
const RSA_BITS: usize = 2048;
/// The permitted sizes of an RSA key, in bits: smaller ones are weak, larger ones are slow.
const RSA_RANGE: std::ops::RangeInclusive<usize> = 2048..=4096;
/// The prefix of an Ed25519 private key of Standard Webhooks: base64 of its 32 bytes, usually followed by the 32 of the
/// public key.
const ED25519_PREFIX: &str = "whsk_";
const ED25519_PUBLIC: &str = "whpk_";

/// A private key together with its public key.
pub(super) enum Pair {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    Rsa(Box<rsa::RsaPrivateKey>),
}

/// A new pair.
pub(super) fn generate(family: Family) -> Result<Pair, SigningError> {
    Ok(match family {
        Family::Secret => return Err(SigningError::Unkeyed),
        Family::Ed25519 => Pair::Ed25519(ed25519_dalek::SigningKey::generate(&mut OsRng)),
        Family::P256 => Pair::P256(p256::SecretKey::random(&mut OsRng)),
        Family::P384 => Pair::P384(p384::SecretKey::random(&mut OsRng)),
        Family::P521 => Pair::P521(p521::SecretKey::random(&mut OsRng)),
        Family::Rsa => rsa::RsaPrivateKey::new(&mut OsRng, RSA_BITS)
            .map(|key| Pair::Rsa(Box::new(key)))
            .map_err(|_| SigningError::Generation("RSA"))?,
    })
}

/// A pair from a private key's text.
pub(super) fn import(family: Family, text: &str) -> Result<Pair, SigningError> {
    if text.contains("PUBLIC KEY-----") || text.starts_with(ED25519_PUBLIC) {
        return Err(SigningError::PrivateKey("is a public key: give the private one".to_owned()));
    }
    if text.contains("ENCRYPTED") {
        return Err(SigningError::PrivateKey("is encrypted: decrypt it first".to_owned()));
    }
    let wanted = |what: &str| SigningError::PrivateKey(format!("is not valid: give {what}"));
    match family {
        Family::Secret => Err(SigningError::Unkeyed),
        Family::Ed25519 => ed25519(text),
        Family::P256 => p256::SecretKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| p256::SecretKey::from_sec1_pem(text).ok())
            .map(Pair::P256)
            .ok_or_else(|| wanted("a key on P-256 in PEM, PKCS#8 or SEC 1")),
        Family::P384 => p384::SecretKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| p384::SecretKey::from_sec1_pem(text).ok())
            .map(Pair::P384)
            .ok_or_else(|| wanted("a key on P-384 in PEM, PKCS#8 or SEC 1")),
        Family::P521 => p521::SecretKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| p521::SecretKey::from_sec1_pem(text).ok())
            .map(Pair::P521)
            .ok_or_else(|| wanted("a key on P-521 in PEM, PKCS#8 or SEC 1")),
        Family::Rsa => rsa::RsaPrivateKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| rsa::RsaPrivateKey::from_pkcs1_pem(text).ok())
            .ok_or_else(|| wanted("an RSA key of 2048 to 4096 bits in PEM, PKCS#8 or PKCS#1"))
            .and_then(rsa_pair),
    }
}

/// Parses PKCS#8 in PEM, or `whsk_` and base64 of 32 or 64 bytes.
fn ed25519(text: &str) -> Result<Pair, SigningError> {
    let wanted = || {
        SigningError::PrivateKey("is not valid: give a key for Ed25519 in PEM, PKCS#8, or `whsk_` and base64".into())
    };
    let Some(bare) = text.strip_prefix(ED25519_PREFIX) else {
        return ed25519_dalek::SigningKey::from_pkcs8_pem(text).map(Pair::Ed25519).map_err(|_| wanted());
    };
    let bytes = STANDARD_NO_PAD.decode(bare.trim_end_matches('=')).map(Zeroizing::new).map_err(|_| wanted())?;
    if let Ok(seed) = <&[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(Pair::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed)));
    }
    let both = <&[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| {
        SigningError::PrivateKey(format!("has {} bytes: give 32, or 64 with the public key", bytes.len()))
    })?;
    ed25519_dalek::SigningKey::from_keypair_bytes(both)
        .map(Pair::Ed25519)
        .map_err(|_| SigningError::PrivateKey("has a public key that does not match: copy it again".into()))
}

fn rsa_pair(key: rsa::RsaPrivateKey) -> Result<Pair, SigningError> {
    let bits = key.size() * 8;
    if !RSA_RANGE.contains(&bits) {
        return Err(SigningError::PrivateKey(format!("has {bits} bits: give 2048 to 4096")));
    }
    Ok(Pair::Rsa(Box::new(key)))
}

impl Pair {
    /// Converts it into the stored, shown and public forms under a policy.
    pub(super) fn into_new(self, policy: &SigningPolicy) -> Result<NewKey, SigningError> {
        let private = self.private()?;
        // Check that the stored form can be parsed again, since it is what signs later.
        if Key::read(self.family(), &private).is_none() {
            let why = "cannot sign: an RSA key needs the exponent 65537 and two primes of one length, make a new one";
            return Err(SigningError::PrivateKey(why.to_owned()));
        }
        let public = self.public(policy)?;
        Ok(NewKey { private, shown: None, public: Some(public) })
    }

    fn family(&self) -> Family {
        match self {
            Self::Ed25519(_) => Family::Ed25519,
            Self::P256(_) => Family::P256,
            Self::P384(_) => Family::P384,
            Self::P521(_) => Family::P521,
            Self::Rsa(_) => Family::Rsa,
        }
    }

    /// PKCS#8 in DER.
    fn private(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let document = match self {
            Self::Ed25519(key) => key.to_pkcs8_der(),
            Self::P256(key) => key.to_pkcs8_der(),
            Self::P384(key) => key.to_pkcs8_der(),
            Self::P521(key) => key.to_pkcs8_der(),
            Self::Rsa(key) => key.to_pkcs8_der(),
        };
        document.map(|document| document.to_bytes()).map_err(|_| SigningError::Generation("PKCS#8"))
    }

    fn public(&self, policy: &SigningPolicy) -> Result<PublicKey, SigningError> {
        let pem = match self {
            Self::Ed25519(key) => key.verifying_key().to_public_key_pem(LineEnding::LF),
            Self::P256(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::P384(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::P521(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::Rsa(key) => key.to_public_key().to_public_key_pem(LineEnding::LF),
        };
        let pem = pem.map_err(|_| SigningError::Generation("PEM"))?;
        let (text, certificate_pem) = match (policy, self) {
            (SigningPolicy::StandardAsymmetric {}, Self::Ed25519(key)) => {
                (Some(format!("{ED25519_PUBLIC}{}", STANDARD.encode(key.verifying_key().as_bytes()))), None)
            }
            (SigningPolicy::Sns(_), Self::Rsa(key)) => (None, Some(certificate::self_signed(key)?)),
            _ => (None, None),
        };
        Ok(PublicKey { algorithm: name(policy).to_owned(), pem, jwk: self.jwk(policy), text, certificate_pem })
    }

    /// A JSON Web Key (RFC 7518 section 6, RFC 8037 section 2).
    fn jwk(&self, policy: &SigningPolicy) -> Value {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // One coordinate of the uncompressed point, which is 4, x, y (SEC 1 section 2.3.3).
        let point = |curve: &str, point: &[u8]| {
            let halves = point.get(1..).unwrap_or_default();
            let (x, y) = halves.split_at(halves.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y), "use": "sig"})
        };
        let mut jwk = match self {
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.verifying_key().as_bytes()), "use": "sig"})
            }
            Self::P256(key) => point("P-256", key.public_key().to_encoded_point(false).as_bytes()),
            Self::P384(key) => point("P-384", key.public_key().to_encoded_point(false).as_bytes()),
            Self::P521(key) => point("P-521", key.public_key().to_encoded_point(false).as_bytes()),
            Self::Rsa(key) => {
                json!({"kty": "RSA", "n": base64(&key.n().to_bytes_be()), "e": base64(&key.e().to_bytes_be()), "use": "sig"})
            }
        };
        if let (SigningPolicy::Jwt(policy), Some(members)) = (policy, jwk.as_object_mut()) {
            members.insert("alg".to_owned(), Value::from(policy.algorithm.name()));
        }
        jwk
    }
}

/// The algorithm that a policy's public keys verify.
fn name(policy: &SigningPolicy) -> &'static str {
    match policy {
        SigningPolicy::Jwt(policy) => policy.algorithm.name(),
        SigningPolicy::HttpMessageSignatures(policy) => policy.algorithm.name(),
        SigningPolicy::Sns(policy) => match policy.signature_version {
            hookwright_model::SnsVersion::V1 => "rsa-sha1",
            hookwright_model::SnsVersion::V2 => "rsa-sha256",
        },
        SigningPolicy::StandardAsymmetric {} => "ed25519",
        SigningPolicy::None {}
        | SigningPolicy::Standard {}
        | SigningPolicy::Github(_)
        | SigningPolicy::Stripe {}
        | SigningPolicy::Hmac(_) => "hmac",
    }
}
