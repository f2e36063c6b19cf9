//! A key ready to sign.

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use hmac::{Hmac, Mac as _};
use p256::ecdsa::signature::{RandomizedSigner as _, Signer as _};
use rand_core::OsRng;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA512, RsaEncoding};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::{Algorithm, Family};

/// A key ready to sign.
pub(crate) enum Key {
    Secret(Zeroizing<Vec<u8>>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
    P384(Box<p384::ecdsa::SigningKey>),
    P521(Box<p521::ecdsa::SigningKey>),
    Rsa(Box<RsaKey>),
}

/// An RSA key, for the library that signs in constant time and for the one that still supports SHA-1.
pub(crate) struct RsaKey {
    fast: ring::signature::RsaKeyPair,
    old: rsa::RsaPrivateKey,
}

impl Key {
    /// Parses a stored key; `None` if it is not a key of this family.
    pub(crate) fn read(family: Family, private: &[u8]) -> Option<Self> {
        Some(match family {
            Family::Secret if private.is_empty() => return None,
            Family::Secret => Self::Secret(Zeroizing::new(private.to_vec())),
            Family::Ed25519 => Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_pkcs8_der(private).ok()?)),
            Family::P256 => Self::P256(Box::new(p256::SecretKey::from_pkcs8_der(private).ok()?.into())),
            Family::P384 => Self::P384(Box::new(p384::SecretKey::from_pkcs8_der(private).ok()?.into())),
            Family::P521 => {
                let key = p521::SecretKey::from_pkcs8_der(private).ok()?;
                Self::P521(Box::new(p521::ecdsa::SigningKey::from_slice(&Zeroizing::new(key.to_bytes())).ok()?))
            }
            Family::Rsa => Self::Rsa(Box::new(RsaKey {
                fast: ring::signature::RsaKeyPair::from_pkcs8(private).ok()?,
                old: rsa::RsaPrivateKey::from_pkcs8_der(private).ok()?,
            })),
        })
    }

    /// Signs the parts, one after another. ECDSA signatures are `r` and `s` in full length (RFC 7518 section 3.4).
    ///
    /// `None` if the algorithm does not belong to the key's family, or the library fails.
    pub(crate) fn sign(&self, algorithm: Algorithm, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let whole = || parts.concat();
        Some(match (self, algorithm) {
            (Self::Secret(key), Algorithm::HmacSha1) => code(Hmac::<Sha1>::new_from_slice(key).ok()?, parts),
            (Self::Secret(key), Algorithm::HmacSha256) => code(Hmac::<Sha256>::new_from_slice(key).ok()?, parts),
            (Self::Secret(key), Algorithm::HmacSha384) => code(Hmac::<Sha384>::new_from_slice(key).ok()?, parts),
            (Self::Secret(key), Algorithm::HmacSha512) => code(Hmac::<Sha512>::new_from_slice(key).ok()?, parts),
            (Self::Ed25519(key), Algorithm::Ed25519) => key.try_sign(&whole()).ok()?.to_bytes().to_vec(),
            (Self::P256(key), Algorithm::EcdsaP256) => {
                let signature: p256::ecdsa::Signature = key.try_sign(&whole()).ok()?;
                signature.to_bytes().to_vec()
            }
            (Self::P384(key), Algorithm::EcdsaP384) => {
                let signature: p384::ecdsa::Signature = key.try_sign(&whole()).ok()?;
                signature.to_bytes().to_vec()
            }
            (Self::P521(key), Algorithm::EcdsaP521) => {
                let signature: p521::ecdsa::Signature = key.try_sign_with_rng(&mut OsRng, &whole()).ok()?;
                signature.to_bytes().to_vec()
            }
            (Self::Rsa(key), Algorithm::RsaSha1) => {
                let digest = parts.iter().fold(Sha1::new(), |hash, part| hash.chain_update(part)).finalize();
                // With randomness the exponentiation is blinded, so that its duration reveals nothing about the key.
                key.old.sign_with_rng(&mut OsRng, rsa::Pkcs1v15Sign::new::<Sha1>(), &digest).ok()?
            }
            (Self::Rsa(key), Algorithm::RsaSha256) => key.sign(&RSA_PKCS1_SHA256, &whole())?,
            (Self::Rsa(key), Algorithm::RsaSha384) => key.sign(&RSA_PKCS1_SHA384, &whole())?,
            (Self::Rsa(key), Algorithm::RsaSha512) => key.sign(&RSA_PKCS1_SHA512, &whole())?,
            (Self::Rsa(key), Algorithm::RsaPssSha512) => key.sign(&RSA_PSS_SHA512, &whole())?,
            _ => return None,
        })
    }
}

impl RsaKey {
    fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.fast.public().modulus_len()];
        self.fast.sign(encoding, &ring::rand::SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }
}

fn code<M: hmac::Mac>(mut mac: M, parts: &[&[u8]]) -> Vec<u8> {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
