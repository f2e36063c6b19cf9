//! Digests, and HMACs keyed by secrets that a plugin can name but not see.

use std::borrow::Cow;

use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use hookwright_model::Failure;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use wasmtime::component::HasSelf;

use super::definition::{Capability, EVERY_KIND, Host, Link, shown};
use crate::state::State;
use crate::v0_1_0::{crypto, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "crypto",
    kinds: EVERY_KIND,
    links: &[Link {
        version: "0.1.0",
        add: |linker| crypto::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl crypto::Host for State {
    fn digest(&mut self, algorithm: String, data: Vec<u8>) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        Ok(digest(&algorithm, &data).map_err(Into::into))
    }

    fn hmac(&mut self, algorithm: String, secret: String, data: Vec<u8>) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        let key = || format!("{algorithm} {secret} {}", fingerprint(&[&data]));
        let code =
            self.taped("hmac", key, || self.secret(&secret).and_then(|key| hmac(&algorithm, &self.key_of(key), &data)));
        Ok(code.map_err(Into::into))
    }

    fn verify_hmac(
        &mut self,
        algorithm: String,
        secret: String,
        data: Vec<u8>,
        code: Vec<u8>,
    ) -> Host<(), types::Failure> {
        self.host_call()?;
        let key = || format!("{algorithm} {secret} {}", fingerprint(&[&data, &code]));
        let verified = self.taped("verify-hmac", key, || {
            let right = self.secret(&secret).and_then(|key| hmac(&algorithm, &self.key_of(key), &data));
            right.and_then(|right| {
                let wrong = || format!("the code does not match the data and the secret `{}`", shown(&secret));
                fits(right.ct_eq(&code), wrong)
            })
        });
        Ok(verified.map_err(Into::into))
    }

    fn verify_token(&mut self, secret: String, token: String) -> Host<(), types::Failure> {
        self.host_call()?;
        let key = || format!("{secret} {}", fingerprint(&[token.as_bytes()]));
        let verified = self.taped("verify-token", key, || {
            self.secret(&secret).and_then(|right| {
                fits(right.ct_eq(token.as_bytes()), || {
                    format!("the token does not match the secret `{}`", shown(&secret))
                })
            })
        });
        Ok(verified.map_err(Into::into))
    }

    fn verify_ed25519(&mut self, public_key: Vec<u8>, data: Vec<u8>, signature: Vec<u8>) -> Host<(), types::Failure> {
        self.host_call()?;
        Ok(verify_ed25519(&public_key, &data, &signature).map_err(Into::into))
    }
}

/// Identifies data by a digest.
pub(super) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

fn fits(equal: subtle::Choice, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if bool::from(equal) { Ok(()) } else { Err(Failure::permanent("signature.wrong", otherwise())) }
}

fn verify_ed25519(public_key: &[u8], data: &[u8], signature: &[u8]) -> Result<(), Failure> {
    let unusable = |message: String| Failure::permanent("key.unusable", message);
    let length = public_key.len();
    let key: &[u8; 32] =
        public_key.try_into().map_err(|_| unusable(format!("an ed25519 key has 32 bytes, this one {length}")))?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(key)
        .map_err(|_| unusable("these 32 bytes are not a valid ed25519 key".to_owned()))?;
    let wrong = || Failure::permanent("signature.wrong", "the signature does not match the data and the key");
    let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| wrong())?;
    key.verify_strict(data, &signature).map_err(|_| wrong())
}

/// The bytes of a secret in the format of Standard Webhooks: `whsec_` and base64.
fn unwrapped(secret: &[u8]) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(secret.strip_prefix(b"whsec_")?).ok()
}

