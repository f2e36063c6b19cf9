//! Keys: generated, imported, parsed from their stored form.

mod certificate;
mod family;
mod key;
mod new_key;
mod pair;
mod secret;

use hookwright_model::SigningPolicy;

use crate::error::SigningError;
pub(crate) use family::{Algorithm, Family};
pub(crate) use key::Key;
pub use new_key::{NewKey, PublicKey};

/// The maximum size of an imported text, in bytes.
const MOST_TEXT: usize = 16 * 1024;

/// Generates a key for a policy. An RSA key takes a good part of a second, so do not call it on a thread of the async
/// runtime.
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

/// Whether [`generate`] takes long for a policy, because it makes an RSA key.
#[must_use]
pub fn is_slow(policy: &SigningPolicy) -> bool {
    Algorithm::of(policy).is_some_and(|algorithm| algorithm.family() == Family::Rsa)
}

/// Imports a key that the caller provides: a secret's text, or a private key in PEM (PKCS#8, PKCS#1 or SEC 1).
///
/// # Errors
/// [`SigningError::Unkeyed`] for `none`; [`SigningError::Secret`] and [`SigningError::PrivateKey`] name the expected
/// form.
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
