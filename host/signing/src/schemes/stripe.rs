//! Stripe's `Stripe-Signature`: HMAC-SHA256 of `timestamp.body`, in hexadecimal.

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};
use crate::signed::{Signed, Unsigned, sign_with};

/// The time, then one signature for each key.
pub(crate) fn sign(keys: &[(String, Key)], unsigned: &Unsigned<'_>) -> Result<Signed, SigningError> {
    let timestamp = unsigned.time.seconds().to_string();
    let mut value = format!("t={timestamp}");
    for key in keys {
        let code = sign_with(key, Algorithm::HmacSha256, &[timestamp.as_bytes(), b".", unsigned.body])?;
        value.push_str(",v1=");
        value.push_str(&hex::encode(code));
    }
    Ok(Signed::as_is(unsigned, vec![("Stripe-Signature".to_owned(), value)]))
}
