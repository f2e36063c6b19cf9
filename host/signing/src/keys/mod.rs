//! Keys: made, imported, read back from what was stored.

mod certificate;
mod family;
mod key;
mod pair;
mod secret;

use std::fmt;

use hookwright_model::SigningPolicy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::SigningError;
pub(crate) use family::{Algorithm, Family};
pub(crate) use key::Key;

/// How long a text to be imported may be, in bytes.
const MOST_TEXT: usize = 16 * 1024;

/// A key that was made or imported.
pub struct NewKey {
    /// What the caller seals and stores: a secret's bytes, or PKCS#8 in DER.
    pub private: Zeroizing<Vec<u8>>,
    /// The secret's text, for the one time that it is shown. None for pairs, whose private key nobody else needs.
    pub shown: Option<String>,
    /// The half that receivers verify with, for pairs.
    pub public: Option<PublicKey>,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public half of a pair, in every form that receivers ask for. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// What it verifies, as the policy has it: `RS256`, `ecdsa-p256-sha256`, `ed25519`, ...
    pub algorithm: String,
    /// SubjectPublicKeyInfo in PEM (RFC 7468 section 13).
    pub pem: String,
    /// A JSON Web Key (RFC 7517) without `kid`.
    pub jwk: Value,
    /// `whpk_` and base64, for Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A certificate in PEM, signed by the key itself, for Amazon SNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
}

impl PublicKey {
    /// The JSON Web Key with its id, as it stands in a key set (RFC 7517 section 5).
    pub fn jwk_with_id(&self, id: &str) -> Value {
        let mut jwk = self.jwk.clone();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), Value::from(id));
        }
        jwk
    }
}

/// A new key for a policy. An RSA key takes a good part of a second, so not on a thread that others wait for.
///
/// # Errors
/// [`SigningError::Unkeyed`] for `none`, [`SigningError::Generation`] if the system has no randomness.
pub fn generate(policy: &SigningPolicy) -> Result<NewKey, SigningError> {
    let algorithm = Algorithm::of(policy).ok_or(SigningError::Unkeyed)?;
    match algorithm.family() {
        Family::Secret => secret::generate(policy),
        family => pair::generate(family)?.into_new(policy),
    }
}

/// A key that the caller brings along: a secret's text, or a private key in PEM (PKCS#8, PKCS#1 or SEC 1).
///
/// # Errors
/// [`SigningError::Unkeyed`] for `none`; [`SigningError::Secret`] and [`SigningError::PrivateKey`] say what is wanted.
pub fn import(policy: &SigningPolicy, text: &str) -> Result<NewKey, SigningError> {
    let algorithm = Algorithm::of(policy).ok_or(SigningError::Unkeyed)?;
    if text.len() > MOST_TEXT {
        let why = format!("has {} bytes: at most {MOST_TEXT}", text.len());
        return Err(SigningError::PrivateKey(why));
    }
    match algorithm.family() {
        Family::Secret => secret::import(policy, text),
        family => pair::import(family, text.trim())?.into_new(policy),
    }
}