impl State {
    /// The key of an HMAC: the secret's own bytes, or the decoded ones if the plugin declares that its secrets are in
    /// the format of Standard Webhooks. Other providers have secrets that look the same and mean the text.
    fn key_of<'s>(&self, secret: &'s [u8]) -> Cow<'s, [u8]> {
        let decoded = if self.wrapped_secrets { unwrapped(secret) } else { None };
        decoded.map_or(Cow::Borrowed(secret), Cow::Owned)
    }

    /// A secret by name: the call's own, or a granted one.
    pub(super) fn secret(&self, name: &str) -> Result<&[u8], Failure> {
        let access = &self.call.access;
        if self.call.names_from_data.iter().any(|given| given == name) {
            let message = format!(
                "the name of the secret `{}` comes from a variable: write it literally in the automation's `with`",
                shown(name)
            );
            return Err(Failure::permanent("secret.named_by_data", message));
        }
        self.call.secrets.get(name).or_else(|| access.secrets.get(name)).ok_or_else(|| {
            let names: Vec<&str> = self.call.secrets.names().chain(access.secrets.names()).collect();
            let there =
                if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
            let (name, plugin) = (shown(name), &access.plugin);
            if access.grants.secret(&name).is_some() {
                let message =
                    format!("the secret `{name}` is granted to `{plugin}` and not set: PUT it to /v1/secrets/{name}");
                return Failure::permanent("secret.unknown", message);
            }
            let grant = serde_json::json!({"secrets": [{"name": name}]});
            if access.secrets_set.contains(&name) {
                return access.refused(&format!("the secret `{name}` is set and not granted to `{plugin}`"), &grant);
            }
            let remedy = crate::access::remedy(plugin, &grant);
            let message = format!(
                "the secret `{name}` is neither set nor granted to `{plugin}` ({there}): PUT it to /v1/secrets/{name}; \
                 {remedy}"
            );
            Failure::permanent("secret.unknown", message)
        })
    }
}

fn unknown(algorithm: &str) -> Failure {
    let message = format!("`{}` is not a supported algorithm: use sha1, sha256 or sha512", shown(algorithm));
    Failure::permanent("algorithm.unknown", message)
}

fn digest(algorithm: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
    match algorithm {
        "sha1" => Ok(Sha1::digest(data).to_vec()),
        "sha256" => Ok(Sha256::digest(data).to_vec()),
        "sha512" => Ok(Sha512::digest(data).to_vec()),
        _ => Err(unknown(algorithm)),
    }
}

fn hmac(algorithm: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Failure> {
    // RFC 2104 accepts keys of any length, so the error never happens.
    let length = |_| Failure::permanent("secret.unusable", "the secret cannot key a code");
    match algorithm {
        "sha1" => {
            Ok(Hmac::<Sha1>::new_from_slice(key).map_err(length)?.chain_update(data).finalize().into_bytes().to_vec())
        }
        "sha256" => {
            Ok(Hmac::<Sha256>::new_from_slice(key).map_err(length)?.chain_update(data).finalize().into_bytes().to_vec())
        }
        "sha512" => {
            Ok(Hmac::<Sha512>::new_from_slice(key).map_err(length)?.chain_update(data).finalize().into_bytes().to_vec())
        }
        _ => Err(unknown(algorithm)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 test case 2, RFC 2202 test case 2, FIPS 180 examples.
    #[test]
    fn codes_and_digests_are_those_of_the_standards() {
        let data = b"what do ya want for nothing?";
        for (algorithm, code) in [
            ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                "sha512",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(hex::encode(hmac(algorithm, b"Jefe", data).unwrap()), code);
        }
        assert_eq!(hex::encode(digest("sha1", b"abc").unwrap()), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digest("sha512", b"").unwrap().len(), 64);
        assert_eq!(digest("md5", b"").unwrap_err().code, "algorithm.unknown");
    }

    /// RFC 8032 section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = hex::decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
        let signature = hex::decode(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ))
        .unwrap();
        assert!(verify_ed25519(&key, &[0x72], &signature).is_ok());
        assert_eq!(verify_ed25519(&key, &[0x73], &signature).unwrap_err().code, "signature.wrong");
        assert_eq!(verify_ed25519(&key, &[0x72], &[]).unwrap_err().code, "signature.wrong");
        assert_eq!(verify_ed25519(&[1, 2], &[0x72], &signature).unwrap_err().code, "key.unusable");
    }

    #[test]
    fn a_secret_of_standard_webhooks_is_decoded() {
        assert_eq!(unwrapped(b"whsec_aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(unwrapped(b"whsec_!"), None);
        assert_eq!(unwrapped(b"hello"), None);
    }
}
