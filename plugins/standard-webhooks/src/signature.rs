//! `webhook-signature`: signatures of several versions, with spaces between, over `ID.TIME.BODY`.

use hookwright_sdk::inbound::{Encoding, Stop, TimeFormat, codes, fresh, signed};
use hookwright_sdk::{Failure, Refusal, Request, crypto};

/// The name of the secret.
pub(crate) const SECRET: &str = "signing-secret";

/// Bytes of an Ed25519 key and signature (RFC 8032).
const KEY: usize = 32;
const SIGNATURE: usize = 64;
/// Signatures of one version that are looked at; more are no change of keys but an attempt to keep the server busy.
const MOST: usize = 10;

/// Checks signature and age, and answers the message's id.
///
/// # Errors
/// The refusal, with status 401, or the failure where there is nothing to check with.
pub(crate) fn check<'a>(request: &'a Request, public_key: Option<&str>, tolerance: u32) -> Result<&'a str, Stop> {
    let missing = |name: &str| {
        let said =
            format!("no {name} header: Standard Webhooks carry webhook-id, webhook-timestamp and webhook-signature");
        Refusal::new(401, "standard_webhooks.signature_missing", said)
    };
    let header = |name: &str| request.header(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name));
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    let signatures = request.header_list("webhook-signature").filter(|value| !value.is_empty());
    let signatures = signatures.ok_or_else(|| missing("webhook-signature"))?;
    let mut data = format!("{id}.{time}.").into_bytes();
    data.extend_from_slice(&request.body);
    let of_version = |version: &str| -> Vec<Vec<u8>> {
        let found = codes(&signatures, version).take(MOST);
        found.filter_map(|code| Encoding::Base64.decode(code)).collect()
    };
    let found = of_version("v1,");
    let proved = match public_key {
        Some(key) if asymmetric(key, &data, &of_version("v1a,"))? => true,
        // With a public key alone the secret is one that nobody was told.
        _ => !found.is_empty() && signed("sha256", SECRET, &data, &found)?,
    };
    if !proved {
        let said = if found.is_empty() && public_key.is_none() {
            "the webhook-signature header has no signature of version v1: for v1a, give the source the provider's public_key"
        } else {
            "the webhook-signature header is not the body's: store the endpoint's secret (whsec_..) as this source's \
             secret, or correct public_key"
        };
        return Err(Refusal::new(401, "standard_webhooks.signature_wrong", said).into());
    }
    fresh(time, TimeFormat::Seconds, tolerance)
        .map_err(|not_fresh| not_fresh.refusal("standard_webhooks", "the webhook-timestamp header"))?;
    Ok(id)
}

/// Whether one of the signatures is the data's under the key.
fn asymmetric(key: &str, data: &[u8], signatures: &[Vec<u8>]) -> Result<bool, Failure> {
    let bytes = Encoding::Base64.decode(key.strip_prefix("whpk_").unwrap_or(key)).filter(|bytes| bytes.len() == KEY);
    let bytes = bytes.ok_or_else(|| {
        Failure::permanent(
            "parameters.invalid",
            "parameter `public_key` is not an Ed25519 key: give whpk_ and the base64 of its 32 bytes",
        )
    })?;
    for signature in signatures.iter().filter(|signature| signature.len() == SIGNATURE) {
        if crypto::checked(crypto::verify_ed25519(&bytes, data, signature))? {
            return Ok(true);
        }
    }
    Ok(false)
}
