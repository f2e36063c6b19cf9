//! Secrets that both sides know.
//!
//! For Standard Webhooks a secret is bytes, written as `whsec_` and base64. For every other policy it is a text, and the
//! key is the text's bytes as they are: so receivers' libraries read it without being told.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hookwright_model::{JwtAlgorithm, SigningPolicy};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::NewKey;
use crate::error::SigningError;

/// How many bytes a secret of Standard Webhooks may have (1.0, "Signature scheme").
const STANDARD_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How many bytes any other secret may have at most.
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
        // Stripe's own secrets begin so too, and the key is the whole text.
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
        return Err(SigningError::Secret(format!("has {} bytes: {least} to {MOST_BYTES} are wanted", given.len())));
    }
    Ok(text(given.to_owned()))
}

/// Reads `whsec_` and base64, with or without padding; the prefix may be missing.
fn standard(given: &str) -> Result<NewKey, SigningError> {
    let given = given.trim();
    let bare = given.strip_prefix(PREFIX).unwrap_or(given).trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(bare).map(Zeroizing::new).map_err(|_| {
        SigningError::Secret("is none: `whsec_` followed by base64 of 24 to 64 bytes is wanted".to_owned())
    })?;
    if !STANDARD_BYTES.contains(&bytes.len()) {
        return Err(SigningError::Secret(format!("holds {} bytes: 24 to 64 are wanted", bytes.len())));
    }
    let shown = format!("{PREFIX}{}", STANDARD.encode(&*bytes));
    Ok(NewKey { private: bytes, shown: Some(shown), public: None })
}

fn text(text: String) -> NewKey {
    NewKey { private: Zeroizing::new(text.as_bytes().to_vec()), shown: Some(text), public: None }
}

/// How many bytes a secret has at least. For tokens as many as the hash gives (RFC 7518 section 3.2).
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
