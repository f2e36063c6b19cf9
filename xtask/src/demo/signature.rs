//! Signatures, checked and made as receivers and providers do it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How far a message's time may be from the receiver's, in seconds (Standard Webhooks 1.0).
const TOLERANCE: u64 = 300;

/// What a message says of itself in its header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// `webhook-id`.
    pub(crate) id: &'a str,
    /// `webhook-timestamp`.
    pub(crate) timestamp: &'a str,
    /// `webhook-signature`.
    pub(crate) signature: &'a str,
}

/// Checks a message by Standard Webhooks 1.0; `now` is in seconds since 1970.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn verify(secret: &str, signed: Signed<'_>, body: &[u8], now: u64) -> Result<(), String> {
    let key = secret
        .strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or("the secret is not whsec_ and base64")?;
    let sent: u64 = signed.timestamp.parse().map_err(|_| format!("webhook-timestamp is `{}`", signed.timestamp))?;
    if sent.abs_diff(now) > TOLERANCE {
        return Err(format!("webhook-timestamp is {} s away from now", sent.abs_diff(now)));
    }
    let content = [signed.id.as_bytes(), b".", signed.timestamp.as_bytes(), b".", body].concat();
    let codes = signed.signature.split(' ').filter_map(|part| STANDARD.decode(part.strip_prefix("v1,")?).ok());
    for code in codes {
        if mac(&key, &content)?.verify_slice(&code).is_ok() {
            return Ok(());
        }
    }
    Err(format!("webhook-signature `{}` is not the body's", signed.signature))
}

/// The value of `X-Hub-Signature-256` that GitHub sends with a body.
///
/// # Errors
/// Never with a real secret; a sentence otherwise.
pub(crate) fn github(secret: &str, body: &[u8]) -> Result<String, String> {
    Ok(format!("sha256={}", hex::encode(mac(secret.as_bytes(), body)?.finalize().into_bytes())))
}

fn mac(key: &[u8], content: &[u8]) -> Result<Hmac<Sha256>, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    mac.update(content);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNED: Signed<'_> = Signed {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        timestamp: "1649367553",
        signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    };

    #[test]
    fn the_published_message_verifies_and_a_modified_one_does_not() {
        assert_eq!(verify(SECRET, SIGNED, BODY, 1_649_367_600), Ok(()));
        let two = Signed { signature: "v1,AAAA v1a,x v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=", ..SIGNED };
        assert_eq!(verify(SECRET, two, BODY, 1_649_367_553), Ok(()));
        assert!(verify(SECRET, SIGNED, b"{}", 1_649_367_553).is_err());
        assert!(verify(SECRET, Signed { id: "msg_other", ..SIGNED }, BODY, 1_649_367_553).is_err());
        assert!(verify(SECRET, SIGNED, BODY, 1_649_368_000).unwrap_err().contains("away from now"));
        assert!(verify("whsec_!", SIGNED, BODY, 1_649_367_553).is_err());
    }

    #[test]
    fn the_published_github_vector_matches() {
        assert_eq!(
            github("It's a Secret to Everybody", b"Hello, World!").unwrap(),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
