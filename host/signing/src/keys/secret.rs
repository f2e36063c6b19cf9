//! Shared secrets.
//!
//! For Standard Webhooks a secret is bytes, encoded as `whsec_` and base64. For every other policy it is a string, and
//! the key is the text's bytes: receivers' libraries expect that by default.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hookwright_model::{JwtAlgorithm, SigningPolicy};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::NewKey;
use crate::error::SigningError;

/// The permitted sizes of a Standard Webhooks secret, in bytes (1.0, "Signature scheme").
const STANDARD_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The maximum size of any other secret, in bytes.
const MOST_BYTES: usize = 256;
const PREFIX: &str = "whsec_";

pub(super) fn generate(policy: &SigningPolicy) -> Result<NewKey, SigningError> {
    let mut random = Zeroizing::new(vec![0_u8; 32.max(least(policy))]);
    OsRng.try_fill_bytes(&mut random).map_err(|_| SigningError::Generation("no randomness"))?;
    Ok(match policy {
        SigningPolicy::Standard {} => {
            let shown = format!("{PREFIX}{}", STANDARD.encode(&*random));
            NewKey { private: random, shown: Some(shown), public: None }
        }
        // Stripe's secrets have the same prefix, but the key is the whole text.
        SigningPolicy::Stripe {} => text(format!("{PREFIX}{}", hex::encode(&*random))),
        _ => text(URL_SAFE_NO_PAD.encode(&*random)),
    })
}

pub(super) fn import(policy: &SigningPolicy, given: &str) -> Result<NewKey, SigningError> {
    if matches!(policy, SigningPolicy::Standard {}) {
        return standard(given);
    }
    if given.trim() != given || given.chars().any(char::is_control) {
        return Err(SigningError::Secret(
            "has spaces at an end, or control characters: the text itself is the key, leave them out".to_owned(),
        ));
    }
    let least = least(policy);
    if !(least..=MOST_BYTES).contains(&given.len()) {
        return Err(SigningError::Secret(format!("has {} bytes: give {least} to {MOST_BYTES}", given.len())));
    }
    Ok(text(given.to_owned()))
}

/// Parses `whsec_` and base64, with or without padding; the prefix may be missing.
fn standard(given: &str) -> Result<NewKey, SigningError> {
    let given = given.trim();
    let bare = given.strip_prefix(PREFIX).unwrap_or(given).trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(bare).map(Zeroizing::new).map_err(|_| {
        SigningError::Secret("is not valid: give `whsec_` followed by base64 of 24 to 64 bytes".to_owned())
    })?;
    if !STANDARD_BYTES.contains(&bytes.len()) {
        return Err(SigningError::Secret(format!("has {} bytes: give 24 to 64", bytes.len())));
    }
    let shown = format!("{PREFIX}{}", STANDARD.encode(&*bytes));
    Ok(NewKey { private: bytes, shown: Some(shown), public: None })
}

fn text(text: String) -> NewKey {
    NewKey { private: Zeroizing::new(text.as_bytes().to_vec()), shown: Some(text), public: None }
}

/// The minimum size of a secret, in bytes. For tokens it is the size of the hash (RFC 7518 section 3.2).
fn least(policy: &SigningPolicy) -> usize {
    match policy {
        SigningPolicy::Jwt(policy) => match policy.algorithm {
            JwtAlgorithm::HS384 => 48,
            JwtAlgorithm::HS512 => 64,
            _ => 32,
        },
        _ => 16,
    }
}
