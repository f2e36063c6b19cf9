//! Standard Webhooks 1.0: `id.timestamp.body`, signed by HMAC-SHA256 (`v1`) or Ed25519 (`v1a`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};
use crate::signed::{Signed, Unsigned, sign_with};

/// The signatures of all keys, separated by spaces.
pub(crate) fn sign(keys: &[(String, Key)], unsigned: &Unsigned<'_>) -> Result<Signed, SigningError> {
    let timestamp = unsigned.time.seconds().to_string();
    let parts = [unsigned.id.as_bytes(), b".", timestamp.as_bytes(), b".", unsigned.body];
    let mut signatures = Vec::with_capacity(keys.len());
    for key in keys {
        let (version, algorithm) = match key.1 {
            Key::Ed25519(_) => ("v1a", Algorithm::Ed25519),
            _ => ("v1", Algorithm::HmacSha256),
        };
        signatures.push(format!("{version},{}", STANDARD.encode(sign_with(key, algorithm, &parts)?)));
    }
    Ok(Signed::as_is(unsigned, vec![("webhook-signature".to_owned(), signatures.join(" "))]))
}
